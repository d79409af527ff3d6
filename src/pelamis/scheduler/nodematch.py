"""Which nodes a node selector, or a pod's node affinity, selects: one mask over all rows, kept while nodes stay.

A requirement is judged once per distinct value of its label. The mask of a pod's required affinity depends on nodes
and the pod's own fields only, so it is remembered with the pod until a node changes.
"""

from __future__ import annotations

import numpy as np

from pelamis.api.core.node import Node
from pelamis.api.core.nodeselector import NodeSelector, NodeSelectorTerm
from pelamis.api.core.pod.pod import Pod
from pelamis.base import labels
from pelamis.base.labels import Requirement
from pelamis.scheduler.nodeterm import requirement, selector_matches
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Mask, Snapshot


def required(pod: Pod) -> NodeSelector | None:
    affinity = pod.spec.affinity
    if affinity is None or affinity.nodeAffinity is None:
        return None
    return affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution


def pod_matches(pod: Pod, node: Node) -> bool:
    """Whether the pod's node selector and required node affinity let it run on the node."""
    own = node.metadata.labels
    if any(own.get(k) != v for k, v in pod.spec.nodeSelector.items()):
        return False
    return selector_matches(required(pod), node)


def term_rows(snapshot: Snapshot, term: NodeSelectorTerm) -> Mask:
    """``term_matches`` for all rows."""
    size = snapshot.size
    if not term.matchExpressions and not term.matchFields:
        return np.zeros(size, np.bool_)
    out = np.ones(size, np.bool_)
    for expression in term.matchExpressions:
        wanted = requirement(expression)
        if wanted is None:
            return np.zeros(size, np.bool_)
        out &= requirement_rows(snapshot, wanted)
    for expression in term.matchFields:
        wanted = requirement(expression)
        if wanted is None or expression.key != "metadata.name":
            return np.zeros(size, np.bool_)
        if wanted.operator == labels.IN:
            named = np.zeros(size, np.bool_)
            for value in wanted.values:
                node = snapshot.by_name.get(value)
                if node is not None:
                    named[node.row] = True
        else:
            named = np.fromiter((wanted.matches({"metadata.name": n.name}) for n in snapshot.nodes), np.bool_, size)
        out &= named
    return out


def requirement_rows(snapshot: Snapshot, wanted: Requirement) -> Mask:
    column = snapshot.labels(wanted.key)
    ids = column.ids[: snapshot.size]
    if wanted.operator in (labels.IN, labels.EQUAL):
        known = [column.index[v] for v in wanted.values if v in column.index]
        if len(known) == 1:
            one: Mask = ids == known[0]
            return one
        return np.isin(ids, known)
    if wanted.operator == labels.EXISTS:
        return ids >= 0
    if wanted.operator == labels.ABSENT:
        return ids < 0
    key = wanted.key
    return column.rows(lambda v: wanted.matches({key: v}), wanted.operator == labels.NOT_IN, snapshot.size)


def selector_rows(snapshot: Snapshot, selector: NodeSelector) -> Mask:
    out = np.zeros(snapshot.size, np.bool_)
    for term in selector.nodeSelectorTerms:
        out |= term_rows(snapshot, term)
    return out


def pod_rows(snapshot: Snapshot, info: PodInfo) -> Mask | None:
    """``pod_matches`` for all rows; None = all of them. Do not write to it."""
    spec = info.pod.spec
    selector = required(info.pod)
    if not spec.nodeSelector and selector is None:
        return None
    kept = info.memo.get("node affinity")
    if kept is not None and kept[0] == snapshot.generation:
        mask: Mask = kept[1]
        return mask
    out = np.ones(snapshot.size, np.bool_)
    for key, value in spec.nodeSelector.items():
        out &= requirement_rows(snapshot, Requirement(key, labels.IN, (value,)))
    if selector is not None:
        out &= selector_rows(snapshot, selector)
    info.memo["node affinity"] = (snapshot.generation, out)
    return out
