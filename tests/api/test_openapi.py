"""OpenAPI against the published schema of the same Kubernetes version, and the documents' own consistency."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from pelamis.api import patchschema
from pelamis.api.enablement import Enablement
from pelamis.api.kind import Kind
from pelamis.api.openapi import OpenAPI, gnostic, v2
from pelamis.api.openapi.schema import custom_root
from pelamis.api.openapi.serve import PROTOBUF, PROTOBUF_NEW
from pelamis.api.registry import Registry, builtin

EXTENSIONS = (
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key",
)


@cache
def registry() -> Registry:
    """With the versions that are off by default too."""
    return Enablement("api/all=true").registry()


@cache
def api() -> OpenAPI:
    return OpenAPI(registry())


def fetch(path: str) -> dict[str, Any]:
    answer = api().answer(path, "application/json", "gzip")
    assert answer is not None and answer[0] == 200
    tree: dict[str, Any] = json.loads(gzip.decompress(answer[2]))
    return tree


@cache
def published() -> dict[str, Any]:
    root = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema/v1.37.0-local/_definitions.json"
    return dict(json.loads(root.read_text())["$defs"])


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """What of a field's schema must agree. The package has no enums and defaults, and adds nullability."""
    out: dict[str, Any] = {}
    kind = schema.get("type")
    if kind:
        out["type"] = kind[0] if isinstance(kind, list) else kind
    if "format" in schema:
        out["format"] = schema["format"]
    references = [schema, *schema.get("allOf", ())]
    for reference in references:
        if "$ref" in reference:
            out["ref"] = reference["$ref"].rsplit("/", 1)[1]
    for name in ("items", "additionalProperties"):
        if name in schema:
            out[name] = plain(schema[name])
    for name in EXTENSIONS:
        if name in schema:
            out[name] = sorted(schema[name]) if isinstance(schema[name], list) else schema[name]
    return out


def differences(ours: dict[str, Any]) -> tuple[list[str], Counter[str]]:
    found: list[str] = []
    seen: Counter[str] = Counter()
    theirs = published()
    for name, schema in sorted(ours.items()):
        if name not in theirs:
            found.append(f"{name}: not published")
            continue
        seen["definitions"] += 1
        other = theirs[name]
        if sorted(schema.get("required", ())) != sorted(other.get("required", ())):
            found.append(f"{name}: required {schema.get('required')} != {other.get('required')}")
        gvks = other.get("x-kubernetes-group-version-kind", [])
        if len(gvks) < 2 and schema.get("x-kubernetes-group-version-kind", []) != gvks:
            found.append(f"{name}: gvk {schema.get('x-kubernetes-group-version-kind')} != {gvks}")
        for key in ("x-kubernetes-unions", "x-kubernetes-map-type"):
            if schema.get(key) != other.get(key):
                found.append(f"{name}: {key} {schema.get(key)} != {other.get(key)}")
        mine, its = schema.get("properties", {}), other.get("properties", {})
        found += [f"{name}.{field}: missing" for field in its.keys() - mine.keys()]
        found += [f"{name}.{field}: not published" for field in mine.keys() - its.keys()]
        for field in mine.keys() & its.keys():
            seen["fields"] += 1
            a, b = plain(mine[field]), plain(its[field])
            if a != b:
                found.append(f"{name}.{field}: {a} != {b}")
    return found, seen


def test_v2_agrees_with_the_published_schema(capsys: pytest.CaptureFixture[str]) -> None:
    ours = fetch("/openapi/v2")["definitions"]
    found, seen = differences(ours)
    with capsys.disabled():
        print(f"\nOpenAPI v2: {seen['definitions']} definitions, {seen['fields']} fields, {len(found)} differences")
    assert not found, "\n".join(found)


def test_every_published_type_of_a_served_group_version_is_there() -> None:
    ours = fetch("/openapi/v2")["definitions"]
    served = {(k.group, k.version) for k in registry().all()}
    missing = []
    for name, schema in published().items():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            if (gvk["group"], gvk["version"]) in served and name not in ours:
                missing.append(name)
    assert not missing


