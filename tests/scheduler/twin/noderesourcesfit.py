"""NodeResourcesFit with its three strategies."""

from __future__ import annotations

import math

from .basics import Tree, allocatable, nonzero, requests
from .world import World

Strategy = tuple[str, dict[str, int], list[tuple[int, int]]]
"""Type, weights, and the shape: (utilization, score 0 to 10)."""
DEFAULT: Strategy = ("LeastAllocated", {"cpu": 1, "memory": 1}, [])
_NATIVE = ("cpu", "memory", "ephemeral-storage", "pods")


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    has, there = allocatable(node), world.pods_on(node)
    reasons, helps = [], True
    if len(there) + 1 > has.get("pods", 0):
        reasons.append("Too many pods")
    for resource, wanted in requests(pod).items():
        used = sum(requests(p).get(resource, 0) for p in there)
        if wanted > 0 and wanted > has.get(resource, 0) - used:
            reasons.append(f"Insufficient {resource}")
            helps = helps and wanted <= has.get(resource, 0)
    return (reasons, helps) if reasons else None


def _truncated(a: int, b: int) -> int:
    """Go divides towards zero."""
    return int(math.copysign(abs(a) // b, a)) if a else 0


def _shape(points: list[tuple[int, int]], at: int) -> int:
    for i, (x, y) in enumerate(points):
        if at <= x:
            if i == 0:
                return points[0][1]
            x0, y0 = points[i - 1]
            return y0 + _truncated((y - y0) * (at - x0), x - x0)
    return points[-1][1]


def score(world: World, pod: Tree, node: Tree, feasible: list[Tree], strategy: Strategy = DEFAULT) -> int:
    kind, weights, points = strategy
    has, there = allocatable(node), world.pods_on(node)
    total = weight_sum = 0
    for resource, weight in weights.items():
        if resource in ("cpu", "memory"):
            used = sum(nonzero(p).get(resource, 0) for p in there) + nonzero(pod).get(resource, 0)
        else:
            own = requests(pod).get(resource, 0)
            if not own and resource not in _NATIVE:
                continue
            used = sum(requests(p).get(resource, 0) for p in there) + own
        capacity = has.get(resource, 0)
        if capacity == 0:
            continue
        if kind == "LeastAllocated":
            points_here = 0 if used > capacity else (capacity - used) * 100 // capacity
        elif kind == "MostAllocated":
            points_here = min(used, capacity) * 100 // capacity
        else:
            scaled = [(x, y * 10) for x, y in points]
            points_here = _shape(scaled, 100 if used > capacity else used * 100 // capacity)
            if points_here <= 0:
                continue
        total += points_here * weight
        weight_sum += weight
    if not weight_sum:
        return 0
    return math.floor(total / weight_sum + 0.5) if kind == "RequestedToCapacityRatio" else total // weight_sum
