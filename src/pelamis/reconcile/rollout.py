"""The arithmetic of a Deployment: how many replicas each ReplicaSet may have. Pure; upstream's rules to the number.

``Sizes`` is what the functions work on: a ReplicaSet reduced to its numbers, in the order of the ReplicaSets' creation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pelamis.api.apps.deployment import Deployment
from pelamis.base.intstr import scaled


@dataclass(slots=True)
class Size:
    """name, replicas (wanted, changed in place), available and actual pods; created: position in time.

    max_before: the ``max-replicas`` annotation, 0 if absent.
    """

    name: str
    replicas: int
    available: int
    actual: int
    created: float
    max_before: int = 0


def fenceposts(deployment: Deployment) -> tuple[int, int]:
    """maxSurge (rounded up) and maxUnavailable (rounded down) in pods; they are never both 0."""
    replicas = wanted(deployment)
    rolling = deployment.spec.strategy.rollingUpdate
    surge = rolling.maxSurge if rolling is not None and rolling.maxSurge is not None else 0
    unavailable = rolling.maxUnavailable if rolling is not None and rolling.maxUnavailable is not None else 0
    surge_pods, unavailable_pods = scaled(surge, replicas, True), scaled(unavailable, replicas, False)
    if surge_pods == 0 and unavailable_pods == 0:
        unavailable_pods = 1
    return surge_pods, unavailable_pods


def wanted(deployment: Deployment) -> int:
    return 1 if deployment.spec.replicas is None else deployment.spec.replicas


def is_rolling(deployment: Deployment) -> bool:
    return deployment.spec.strategy.type == "RollingUpdate"


def max_surge(deployment: Deployment) -> int:
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Deployment) -> int:
    replicas = wanted(deployment)
    if not is_rolling(deployment) or replicas == 0:
        return 0
    return min(fenceposts(deployment)[1], replicas)


def new_replicas(deployment: Deployment, sizes: Sequence[Size], current: int) -> int:
    """How large the new ReplicaSet may be; ``sizes`` are all of them, ``current`` what the new one has."""
    replicas = wanted(deployment)
    if not is_rolling(deployment):
        return replicas
    total = sum(s.replicas for s in sizes)
    most = replicas + max_surge(deployment)
    if total >= most:
        return current
    return current + min(most - total, replicas - current)


def scale_down_unhealthy(old: Sequence[Size], budget: int) -> int:
    """Takes replicas that are not available from old ReplicaSets first, oldest first. Returns how many."""
    taken = 0
    for size in sorted(old, key=lambda s: s.created):
        if taken >= budget:
            break
        if size.replicas == 0 or size.replicas == size.available:
            continue
        count = min(budget - taken, size.replicas - size.available)
        if count <= 0:
            continue
        size.replicas -= count
        taken += count
    return taken


def scale_down_old(deployment: Deployment, everything: Sequence[Size], old: Sequence[Size]) -> int:
    """Takes available replicas from old ReplicaSets as far as maxUnavailable allows. Returns how many."""
    least = wanted(deployment) - max_unavailable(deployment)
    available = sum(s.available for s in everything)
    if available <= least:
        return 0
    budget = available - least
    taken = 0
    for size in sorted(old, key=lambda s: s.created):
        if taken >= budget:
            break
        if size.replicas == 0:
            continue
        count = min(size.replicas, budget - taken)
        size.replicas -= count
        taken += count
    return taken


def proportionally(deployment: Deployment, actual: int, active: Sequence[Size]) -> dict[str, int]:
    """New sizes of the active ReplicaSets when a Deployment is scaled in the middle of a rollout.

    actual: ``status.replicas`` of the Deployment, the base for ReplicaSets that do not say what the maximum was.
    """
    replicas = wanted(deployment)
    allowed = replicas + max_surge(deployment) if replicas > 0 else 0
    to_add = allowed - sum(s.replicas for s in active)
    ordered = sorted(active, key=lambda s: (s.created, s.name), reverse=to_add > 0)
    ordered.sort(key=lambda s: -s.replicas)
    added = 0
    out: dict[str, int] = {}
    for size in ordered:
        share = _share(deployment, actual, size, to_add, added) if to_add else 0
        out[size.name] = size.replicas + share
        added += share
    if ordered and to_add:
        first = ordered[0].name
        out[first] = max(0, out[first] + to_add - added)
    return out


def _share(deployment: Deployment, actual: int, size: Size, to_add: int, added: int) -> int:
    if size.replicas == 0 or to_add == added:
        return 0
    fraction = _fraction(deployment, actual, size)
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(deployment: Deployment, actual: int, size: Size) -> int:
    replicas = wanted(deployment)
    if replicas == 0:
        return -size.replicas
    before = size.max_before or actual
    if before == 0:
        return 0
    most = replicas + max_surge(deployment)
    # rounded half away from zero, in integers
    return (2 * size.replicas * most + before) // (2 * before) - size.replicas
