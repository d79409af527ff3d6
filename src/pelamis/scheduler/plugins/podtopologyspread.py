"""PodTopologySpread: keeps the pods of a selection even over the values of a node label (zones, hosts, ...).

Constraints that a pod must meet filter; those it would like to meet score. A pod without constraints is spread softly
over hosts (skew 3) and zones (skew 5) with the pods that its Services and its owner select.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import numpy as np

from pelamis.api.core.pod.affinity import TopologySpreadConstraint
from pelamis.base.labels import Selector
from pelamis.scheduler.args import PodTopologySpreadArgs
from pelamis.scheduler.extension import (
    MAX_SCORE,
    NODE_ADD,
    NODE_DELETE,
    NODE_LABEL,
    NODE_TAINT,
    OWN_LABEL,
    OWN_TOLERATION,
    POD_ADD,
    POD_DELETE,
    POD_LABEL,
    Event,
    Plugin,
    Rejection,
    Rows,
)
from pelamis.scheduler.nodematch import pod_rows
from pelamis.scheduler.podinfo import PodInfo, compile_selector
from pelamis.scheduler.snapshot import Ints, Mask, Snapshot
from pelamis.scheduler.toleration import keeps_off

REASON = "node(s) didn't match pod topology spread constraints"
MISSING = REASON + " (missing required label)"
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_NEVER = 2**31 - 1


class Constraint(NamedTuple):
    key: str
    max_skew: int
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


def _constraints(
    args: PodTopologySpreadArgs, snapshot: Snapshot | None, info: PodInfo, action: str
) -> list[Constraint]:
    """snapshot None: only the pod's own are asked for."""
    own = info.pod.spec.topologySpreadConstraints
    if own or args.defaultingType != "List" or snapshot is None or not args.defaultConstraints:
        return [_compiled(c, info) for c in own if c.whenUnsatisfiable == action]
    selector = snapshot.workloads.selector(info)
    if selector.empty:
        return []
    return [
        _compiled(c, info)._replace(selector=selector) for c in args.defaultConstraints if c.whenUnsatisfiable == action
    ]


def _compiled(c: TopologySpreadConstraint, info: PodInfo) -> Constraint:
    return Constraint(
        c.topologyKey,
        c.maxSkew,
        compile_selector(c.labelSelector, c.matchLabelKeys, (), info.pod),
        1 if c.minDomains is None else c.minDomains,
        c.nodeAffinityPolicy != "Ignore",
        c.nodeTaintsPolicy == "Honor",
    )


def _defaults(snapshot: Snapshot, info: PodInfo) -> list[Constraint]:
    selector = snapshot.workloads.selector(info)
    if selector.empty:
        return []
    return [Constraint(HOSTNAME, 3, selector), Constraint(ZONE, 5, selector)]


def _included(snapshot: Snapshot, info: PodInfo, constraint: Constraint, among: Mask | None) -> Mask | None:
    """The rows whose pods count; None = all."""
    out = among
    if constraint.honor_affinity:
        matching = pod_rows(snapshot, info)
        if matching is not None:
            out = matching if out is None else out & matching
    if constraint.honor_taints and len(snapshot.taint_sets) > 1:
        tolerations = info.pod.spec.tolerations
        sets = snapshot.taint_sets
        open_to = np.fromiter((not keeps_off(tolerations, t) for t in sets), np.bool_, len(sets))
        mask = open_to[snapshot.taints[: snapshot.size]]
        out = mask if out is None else out & mask
    return out


def _count(snapshot: Snapshot, info: PodInfo, constraint: Constraint) -> Ints:
    """Per row. A selector of everything counts nothing, as upstream has it."""
    if constraint.selector.empty:
        return np.zeros(snapshot.size, np.int64)
    return snapshot.count(info.namespace, constraint.selector)


def _having_all(snapshot: Snapshot, constraints: list[Constraint]) -> Mask:
    out = np.ones(snapshot.size, np.bool_)
    for constraint in constraints:
        out &= snapshot.labels(constraint.key).ids[: snapshot.size] >= 0
    return out


