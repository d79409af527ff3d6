"""Custom resources by the journey of the built-in kinds: a rich schema, two versions, status, scale, all list types."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import yaml

from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from tests.conformance import corpus, test_resources
from tests.conformance.conftest import PROTOBUF, YAML, Api

NAMESPACE = "custom"
GROUP = "rich.example.test"
VERSIONS = ("v1", "v1beta1")
PATCHES = {k: v for k, v in test_resources.PATCHES.items() if "strategic" not in k}
APPLY = "application/apply-patch+yaml"

_TEXT = {"type": "string"}
_PORT = {
    "type": "object",
    "required": ["name", "number"],
    "properties": {
        "name": {"type": "string", "maxLength": 15, "pattern": "^[a-z]+$"},
        "number": {"type": "integer", "minimum": 1, "maximum": 65535},
        "protocol": {"type": "string", "enum": ["TCP", "UDP"], "default": "TCP"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["replicas"],
            "x-kubernetes-validations": [
                {"rule": "self.replicas <= self.limit", "message": "more replicas than the limit"},
            ],
            "properties": {
                "replicas": {"type": "integer", "minimum": 0},
                "limit": {"type": "integer", "default": 10},
                "share": {"x-kubernetes-int-or-string": True},
                "factor": {"type": "number", "multipleOf": 0.5},
                "when": {"type": "string", "format": "date-time"},
                "secret": {"type": "string", "format": "byte"},
                "optional": {"type": "string", "nullable": True},
                "fixed": {
                    **_TEXT,
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed is fixed"}],
                },
                "ports": {
                    "type": "array",
                    "items": _PORT,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
                "tags": {"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set"},
                "steps": {"type": "array", "maxItems": 5, "items": {"type": "integer"}},
                "labels": {"type": "object", "additionalProperties": _TEXT},
                "whole": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "properties": {"a": _TEXT, "b": _TEXT},
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "template": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-preserve-unknown-fields": True,
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer"},
                "selector": _TEXT,
                "conditions": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                    "items": {"type": "object", "required": ["type"], "properties": {"type": _TEXT, "status": _TEXT}},
                },
            },
        },
    },
}
_COLUMNS = [
    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"racks.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "racks", "singular": "rack", "kind": "Rack", "shortNames": ["rk"], "categories": ["all"]},
        "versions": [
            {
                "name": name,
                "served": True,
                "storage": name == "v1",
                "schema": {"openAPIV3Schema": SCHEMA},
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    },
                },
                "additionalPrinterColumns": _COLUMNS,
                "selectableFields": [{"jsonPath": ".spec.replicas"}],
            }
            for name in VERSIONS
        ],
    },
}
STATUS: Tree = {"replicas": 2, "selector": "app=full", "conditions": [{"type": "Ready", "status": "True"}]}


def rack(version: str, name: str = "full", **spec: Any) -> Tree:
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "Rack",
        "metadata": {"name": name, "labels": {"app": "full"}, "annotations": {"a": "b"}},
        "spec": {
            "replicas": 3,
            "share": "25%",
            "factor": 1.5,
            "when": "2026-01-31T08:00:00Z",
            "secret": "aGVsbG8=",
            "optional": None,
            "fixed": "x",
            "ports": [{"name": "web", "number": 80}, {"name": "dns", "number": 53, "protocol": "UDP"}],
            "tags": ["one", "two"],
            "steps": [3, 1, 3],
            "labels": {"k": "v"},
            "whole": {"a": "1", "b": "2"},
            "free": {"any": [1, {"thing": None}]},
            "template": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "inner", "labels": {"l": "m"}},
                "data": {"k": "v"},
            },
            **spec,
        },
    }


@pytest.fixture(scope="module", autouse=True)
def ground(api: Api) -> Iterator[None]:
    api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api.ok("POST", path, CRD)
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        found = api.ok("GET", f"{path}/racks.{GROUP}")
        if any(c["type"] == "Established" and c["status"] == "True" for c in found.get("status", {})["conditions"]):
            break
    yield


@pytest.fixture(params=VERSIONS)
def kind(api: Api, request: pytest.FixtureRequest) -> Kind:
    found = api.harness.server.registry.by_resource(GROUP, request.param, "racks")
    assert found is not None
    return found


def folder(kind: Kind) -> str:
    return test_resources.folder(kind, NAMESPACE)


def test_journey(api: Api, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_resources, "NAMESPACE", NAMESPACE)
    tree, rest = rack(kind.version), folder(kind)
    path = f"{rest}/full"
    start = api.ok("GET", rest)["metadata"]["resourceVersion"]
    status, made = api("POST", f"{rest}?dryRun=All&fieldValidation=Strict", tree)
    assert status == 201 and api("GET", path)[0] == 404, made
    status, made = api("POST", f"{rest}?fieldValidation=Strict&fieldManager=creator", tree)
    assert status == 201 and corpus.missing(tree, made) == [], made
    assert made["spec"]["limit"] == 10 and made["spec"]["ports"][0]["protocol"] == "TCP"
    assert made["metadata"]["generation"] == 1
    odd = {**test_resources.renamed(tree, "odd"), "oddity": 1}
    inner = odd["spec"]["template"]
    odd["spec"] = {**odd["spec"], "template": {**inner, "metadata": {**inner["metadata"], "color": "red"}}}
    status, error = api("POST", f"{rest}?dryRun=All&fieldValidation=Strict", odd)
    assert status == 400 and 'unknown field "oddity"' in error["message"]
    assert 'unknown field "spec.template.metadata.color"' in error["message"]
    assert "color" not in api.ok("POST", f"{rest}?dryRun=All", odd)["spec"]["template"]["metadata"]
    assert "oddity" not in api.ok("POST", f"{rest}?dryRun=All", odd)

    present = api.ok("GET", path)
    _, _, text = api.raw("GET", path, accept=YAML)
    assert yaml.load(text, yaml.CBaseLoader)["metadata"]["uid"] == made["metadata"]["uid"]
    assert msgspec.yaml.decode(text) == present
    assert api.raw("GET", path, accept=PROTOBUF)[0] == 406
    assert api.raw("POST", rest, b"k8s\0", type=PROTOBUF)[0] == 415
    strategic = "application/strategic-merge-patch+json"
    assert api("PATCH", path, {"metadata": {}}, type=strategic)[0] == 415
    second = test_resources.renamed(tree, "full2")
    status, _, text = api.raw("POST", rest, msgspec.yaml.encode(second), type=YAML, accept=YAML)
    assert status == 201 and test_resources.essence(msgspec.yaml.decode(text)) == test_resources.essence(made)
    other = VERSIONS[1 - VERSIONS.index(kind.version)]
    elsewhere = api.ok("GET", path.replace(f"/{kind.version}/", f"/{other}/"))
    assert elsewhere["apiVersion"] == f"{GROUP}/{other}" and elsewhere["spec"] == present["spec"]

    test_resources.check_lists(api, kind, rest, "full", present)
    test_resources.check_tables(api, kind, rest, "full")
    test_resources.check_updates(api, kind, path, made["metadata"], PATCHES)
    test_resources.check_status(api, kind, path, STATUS)
    _scale(api, path)
    test_resources.check_removal(api, kind, rest, path, f"{rest}/full2", made["metadata"]["uid"], start)


def _scale(api: Api, path: str) -> None:
    scale = api.ok("GET", f"{path}/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 3} and scale["status"] == {"replicas": 2, "selector": "app=full"}
    before = api.ok("GET", path)["metadata"]["generation"]
    api.ok("PUT", f"{path}/scale", {**scale, "spec": {"replicas": 5}})
    after = api.ok("GET", path)
    assert after["spec"]["replicas"] == 5 and after["metadata"]["generation"] == before + 1
    patch = {"spec": {"replicas": 11}}
    status, error = api("PATCH", f"{path}/scale", patch, type="application/merge-patch+json")
    assert status == 422 and "more replicas than the limit" in error["message"], error


_WRONG: dict[str, tuple[Tree, str]] = {
    "a set has an item once": ({"tags": ["x", "x"]}, 'spec.tags[1]: Duplicate value: "x"'),
    "a key is there once": (
        {"ports": [{"name": "a", "number": 1}, {"name": "a", "number": 2}]},
        'spec.ports[1]: Duplicate value: {"name":"a"}',
    ),
    "too many": ({"steps": [1] * 6}, "spec.steps: Too many: 6: must have at most 5 items"),
    "type": ({"steps": ["x"]}, 'spec.steps[0]: Invalid value: "string": spec.steps[0] in body must be of type integer'),
    "enum": (
        {"ports": [{"name": "a", "number": 1, "protocol": "X"}]},
        'spec.ports[0].protocol: Unsupported value: "X": supported values: "TCP", "UDP"',
    ),
    "required": ({"ports": [{"name": "a"}]}, "spec.ports[0].number: Required value"),
    "pattern": (
        {"ports": [{"name": "A", "number": 1}]},
        "spec.ports[0].name: Invalid value: \"A\": spec.ports[0].name in body should match '^[a-z]+$'",
    ),
    "format": ({"when": "soon"}, 'spec.when: Invalid value: "soon": spec.when in body must be of type date-time'),
    "multiple": ({"factor": 0.7}, "spec.factor: Invalid value: 0.7: spec.factor in body should be a multiple of 0.5"),
    "rule": ({"replicas": 11}, "spec: Invalid value: more replicas than the limit"),
    "a kind is needed": (
        {"template": {"apiVersion": "v1", "metadata": {"name": "x"}}},
        "spec.template.kind: Required value: must not be empty",
    ),
    "labels of what is inside": (
        {"template": {"apiVersion": "v1", "kind": "X", "metadata": {"labels": {"a b": "c"}}}},
        'spec.template.metadata.labels: Invalid value: "a b": name part must consist of',
    ),
}


@pytest.mark.parametrize("case", _WRONG)
def test_wrong_values(api: Api, kind: Kind, case: str) -> None:
    spec, message = _WRONG[case]
    status, error = api("POST", f"{folder(kind)}?dryRun=All", rack(kind.version, **spec))
    assert status == 422, error
    plain = [f"{c['field']}: {c['message']}" for c in error["details"]["causes"]]
    assert any(message in text.replace('"object": ', "") for text in plain), plain


def test_metadata_of_the_wrong_type(api: Api, kind: Kind) -> None:
    template = {"apiVersion": "v1", "kind": "X", "metadata": {"labels": "a"}}
    status, error = api("POST", f"{folder(kind)}?dryRun=All", rack(kind.version, template=template))
    assert status == 400 and "spec.template.metadata: Invalid value:" in error["message"], error


def test_apply_follows_the_schema(api: Api, kind: Kind) -> None:
    path = f"{folder(kind)}/applied"

    def apply(manager: str, spec: Tree, *, force: str = "") -> tuple[int, Any]:
        body = {"apiVersion": kind.api_version, "kind": "Rack", "metadata": {"name": "applied"}, "spec": spec}
        return api("PATCH", f"{path}?fieldManager={manager}{force}", body, type=APPLY)

    web, dns = {"name": "web", "number": 80}, {"name": "dns", "number": 53}
    base = {"replicas": 1, "ports": [web], "tags": ["a"], "steps": [1], "whole": {"a": "1"}, "labels": {"x": "1"}}
    assert apply("one", base)[0] == 201
    status, both = apply("two", {"replicas": 1, "ports": [dns], "tags": ["b"], "labels": {"y": "2"}})
    assert status == 200, both
    spec = both["spec"]
    assert [p["name"] for p in spec["ports"]] == ["web", "dns"] and spec["tags"] == ["a", "b"]
    assert spec["labels"] == {"x": "1", "y": "2"}
    status, error = apply("two", {"replicas": 1, "steps": [2]})
    assert status == 409 and [c["field"] for c in error["details"]["causes"]] == [".spec.steps"]
    status, error = apply("two", {"replicas": 1, "whole": {"b": "2"}})
    assert status == 409 and [c["field"] for c in error["details"]["causes"]] == [".spec.whole"]
    status, error = apply("two", {"replicas": 1, "ports": [{"name": "web", "number": 81}]})
    assert status == 409 and [c["field"] for c in error["details"]["causes"]] == ['.spec.ports[name="web"].number']
    # What a manager leaves out goes; what another one owns stays.
    status, rest = apply("one", {"replicas": 1, "tags": ["a"]})
    assert status == 200 and [p["name"] for p in rest["spec"].get("ports", ())] == ["dns"]
    status, rest = apply("two", {"replicas": 1, "tags": ["b"], "whole": {"b": "2"}})
    assert status == 200 and rest["spec"]["tags"] == ["a", "b"] and rest["spec"]["whole"] == {"b": "2"}
    api.ok("DELETE", path)


def test_a_field_can_be_selected(api: Api, kind: Kind) -> None:
    rest = folder(kind)
    for i in (1, 2):
        api.ok("POST", rest, rack(kind.version, f"selected{i}", replicas=i))
    found = api.ok("GET", f"{rest}?fieldSelector=spec.replicas%3D2")["items"]
    assert [i["metadata"]["name"] for i in found] == ["selected2"]
    status, error = api("GET", f"{rest}?fieldSelector=spec.limit%3D2")
    assert status == 400 and "field label not supported: spec.limit" in error["message"]
    api.ok("DELETE", rest)
