"""How fast the number of replicas may change: stabilisation windows, policies, minimum and maximum. Pure.

Memory is explicit: past recommendations and past changes come in and go out. Without ``behavior`` upstream's older
rules hold: a window of five minutes on the way down, and at most twice as many replicas (or four) on the way up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from pelamis.api.autoscaling.horizontalpodautoscaler import HorizontalPodAutoscalerBehavior, HPAScalingRules

DOWN_WINDOW_S = 300
IN_RANGE = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
DOWN_LIMIT = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
READY = ("ReadyForNewScale", "recommended size matches current size")
DOWN_STABLE = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
UP_STABLE = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
Reason = tuple[str, str]
"""(reason, message)"""


class At(NamedTuple):
    """A number of replicas (recommended, or added or taken away) at a time."""

    time: float
    replicas: int


@dataclass(frozen=True, slots=True)
class History:
    """Recommendations before stabilisation, and the changes that were made; oldest first."""

    recommended: tuple[At, ...] = ()
    added: tuple[At, ...] = ()
    removed: tuple[At, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """able: the condition AbleToScale. limited: ScalingLimited, which is true where ``is_limited``."""

    replicas: int
    able: Reason
    limited: Reason
    is_limited: bool
    history: History


def _windows(behavior: HorizontalPodAutoscalerBehavior | None) -> tuple[int, int]:
    """Seconds of past recommendations that count on the way (up, down)."""
    up = down = None
    if behavior is not None:
        up = behavior.scaleUp.stabilizationWindowSeconds if behavior.scaleUp else None
        down = behavior.scaleDown.stabilizationWindowSeconds if behavior.scaleDown else None
    return (up or 0), (DOWN_WINDOW_S if down is None else down)


def decide(
    behavior: HorizontalPodAutoscalerBehavior | None,
    current: int,
    desired: int,
    minimum: int,
    maximum: int,
    history: History,
    now: float,
) -> Decision:
    """What becomes of a recommendation."""
    up_s, down_s = _windows(behavior)
    lowest = min((r.replicas for r in history.recommended if r.time > now - up_s), default=desired)
    highest = max((r.replicas for r in history.recommended if r.time > now - down_s), default=desired)
    if behavior is None:
        stable = max(desired, highest)
        why = DOWN_STABLE
    else:
        stable = min(max(current, min(lowest, desired)), max(highest, desired))
        why = UP_STABLE if desired >= current else DOWN_STABLE
    able = READY if stable == desired else why
    replicas, limited = _limited(behavior, current, stable, minimum, maximum, history, now)
    kept = tuple(r for r in history.recommended if r.time >= now - max(up_s, down_s))
    history = replace(history, recommended=(*kept, At(now, desired)))
    return Decision(replicas, able, limited, replicas != stable, history)


def _limited(
    behavior: HorizontalPodAutoscalerBehavior | None,
    current: int,
    desired: int,
    minimum: int,
    maximum: int,
    history: History,
    now: float,
) -> tuple[int, Reason]:
    if behavior is None:
        limit = max(2 * current, 4)
        allowed, why = (limit, UP_LIMIT) if maximum > limit else (maximum, TOO_MANY)
        if desired < minimum:
            return minimum, TOO_FEW
        return (allowed, why) if desired > allowed else (desired, IN_RANGE)
    if desired > current:
        limit = max(_up_limit(behavior.scaleUp, current, history, now), current)
        allowed, why = (limit, UP_LIMIT) if maximum > limit else (maximum, TOO_MANY)
        return (allowed, why) if desired > allowed else (desired, IN_RANGE)
    if desired < current:
        limit = min(_down_limit(behavior.scaleDown, current, history, now), current)
        allowed, why = (limit, DOWN_LIMIT) if minimum < limit else (minimum, TOO_FEW)
        return (allowed, why) if desired < allowed else (desired, IN_RANGE)
    return desired, IN_RANGE


def _changed(events: Sequence[At], period_s: int, now: float) -> int:
    return sum(e.replicas for e in events if e.time > now - period_s)


def _at_start(current: int, period_s: int, history: History, now: float) -> int:
    """How many replicas there were when the period began."""
    return current - _changed(history.added, period_s, now) + _changed(history.removed, period_s, now)


def _up_limit(rules: HPAScalingRules | None, current: int, history: History, now: float) -> int:
    """The most replicas that the policies let there be now."""
    if rules is None or rules.selectPolicy == "Disabled":
        return current
    proposals = []
    for policy in rules.policies or ():
        start = _at_start(current, policy.periodSeconds, history, now)
        if policy.type == "Pods":
            proposals.append(start + policy.value)
        else:  # rounded up, so that a small number can grow at all
            proposals.append(ceil(start * (1 + policy.value / 100)))
    if not proposals:
        return current
    return min(proposals) if rules.selectPolicy == "Min" else max(proposals)


def _down_limit(rules: HPAScalingRules | None, current: int, history: History, now: float) -> int:
    """The fewest replicas that the policies let there be now."""
    if rules is None or rules.selectPolicy == "Disabled":
        return current
    proposals = []
    for policy in rules.policies or ():
        start = _at_start(current, policy.periodSeconds, history, now)
        if policy.type == "Pods":
            proposals.append(start - policy.value)
        else:
            proposals.append(int(start * (1 - policy.value / 100)))
    if not proposals:
        return current
    return max(proposals) if rules.selectPolicy == "Min" else min(proposals)


def _longest(rules: HPAScalingRules | None) -> int:
    return max((p.periodSeconds for p in rules.policies or ()), default=0) if rules is not None else 0


def noted(
    behavior: HorizontalPodAutoscalerBehavior | None, history: History, before: int, after: int, now: float
) -> History:
    """The history with a change that was made; what no policy looks at any more is forgotten."""
    if behavior is None or before == after:
        return history
    if after > before:
        kept = tuple(e for e in history.added if e.time >= now - _most(behavior))
        return replace(history, added=(*kept, At(now, after - before)))
    kept = tuple(e for e in history.removed if e.time >= now - _most(behavior))
    return replace(history, removed=(*kept, At(now, before - after)))


def _most(behavior: HorizontalPodAutoscalerBehavior) -> int:
    """Both directions look at both kinds of changes."""
    return max(_longest(behavior.scaleUp), _longest(behavior.scaleDown))
