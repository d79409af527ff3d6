"""NodeAffinity: node selector, required and preferred node affinity.

Required affinity to nodes by name (as DaemonSet pods have it) leaves only these nodes to look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from pelamis.api.core.node import Node
from pelamis.api.core.pod.affinity import PreferredSchedulingTerm
from pelamis.scheduler.args import NodeAffinityArgs
from pelamis.scheduler.extension import (
    MAX_SCORE,
    NODE,
    NODE_ADD,
    NODE_LABEL,
    Event,
    Plugin,
    Rejection,
    Rows,
    Verdict,
)
from pelamis.scheduler.nodematch import pod_matches, pod_rows, required, selector_rows, term_rows
from pelamis.scheduler.nodeterm import selector_matches
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Snapshot

REASON = "node(s) didn't match Pod's node affinity/selector"
ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
_FEW = 4
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


def _filter(args: NodeAffinityArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    added = args.addedAffinity
    if added is None and not isinstance(rows, slice) and len(rows) <= _FEW:
        # Pods that are bound to a node by its name, as those of DaemonSets, each have another mask.
        nodes = snapshot.nodes
        return (Rejection(np.array([not pod_matches(info.pod, nodes[r].node) for r in rows.tolist()]), REASON, False),)
    mask = pod_rows(snapshot, info)
    out = []
    if added is not None and added.requiredDuringSchedulingIgnoredDuringExecution is not None:
        enforced = selector_rows(snapshot, added.requiredDuringSchedulingIgnoredDuringExecution)
        out.append(Rejection(~enforced[rows], ENFORCED, False))
        if mask is not None:
            mask = mask | ~enforced  # a node counts under one reason
    if mask is not None:
        out.append(Rejection(~mask[rows], REASON, False))
    return out


def _raw(args: NodeAffinityArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    affinity = info.pod.spec.affinity
    terms: tuple[PreferredSchedulingTerm, ...] = ()
    if args.addedAffinity is not None:
        terms = args.addedAffinity.preferredDuringSchedulingIgnoredDuringExecution
    if affinity is not None and affinity.nodeAffinity is not None:
        terms += affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution
    if not terms:
        return None
    total = np.zeros(snapshot.size, np.int64)
    for term in terms:
        if term.weight:
            total[term_rows(snapshot, term.preference)] += term.weight
    return total[rows]


def _normalize(points: Ints) -> Ints | None:
    most = int(points.max(initial=0))
    return points * MAX_SCORE // most if most else None


def _score(args: NodeAffinityArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    points = _raw(args, snapshot, info, rows)
    return _normalize(points) if points is not None else None


def _matches(args: NodeAffinityArgs, info: PodInfo, node: Node) -> bool:
    added = args.addedAffinity
    enforced = added.requiredDuringSchedulingIgnoredDuringExecution if added is not None else None
    return pod_matches(info.pod, node) and selector_matches(enforced, node)


def _node_helps(args: NodeAffinityArgs, info: PodInfo, event: Event) -> bool:
    if not _matches(args, info, event.new):
        return False
    return event.old is None or not _matches(args, info, event.old)


def plugin(args: NodeAffinityArgs = NodeAffinityArgs()) -> Plugin:
    helps = partial(_node_helps, args)
    return Plugin(
        name="NodeAffinity",
        before=_before,
        filter=partial(_filter, args),
        score=partial(_score, args),
        raw=partial(_raw, args),
        normalize=_normalize,
        reads=NODE,
        demands_only=True,
        weight=2,
        helps={NODE_ADD: helps, NODE_LABEL: helps},
    )
