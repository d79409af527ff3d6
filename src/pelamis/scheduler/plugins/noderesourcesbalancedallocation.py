"""NodeResourcesBalancedAllocation: likes nodes whose resources would be used more evenly with the pod than without.

How even a node's use is: 100 less the standard deviation of the used parts, as a percentage. The score is 75 when the
pod changes nothing, more (to 100) when it evens the node out, less (to 50) when it tips it.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from pelamis.scheduler.args import CPU_AND_MEMORY, NodeResourcesBalancedAllocationArgs
from pelamis.scheduler.extension import MAX_SCORE, PODS_OF_ROW, Plugin, Rows
from pelamis.scheduler.podinfo import PodInfo, is_scalar
from pelamis.scheduler.snapshot import CPU, MEMORY, Ints, Mask, Snapshot

Floats = npt.NDArray[np.float64]


def _between(with_pod: Ints, without: Ints) -> Ints:
    with_pod -= without
    with_pod += MAX_SCORE // 2
    with_pod //= 2  # never below zero
    with_pod += MAX_SCORE // 2
    return with_pod


def _even(one: Floats, other: Floats) -> Ints:
    """Of two resources, both of which every node has."""
    np.minimum(one, 1.0, out=one)
    np.minimum(other, 1.0, out=other)
    one -= other
    np.abs(one, out=one)
    one /= 2
    np.subtract(1.0, one, out=one)
    one *= MAX_SCORE
    return one.astype(np.int64)


def _score(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """cpu and memory. None for pods that request neither: all of them would go to the same node."""
    cpu, memory = info.requests.get("cpu", 0), info.requests.get("memory", 0)
    if not cpu and not memory:
        return None
    if not snapshot.complete():
        return _score_by(NodeResourcesBalancedAllocationArgs(), snapshot, info, rows)
    if not isinstance(rows, slice) and len(rows) == 1:
        return np.array([_score_one(snapshot, int(rows[0]), cpu, memory)], np.int64)
    size = snapshot.size
    has_cpu, has_memory = snapshot.allocatable[CPU, :size][rows], snapshot.allocatable[MEMORY, :size][rows]
    used_cpu, used_memory = snapshot.requested[CPU, :size][rows], snapshot.requested[MEMORY, :size][rows]
    without = _even(used_cpu / has_cpu, used_memory / has_memory)
    return _between(_even((used_cpu + cpu) / has_cpu, (used_memory + memory) / has_memory), without)


def _score_one(snapshot: Snapshot, row: int, cpu: int, memory: int) -> int:
    """The same without arrays: most often one row has changed."""
    used_cpu, used_memory = snapshot.requested.item(CPU, row), snapshot.requested.item(MEMORY, row)
    has_cpu, has_memory = snapshot.allocatable.item(CPU, row), snapshot.allocatable.item(MEMORY, row)

    def even(cpu: int, memory: int) -> int:
        one, other = min(cpu / has_cpu, 1.0), min(memory / has_memory, 1.0)
        return int((1.0 - abs(one - other) / 2) * MAX_SCORE)

    half = MAX_SCORE // 2
    return half + (half + even(used_cpu + cpu, used_memory + memory) - even(used_cpu, used_memory)) // 2


def _points(snapshot: Snapshot, info: PodInfo, row: int) -> int:
    """``_score`` of one row."""
    cpu, memory = info.requests.get("cpu", 0), info.requests.get("memory", 0)
    if (cpu or memory) and snapshot.complete():
        return _score_one(snapshot, row, cpu, memory)
    own = _score(snapshot, info, np.array([row], np.int64))
    return 0 if own is None else int(own[0])


def _points_by(args: NodeResourcesBalancedAllocationArgs, snapshot: Snapshot, info: PodInfo, row: int) -> int:
    own = _score_by(args, snapshot, info, np.array([row], np.int64))
    return 0 if own is None else int(own[0])


def _score_by(args: NodeResourcesBalancedAllocationArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """Over any resources, for those that a node has at all."""
    names = [r.name for r in args.resources]
    if not any(info.requests.get(name) for name in names):
        return None
    size = snapshot.size
    used, more, limits = [], [], []
    for name in names:
        wanted = info.requests.get(name, 0)
        if not wanted and is_scalar(name):
            continue
        column = snapshot.resource(name)
        limits.append(snapshot.allocatable[column, :size][rows])
        used.append(snapshot.requested[column, :size][rows])
        more.append(used[-1] + wanted)
    there = np.array(limits) > 0
    divisors = np.maximum(np.array(limits), 1)
    return _between(_spread(np.array(more) / divisors, there), _spread(np.array(used) / divisors, there))


def _spread(parts: Floats, there: Mask) -> Ints:
    number = there.sum(axis=0)
    values = np.where(there, np.minimum(parts, 1.0), 0.0)
    mean = values.sum(axis=0) / np.maximum(number, 1)
    squares = (np.where(there, values - mean, 0.0) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / np.maximum(number, 1))
    # Of two it is half their difference, without the rounding of squares.
    highest = np.where(there, values, -np.inf).max(axis=0)
    lowest = np.where(there, values, np.inf).min(axis=0)
    deviation = np.where(number == 2, (highest - lowest) / 2, np.where(number < 2, 0.0, deviation))
    out: Ints = ((1 - deviation) * MAX_SCORE).astype(np.int64)
    return out


def plugin(args: NodeResourcesBalancedAllocationArgs = NodeResourcesBalancedAllocationArgs()) -> Plugin:
    default = args.resources == CPU_AND_MEMORY
    return Plugin(
        name="NodeResourcesBalancedAllocation",
        score=_score if default else partial(_score_by, args),
        points=_points if default else partial(_points_by, args),
        weight=1,
        reads=PODS_OF_ROW,
        demands_only=True,
    )
