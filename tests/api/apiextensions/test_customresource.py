"""CustomResourceDefinitions, structural schemas, and the kinds made of them."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.apiextensions import CUSTOMRESOURCEDEFINITION as CRD
from pelamis.api.apiextensions import structural
from pelamis.api.apiextensions.custom import kind_of
from pelamis.api.apiextensions.format import FORMATS
from pelamis.api.custom import Custom
from tests.api.made import CREATED, NOW, complaints, completed, edited, made

STRING = {"type": "string"}
SPEC_SCHEMA = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
        "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, STRING]},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": STRING},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": STRING},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "nullable": True},
    },
}
SCHEMA = {"type": "object", "properties": {"spec": SPEC_SCHEMA, "status": {"type": "object"}}}
VERSION = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": SCHEMA},
    "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
    "additionalPrinterColumns": [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
    "selectableFields": [{"jsonPath": ".spec.color"}],
}
GOOD = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [VERSION],
    },
}
AT = "spec.validation.openAPIV3Schema"


def test_defaults() -> None:
    tree = completed(CRD, GOOD)
    assert tree["spec"]["names"]["singular"] == "widget"
    assert tree["spec"]["names"]["listKind"] == "WidgetList"
    assert tree["spec"]["conversion"] == {"strategy": "None"}
    assert tree["status"]["storedVersions"] == ["v1"]


@pytest.mark.parametrize(
    ("path", "value", "messages"),
    [
        ("metadata.name", "x", ['metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group']),
        ("spec.scope", "Odd", ['spec.scope: Unsupported value: "Odd": supported values: "Cluster", "Namespaced"']),
        ("spec.names.listKind", "Widget", ['spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same']),
        ("spec.versions.0.schema", ..., ["spec.versions[0].schema.openAPIV3Schema: Required value", 'spec.selectableFields: Invalid value: "": may only be set when validations.schema is included']),
        ("spec.versions.0.schema.openAPIV3Schema.properties.x", {}, [f"{AT}.properties[x].type: Required value: must not be empty for specified object fields"]),
        ("spec.versions.0.schema.openAPIV3Schema.properties.x", {"type": "array"}, [f"{AT}.properties[x].items: Required value: must be specified"]),
        ("spec.versions.0.schema.openAPIV3Schema.properties.x", {"type": "string", "anyOf": [{"type": "string"}]}, [f"{AT}.properties[x].anyOf[0].type: Forbidden: must be empty to be structural"]),
        ("spec.versions.0.schema.openAPIV3Schema.properties.x", {"type": "object", "anyOf": [{"required": ["a"], "properties": {"a": {"minimum": 1}}}]}, [f"{AT}.properties[x].properties[a]: Required value: because it is defined in {AT}.properties[x].anyOf[0].properties[a]"]),
        ("spec.versions.0.schema.openAPIV3Schema.properties.x", {"type": "string", "default": 5}, [f'{AT}.properties[x].default: Invalid value: "integer":  in body must be of type string: "integer"']),
        ("spec.versions.0.schema.openAPIV3Schema.properties.x", {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}, [f"{AT}.properties[x].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"]),
        ("spec.versions.0.additionalPrinterColumns.0.type", "odd", ['spec.additionalPrinterColumns[0].type: Invalid value: "odd": must be one of boolean,date,integer,number,string']),
        ("spec.versions.0.subresources.scale.specReplicasPath", ".status.x", ['spec.subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under .spec']),
        ("spec.group", "x.k8s.io", ['metadata.name: Invalid value: "widgets.example.com": must be spec.names.plural+"."+spec.group', 'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111']),
    ],
)  # fmt: skip
def test_wrong(path: str, value: Any, messages: list[str]) -> None:
    assert complaints(CRD, GOOD) == []
    assert complaints(CRD, edited(GOOD, path, value)) == messages


def widget(spec: dict[str, Any]) -> Custom:
    tree = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "a", "creationTimestamp": CREATED}}
    return Custom(msgspec.json.encode({**tree, "spec": spec}))


@pytest.mark.parametrize(
    ("type", "path", "cell"),
    [
        ("integer", ".spec.n", 3),
        ("integer", ".spec.f", 1),
        ("integer", ".spec.s", None),
        ("number", ".spec.n", 3.0),
        ("number", ".spec.f", 1.5),
        ("boolean", ".spec.b", True),
        ("boolean", ".spec.n", None),
        ("string", ".spec.s", "x"),
        ("string", ".spec.n", "3"),
        ("string", ".spec.list", '[{"a":1},{"a":2}]'),
        ("string", ".spec.list[*].a", "1"),
        ("string", ".spec.list[5].a", None),
        ("string", ".spec.s[0]", None),  # that a path does not go through an object is no error
        ("string", ".spec.s[?(@.a==1)]", None),
        ("string", ".spec.none", None),
        ("date", ".metadata.creationTimestamp", "5m"),
        ("date", ".spec.s", "<invalid>"),
        ("date", ".spec.empty", "<unknown>"),
        ("date", ".spec.n", None),
    ],
)
def test_cells(type: str, path: str, cell: Any) -> None:
    shown = {**VERSION, "additionalPrinterColumns": [{"name": "X", "type": type, "jsonPath": path}]}
    kind = kind_of(made(CRD, {**GOOD, "spec": {**GOOD["spec"], "versions": [shown]}}), "v1")
    spec = {"n": 3, "f": 1.5, "b": True, "s": "x", "empty": "", "list": [{"a": 1}, {"a": 2}]}
    assert kind.cells is not None
    assert list(kind.cells(widget(spec), NOW)) == ["a", cell]


def test_kind() -> None:
    kind = kind_of(made(CRD, GOOD), "v1")
    assert (kind.resource, kind.kind, kind.prefix) == (
        "widgets.example.com",
        "Widget",
        "/registry/example.com/widgets/",
    )
    assert [s.name for s in kind.subresources] == ["status", "scale"]
    assert kind.cells is not None
    assert list(kind.cells(widget({"size": 3}), NOW)) == ["a", 3, "5m"]
    assert kind.selectable is not None
    assert kind.selectable["spec.color"](widget({"color": "blue"})) == "blue"
    assert kind.prune is not None
    tree = {
        "kind": "Widget",
        "apiVersion": "example.com/v1",
        "metadata": {},
        "spec": {"size": 1, "y": 2, "free": {"a": 1}},
        "z": 1,
    }
    assert kind.prune(tree) == ['unknown field "spec.y"', 'unknown field "z"']
    assert tree["spec"] == {"size": 1, "free": {"a": 1}}
    old = widget({"size": 99})
    assert kind.validate_update(old, old) == []
    assert len(kind.validate(old)) == 1


@pytest.mark.parametrize(
    ("spec", "messages"),
    [
        ({"size": 1}, []),
        ({}, ["spec.size: Required value"]),
        ({"size": "1"}, ['spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"']),
        ({"size": 10}, ["spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9"]),
        ({"size": 1, "color": "green"}, ['spec.color: Unsupported value: "green": supported values: "red", "blue"']),
        ({"size": 1, "port": 1.5}, ['spec.port: Invalid value: "number": spec.port in body must be of type integer,string: "number"']),
        ({"size": 1, "port": "http"}, []),
        ({"size": 1, "tags": ["a", "a"]}, ['spec.tags[1]: Duplicate value: "a"']),
        ({"size": 1, "labels": {"a": 1}}, ['spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer"']),
        ({"size": 1, "name": "ABCDEF"}, ["spec.name: Too long: may not be more than 5 bytes", "spec.name: Invalid value: \"ABCDEF\": spec.name in body should match '^[a-z]+$'"]),
        ({"size": 1, "name": None}, []),
    ],
)  # fmt: skip
def test_values(spec: dict[str, Any], messages: list[str]) -> None:
    assert [str(e) for e in structural.validate({"spec": spec}, SCHEMA)] == messages


def test_combinations() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 9}]}}}
    assert [str(e) for e in structural.validate({"a": 7}, schema)] == [
        '<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives'
    ]
    assert structural.validate({"a": 12}, schema) == []


def test_value_defaults() -> None:
    tree: dict[str, Any] = {"spec": {"size": None, "color": None, "name": None}}
    structural.default(tree, SCHEMA)
    assert tree == {"spec": {"color": "red", "name": None}}


@pytest.mark.parametrize(
    "pattern, good, bad",
    [(r"^a\z", "a", "a\n"), ("^[[:alpha:]]+$", "ab", "a1"), ("^a$", "a", "a\n"), ("^(a+)+$", "aa", "a" * 5000 + "b")],
)
def test_patterns_are_those_of_go(pattern: str, good: str, bad: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    assert structural.validate({"a": good}, schema) == []
    assert [str(e) for e in structural.validate({"a": bad}, schema)] != []


def test_a_duration_is_told_in_linear_time() -> None:
    assert not FORMATS["duration"]("1ms" * 200 + "x") and FORMATS["duration"]("1ms" * 200)
