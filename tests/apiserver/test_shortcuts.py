"""What the write path leaves out must not show: each shortcut beside the long way."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pelamis.api import codec
from pelamis.api.core.binding import Binding
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.apiserver.authz.attributes import Attributes
from pelamis.apiserver.authz.rbac import Rbac
from pelamis.apiserver.user import User
from pelamis.client.types import Create, Delete, Patch
from pelamis.store import etcdwire as wire
from tests.apiserver.harness import running

SPEC = {"containers": [{"name": "c", "image": "i:1", "env": [{"name": "B", "value": "1"}, {"name": "A"}]}]}


def _tree(name: str) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default", "labels": {"b": "1", "a": "2"}},
        "spec": SPEC,
    }


def test_the_cache_holds_what_its_bytes_say() -> None:
    """Structs that writers hand to the cache are those that decoding would give, through a pod's whole life."""

    async def main() -> None:
        async with running() as h:
            client = h.server.client("admin", "system:masters")
            account = h.server.objects.kind("serviceaccounts")
            node = {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z"}}}
            actions = [
                Create(account, {"metadata": {"name": "default", "namespace": "default"}}),
                Create(h.server.objects.kind("nodes"), node),
            ]
            assert all(o.error is None for o in await client.commit(actions))
            collection = h.server.objects.collection(POD)
            client.view(POD).subscribe(lambda key, old, new: None)

            async def step(action: Any) -> Any:
                (outcome,) = await client.commit([action])
                assert outcome.error is None
                entry = collection.get("default", "p")
                assert entry is not None and outcome.obj is entry.obj and outcome.rev == entry.rev
                assert entry.obj == codec.decode(POD, entry.data)
                assert codec.served(POD, codec.stored(POD, entry.obj), entry.rev) == entry.data
                return entry.obj

            made = await step(Create(POD, _tree("p")))
            binding = {
                "metadata": {"name": "p", "namespace": "default", "annotations": {"x": "y"}},
                "target": {"kind": "Node", "name": "n1"},
            }
            bound = await step(Create(POD, binding | {"kind": "Binding", "apiVersion": "v1"}, "binding", "p"))
            assert bound.spec.nodeName == "n1" and bound.metadata.annotations == {"x": "y"}
            assert bound.metadata.labels["topology.kubernetes.io/zone"] == "z"
            assert bound.metadata.generation == made.metadata.generation == 1
            body = {"status": {"phase": "Running", "podIP": "10.0.0.1", "startTime": "2026-01-01T00:00:00.5Z"}}
            said = await step(Patch(POD, "default", "p", body, "strategic", "status"))
            assert said.status.phase == "Running" and said.status.startTime == "2026-01-01T00:00:00Z"
            assert said.status.podIPs[0].ip == "10.0.0.1"
            assert said.spec is bound.spec
            body = {"spec": {"nodeName": "other"}, "status": {"reason": "R"}}
            kept = await step(Patch(POD, "default", "p", body, "merge", "status"))
            assert kept.spec == bound.spec and kept.status.reason == "R"
            labelled = await step(Patch(POD, "default", "p", {"metadata": {"labels": {"a": None}}}, "merge"))
            assert (
                labelled.spec == bound.spec and labelled.status == kept.status and "a" not in labelled.metadata.labels
            )
            assert labelled.metadata.generation == bound.metadata.generation
            owners = {(m.manager, m.subresource) for m in labelled.metadata.managedFields}
            assert owners == {("admin", ""), ("admin", "status")}

    asyncio.run(main())


@pytest.mark.parametrize("zone", ["", "z"])
@pytest.mark.parametrize("noted", [{}, {"x": "y", "a": "b"}])
def test_a_binding_as_a_struct_is_as_one_that_is_read(zone: str, noted: dict[str, str]) -> None:
    """The same bytes, and what was refused is refused."""

    async def main() -> None:
        async with running() as h:
            client = h.server.client("admin", "system:masters")
            account = h.server.objects.kind("serviceaccounts")
            node = {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": zone} if zone else {}}}
            actions = [
                Create(account, {"metadata": {"name": "default", "namespace": "default"}}),
                Create(h.server.objects.kind("nodes"), node),
            ]
            assert all(o.error is None for o in await client.commit(actions))
            collection = h.server.objects.collection(POD)
            given = {
                "kind": "Binding",
                "apiVersion": "v1",
                "metadata": {"name": "p", "namespace": "default", "annotations": noted},
                "target": {"kind": "Node", "name": "n1"},
            }
            struct = msgspec.json.decode(msgspec.json.encode(given), type=Binding)
            shown, seen = [], []
            for binding in (given, struct):
                pod = _tree("p") | {"spec": SPEC | {"automountServiceAccountToken": False}}
                (made,) = await client.commit([Create(POD, pod)])
                assert made.error is None
                first = h.server.rest.transforms["pods", "binding"]
                asked: list[Any] = []

                def watched(write: Any, first: Any = first, asked: list[Any] = asked) -> Any:
                    result = first(write)
                    asked.append((write.shown, write.operation, write.name))
                    return result

                h.server.rest.transforms["pods", "binding"] = watched
                outcomes = await client.commit([Create(POD, binding, "binding", name) for name in ("p", "q")])
                outcomes = [*outcomes, *await client.commit([Create(POD, binding, "binding", "p")])]
                h.server.rest.transforms["pods", "binding"] = first
                entry = collection.get("default", "p")
                assert entry is not None
                data = msgspec.json.decode(entry.data)
                assert list(data["metadata"]["labels"]) == sorted(data["metadata"]["labels"])
                own = [data["metadata"][name] for name in ("uid", "resourceVersion")]
                times = re.sub(rb"[0-9-]+T[0-9:]+Z", b"T", entry.data)
                shown.append([times.replace(own[0].encode(), b"U").replace(own[1].encode(), b"R"), *asked])
                seen.append([(o.error.code, o.error.message) if o.error else None for o in outcomes])
                await client.commit([Delete(POD, "default", "p", grace_s=0)])
            assert shown[0] == shown[1]
            assert seen[0] == seen[1] and seen[0][0] is None and all(seen[0][1:])

    asyncio.run(main())


def test_normal_form_leaves_what_is_below_the_tree_as_it_was() -> None:
    for spec in (SPEC, {**SPEC, "unknown": 1, "nodeName": None}):
        tree = _tree("p") | {"spec": spec}
        before = msgspec.json.encode(spec)
        codec.clean(POD, tree)
        assert msgspec.json.encode(spec) == before
        assert tree["spec"] is not spec and tree["spec"]["containers"][0]["terminationMessagePath"]


class _View:
    def __init__(self, *objects: Any) -> None:
        self.objects = objects

    def subscribe(self, fn: Any, *, replay: bool = True) -> Any:
        for obj in self.objects:
            fn((obj.metadata.namespace, obj.metadata.name), None, obj)
        return lambda: None


def test_rights_are_remembered_apart_from_names() -> None:
    meta = SimpleNamespace(namespace="n", name="r")
    rule = {"apiGroups": ("",), "nonResourceURLs": (), "resources": ("configmaps",)}
    rules = [
        SimpleNamespace(verbs=("get",), resourceNames=(), **rule),
        SimpleNamespace(verbs=("update",), resourceNames=("one",), **rule),
    ]
    role = SimpleNamespace(metadata=meta, rules=rules)
    subject = SimpleNamespace(kind="User", name="joe", namespace="")
    ref = SimpleNamespace(kind="Role", name="r")
    binding = SimpleNamespace(kind="RoleBinding", metadata=meta, subjects=(subject,), roleRef=ref)
    rbac = Rbac(_View(), _View(), _View(role), _View(binding))
    for _ in range(2):
        for verb, name, allowed in (
            ("get", "any", True), ("get", "other", True), ("update", "one", True), ("update", "two", None),
            ("update", "", None), ("update", "one", True), ("list", "", None),
        ):  # fmt: skip
            a = Attributes(verb, "", "v1", "configmaps", "", "n", name)
            assert rbac.authorize(User("joe"), a).allowed is allowed, (verb, name)
    assert rbac.authorize(User("joe"), Attributes("get", "", "v1", "configmaps", "", "m", "any")).allowed is None


@pytest.mark.parametrize("expect", [0, 5, 300, 10**9])
@pytest.mark.parametrize("lease", [0, 77, 10**12])
@pytest.mark.parametrize(("key", "value"), [(b"/k", b""), (b"k" * 300, b"v" * 70_000)])
def test_a_put_in_one_piece_is_the_sum_of_its_parts(expect: int, lease: int, key: bytes, value: bytes) -> None:
    condition = wire.compare(key, wire.EQUAL, mod_rev=expect)
    parts = wire.txn_request(condition, wire.op_put(key, value, lease), wire.op_range(key))
    assert wire.put_request(key, value, expect, lease) == parts
