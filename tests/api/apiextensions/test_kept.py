"""A schema that was tightened: what an update leaves as it was need not obey it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.apiextensions import CUSTOMRESOURCEDEFINITION as CRD
from pelamis.api.apiextensions.custom import kind_of
from pelamis.api.custom import Custom
from tests.api.made import made

NOT_FOO = {"type": "string", "enum": ["notfoo"]}
RULED = {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'foo'"}]}
FORMER = {
    "f": "foo",
    "o": {"f": "foo", "g": "x"},
    "m": {"a": {"f": "foo"}, "b": {"f": "foo"}},
    "l": [{"k": "1", "f": "foo"}, {"k": "2", "f": "foo"}],
    "s": ["foo", "bar"],
    "t": ["foo", "bar"],
    "p": ["a", "a"],
}


def custom(spec: dict[str, Any]) -> Custom:
    tree = {"kind": "W", "apiVersion": "example.com/v1", "metadata": {"name": "a"}, "spec": spec}
    return Custom(msgspec.json.encode(tree))


def update_errors(leaf: dict[str, Any], spec: dict[str, Any], old: dict[str, Any] = FORMER) -> list[str]:
    holder = {"type": "object", "properties": {"f": leaf, "g": {"type": "string"}, "k": {"type": "string"}}}
    items = {"type": "array", "items": leaf}
    schema = {
        "type": "object",
        "properties": {
            "f": leaf,
            "o": holder,
            "m": {"type": "object", "additionalProperties": holder},
            "l": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
                "items": holder,
            },
            "s": {**items, "x-kubernetes-list-type": "set"},
            "t": items,
            "p": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}},
    }
    crd = {
        "metadata": {"name": "ws.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "ws", "kind": "W"},
            "versions": [version],
        },
    }
    kind = kind_of(made(CRD, crd), "v1")
    assert kind.validate_update is not None
    return [e.field for e in kind.validate_update(custom(spec), custom(old))]


@pytest.mark.parametrize("leaf", [NOT_FOO, RULED], ids=["schema", "rule"])
@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, []),
        ({"f": "notfoo"}, []),
        ({"o": {"f": "foo", "g": "y"}}, []),
        ({"m": {"b": {"f": "foo", "g": "y"}, "a": {"f": "foo"}, "c": {"f": "foo"}}}, ["spec.m.c.f"]),
        ({"l": [{"k": "2", "f": "foo", "g": "y"}, {"k": "1", "f": "foo"}, {"k": "3", "f": "foo"}]}, ["spec.l[2].f"]),
        ({"l": [{"k": "2", "f": "foo"}, {"k": "1", "f": "foo"}]}, []),
        ({"s": ["foo", "bar", "notfoo"]}, ["spec.s[0]"]),
        ({"t": ["foo", "bar", "notfoo"]}, ["spec.t[0]"]),
        ({"p": ["a", "a", "b", "b"]}, []),
    ],
)
def test_what_is_as_it_was_is_forgiven(leaf: dict[str, Any], change: dict[str, Any], fields: list[str]) -> None:
    found = [f.replace("[c]", ".c") for f in update_errors(leaf, {**FORMER, **change})]
    assert [f for f in found if f not in ("spec.s[1]", "spec.t[1]")] == fields


def test_new_duplicates_are_not_forgiven() -> None:
    assert update_errors(NOT_FOO, {"p": ["a", "a"]}, {"p": ["a"]}) == ["spec.p[1]"]
