"""What holds for every kind: defaults settle at once, the columns fit, conversions lead back."""

from __future__ import annotations

import msgspec
import pytest

from pelamis.api import codec
from pelamis.api.enablement import Enablement
from pelamis.api.kind import Kind
from tests.api import populated
from tests.api.made import CREATED, NOW, UID

KINDS = Enablement("api/all=true").registry().all()


def full(k: Kind) -> dict:  # type: ignore[type-arg]
    tree = populated.tree(k.type)
    codec.clean(k, tree)
    return tree


@pytest.mark.parametrize("k", KINDS, ids=repr)
@pytest.mark.parametrize("empty", [True, False], ids=["empty", "full"])
def test_defaults_are_idempotent(k: Kind, empty: bool) -> None:
    tree = {"metadata": {"name": "x"}} if empty else full(k)
    codec.clean(k, tree)
    k.default(tree)
    once = msgspec.json.encode(tree, order="sorted")
    k.default(tree)
    codec.clean(k, tree)
    assert msgspec.json.encode(tree, order="sorted") == once


@pytest.mark.parametrize("k", KINDS, ids=repr)
def test_every_callable_takes_any_object(k: Kind) -> None:
    for tree in ({"metadata": {"name": "x"}}, full(k)):
        codec.clean(k, tree)
        k.default(tree)
        tree["metadata"].update(uid=UID, creationTimestamp=CREATED)
        before = msgspec.json.decode(msgspec.json.encode(tree))
        k.prepare_create(tree)
        k.prepare_update(tree, before)
        obj = codec.from_tree(k, tree)
        for errors in (k.validate(obj), k.validate_update(obj, obj), k.validate_status_update(obj, obj)):
            assert all(str(error) for error in errors)
        if k.cells is not None:
            assert len(k.cells(obj, NOW)) == len(k.columns)
        for getter in (k.selectable or {}).values():
            assert isinstance(getter(obj), str)
        for index in (k.indexes or {}).values():
            assert all(isinstance(value, str) for value in index(obj))


@pytest.mark.parametrize("k", [k for k in KINDS if k.hub is not None], ids=repr)
def test_conversion_to_the_hub_and_back(k: Kind) -> None:
    assert k.hub is not None
    tree = full(k)
    before = codec.from_tree(k, tree)
    stored = codec.from_tree(k.hub, codec.to_hub(k, codec.to_tree(before)))
    back = codec.decode(k, codec.to_version(k, codec.encode(stored)))
    assert back.spec == before.spec if hasattr(before, "spec") else back == before


def test_storage_prefixes() -> None:
    prefixes = {k.resource: k.prefix for k in KINDS if k.hub is None}
    assert prefixes["ingresses.networking.k8s.io"] == "/registry/ingress/"
    assert prefixes["leases.coordination.k8s.io"] == "/registry/leases/"
    assert prefixes["apiservices.apiregistration.k8s.io"] == "/registry/apiregistration.k8s.io/apiservices/"
    crds = prefixes["customresourcedefinitions.apiextensions.k8s.io"]
    assert crds == "/registry/apiextensions.k8s.io/customresourcedefinitions/"


@pytest.mark.parametrize("k", KINDS, ids=repr)
def test_an_update_leaves_the_old_object_alone(k: Kind) -> None:
    """What a kind keeps of the old object is the old object's own tree, not a copy."""
    old = full(k)
    codec.clean(k, old)
    k.default(old)
    for kept, prepare in ((k.reset, k.prepare_update), (("spec",), k.prepare_status)):
        before = msgspec.json.decode(msgspec.json.encode(old))
        tree = msgspec.json.decode(msgspec.json.encode(old))
        for name in kept:
            if name in old:
                tree[name] = old[name]
        prepare(tree, old)
        assert old == before


def test_a_new_storage_version_is_noted_beside_the_old() -> None:
    from pelamis.api.apiextensions.customresourcedefinition import KIND

    status = {"storedVersions": ["v1"]}
    old = {"spec": {"versions": [{"name": "v1", "storage": True}, {"name": "v2"}]}, "status": status}
    tree = {"spec": {"versions": [{"name": "v1"}, {"name": "v2", "storage": True}]}, "status": status}
    KIND.prepare_update(tree, old)
    assert tree["status"] == {"storedVersions": ["v1", "v2"]} and old["status"] == {"storedVersions": ["v1"]}
