"""InterPodAffinity: pods that must, or would like to, share a topology domain with others, or keep away from them.

Required anti-affinity works both ways: a pod that runs keeps out new ones that its terms select. Terms of running pods
are counted by distinct term and node, so a thousand replicas with the same term cost one comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from pelamis.scheduler.args import InterPodAffinityArgs
from pelamis.scheduler.extension import (
    MAX_SCORE,
    NAMESPACE_LABEL,
    NODE_ADD,
    NODE_LABEL,
    OWN_LABEL,
    POD_ADD,
    POD_DELETE,
    POD_LABEL,
    Event,
    Plugin,
    Rejection,
    Rows,
)
from pelamis.scheduler.podinfo import PodInfo, Term
from pelamis.scheduler.snapshot import Ints, Mask, Snapshot

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    existing = snapshot.terms["anti_affinity"]
    if not info.affinity and not info.anti_affinity and not existing:
        return ()
    out = []
    failed = np.zeros(snapshot.size, np.bool_)
    if info.affinity:
        failed = ~_near(snapshot, info)
        out.append(Rejection(failed[rows], AFFINITY, False))
    if info.anti_affinity:
        mask = np.zeros(snapshot.size, np.bool_)
        for term in info.anti_affinity:
            mask |= _occupied(snapshot, term.topology_key, snapshot.count_terms((term,)))
        mask &= ~failed
        out.append(Rejection(mask[rows], ANTI_AFFINITY))
        failed = failed | mask
    if existing:
        mask = np.zeros(snapshot.size, np.bool_)
        for term, nodes in existing.items():
            if snapshot.term_selects(term, info.namespace, info.pod.metadata.labels):
                mask |= _occupied(snapshot, term.topology_key, _spread(snapshot, nodes))
        mask &= ~failed
        out.append(Rejection(mask[rows], EXISTING))
    return out


def _spread(snapshot: Snapshot, nodes: dict[str, int]) -> Ints:
    counts = np.zeros(snapshot.size, np.int64)
    for name, count in nodes.items():
        counts[snapshot.by_name[name].row] = count
    return counts


def _occupied(snapshot: Snapshot, key: str, counts: Ints) -> Mask:
    """The rows that share a value of the label with a row that has a count."""
    column = snapshot.labels(key)
    ids = column.ids[: snapshot.size]
    return (snapshot.domains(column, counts)[ids] > 0) & (ids >= 0)


def _near(snapshot: Snapshot, info: PodInfo) -> Mask:
    """Rows whose domains have, for each term, a pod that all terms select.

    The first of a group that wants to be together may go anywhere: if there is no such pod at all, and the terms select
    the pod itself, the labels are enough.
    """
    terms = info.affinity
    counts = snapshot.count_terms(terms)
    size = snapshot.size
    labelled = np.ones(size, np.bool_)
    there = np.ones(size, np.bool_)
    any_pair = False
    for term in terms:
        ids = snapshot.labels(term.topology_key).ids[:size]
        labelled &= ids >= 0
        occupied = _occupied(snapshot, term.topology_key, counts)
        any_pair = any_pair or bool(occupied.any())
        there &= occupied
    own = info.pod.metadata.labels
    if not any_pair and all(snapshot.term_selects(t, info.namespace, own) for t in terms):
        return labelled
    return there & labelled


def _score(args: InterPodAffinityArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    if args.ignorePreferredTermsOfExistingPods and not (info.preferred_affinity or info.preferred_anti_affinity):
        return None
    own = info.pod.metadata.labels
    total = np.zeros(snapshot.size, np.int64)
    any_term = False

    def add(term: Term, counts: Ints, weight: int) -> None:
        column = snapshot.labels(term.topology_key)
        ids = column.ids[: snapshot.size]
        np.add(total, snapshot.domains(column, counts)[ids] * weight, out=total)

    for terms, sign in ((info.preferred_affinity, 1), (info.preferred_anti_affinity, -1)):
        for term in terms:
            any_term = True
            add(term, snapshot.count_terms((term,)), sign * term.weight)
    hard = args.hardPodAffinityWeight
    for kind, sign in (("affinity", 1), ("preferred_affinity", 1), ("preferred_anti_affinity", -1)):
        if kind == "affinity" and not hard:
            continue
        for term, nodes in snapshot.terms[kind].items():
            if snapshot.term_selects(term, info.namespace, own):
                any_term = True
                add(term, _spread(snapshot, nodes), sign * (term.weight or hard))
    if not any_term:
        return None
    here = total[rows]
    most, least = int(here.max()), int(here.min())
    if most == least:
        return None
    return (MAX_SCORE * ((here - least) / (most - least))).astype(np.int64)


def _selects(term: Term, pod: PodInfo) -> bool:
    """Without knowing the labels of namespaces: may select."""
    named = pod.namespace in term.namespaces or term.namespace_selector is not None
    return named and term.selector.matches(pod.pod.metadata.labels)


def _pod_came(info: PodInfo, event: Event) -> bool:
    return any(_selects(term, event.new) for term in info.affinity)


def _pod_gone(info: PodInfo, event: Event) -> bool:
    return any(_selects(term, event.old) for term in info.anti_affinity) or any(
        _selects(term, info) for term in event.old.anti_affinity
    )


def _pod_changed(info: PodInfo, event: Event) -> bool:
    return _pod_came(info, event) or _pod_gone(info, event)


def _node_helps(info: PodInfo, event: Event) -> bool:
    labels = event.new.metadata.labels
    if not all(term.topology_key in labels for term in info.affinity):
        return False
    return event.old is None or labels != event.old.metadata.labels


def plugin(args: InterPodAffinityArgs = InterPodAffinityArgs()) -> Plugin:
    return Plugin(
        name="InterPodAffinity",
        filter=_filter,
        score=partial(_score, args),
        weight=2,
        helps={
            POD_ADD: _pod_came,
            POD_DELETE: _pod_gone,
            POD_LABEL: _pod_changed,
            OWN_LABEL: None,
            NODE_ADD: _node_helps,
            NODE_LABEL: _node_helps,
            NAMESPACE_LABEL: None,
        },
    )
