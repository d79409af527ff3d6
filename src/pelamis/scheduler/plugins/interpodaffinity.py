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
_PREFERRED = ("preferred_affinity", "preferred_anti_affinity")
_SCORED = ("affinity", *_PREFERRED)
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    existing = snapshot.uses("anti_affinity", info)
    if not info.affinity and not info.anti_affinity and not existing:
        return ()
    out = []
    failed: Mask | None = None
    if info.affinity:
        failed = ~_near(snapshot, info, rows)
        out.append(Rejection(failed, AFFINITY, False))
    for reason, found in (
        (ANTI_AFFINITY, [(t.topology_key, _selected(snapshot, t)) for t in info.anti_affinity]),
        (EXISTING, [(t.topology_key, snapshot.uses_by(t, use)) for t, use in existing]),
    ):
        mask: Mask | None = None
        for key, sums in _by_key(found).items():
            here = (sums > 0)[snapshot.labels(key).ids[: snapshot.size][rows]]
            mask = here if mask is None else mask | here
        if mask is None:
            continue
        if failed is not None:
            mask &= ~failed  # a node counts under one reason
            failed = failed | mask
        else:
            failed = mask
        out.append(Rejection(mask, reason))
    return out


def _by_key(found: Iterable[tuple[str, Ints]]) -> dict[str, Ints]:
    """Sums of the same label added up, so that rows are looked up once for each label."""
    out: dict[str, Ints] = {}
    for key, sums in found:
        has = out.get(key)
        out[key] = sums if has is None else has + sums
    return out


def _selected(snapshot: Snapshot, term: Term) -> Ints:
    """How many pods the term selects, per value of its topology key."""
    return snapshot.counts_by(snapshot.count_terms((term,)), term.topology_key)


def _near(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Mask:
    """Rows whose domains have, for each term, a pod that all terms select.

    The first of a group that wants to be together may go anywhere: if there is no such pod at all, and the terms select
    the pod itself, the labels are enough.
    """
    terms = info.affinity
    counter = snapshot.count_terms(terms)
    size = snapshot.size
    there: Mask | None = None
    labelled: Mask | None = None
    any_pair = False
    for key in {t.topology_key for t in terms}:
        ids = snapshot.labels(key).ids[:size][rows]
        sums = snapshot.counts_by(counter, key) > 0
        any_pair = any_pair or bool(sums.any())
        here, has = sums[ids], ids >= 0
        there = here if there is None else there & here
        labelled = has if labelled is None else labelled & has
    assert there is not None and labelled is not None
    own = info.labels
    if not any_pair and all(snapshot.term_selects(t, info.namespace, own) for t in terms):
        return labelled
    return there


def _score(args: InterPodAffinityArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    if args.ignorePreferredTermsOfExistingPods and not (info.preferred_affinity or info.preferred_anti_affinity):
        return None
    points: dict[str, Ints] = {}

    def add(term: Term, sums: Ints, weight: int) -> None:
        key = term.topology_key
        has = points.get(key)
        if has is None:
            points[key] = sums * weight
        else:
            has += sums * weight if weight != 1 else sums

    for terms, sign in ((info.preferred_affinity, 1), (info.preferred_anti_affinity, -1)):
        for term in terms:
            add(term, _selected(snapshot, term), sign * term.weight)
    hard = args.hardPodAffinityWeight
    for kind, sign in (("affinity", 1), ("preferred_affinity", 1), ("preferred_anti_affinity", -1)):
        if kind == "affinity" and not hard:
            continue
        for term, use in snapshot.uses(kind, info):
            add(term, snapshot.uses_by(term, use), sign * (term.weight or hard))
    here: Ints | None = None
    for key, sums in points.items():
        own = sums[snapshot.labels(key).ids[: snapshot.size][rows]]
        if here is None:
            here = own
        else:
            here += own
    if here is None:
        return None
    most, least = int(here.max()), int(here.min())
    if most == least:
        return None
    here -= least
    return (MAX_SCORE * (here / (most - least))).astype(np.int64)


def _silent(args: InterPodAffinityArgs, snapshot: Snapshot, info: PodInfo) -> bool:
    if info.preferred_affinity or info.preferred_anti_affinity:
        return False
    if args.ignorePreferredTermsOfExistingPods:
        return True
    kinds = _SCORED if args.hardPodAffinityWeight else _PREFERRED
    terms = snapshot.terms
    return not any(terms[kind] and snapshot.uses(kind, info) for kind in kinds)


def _selects(term: Term, pod: PodInfo) -> bool:
    """Without knowing the labels of namespaces: may select."""
    named = pod.namespace in term.namespaces or term.namespace_selector is not None
    return named and term.selector.matches(pod.labels)


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


def _idle(snapshot: Snapshot, info: PodInfo) -> bool:
    if info.affinity or info.anti_affinity or snapshot.nominated_keep_off:
        return False
    return not snapshot.uses("anti_affinity", info)


def plugin(args: InterPodAffinityArgs = InterPodAffinityArgs()) -> Plugin:
    return Plugin(
        name="InterPodAffinity",
        filter=_filter,
        idle=_idle,
        score=partial(_score, args),
        silent=partial(_silent, args),
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
