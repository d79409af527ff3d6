"""Cleaning, strict problems, canonical bytes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.api import codec
from pelamis.api.custom import Custom
from pelamis.api.enablement import Enablement
from pelamis.api.kind import Kind
from pelamis.base.errors import StatusError
from tests.api import populated

REGISTRY = Enablement("api/all=true").registry()
KINDS = REGISTRY.all()


def kind(group: str, name: str, version: str = "v1") -> Kind:
    found = REGISTRY.body(group, version, name)
    assert found is not None
    return found


POD, DEPLOYMENT, SECRET = kind("", "Pod"), kind("apps", "Deployment"), kind("", "Secret")
WIDGET = Kind(
    group="example.com",
    version="v1",
    type=Custom,
    kind="Widget",
    plural="widgets",
    singular="widget",
    namespaced=True,
    verbs=("create", "get"),
)


@pytest.mark.parametrize("k", KINDS, ids=repr)
def test_clean_is_idempotent_and_keeps_a_populated_object(k: Kind) -> None:
    tree = populated.tree(k.type)
    full = json.loads(json.dumps(tree))
    assert codec.clean(k, tree) == []
    assert set(full) <= set(tree)
    once = json.loads(json.dumps(tree))
    assert codec.clean(k, tree) == []
    assert tree == once
    obj = codec.from_tree(k, tree)
    assert codec.decode(k, codec.encode(obj)) == obj
    assert codec.to_tree(obj) == tree


@pytest.mark.parametrize("k", KINDS, ids=repr)
def test_clean_of_an_empty_object_is_idempotent(k: Kind) -> None:
    tree: dict[str, Any] = {}
    codec.clean(k, tree)
    once = json.loads(json.dumps(tree))
    codec.clean(k, tree)
    assert tree == once
    assert codec.from_tree(k, tree).kind == k.kind


@pytest.mark.parametrize("k", KINDS, ids=repr)
def test_stored_bytes_begin_as_promised_and_are_served_with_a_revision(k: Kind) -> None:
    for metadata in ({}, {"name": "a"}, {"resourceVersion": "3", "name": "a"}):
        tree = {"metadata": dict(metadata)}
        data = codec.stored(k, tree)
        assert data == codec.stored(k, codec.from_tree(k, tree))
        assert data.startswith(f'{{"kind":"{k.kind}","apiVersion":"{k.api_version}","metadata":{{'.encode())
        assert b"resourceVersion" not in data
        served = json.loads(codec.served(k, data, 42))
        assert served["metadata"].pop("resourceVersion") == "42"
        assert served == json.loads(data)


def test_clean_canonicalises_and_sets_constant_defaults() -> None:
    tree = {
        "metadata": {"name": "p", "creationTimestamp": None, "annotations": None},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
                    "ports": [{"containerPort": 80, "protocol": ""}],
                }
            ],
            "activeDeadlineSeconds": None,
        },
        "status": {"startTime": "2026-01-31T09:00:00+01:00"},
    }
    assert codec.clean(POD, tree) == []
    container = tree["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert tree["status"]["startTime"] == "2026-01-31T08:00:00Z"
    assert tree["metadata"] == {"name": "p"}
    assert tree["spec"]["restartPolicy"] == "Always"


def test_defaults_reach_structs_that_were_absent_and_spare_what_is_set() -> None:
    tree: dict[str, Any] = {"spec": {"replicas": 0}}
    codec.clean(DEPLOYMENT, tree)
    assert tree["spec"]["replicas"] == 0
    assert tree["spec"]["revisionHistoryLimit"] == 10
    assert tree["spec"]["strategy"]["type"] == "RollingUpdate"
    plain: dict[str, Any] = {"spec": {}}
    codec.clean(DEPLOYMENT, plain, defaults=False)
    assert "replicas" not in plain["spec"]


@pytest.mark.parametrize(
    ("group", "name", "tree", "problems"),
    [
        ("", "Pod", {"spec": {"foo": 1}}, ['unknown field "spec.foo"']),
        (
            "apps",
            "Deployment",
            {"spec": {"template": {"spec": {"containers": [{}, {"nodePort": 1}]}}}, "x": 1},
            ['unknown field "spec.template.spec.containers[1].nodePort"', 'unknown field "x"'],
        ),
        ("", "Pod", {"metadata": {"nmae": "a"}}, ['unknown field "metadata.nmae"']),
        ("", "ConfigMap", {"data": {"a": None}}, []),
        ("", "Pod", {"spec": {"containers": [None]}}, []),
    ],
)
def test_unknown_fields_are_dropped_and_named(group: str, name: str, tree: dict[str, Any], problems: list[str]) -> None:
    assert codec.clean(kind(group, name), tree) == problems
    assert codec.clean(kind(group, name), tree) == []


@pytest.mark.parametrize(
    ("group", "name", "tree", "text"),
    [
        (
            "apps",
            "Deployment",
            {"spec": {"replicas": "3"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "apps",
            "Deployment",
            {"spec": {"replicas": 2**31}},
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "",
            "Pod",
            {"spec": {"containers": [{"args": [1]}]}},
            "json: cannot unmarshal number into Go struct field Container.spec.containers.args of type string",
        ),
        (
            "",
            "Pod",
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "",
            "Pod",
            {"metadata": {"labels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            "",
            "Pod",
            {"spec": {"containers": [{"resources": {"limits": {"cpu": "a"}}}]}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ("", "Secret", {"data": {"a": "%"}}, "illegal base64 data at input byte 0"),
        (
            "",
            "Pod",
            {"metadata": {"creationTimestamp": "soon"}},
            'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"',
        ),
    ],
)
def test_wrong_types_are_refused_in_upstreams_words(group: str, name: str, tree: dict[str, Any], text: str) -> None:
    with pytest.raises(StatusError) as caught:
        codec.clean(kind(group, name), tree)
    assert caught.value.code == 400
    assert caught.value.message == f'{name} in version "v1" cannot be handled as a {name}: {text}'


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (b'{"spec":{"a":1}}', []),
        (b'{"spec":{"a":1,"a":2}}', ['duplicate field "spec.a"']),
        (b'{"spec" : {"a" : [{"b":1,"b":1}], "a\\u0022:" : "\\":"}, "spec":{}}', ['duplicate field "spec"']),
        (b'{"x":"\\":\\":\\":"}', []),
    ],
)
def test_duplicates_in_json(body: bytes, problems: list[str]) -> None:
    assert codec.read_body(POD, body)[1] == problems


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('ab":\\{} ', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab":\\{} ', max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text('ab":\\', max_size=3), json_values, max_size=3), st.booleans())
@settings(max_examples=100)
def test_no_duplicates_are_seen_where_there_are_none(tree: dict[str, Any], spaced: bool) -> None:
    body = json.dumps(tree, separators=None if spaced else (",", ":")).encode()
    read, problems = codec.read_body(POD, body)
    assert problems == []
    assert {k: v for k, v in read.items() if k not in ("kind", "apiVersion")} == tree


def test_yaml_keeps_times_as_texts_and_reports_duplicates() -> None:
    body = b"spec:\n  a: 2026-01-01\n  b: yes\n  1: x\nspec: {}\n"
    tree, problems = codec.read_body(POD, body, "application/yaml; charset=utf-8")
    assert tree == {"kind": "Pod", "apiVersion": "v1", "spec": {}}
    assert problems == ['yaml: unmarshal errors:\n  line 5: key "spec" already set in map']
    tree, problems = codec.read_body(POD, b"a: 2026-01-01\nb: true\n1: x\n", "application/yaml")
    assert (tree["a"], tree["b"], tree["1"], problems) == ("2026-01-01", True, "x", [])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b"{",
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error",
        ),
        (b"[]", "cannot unmarshal array into Go value"),
        (b'{"apiVersion":"v2"}', "the API version in the data (v2) does not match the expected API version (v1)"),
        (b'{"kind":"Service"}', 'Service in version "v1" cannot be handled as a Pod'),
    ],
)
def test_bodies_that_are_not_of_the_kind(body: bytes, text: str) -> None:
    with pytest.raises(StatusError) as caught:
        codec.read_body(POD, body)
    assert caught.value.code == 400
    assert text in caught.value.message


def test_delete_options_come_in_any_group_version() -> None:
    options = kind("", "DeleteOptions")
    tree, _ = codec.read_body(options, b'{"kind":"DeleteOptions","apiVersion":"apps/v1","gracePeriodSeconds":0}')
    assert codec.clean(options, tree) == []
    assert codec.from_tree(options, tree).gracePeriodSeconds == 0


def test_maps_are_written_in_order_of_key() -> None:
    a = codec.stored(SECRET, {"metadata": {"labels": {"b": "1", "a": "2"}}, "data": {"y": "", "x": "YQ=="}})
    b = codec.stored(SECRET, {"data": {"x": "YQ==", "y": ""}, "metadata": {"labels": {"a": "2", "b": "1"}}})
    assert a == b


def test_custom_resources() -> None:
    tree: dict[str, Any] = {
        "spec": {"z": 1, "a": {"keep": None}},
        "metadata": {"name": "w", "nope": 1, "creationTimestamp": None, "resourceVersion": "9"},
    }
    assert codec.clean(WIDGET, tree) == ['unknown field "metadata.nope"']
    assert list(tree) == ["kind", "apiVersion", "metadata", "spec"]
    data = codec.stored(WIDGET, tree)
    assert (
        data
        == b'{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"w"},"spec":{"a":{"keep":null},"z":1}}'
    )
    obj = codec.decode(WIDGET, codec.served(WIDGET, data, 5))
    assert (obj.metadata.resourceVersion, obj.get("spec", "z"), obj.get("spec", "q", "r")) == ("5", 1, None)
    assert codec.stored(WIDGET, obj) == data
    assert codec.from_tree(WIDGET, tree).metadata.resourceVersion == "9"
    pruning = dataclasses.replace(WIDGET, prune=lambda t: ['unknown field "spec.z"'] if t["spec"].pop("z", 0) else [])
    assert codec.clean(pruning, tree) == ['unknown field "spec.z"']
    assert tree["spec"] == {"a": {"keep": None}}


def test_to_tree_gives_a_tree_of_its_own() -> None:
    tree: dict[str, Any] = {"metadata": {"labels": {"a": "b"}}}
    codec.to_tree(tree)["metadata"]["labels"]["a"] = "c"
    assert tree["metadata"]["labels"]["a"] == "b"
    assert isinstance(msgspec.json.encode(codec.to_tree(codec.from_tree(POD, tree))), bytes)


@pytest.mark.parametrize("k", KINDS, ids=repr)
def test_the_slow_path_agrees_with_the_fast_one(k: Kind) -> None:
    plain = populated.tree(k.type)
    odd = {"nobody.knows": 1, **json.loads(json.dumps(plain))}
    codec.clean(k, plain)
    assert codec.clean(k, odd) == ['unknown field "nobody.knows"']
    assert odd == plain


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(p for key, below in members for p in paths(below, (*path, key)))]


@pytest.mark.parametrize("name", ["ConfigMap", "Deployment", "Ingress", "CustomResourceDefinition", "Lease"])
def test_any_value_anywhere_is_accepted_or_refused_with_a_reason(name: str) -> None:
    k = next(k for k in KINDS if k.kind == name)
    whole = json.dumps(populated.tree(k.type))
    every = paths(json.loads(whole))[1:]
    for i, path in enumerate(every[:: max(1, len(every) // 150)]):
        tree = json.loads(whole)
        holder = tree
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = (None, 1, "x", [], {}, True, 1.5, [None], {"a": None}, -(2**70))[i % 10]
        try:
            codec.clean(k, tree)
        except StatusError as e:
            assert e.code == 400, path
        else:
            codec.from_tree(k, tree)