def test_v3_agrees_with_the_published_schema() -> None:
    total: Counter[str] = Counter()
    for path in fetch("/openapi/v3")["paths"]:
        document = fetch(f"/openapi/v3/{path}")
        found, seen = differences(document["components"]["schemas"])
        total += seen
        assert not found, path + "\n" + "\n".join(found)
    assert total["definitions"] > 600


def references(tree: Any) -> set[str]:
    if isinstance(tree, dict):
        here = {tree["$ref"]} if isinstance(tree.get("$ref"), str) else set()
        return here.union(*(references(v) for v in tree.values()))
    if isinstance(tree, list):
        return set().union(*map(references, tree))
    return set()


def test_references_resolve() -> None:
    document = fetch("/openapi/v2")
    for target in references(document):
        _, section, name = target.split("/")
        assert name in document[section]
    for path in fetch("/openapi/v3")["paths"]:
        document = fetch(f"/openapi/v3/{path}")
        for target in references(document):
            assert target.rsplit("/", 1)[1] in document["components"]["schemas"], path


def test_v3_shows_defaults() -> None:
    schemas = fetch("/openapi/v3/api/v1")["components"]["schemas"]
    port = schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]
    assert port["containerPort"]["default"] == 0
    assert schemas["io.k8s.api.core.v1.Container"]["properties"]["name"]["default"] == ""
    assert schemas["io.k8s.api.core.v1.Pod"]["properties"]["spec"]["default"] == {}
    assert "default" not in schemas["io.k8s.api.core.v1.Container"]["properties"]["image"]


