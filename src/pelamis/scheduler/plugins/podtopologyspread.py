"""PodTopologySpread: keeps the pods of a selection even over the values of a node label (zones, hosts, ...).

Constraints that a pod must meet filter; those it would like to meet score. A pod without constraints is spread softly
over hosts (skew 3) and zones (skew 5) with the pods that its Services and its owner select.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from pelamis.api.core.pod.affinity import TopologySpreadConstraint
from pelamis.base.labels import Selector
from pelamis.scheduler.args import PodTopologySpreadArgs
from pelamis.scheduler.columns import Counter
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
from pelamis.scheduler.snapshot import Ids, Ints, Mask, Snapshot
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


class Prepared(NamedTuple):
    """A constraint and what of it changes with nodes alone.

    ids: of the label's values, by row. among: rows whose pods count, None = all that have the label. present: values of
    these rows. everywhere: values of all rows, the last is for rows without the label. own: the pod counts itself.
    """

    constraint: Constraint
    ids: Ids
    among: Mask | None
    present: Mask
    everywhere: Mask
    own: int


def _prepared(
    args: PodTopologySpreadArgs, snapshot: Snapshot, info: PodInfo, action: str, strict: bool
) -> tuple[list[Prepared], Mask | None]:
    """And which rows have all labels; None = all rows, or it does not matter."""
    version = (snapshot.generation, snapshot.workloads.version)
    kept = info.memo.get(action)
    if kept is None or kept[0] != version:
        constraints = _constraints(args, snapshot, info, action) if strict else _defaults(snapshot, info)
        kept = info.memo[action] = (version, *_prepare(snapshot, info, constraints, strict))
    return kept[1], kept[2]


def _prepare(
    snapshot: Snapshot, info: PodInfo, constraints: list[Constraint], strict: bool
) -> tuple[list[Prepared], Mask | None]:
    size = snapshot.size
    labelled: Mask | None = None
    if strict and constraints:
        labelled = np.ones(size, np.bool_)
        for c in constraints:
            labelled &= snapshot.labels(c.key).ids[:size] >= 0
    out = []
    for c in constraints:
        column = snapshot.labels(c.key)
        ids = column.ids[:size]
        values = len(column.values) + 1
        among = _included(snapshot, info, c, labelled)
        if among is not None and bool((among | (ids < 0)).all()):
            among = None
        present = np.bincount((ids if among is None else ids[among]) + 1, minlength=values) > 0
        everywhere = np.bincount(ids + 1, minlength=values) > 0
        own = 1 if c.selector.matches(info.labels) else 0
        present[0] = False
        # The place of those without the label is the last, as in all counts by value.
        out.append(Prepared(c, ids, among, np.roll(present, -1), np.roll(everywhere, -1), own))
    if labelled is not None and labelled.all():
        labelled = None
    return out, labelled


def _by_value(snapshot: Snapshot, namespace: str, prepared: Prepared) -> Ints:
    """Pods per value of the label. A selector of everything counts nothing, as upstream has it."""
    c = prepared.constraint
    if c.selector.empty:
        return np.zeros(len(prepared.present), np.int64)
    counter = snapshot.counter(namespace, c.selector)
    if prepared.among is None:
        return snapshot.counts_by(counter, c.key)
    return snapshot.domains(snapshot.labels(c.key), counter.array[: snapshot.size], prepared.among)


def _filter(args: PodTopologySpreadArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    if not info.pod.spec.topologySpreadConstraints and args.defaultingType != "List":
        return ()
    prepared, labelled = _prepared(args, snapshot, info, "DoNotSchedule", True)
    out: list[Rejection] = []
    failed: Mask | None = None
    for p in prepared:
        c = p.constraint
        counts = _by_value(snapshot, info.namespace, p)
        number = int(np.count_nonzero(p.present))
        least = int(counts[p.present].min()) if number else _NEVER
        if number < c.min_domains:
            least = 0
        here = p.ids[rows]
        if labelled is not None:
            missing = here < 0
            if failed is not None:
                missing &= ~failed
            if missing.any():
                out.append(Rejection(missing, MISSING, False))
                failed = missing if failed is None else failed | missing
        over = counts + p.own - least > c.max_skew
        if over.any():
            skewed = over[here]
            if failed is not None:
                skewed &= ~failed
            if skewed.any():
                out.append(Rejection(skewed, REASON))
                failed = skewed if failed is None else failed | skewed
    return out


def _score(args: PodTopologySpreadArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    strict = args.defaultingType == "List" or bool(info.pod.spec.topologySpreadConstraints)
    prepared, labelled = _prepared(args, snapshot, info, "ScheduleAnyway", strict)
    if not prepared:
        return None
    if len(prepared) == 1 and labelled is None and prepared[0].constraint.key != HOSTNAME and strict:
        return _score_one(snapshot, info, prepared[0], rows)
    counted = None if labelled is None else labelled[rows]
    number = snapshot.size if isinstance(rows, slice) else len(rows)
    total = np.zeros(number, np.float64)
    for p in prepared:
        c = p.constraint
        here = p.ids[rows]
        if c.key == HOSTNAME:
            domains = number if counted is None else int(np.count_nonzero(counted))
            if c.selector.empty:
                weighted = np.full(number, float(c.max_skew - 1))
            else:
                own = snapshot.count(info.namespace, c.selector)[rows]
                weighted = own * math.log(domains + 2) + (c.max_skew - 1)
            if not strict and p.everywhere[-1]:
                weighted[here < 0] = 0.0
        else:
            # Without the label counts as one more value; only default constraints get to see such nodes.
            domains = _values(p, here if counted is None else here[counted], rows)
            if not domains:
                continue
            by_value = _by_value(snapshot, info.namespace, p) * math.log(domains + 2) + (c.max_skew - 1)
            by_value[-1] = 0.0
            weighted = by_value[here]
        total += weighted
    out = np.floor(total + 0.5).astype(np.int64)
    if counted is None:
        most, least = int(out.max()), int(out.min())
        return MAX_SCORE * (most + least - out) // most if most else None
    most, least = int(out[counted].max(initial=0)), int(out[counted].min(initial=_NEVER))
    if most == 0:
        return np.where(counted, MAX_SCORE, 0).astype(np.int64)
    return np.where(counted, MAX_SCORE * (most + least - out) // most, 0).astype(np.int64)


def _values(p: Prepared, here: Ids, rows: Rows) -> int:
    """How many values of the label the rows have."""
    if isinstance(rows, slice) and len(here) == len(p.ids):
        return int(np.count_nonzero(p.everywhere))
    return int(np.count_nonzero(np.bincount(here + 1)))


class _Spread:
    """``_score`` by bands, where every row has all labels that matter: see ``extension.Bands``.

    A band is how many of the pods that the constraint over hosts counts are on the row, and the value of the label of
    the other constraint (the last place: the row has none).
    """

    __slots__ = ("_counter", "_host", "_ids", "_namespace", "_places", "_prepared", "_wide")

    def __init__(self, namespace: str, prepared: list[Prepared], counter: Counter | None) -> None:
        self._namespace = namespace
        self._prepared = prepared
        self._counter = counter
        telling = _telling(prepared)
        self._host = next((p for p in telling if p.constraint.key == HOSTNAME), None)
        self._wide = next((p for p in telling if p.constraint.key != HOSTNAME), None)
        self._places = 1 if self._wide is None else len(self._wide.present)
        self._ids = None if self._wide is None else self._wide.ids

    def holds(self, prepared: list[Prepared]) -> bool:
        """Whether it is what would be made of these, of the same nodes."""
        if self._counter is not None and not self._counter.live:
            return False
        if prepared is not self._prepared:
            if [p.constraint for p in prepared] != [p.constraint for p in self._prepared]:
                return False
            self._prepared = prepared
        return True

    def of(self, snapshot: Snapshot) -> Ints:
        out: Ints = np.zeros(snapshot.size, np.int64)
        if self._counter is not None:
            out += self._counter.array[: snapshot.size]
            out *= self._places
        if self._ids is not None:
            out += np.where(self._ids < 0, self._places - 1, self._ids)
        return out

    def one(self, snapshot: Snapshot, row: int) -> int:
        out = 0 if self._counter is None else self._counter.array.item(row) * self._places
        if self._ids is not None:
            place = self._ids.item(row)
            out += place if place >= 0 else self._places - 1
        return out

    def points(self, snapshot: Snapshot, bands: Sequence[int], number: int) -> Sequence[int] | None:
        places = self._places
        skew = weight = 0.0
        if self._host is not None:
            skew, weight = self._host.constraint.max_skew - 1, math.log(number + 2)
        values: dict[int, float] = {}
        if self._wide is not None:
            counts = _by_value(snapshot, self._namespace, self._wide)
            seen = {band % places for band in bands}
            by, least = math.log(len(seen) + 2), self._wide.constraint.max_skew - 1
            values = {place: counts.item(place) * by + least for place in seen}
            values[places - 1] = 0.0
        out = []
        for band in bands:
            total = band // places * weight + skew
            if values:
                total += values[band % places]
            out.append(math.floor(total + 0.5))
        most, low = max(out), min(out)
        return [MAX_SCORE * (most + low - value) // most for value in out] if most else None


def _bands(args: PodTopologySpreadArgs, snapshot: Snapshot, info: PodInfo) -> _Spread | None:
    strict = args.defaultingType == "List" or bool(info.pod.spec.topologySpreadConstraints)
    prepared, labelled = _prepared(args, snapshot, info, "ScheduleAnyway", strict)
    kept: _Spread | None = info.memo.get("bands")
    if kept is None or not kept.holds(prepared):
        kept = info.memo["bands"] = _spread(snapshot, info, prepared, labelled)
    return kept


def _telling(prepared: list[Prepared]) -> list[Prepared]:
    """Without those of a label that no row has: they give all rows the same."""
    return [p for p in prepared if p.everywhere[:-1].any()]


def _spread(snapshot: Snapshot, info: PodInfo, prepared: list[Prepared], labelled: Mask | None) -> _Spread | None:
    telling = _telling(prepared)
    hosts = [p for p in telling if p.constraint.key == HOSTNAME]
    if labelled is not None or len(hosts) > 1 or len(telling) - len(hosts) > 1:
        return None
    if any(p.constraint.selector.empty for p in telling) or any(p.everywhere[-1] for p in hosts):
        return None
    counter = snapshot.counter(info.namespace, hosts[0].constraint.selector) if hosts else None
    return _Spread(info.namespace, prepared, counter)


def _score_one(snapshot: Snapshot, info: PodInfo, p: Prepared, rows: Rows) -> Ints | None:
    """A single constraint over a label that every row has: worked out per value, then looked up."""
    here = p.ids[rows]
    if isinstance(rows, slice):
        values = p.everywhere
    else:
        values = np.bincount(here, minlength=len(p.everywhere)) > 0
    weight = math.log(int(np.count_nonzero(values)) + 2)
    weighted = _by_value(snapshot, info.namespace, p) * weight + (p.constraint.max_skew - 1)
    out = np.floor(weighted + 0.5).astype(np.int64)
    seen = out[values]
    most, least = int(seen.max()), int(seen.min())
    if not most or most == least:
        return None
    final: Ints = (MAX_SCORE * (most + least - out) // most)[here]
    return final


def _pod_helps(args: PodTopologySpreadArgs, info: PodInfo, event: Event) -> bool:
    constraints = _constraints(args, None, info, "DoNotSchedule")
    if not info.pod.spec.topologySpreadConstraints:
        return True  # rejected by the profile's own constraints; whom they select is not known here
    pods = [p for p in (event.old, event.new) if p is not None]
    return any(p.namespace == info.namespace and c.selector.matches(p.labels) for p in pods for c in constraints)


def _node_helps(args: PodTopologySpreadArgs, info: PodInfo, event: Event) -> bool:
    """A node with all labels, before or after, makes or unmakes a domain."""
    constraints = info.pod.spec.topologySpreadConstraints or args.defaultConstraints
    keys = [c.topologyKey for c in constraints if c.whenUnsatisfiable == "DoNotSchedule"]
    nodes = [n for n in (event.old, event.new) if n is not None]
    return any(all(key in n.metadata.labels for key in keys) for n in nodes)


def _idle(args: PodTopologySpreadArgs, snapshot: Snapshot, info: PodInfo) -> bool:
    constraints = info.pod.spec.topologySpreadConstraints
    if not constraints and args.defaultingType == "List":
        constraints = args.defaultConstraints
    return all(c.whenUnsatisfiable != "DoNotSchedule" for c in constraints)


def plugin(args: PodTopologySpreadArgs = PodTopologySpreadArgs()) -> Plugin:
    pod_helps = partial(_pod_helps, args)
    node_helps = partial(_node_helps, args)
    return Plugin(
        name="PodTopologySpread",
        filter=partial(_filter, args),
        idle=partial(_idle, args),
        score=partial(_score, args),
        bands=partial(_bands, args),
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
