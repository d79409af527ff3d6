"""NodeResourcesBalancedAllocation: likes nodes whose cpu and memory would be used to the same part."""

from __future__ import annotations

import numpy as np

from pelamis.scheduler.extension import MAX_SCORE, Plugin, Rows
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import CPU, MEMORY, Ints, Snapshot


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


PLUGIN = Plugin(name="NodeResourcesBalancedAllocation", score=_score, weight=1)
