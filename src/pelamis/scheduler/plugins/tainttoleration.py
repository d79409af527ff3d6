"""TaintToleration: NoSchedule and NoExecute taints keep pods off, PreferNoSchedule taints make a node less liked.

Each distinct set of taints is judged once; nodes share few.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pelamis.scheduler.args import Args
from pelamis.scheduler.extension import (
    MAX_SCORE,
    NODE,
    NODE_ADD,
    NODE_TAINT,
    OWN_TOLERATION,
    Event,
    Plugin,
    Rejection,
    Rows,
)
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Snapshot
from pelamis.scheduler.toleration import keeps_off, tolerates

REASON = "node(s) had untolerated taint(s)"


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    sets = snapshot.taint_sets
    if len(sets) == 1:
        return ()
    tolerations = info.pod.spec.tolerations
    bad = np.fromiter((keeps_off(tolerations, taints) for taints in sets), np.bool_, len(sets))
    if not bad.any():
        return ()
    return (Rejection(bad[snapshot.taints[: snapshot.size][rows]], REASON, False),)


def _raw(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """How many taints the pod would rather avoid; None if no node has one."""
    sets = snapshot.taint_sets
    if len(sets) == 1:
        return None
    softly = tuple(t for t in info.pod.spec.tolerations if t.effect in ("", "PreferNoSchedule"))
    table = [sum(1 for t in taints if t.effect == "PreferNoSchedule" and not tolerates(softly, t)) for taints in sets]
    if not any(table):
        return None
    return np.array(table, np.int64)[snapshot.taints[: snapshot.size][rows]]


def _normalize(counts: Ints) -> Ints | None:
    """100 for the fewest; None when it changes nothing."""
    most = int(counts.max(initial=0))
    return MAX_SCORE - counts * MAX_SCORE // most if most else None


def _score(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    counts = _raw(snapshot, info, rows)
    return _normalize(counts) if counts is not None else None


def _node_helps(info: PodInfo, event: Event) -> bool:
    tolerations = info.pod.spec.tolerations
    was_off = event.old is None or keeps_off(tolerations, event.old.spec.taints)
    return was_off and not keeps_off(tolerations, event.new.spec.taints)


def plugin(args: Args = Args()) -> Plugin:
    return Plugin(
        name="TaintToleration",
        filter=_filter,
        score=_score,
        raw=_raw,
        normalize=_normalize,
        reads=NODE,
        demands_only=True,
        weight=3,
        helps={NODE_ADD: _node_helps, NODE_TAINT: _node_helps, OWN_TOLERATION: None},
    )