def _filter(args: PodTopologySpreadArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    constraints = _constraints(args, snapshot, info, "DoNotSchedule")
    if not constraints:
        return ()
    labelled = _having_all(snapshot, constraints)
    size = snapshot.size
    failed = np.zeros(size, np.bool_)[rows]
    out = []
    for c in constraints:
        column = snapshot.labels(c.key)
        ids = column.ids[:size]
        among = _included(snapshot, info, c, labelled)
        assert among is not None
        counts = snapshot.domains(column, _count(snapshot, info, c), among)
        present = np.bincount(ids[among], minlength=len(column.values) + 1) > 0
        number = int(np.count_nonzero(present))
        least = int(counts[present].min()) if number else _NEVER
        if number < c.min_domains:
            least = 0
        own = 1 if c.selector.matches(info.pod.metadata.labels) else 0
        missing = (ids < 0)[rows] & ~failed
        if missing.any():
            out.append(Rejection(missing, MISSING, False))
            failed |= missing
        skewed = (counts[ids] + own - least > c.max_skew)[rows] & ~failed
        if skewed.any():
            out.append(Rejection(skewed, REASON))
            failed |= skewed
    return out


def _score(args: PodTopologySpreadArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    strict = args.defaultingType == "List" or bool(info.pod.spec.topologySpreadConstraints)
    constraints = _constraints(args, snapshot, info, "ScheduleAnyway") if strict else _defaults(snapshot, info)
    if not constraints:
        return None
    size = snapshot.size
    labelled = _having_all(snapshot, constraints) if strict else None
    if labelled is not None and labelled.all():
        labelled = None
    counted = None if labelled is None else labelled[rows]
    number = size if isinstance(rows, slice) else len(rows)
    total = np.zeros(number, np.float64)
    for c in constraints:
        column = snapshot.labels(c.key)
        ids = column.ids[:size]
        here = ids[rows]
        counts = _count(snapshot, info, c)
        if c.key == HOSTNAME:
            domains = number if counted is None else int(np.count_nonzero(counted))
            own = counts[rows]
        else:
            # Without the label counts as one more value; only default constraints get to see such nodes.
            domains = int(np.count_nonzero(np.bincount((here if counted is None else here[counted]) + 1)))
            if not domains:
                continue
            own = snapshot.domains(column, counts, _included(snapshot, info, c, labelled))[here]
        weighted = own * math.log(domains + 2) + (c.max_skew - 1)
        if not strict:
            weighted[here < 0] = 0.0
        total += weighted
    out = np.floor(total + 0.5).astype(np.int64)
    if counted is None:
        most, least = int(out.max()), int(out.min())
        return MAX_SCORE * (most + least - out) // most if most else None
    most, least = int(out[counted].max(initial=0)), int(out[counted].min(initial=_NEVER))
    if most == 0:
        return np.where(counted, MAX_SCORE, 0).astype(np.int64)
    return np.where(counted, MAX_SCORE * (most + least - out) // most, 0).astype(np.int64)


def _pod_helps(args: PodTopologySpreadArgs, info: PodInfo, event: Event) -> bool:
    constraints = _constraints(args, None, info, "DoNotSchedule")
    if not info.pod.spec.topologySpreadConstraints:
        return True  # rejected by the profile's own constraints; whom they select is not known here
    pods = [p for p in (event.old, event.new) if p is not None]
    return any(
        p.namespace == info.namespace and c.selector.matches(p.pod.metadata.labels) for p in pods for c in constraints
    )


def _node_helps(args: PodTopologySpreadArgs, info: PodInfo, event: Event) -> bool:
    """A node with all labels, before or after, makes or unmakes a domain."""
    constraints = info.pod.spec.topologySpreadConstraints or args.defaultConstraints
    keys = [c.topologyKey for c in constraints if c.whenUnsatisfiable == "DoNotSchedule"]
    nodes = [n for n in (event.old, event.new) if n is not None]
    return any(all(key in n.metadata.labels for key in keys) for n in nodes)


def plugin(args: PodTopologySpreadArgs = PodTopologySpreadArgs()) -> Plugin:
    pod_helps = partial(_pod_helps, args)
    node_helps = partial(_node_helps, args)
    return Plugin(
        name="PodTopologySpread",
        filter=partial(_filter, args),
        score=partial(_score, args),
        weight=2,
        helps={
            POD_ADD: pod_helps,
            POD_DELETE: pod_helps,
            POD_LABEL: pod_helps,
            OWN_LABEL: None,
            OWN_TOLERATION: None,
            NODE_ADD: node_helps,
            NODE_DELETE: node_helps,
            NODE_LABEL: node_helps,
            NODE_TAINT: node_helps,
        },
    )
