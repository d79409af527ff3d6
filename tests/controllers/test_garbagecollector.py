"""The garbage collector, case by case: an object, its owners and its dependents in; what is deleted or changed out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.configmap import ConfigMap
from pelamis.api.meta import OwnerReference
from pelamis.client.types import Delete
from pelamis.controllers.garbagecollector import FOREGROUND, ORPHAN, Graph, Owner, World, reconcile

NOW = 1_700_000_000.0


def obj(name: str, *owners: str, leaving: bool = False, finalizers: Any = (), blocks: bool | None = None) -> Any:
    refs: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": o, "uid": o} for o in owners]
    for ref in refs:
        if blocks is not None:
            ref["blockOwnerDeletion"] = blocks
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "n",
        "uid": name,
        "resourceVersion": "5",
        "ownerReferences": refs,
    }
    meta["finalizers"] = list(finalizers)
    if leaving:
        meta["deletionTimestamp"] = "2023-11-14T00:00:00Z"
    return msgspec.json.decode(msgspec.json.encode({"metadata": meta}), type=ConfigMap)


def owners(**states: str) -> list[Owner]:
    return [Owner(OwnerReference(apiVersion="v1", kind="ConfigMap", name=n, uid=n), s) for n, s in states.items()]


def steps(plan: Any) -> list[str]:
    out = []
    for a in (*plan.actions, *plan.then):
        if isinstance(a, Delete):
            assert a.uid and a.rev == "5"
            out.append(f"-{a.name} {a.propagation}")
            continue
        meta = a.body["metadata"]
        assert meta["uid"] == a.name
        for field in ("ownerReferences", "finalizers"):
            if field in meta:
                left = [r if isinstance(r, str) else r["name"] for r in meta[field] or ()]
                free = any(r.get("blockOwnerDeletion") is False for r in meta[field] or () if isinstance(r, dict))
                out.append(f"{a.name}.{field}={'+'.join(left)}{' unblocked' if free else ''}")
    return out


CHILD = obj("child", "it", blocks=True)
DOOMED = obj("child", "it", blocks=True, leaving=True, finalizers=[FOREGROUND])
FREE = obj("child", "it", blocks=False)


@pytest.mark.parametrize(
    ("it", "above", "below", "behind", "expected"),
    [
        (obj("it"), [], [], [], []),
        # in the background: when all owners are gone
        (obj("it", "a"), owners(a="solid"), [], [], []),
        (obj("it", "a"), owners(a="gone"), [], [], ["-it Background"]),
        (obj("it", "a", "b"), owners(a="gone", b="gone"), [], [], ["-it Background"]),
        (obj("it", "a", "b"), owners(a="gone", b="solid"), [], [], ["it.ownerReferences=b"]),
        (obj("it", "a", "b"), owners(a="waiting", b="solid"), [], [], ["it.ownerReferences=b"]),
        (obj("it", "a"), owners(a="gone"), [], [1], []),  # a view lags
        (obj("it", "a"), owners(a="unknown"), [], [], []),
        (obj("it", "a", "b"), owners(a="unknown", b="gone"), [], [], []),
        (obj("it", "a"), owners(a="foreign"), [], [], []),
        # as its finalizers say
        (obj("it", "a", finalizers=[ORPHAN]), owners(a="gone"), [], [], ["-it Orphan"]),
        (obj("it", "a", finalizers=[FOREGROUND]), owners(a="gone"), [], [], ["-it Foreground"]),
        # below an owner in the foreground
        (obj("it", "a"), owners(a="waiting"), [], [], ["-it Background"]),
        (obj("it", "a"), owners(a="waiting"), [CHILD], [], ["-it Foreground"]),
        (
            obj("it", "a", blocks=True),
            owners(a="waiting"),
            [DOOMED],
            [],
            ["it.ownerReferences=a unblocked", "-it Foreground"],
        ),  # the two would wait for each other
        # being deleted itself
        (obj("it", leaving=True, finalizers=["x"]), [], [CHILD], [], []),
        (obj("it", leaving=True, finalizers=[FOREGROUND]), [], [CHILD], [], []),
        (obj("it", leaving=True, finalizers=[FOREGROUND, "x"]), [], [], [], ["it.finalizers=x"]),
        (obj("it", leaving=True, finalizers=[FOREGROUND]), [], [FREE], [], ["it.finalizers="]),
        (obj("it", leaving=True, finalizers=[FOREGROUND]), [], [], [1], []),
        (
            obj("it", leaving=True, finalizers=[ORPHAN]),
            [],
            [CHILD, obj("other", "it", "b")],
            [],
            ["child.ownerReferences=", "other.ownerReferences=b", "it.finalizers="],
        ),
        (obj("it", leaving=True, finalizers=[ORPHAN]), [], [CHILD], [1], []),
    ],
)
def test_steps(it: Any, above: Any, below: Any, behind: Any, expected: list[str]) -> None:
    waits = [(CONFIGMAP, 9)] * len(behind)
    plan = reconcile(World(CONFIGMAP, it, above, [(CONFIGMAP, d) for d in below], waits), NOW)
    assert steps(plan) == expected and list(plan.wait) == waits


def test_an_owner_in_another_namespace_is_told_of() -> None:
    plan = reconcile(World(CONFIGMAP, obj("it", "a"), owners(a="foreign"), [], []), NOW)
    (note,) = plan.events
    assert (note.type, note.reason) == ("Warning", "OwnerRefInvalidNamespace")
    assert note.message == 'ownerRef [v1/ConfigMap, namespace: n, name: a, uid: a] does not exist in namespace "n"'


def test_the_graph_follows_changes() -> None:
    graph = Graph()
    graph.change(CONFIGMAP, None, obj("it", "a", "b"))
    graph.change(CONFIGMAP, None, obj("that", "a"))
    assert [n for _, _, n in graph.of("a")] == ["it", "that"]
    graph.change(CONFIGMAP, obj("it", "a", "b"), obj("it", "b"))
    graph.change(CONFIGMAP, obj("that", "a"), None)
    assert graph.dependents.keys() == {"b"}
