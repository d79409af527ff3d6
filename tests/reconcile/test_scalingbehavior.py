"""Windows, policies and limits; and that no history leads out of them."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.api.autoscaling.horizontalpodautoscaler import HorizontalPodAutoscalerBehavior
from pelamis.reconcile.scalingbehavior import At, History, decide, noted

NOW = 10_000.0


def behavior(up: Any = None, down: Any = None) -> HorizontalPodAutoscalerBehavior:
    up = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [_percent(10000, 1)], **(up or {})}
    down = {"selectPolicy": "Max", "policies": [_percent(100, 15)], **(down or {})}
    tree = {"scaleUp": up, "scaleDown": down}
    return msgspec.json.decode(msgspec.json.encode(tree), type=HorizontalPodAutoscalerBehavior)


def _percent(value: int, period: int) -> dict[str, Any]:
    return {"type": "Percent", "value": value, "periodSeconds": period}


def _pods(value: int, period: int) -> dict[str, Any]:
    return {"type": "Pods", "value": value, "periodSeconds": period}


QUICK = {"stabilizationWindowSeconds": 0}
TWO = [_pods(4, 60), _percent(50, 60)]
PAST = (At(NOW - 200, 9), At(NOW - 20, 7), At(NOW - 5, 6))


@pytest.mark.parametrize(
    ("rules", "current", "desired", "history", "replicas", "able", "limited"),
    [
        (None, 3, 5, History(), 5, "ReadyForNewScale", "DesiredWithinRange"),
        (None, 3, 30, History(), 6, "ReadyForNewScale", "ScaleUpLimit"),
        (None, 1, 30, History(), 4, "ReadyForNewScale", "ScaleUpLimit"),
        (None, 18, 30, History(), 20, "ReadyForNewScale", "TooManyReplicas"),
        (None, 9, 1, History(), 2, "ReadyForNewScale", "TooFewReplicas"),
        (None, 9, 5, History(PAST), 9, "ScaleDownStabilized", "DesiredWithinRange"),
        (None, 9, 5, History((At(NOW - 301, 9),)), 5, "ReadyForNewScale", "DesiredWithinRange"),
        (behavior(), 9, 5, History(PAST), 9, "ScaleDownStabilized", "DesiredWithinRange"),
        (behavior(down={"stabilizationWindowSeconds": 10}), 9, 5, History(PAST), 6, "ScaleDownStabilized", "DesiredWithinRange"),
        (behavior({"stabilizationWindowSeconds": 30}), 5, 8, History(PAST), 6, "ScaleUpStabilized", "DesiredWithinRange"),
        (behavior({"policies": TWO}), 10, 19, History(), 15, "ReadyForNewScale", "ScaleUpLimit"),
        (behavior({"policies": TWO, "selectPolicy": "Min"}), 10, 19, History(), 14, "ReadyForNewScale", "ScaleUpLimit"),
        (behavior({"policies": TWO, "selectPolicy": "Disabled"}), 10, 19, History(), 10, "ReadyForNewScale", "ScaleUpLimit"),
        (behavior({"policies": [_pods(4, 60)]}), 10, 19, History(added=(At(NOW - 30, 3),)), 11, "ReadyForNewScale", "ScaleUpLimit"),
        (behavior({"policies": [_pods(4, 60)]}), 10, 19, History(added=(At(NOW - 30, 9),)), 10, "ReadyForNewScale", "ScaleUpLimit"),
        (behavior({"policies": [_pods(4, 60)]}), 10, 19, History(added=(At(NOW - 61, 9),)), 14, "ReadyForNewScale", "ScaleUpLimit"),
        (behavior({"policies": [_pods(4, 60)]}), 10, 12, History(), 12, "ReadyForNewScale", "DesiredWithinRange"),
        (behavior(), 10, 30, History(), 20, "ReadyForNewScale", "TooManyReplicas"),
        (behavior(down={**QUICK, "policies": TWO}), 10, 3, History(), 5, "ReadyForNewScale", "ScaleDownLimit"),
        (behavior(down={**QUICK, "policies": TWO, "selectPolicy": "Min"}), 10, 3, History(), 6, "ReadyForNewScale", "ScaleDownLimit"),
        (behavior(down={**QUICK, "selectPolicy": "Disabled"}), 10, 3, History(), 10, "ReadyForNewScale", "ScaleDownLimit"),
        (behavior(down={**QUICK, "policies": [_pods(4, 60)]}), 10, 3, History(removed=(At(NOW - 9, 3),)), 9, "ReadyForNewScale", "ScaleDownLimit"),
        (behavior(down=QUICK), 10, 0, History(), 2, "ReadyForNewScale", "TooFewReplicas"),
    ],
)  # fmt: skip
def test_a_decision(
    rules: Any, current: int, desired: int, history: History, replicas: int, able: str, limited: str
) -> None:
    found = decide(rules, current, desired, 2, 20, history, NOW)
    assert (found.replicas, found.able[0], found.limited[0]) == (replicas, able, limited)
    assert found.is_limited is (limited != "DesiredWithinRange")
    assert found.history.recommended[-1] == At(NOW, desired)


def test_what_no_policy_looks_at_is_forgotten() -> None:
    rules = behavior({"policies": [_pods(4, 60)]}, {"policies": [_pods(1, 100)]})
    history = History(added=(At(NOW - 200, 5), At(NOW - 90, 1)))
    assert noted(rules, history, 3, 5, NOW).added == (At(NOW - 90, 1), At(NOW, 2))
    assert noted(rules, history, 5, 3, NOW).removed == (At(NOW, 2),)
    assert noted(None, history, 3, 5, NOW) is history


_POLICY = st.builds(
    lambda pods, value, period: (_pods if pods else _percent)(value, period),
    st.booleans(),
    st.integers(1, 100),
    st.integers(1, 120),
)
_RULES = st.fixed_dictionaries(
    {
        "stabilizationWindowSeconds": st.integers(0, 120),
        "selectPolicy": st.sampled_from(("Max", "Min", "Disabled")),
        "policies": st.lists(_POLICY, min_size=1, max_size=3),
    }
)


@given(
    st.one_of(st.none(), st.tuples(_RULES, _RULES)),
    st.integers(0, 5),
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), max_size=25),
)
def test_no_course_of_metrics_leaves_the_limits(
    rules: Any, minimum: int, more: int, course: list[tuple[int, int]]
) -> None:
    """Within minimum and maximum always; never below what was wanted within the window, nor above its lowest."""
    limits = behavior(*rules) if rules is not None else None
    maximum = minimum + more
    current, history, now = max(minimum, 1), History(), NOW
    wanted: list[tuple[float, int]] = []
    up_s = rules[0]["stabilizationWindowSeconds"] if rules else 0
    down_s = rules[1]["stabilizationWindowSeconds"] if rules else 300
    for step, desired in course:
        now += step
        found = decide(limits, current, desired, minimum, maximum, history, now)
        wanted.append((now, desired))
        assert minimum <= found.replicas <= maximum
        if found.replicas < current:
            highest = max(r for at, r in wanted if at > now - down_s or at == now)
            assert found.replicas >= min(highest, current, maximum)
        if found.replicas > current and rules:
            lowest = min(r for at, r in wanted if at > now - up_s or at == now)
            assert found.replicas <= max(lowest, minimum)
        history = noted(limits, found.history, current, found.replicas, now)
        current = found.replicas
