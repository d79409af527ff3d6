"""Patch shapes of built-in kinds and of custom resources."""

from __future__ import annotations

import pytest

from pelamis.api import patchschema
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.enablement import Enablement
from pelamis.api.kind import Kind
from pelamis.base.shape import ANY, ASSOC, LEAF, MAP, SET, STRUCT, UNTYPED, Node


def at(kind: Kind, path: str) -> Node:
    node: Node | None = patchschema.schema(kind)
    for name in path.split("."):
        assert node is not None
        node = node.element if name == "*" else node.child(name)
    assert node is not None
    return node


CASES: list[tuple[Kind, str, int, tuple[str, ...]]] = [
    (POD, "spec", STRUCT, ()),
    (POD, "spec.containers", ASSOC, ("name",)),
    (POD, "spec.containers.*.ports", ASSOC, ("containerPort", "protocol")),
    (POD, "spec.containers.*.command", LEAF, ()),
    (POD, "spec.containers.*.resources.limits", MAP, ()),
    (POD, "spec.containers.*.env.*.valueFrom.secretKeyRef", LEAF, ()),
    (POD, "spec.nodeSelector", LEAF, ()),
    (POD, "metadata.labels", MAP, ()),
    (POD, "metadata.finalizers", SET, ()),
    (POD, "metadata.ownerReferences", ASSOC, ("uid",)),
    (POD, "metadata.ownerReferences.*", LEAF, ()),
    (DEPLOYMENT, "spec.selector", LEAF, ()),
    (SERVICE, "spec.ports", ASSOC, ("port", "protocol")),
    (SERVICE, "spec.ports.*.targetPort", LEAF, ()),
]


@pytest.mark.parametrize(("kind", "path", "how", "keys"), CASES)
def test_nodes(kind: Kind, path: str, how: int, keys: tuple[str, ...]) -> None:
    node = at(kind, path)
    assert (node.kind, node.keys) == (how, keys)


def test_strategies() -> None:
    spec = at(POD, "spec")
    assert (spec.fields["volumes"].strategy, spec.fields["volumes"].merge_key) == ("merge", "name")
    assert spec.fields["tolerations"].strategy == ""
    assert at(DEPLOYMENT, "spec.selector").fields.keys() >= {"matchLabels", "matchExpressions"}


def test_zero_values_and_written_fields() -> None:
    container = at(POD, "spec.containers.*")
    assert [name for name, _ in container.zeros] == ["name", "resources"]
    assert container.fields["image"].zero == "" and not container.fields["image"].written
    assert at(POD, "spec.containers").element is container
    assert at(SERVICE, "spec.ports").key_defaults == {"protocol": "TCP", "port": 0}


def test_every_kind_compiles_once() -> None:
    for kind in Enablement("api/all=true").registry().all():
        assert patchschema.schema(kind) is patchschema.schema(kind)


def test_custom_resources() -> None:
    node = patchschema.of_custom(
        {
            "properties": {
                "port": {"x-kubernetes-int-or-string": True},
                "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {}}},
                "free": {"type": "object"},
                "closed": {"type": "object", "properties": {"n": {"type": "integer"}}},
                "list": {"type": "array", "items": {"type": "object"}},
                "map": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["b", "a"],
                    "items": {"properties": {"a": {"type": "string", "default": "x"}}},
                },
            }
        }
    )
    kinds = {name: field.node.kind for name, field in node.fields.items()}
    assert kinds == {
        "port": LEAF,
        "template": STRUCT,
        "free": ANY,
        "closed": STRUCT,
        "list": LEAF,
        "map": ASSOC,
        "apiVersion": LEAF,
        "kind": LEAF,
        "metadata": STRUCT,
    }
    assert (node.fields["map"].node.keys, node.fields["map"].node.key_defaults) == (("a", "b"), {"a": "x"})
    assert "metadata" in node.fields["template"].node.fields
    assert node.fields["closed"].node.element is None
    assert patchschema.of_custom(None).element is UNTYPED
