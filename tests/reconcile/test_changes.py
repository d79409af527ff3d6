"""The sieves of the controllers: what one keeps back, its function would have answered nothing for."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.kind import Kind
from pelamis.api.registry import builtin
from pelamis.cache.cache import Cache
from pelamis.cache.view import View
from pelamis.controllers import Options, controllers
from pelamis.reconcile.changes import sieve, sort_of
from pelamis.reconcile.podfacts import facts_of
from pelamis.store.types import Item

REGISTRY = builtin()
KINDS = REGISTRY.stored()
OPTIONS = Options(ca_bundle="x", node_ranges=(("10.244.0.0/16", 24),), load_balancer_pool=("10.9.0.0/24",))
CONTROLLERS = list(controllers(OPTIONS))
COUNTING = ("replicaset", "replicationcontroller")
SELECTOR = {"matchLabels": {"app": "a"}}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}
OWNERS = {
    "replicasets.apps": ("ReplicaSet", "apps/v1"),
    "daemonsets.apps": ("DaemonSet", "apps/v1"),
    "statefulsets.apps": ("StatefulSet", "apps/v1"),
    "jobs.batch": ("Job", "batch/v1"),
    "replicationcontrollers": ("ReplicationController", "v1"),
}


def stored() -> Sequence[tuple[str, str, dict[str, Any]]]:
    """(resource, namespace, object): one of everything that a pod could concern."""
    out: list[tuple[str, str, dict[str, Any]]] = [
        ("namespaces", "", {"metadata": {"name": "d", "deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        ("services", "d", {"metadata": {"name": "s"}, "spec": {"selector": {"app": "a"}}}),
        ("poddisruptionbudgets.policy", "d", {"metadata": {"name": "b"}, "spec": {"selector": SELECTOR}}),
        (
            "resourcequotas",
            "d",
            {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1", "count/leases.coordination.k8s.io": "1"}}},
        ),
        ("nodes", "", {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
        ("nodes", "", {"metadata": {"name": "n2"}, "spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}}),
        (
            "deployments.apps",
            "d",
            {
                "metadata": {"name": "o", "uid": "top"},
                "spec": {"selector": SELECTOR, "strategy": {"type": "Recreate"}, "template": TEMPLATE},
            },
        ),
    ]
    top = [{"kind": "Deployment", "apiVersion": "apps/v1", "name": "o", "uid": "top", "controller": True}]
    for resource in OWNERS:
        selector = {"app": "a"} if resource == "replicationcontrollers" else SELECTOR
        meta = {"name": "o", "uid": resource, **({"ownerReferences": top} if resource == "replicasets.apps" else {})}
        out.append((resource, "d", {"metadata": meta, "spec": {"selector": selector, "template": TEMPLATE}}))
    return out


class Views:
    def __init__(self) -> None:
        cache = Cache(KINDS)
        cache.begin_load()
        items = []
        for resource, namespace, tree in stored():
            kind = next(k for k in KINDS if k.resource == resource)
            tree = {"kind": kind.kind, "apiVersion": kind.api_version, **tree}
            tree["metadata"] = {**({"namespace": namespace} if namespace else {}), **tree["metadata"]}
            items.append(Item(kind.key(namespace, tree["metadata"]["name"]), msgspec.json.encode(tree), 1, 1))
        cache.load_page(items)
        cache.end_load(1)
        self.views = {kind: View(cache.collection(kind)) for kind in KINDS}

    def __call__(self, kind: Kind) -> Any:
        return self.views[kind]

    def every(self) -> Any:
        return KINDS

    def memo(self, key: Any) -> Any:
        return None

    def touch(self, key: Any) -> None: ...

    def touched(self, key: Any) -> float:
        return 0.0


VIEWS = Views()
LABELS = {"app": "a"}
for each in CONTROLLERS:  # those that remember something of other kinds have seen it
    for watch in each.watches:
        if watch.kind is not POD:
            VIEWS(watch.kind).subscribe(lambda key, old, new, watch=watch: watch.keys(VIEWS, old, new))


def pod(draw: Random) -> dict[str, Any]:
    """Of few values each, so that two pods often differ in one thing."""
    meta: dict[str, Any] = {
        "name": "p",
        "namespace": "d",
        "uid": draw.choice("uuuv"),
        "labels": {"app": draw.choice("aab")},
    }
    owner = draw.choice([None, None, *OWNERS])
    if owner is not None:
        kind, version = OWNERS[owner]
        ref = {"kind": kind, "apiVersion": version, "name": draw.choice(["o", "x"]), "uid": owner, "controller": True}
        meta["ownerReferences"] = [ref]
    if draw.random() < 0.3:
        meta["deletionTimestamp"] = draw.choice(["2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z"])
    if draw.random() < 0.2:
        meta["finalizers"] = draw.choice([["batch.kubernetes.io/job-tracking"], ["foregroundDeletion"], ["x"]])
    spec: dict[str, Any] = {"containers": [], "nodeName": draw.choice(["", "n1", "n2", "n3"])}
    if draw.random() < 0.3:
        spec["volumes"] = [
            {"name": "v", **draw.choice(({"persistentVolumeClaim": {"claimName": "c"}}, {"ephemeral": {}}))}
        ]
    if draw.random() < 0.2:
        spec["resourceClaims"] = [{"name": "r", "resourceClaimName": "r"}]
    if draw.random() < 0.2:
        spec["tolerations"] = [{"operator": "Exists"}]
    if draw.random() < 0.2:
        spec |= {"hostname": draw.choice("hi"), "subdomain": "s"}
    if draw.random() < 0.2:
        spec["activeDeadlineSeconds"] = 9
    conditions = []
    if draw.random() < 0.8:
        at = draw.choice(["2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"])
        conditions.append({"type": "Ready", "status": draw.choice(["True", "True", "False"]), "lastTransitionTime": at})
    if draw.random() < 0.2:
        conditions.append({"type": "DisruptionTarget", "status": "True"})
    status: dict[str, Any] = {
        "phase": draw.choice(["Pending", "Running", "Running", "Succeeded"]),
        "conditions": conditions,
    }
    if draw.random() < 0.7:
        status |= {"podIP": draw.choice(["1.1.1.1", "1.1.1.2"])}
    return {"metadata": meta, "spec": spec, "status": status}


def of(tree: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=POD.type)


def changed(draw: Random, tree: dict[str, Any]) -> dict[str, Any]:
    """The pod with some parts of another one."""
    other = pod(draw)
    out: dict[str, Any] = {}
    for part in ("metadata", "spec", "status"):
        names = {*tree[part], *other[part]}
        chosen = {name: (other if draw.random() < 0.2 else tree)[part].get(name) for name in sorted(names)}
        out[part] = {name: value for name, value in chosen.items() if value is not None}
    return out


def check(kind: Kind, old: Any, new: Any, hits: dict[str, int]) -> None:
    bits = sort_of(kind)(old, new)
    for c in CONTROLLERS:
        ways = [(w.needs, lambda w=w: w.keys(VIEWS, old, new)) for w in c.watches if w.kind is kind]
        if c.every is not None:
            ways.append((c.every_needs(kind), lambda c=c: c.every(VIEWS, kind, old, new)))
        for needs, keys in ways:
            wanted = sieve(kind, needs)
            found = list(keys())
            hits[c.name] = hits.get(c.name, 0) + bool(found)
            if wanted is None or wanted.lets(bits):
                continue
            if c.name in COUNTING and found and old is not None and new is not None:
                # They only count pods, and would find the same.
                assert facts_of(old, LABELS) == facts_of(new, LABELS) and old.metadata.labels == new.metadata.labels
                assert old.metadata.ownerReferences == new.metadata.ownerReferences
            else:
                assert found == [], (c.name, old, new)


@given(st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_a_sieve_keeps_nothing_from_who_would_answer(seed: int) -> None:
    draw = Random(seed)
    hits: dict[str, int] = {}
    for _ in range(20):
        tree = pod(draw)
        old, new = of(tree), of(changed(draw, tree))
        for before, after in ((None, old), (old, new), (old, old), (old, None)):
            check(POD, before, after, hits)


def test_there_is_something_to_keep_back() -> None:
    draw, hits = Random(7), dict[str, int]()
    for _ in range(300):
        tree = pod(draw)
        check(POD, of(tree), of(changed(draw, tree)), hits)
        check(POD, of(tree), None, hits)
    watching = {c.name for c in CONTROLLERS if any(w.kind is POD for w in c.watches)} - {"ephemeralvolume"}
    assert {name for name, number in hits.items() if number} >= watching


@pytest.mark.parametrize("part", [{}, {"labels": {"a": "b"}}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}])
def test_renewals_concern_those_who_look_at_leases(part: Any) -> None:
    def lease(**meta: Any) -> Any:
        return msgspec.json.decode(
            msgspec.json.encode({"metadata": {"name": "l", "namespace": "d", **meta}}), type=LEASE.type
        )

    hits: dict[str, int] = {}
    for before, after in ((None, lease()), (lease(), lease(**part)), (lease(**part), lease()), (lease(), None)):
        check(LEASE, before, after, hits)
    assert hits["resourcequota"] == 2
