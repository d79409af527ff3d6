"""NodeResourcesBalancedAllocation: likes nodes whose cpu and memory would be used to the same part."""

from __future__ import annotations

from functools import partial

import numpy as np

from pelamis.scheduler.args import CPU_AND_MEMORY, NodeResourcesBalancedAllocationArgs
from pelamis.scheduler.extension import MAX_SCORE, Plugin, Rows
from pelamis.scheduler.podinfo import PodInfo, is_scalar
from pelamis.scheduler.snapshot import CPU, MEMORY, Ints, Snapshot


def _score_by(args: NodeResourcesBalancedAllocationArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """Over any resources: the standard deviation of the parts, for those that a node has at all."""
    names = [r.name for r in args.resources]
    if not any(info.requests.get(name) for name in names):
        return None
    size = snapshot.size
    parts, there = [], []
    for name in names:
        wanted = info.requests.get(name, 0)
        if not wanted and is_scalar(name):
            continue
        column = snapshot.resource(name)
        limit = snapshot.allocatable[column, :size][rows]
        used = snapshot.requested[column, :size][rows] + wanted
        parts.append(np.minimum(used / np.maximum(limit, 1), 1.0))
        there.append(limit > 0)
    counted = np.array(there)
    number = np.maximum(counted.sum(axis=0), 1)
    values = np.where(counted, np.array(parts), 0.0)
    mean = values.sum(axis=0) / number
    deviation = np.sqrt((np.where(counted, values - mean, 0.0) ** 2).sum(axis=0) / number)
    out: Ints = ((1 - deviation) * MAX_SCORE).astype(np.int64)
    return out


def _score(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """None for pods that request neither: all of them would go to the same node."""
    wanted = (info.requests.get("cpu", 0), info.requests.get("memory", 0))
    if wanted == (0, 0):
        return None
    size = snapshot.size
    complete = snapshot.complete()
    parts = []
    there = []
    for column, amount in zip((CPU, MEMORY), wanted, strict=True):
        limit = snapshot.allocatable[column, :size][rows]
        used = snapshot.requested[column, :size][rows] + amount
        parts.append(np.minimum(used / (limit if complete else np.maximum(limit, 1)), 1.0))
        if not complete:
            there.append(limit > 0)
    spread = np.abs((parts[0] - parts[1]) / 2)
    if there:
        spread = np.where(there[0] & there[1], spread, 0.0)
    return ((1 - spread) * MAX_SCORE).astype(np.int64)


def plugin(args: NodeResourcesBalancedAllocationArgs = NodeResourcesBalancedAllocationArgs()) -> Plugin:
    score = _score if args.resources == CPU_AND_MEMORY else partial(_score_by, args)
    return Plugin(name="NodeResourcesBalancedAllocation", score=score, weight=1)
