"""NodeResourcesFit: a node must have what the pod requests; nodes with more left are liked better (LeastAllocated)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pelamis.scheduler.extension import (
    MAX_SCORE,
    NODE_ADD,
    NODE_ALLOCATABLE,
    OWN_SCALE_DOWN,
    POD_DELETE,
    POD_SCALE_DOWN,
    Event,
    Plugin,
    Rejection,
    Rows,
)
from pelamis.scheduler.podinfo import PodInfo, amounts_of
from pelamis.scheduler.snapshot import CPU, MEMORY, PODS, Ints, Snapshot

TOO_MANY = "Too many pods"
_SCORED = (CPU, MEMORY)


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    size = snapshot.size
    out: list[Rejection] = []
    limits = snapshot.allocatable[PODS, :size][rows]
    full = snapshot.requested[PODS, :size][rows] >= limits
    if full.any():
        out.append(Rejection(full, TOO_MANY))
    vector = snapshot.vector(info)
    for name, (column, amount) in zip((n for n in info.requests if n != "pods"), vector, strict=True):
        if amount <= 0:
            continue
        limit = snapshot.allocatable[column, :size][rows]
        short = snapshot.requested[column, :size][rows] + amount > limit
        if short.any():
            # What asks for more than the whole node has, no eviction can help.
            never = short & (amount > limit)
            reason = f"Insufficient {name}"
            if never.any():
                out.append(Rejection(never, reason, False))
                short = short & ~never
                if not short.any():
                    continue
            out.append(Rejection(short, reason))
    return out


def _score(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """The mean over cpu and memory of the part that stays free, containers without requests counted at a minimum."""
    size = snapshot.size
    complete = snapshot.complete()
    total: Ints | None = None
    for column, wanted in zip(_SCORED, info.nonzero, strict=True):
        limit = snapshot.allocatable[column, :size][rows]
        left = limit - snapshot.nonzero[column, :size][rows] - wanted
        np.maximum(left, 0, out=left)
        left *= MAX_SCORE
        left //= limit if complete else np.maximum(limit, 1)
        total = left if total is None else total + left
    assert total is not None
    if complete:
        return total // len(_SCORED)
    there = [snapshot.allocatable[column, :size][rows] > 0 for column in _SCORED]
    return total // np.maximum(sum(mask.astype(np.int64) for mask in there), 1)


def _pod_gone(info: PodInfo, event: Event) -> bool:
    return True


def _node_fits(info: PodInfo, event: Event) -> bool:
    have = amounts_of(event.new.status.allocatable)
    if any(amount > have.get(name, 0) for name, amount in info.requests.items() if name != "pods"):
        return False
    if event.old is None:
        return True
    had = amounts_of(event.old.status.allocatable)
    more = (name for name in info.requests if have.get(name, 0) > had.get(name, 0))
    return have.get("pods", 0) > had.get("pods", 0) or any(more)


PLUGIN = Plugin(
    name="NodeResourcesFit",
    filter=_filter,
    score=_score,
    weight=1,
    helps={
        POD_DELETE: _pod_gone,
        POD_SCALE_DOWN: _pod_gone,
        OWN_SCALE_DOWN: None,
        NODE_ADD: _node_fits,
        NODE_ALLOCATABLE: _node_fits,
    },
)
