"""NodeResourcesBalancedAllocation: how much more, or less, evenly used the node would be with the pod."""

from __future__ import annotations

import math

from .basics import Tree, allocatable, requests
from .world import World

RESOURCES = ("cpu", "memory")


def _balance(used: list[int], has: list[int]) -> int:
    parts = [min(u / h, 1.0) for u, h in zip(used, has, strict=True) if h]
    deviation = 0.0
    if len(parts) == 2:
        deviation = abs((parts[0] - parts[1]) / 2)
    elif len(parts) > 2:
        mean = sum(parts) / len(parts)
        deviation = math.sqrt(sum((p - mean) * (p - mean) for p in parts) / len(parts))
    return int((1 - deviation) * 100)


def score(
    world: World, pod: Tree, node: Tree, feasible: list[Tree], resources: tuple[str, ...] = RESOURCES
) -> int | None:
    own = requests(pod)
    if not any(own.get(r, 0) for r in resources):
        return None
    there, capacity = world.pods_on(node), allocatable(node)
    counted = [r for r in resources if own.get(r, 0) or "/" not in r]
    has = [capacity.get(r, 0) for r in counted]
    used = [sum(requests(p).get(r, 0) for p in there) for r in counted]
    with_pod = [u + own.get(r, 0) for u, r in zip(used, counted, strict=True)]
    difference = _balance(with_pod, has) - _balance(used, has)
    return 50 + (50 + difference) // 2