def test_paths_have_what_kubectl_looks_for() -> None:
    patch = fetch("/openapi/v2")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "kind": "Deployment", "version": "v1"}
    assert {"$ref": "#/parameters/dryRun"} in patch["parameters"]
    v3 = fetch("/openapi/v3/apis/apps/v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert {"dryRun", "fieldValidation"} <= {p["name"] for p in v3["parameters"]}
    items = fetch("/openapi/v2")["paths"].values()
    ids = [op["operationId"] for item in items for op in item.values() if "operationId" in op]
    assert len(ids) == len(set(ids))


def _fields(data: bytes) -> list[tuple[int, Any]]:
    """A naive protobuf reader."""
    out: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        shift = value = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            out.append((key >> 3, varint()))
        else:
            assert key & 7 == 2
            size = varint()
            out.append((key >> 3, data[at : at + size]))
            at += size
    return out


def _sub(data: bytes, tag: int) -> list[Any]:
    return [v for t, v in _fields(data) if t == tag]


def test_protobuf_holds_the_same_document() -> None:
    answer = api().answer("/openapi/v2", PROTOBUF, "gzip")
    assert answer is not None and answer[1]["Content-Type"] == PROTOBUF_NEW
    data = gzip.decompress(answer[2])
    tree = fetch("/openapi/v2")
    assert _sub(data, 1) == [b"2.0"]
    definitions = {}
    for block in _sub(data, 9):
        for entry in _sub(block, 1):
            definitions[_sub(entry, 1)[0].decode()] = _sub(entry, 2)[0]
    assert definitions.keys() == tree["definitions"].keys()
    schema = definitions["io.k8s.api.apps.v1.DeploymentSpec"]
    names = [_sub(p, 1)[0].decode() for p in _sub(_sub(schema, 25)[0], 1)]
    assert names == list(tree["definitions"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"])
    assert _sub(schema, 19) == [b"selector", b"template"]
    paths = [_sub(p, 1)[0].decode() for block in _sub(data, 8) for p in _sub(block, 2)]
    assert paths == list(tree["paths"])


def test_gnostic_extension_values_are_yaml() -> None:
    body = gnostic.schema({"type": "object", "x-kubernetes-list-map-keys": ["a", "b"]})
    (extension,) = _sub(body, 31)
    assert _sub(extension, 1) == [b"x-kubernetes-list-map-keys"]
    assert _sub(_sub(extension, 2)[0], 2) == [b'["a","b"]']


def test_answers_by_etag_hash_and_accept() -> None:
    first = api().answer("/openapi/v2", "", "gzip")
    assert first is not None
    again = api().answer("/openapi/v2", "", "gzip", first[1]["ETag"])
    assert again is not None and again[0] == 304 and again[2] == b""
    whole = api().answer("/openapi/v2")
    assert whole is not None and json.loads(whole[2])["swagger"] == "2.0"
    url = fetch("/openapi/v3")["paths"]["apis/apps/v1"]["serverRelativeURL"]
    path, _, digest = url.partition("?hash=")
    good = api().answer(path, hash=digest)
    assert good is not None and good[0] == 200 and "immutable" in good[1]["Cache-Control"]
    moved = api().answer(path, hash="old")
    assert moved is not None and (moved[0], moved[1]["Location"]) == (301, url)
    assert api().answer("/openapi/v3/apis/none/v1") is None
    odd = api().answer("/openapi/v3", "text/plain")
    assert odd is not None and odd[0] == 406


def test_a_document_is_made_in_steps_and_again_after_a_change() -> None:
    from pelamis.api import patchschema
    from pelamis.api.custom import Custom

    reg = builtin()
    docs = OpenAPI(reg)
    document = docs.find("/openapi/v3/api/v1")
    assert document is not None and document.step()
    assert docs.find("/openapi/v3/api/v1") is document
    document.finish()
    index = docs.answer("/openapi/v3")
    kind = Kind(
        group="stable.example.com",
        version="v1",
        type=Custom,
        plural="crontabs",
        singular="crontab",
        kind="CronTab",
        namespaced=True,
        verbs=("create", "get", "list", "patch", "update"),
    )
    spec = {"type": "object", "properties": {"n": {"type": "integer", "nullable": True}, "any": {"anyOf": []}}}
    patchschema.declare(kind, {"type": "object", "properties": {"spec": spec}})
    reg.add(kind)
    assert docs.find("/openapi/v3/api/v1") is document
    later = docs.answer("/openapi/v3")
    assert index is not None and later is not None and b"stable.example.com/v1" in later[2]
    answer = docs.answer("/openapi/v3/apis/stable.example.com/v1")
    assert answer is not None
    schemas = json.loads(answer[2])["components"]["schemas"]
    cron = schemas["com.example.stable.v1.CronTab"]
    assert cron["properties"]["spec"]["properties"]["n"] == {"type": "integer", "nullable": True}
    assert cron["x-kubernetes-group-version-kind"] == [
        {"group": "stable.example.com", "kind": "CronTab", "version": "v1"}
    ]
    assert "com.example.stable.v1.CronTabList" in schemas
    whole = docs.answer("/openapi/v2")
    assert whole is not None
    old = json.loads(whole[2])["definitions"]["com.example.stable.v1.CronTab"]
    assert old["properties"]["spec"]["properties"] == {"n": {}, "any": {}}
    patchschema.forget(kind)


def test_parts_come_one_by_one() -> None:
    sections = [section for section, _, _ in v2.parts(registry())]
    assert list(dict.fromkeys(sections)) == ["definitions", "parameters", "paths"]


def _members(data: bytes) -> dict[int, list[Any]]:
    from pelamis.base import protobuf

    out: dict[int, list[Any]] = {}
    for number, value in protobuf.fields(data):
        out.setdefault(number, []).append(value)
    return out


def _shown(data: Any) -> str:
    return bytes(data).decode()


def test_v3_as_protobuf_says_what_the_json_says() -> None:
    documents = OpenAPI(builtin())
    accept = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
    plain = documents.answer("/openapi/v3/apis/apps/v1")
    index = documents.answer("/openapi/v3")
    assert plain is not None and index is not None
    tree = json.loads(plain[2])
    found = documents.answer("/openapi/v3/apis/apps/v1", accept)
    assert found is not None and found[0] == 200
    assert found[1]["Content-Type"] == "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
    assert found[1]["ETag"] == plain[1]["ETag"], "the index names one hash"
    document = _members(found[2])
    assert _shown(document[1][0]) == "3.0.0"
    paths = {_shown(_members(p)[1][0]): _members(_members(p)[2][0]) for part in document[4] for p in _members(part)[1]}
    assert set(paths) == set(tree["paths"])
    listed = _members(paths["/apis/apps/v1/deployments"][4][0])
    wanted = tree["paths"]["/apis/apps/v1/deployments"]["get"]
    assert _shown(listed[5][0]) == wanted["operationId"]
    schemas = {
        _shown(_members(s)[1][0]): _members(_members(_members(s)[2][0])[1][0])
        for part in document[5]
        for named in _members(part)[1]
        for s in _members(named)[1]
    }
    assert set(schemas) == set(tree["components"]["schemas"])
    for name, schema in tree["components"]["schemas"].items():
        made = schemas[name]
        properties = [p for part in made.get(31, ()) for p in _members(part)[1]]
        assert {_shown(_members(p)[1][0]) for p in properties} == set(schema.get("properties", {}))
        assert [_shown(r) for r in made.get(23, ())] == schema.get("required", [])
        assert _shown(made.get(34, [b""])[0]) == schema.get("description", "")
    assert documents.answer("/openapi/v3/apis/none/v1", accept) is None


def test_custom_roots_that_are_not_pruned_say_nothing_else_in_v2() -> None:
    root = {"type": "object", "description": "d", "x-kubernetes-preserve-unknown-fields": True}
    nested = {"type": "array", "nullable": True, "items": {"type": "string"}}
    some = {"type": "object", "required": ["a", "b"], "properties": {"a": nested, "b": {"type": "string"}}}
    for schema, shown in (
        (root, {"type": "object"}),
        ({**root, "properties": {"spec": {"type": "object"}}}, {"type": "object"}),
        (some, {"type": "object", "required": ["b"], "properties": {"a": {}, "b": {"type": "string"}}}),
    ):
        kind = _custom(schema)
        made = custom_root(kind, 2)
        assert made.pop("x-kubernetes-group-version-kind")
        for name in ("apiVersion", "kind", "metadata"):
            made.get("properties", {}).pop(name, None)
        assert made == shown
        assert custom_root(kind, 3)["properties"]["metadata"]


def test_custom_resources_are_explained_as_others() -> None:
    """How these begin is asked for by upstream's conformance tests."""
    properties = custom_root(_custom({"type": "object", "description": "d"}), 3)["properties"]
    assert properties["apiVersion"]["description"].startswith("APIVersion defines")
    assert properties["kind"]["description"].startswith("Kind is")
    assert properties["metadata"]["description"].startswith("Standard object's metadata")


def test_custom_kinds_have_the_hash_of_their_storage_version() -> None:
    from pelamis.api.apiextensions.custom import _storage_hash
    from pelamis.api.core.pod.kind import KIND

    assert _storage_hash("", "v1", "Pod") == KIND.storage_hash
    assert _custom({"type": "object"}).storage_hash == _storage_hash("e.io", "v1", "Foo")


def _custom(schema: dict[str, Any]) -> Kind:
    from pelamis.api import codec
    from pelamis.api.apiextensions.custom import kind_of
    from pelamis.api.apiextensions.customresourcedefinition import KIND

    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "foos", "kind": "Foo"}
    spec = {"group": "e.io", "scope": "Namespaced", "names": names, "versions": [version]}
    made = kind_of(codec.from_tree(KIND, {"metadata": {"name": "foos.e.io"}, "spec": spec}), "v1")
    patchschema.declare(made, schema)
    return made
