"""NodeAffinity: node selector, required and preferred node affinity.

Required affinity to nodes by name (as DaemonSet pods have it) leaves only these nodes to look at.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pelamis.scheduler.extension import (
    MAX_SCORE,
    NODE_ADD,
    NODE_LABEL,
    Event,
    Plugin,
    Rejection,
    Rows,
    Verdict,
)
from pelamis.scheduler.nodematch import pod_matches, pod_rows, required, term_rows
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Snapshot

REASON = "node(s) didn't match Pod's node affinity/selector"
CONFLICT = "pod affinity terms conflict"


def _before(snapshot: Snapshot, info: PodInfo) -> Verdict | None:
    selector = required(info.pod)
    if selector is None or not selector.nodeSelectorTerms:
        return None
    names: set[str] = set()
    for term in selector.nodeSelectorTerms:
        own: set[str] | None = None
        for field in term.matchFields:
            if field.key == "metadata.name" and field.operator == "In":
                own = set(field.values) if own is None else own & set(field.values)
        if own is None:
            return None
        names |= own
    if not names:
        return Verdict(CONFLICT, False)
    return Verdict(nodes=frozenset(names))


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    mask = pod_rows(snapshot, info)
    if mask is None:
        return ()
    return (Rejection(~mask[rows], REASON, False),)


def _score(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    affinity = info.pod.spec.affinity
    if affinity is None or affinity.nodeAffinity is None:
        return None
    terms = affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution
    if not terms:
        return None
    total = np.zeros(snapshot.size, np.int64)
    for term in terms:
        if term.weight:
            total[term_rows(snapshot, term.preference)] += term.weight
    out: Ints = total[rows]
    most = int(out.max(initial=0))
    return out * MAX_SCORE // most if most else out


def _node_helps(info: PodInfo, event: Event) -> bool:
    if not pod_matches(info.pod, event.new):
        return False
    return event.old is None or not pod_matches(info.pod, event.old)


PLUGIN = Plugin(
    name="NodeAffinity",
    before=_before,
    filter=_filter,
    score=_score,
    weight=2,
    helps={NODE_ADD: _node_helps, NODE_LABEL: _node_helps},
)
