"""JSON patch: the RFC's operations, the Go library's leniences and texts, and that the input stays as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pelamis.base import jsonpatch

Op = dict[str, Any]


def op(kind: str, path: str, **more: Any) -> Op:
    return {"op": kind, "path": path, **more}


GOOD: list[tuple[Any, list[Op], Any]] = [
    ({"foo": "bar"}, [op("add", "/baz", value="qux")], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["a", "b"]}, [op("add", "/foo/1", value="x")], {"foo": ["a", "x", "b"]}),
    ({"foo": ["a"]}, [op("add", "/foo/-", value="x")], {"foo": ["a", "x"]}),
    ({"foo": ["a"]}, [op("add", "/foo/1", value="x")], {"foo": ["a", "x"]}),
    ({"foo": ["a"]}, [op("add", "/foo/-1", value="x")], {"foo": ["a", "x"]}),
    ({"foo": 1, "bar": 2}, [op("remove", "/bar")], {"foo": 1}),
    ({"foo": ["a", "b", "c"]}, [op("remove", "/foo/1")], {"foo": ["a", "c"]}),
    ({"foo": ["a", "b"]}, [op("remove", "/foo/-1")], {"foo": ["a"]}),
    ({"baz": 1}, [op("replace", "/baz", value=[])], {"baz": []}),
    ({"foo": {"a": 1}, "q": {}}, [op("move", "/q/b", **{"from": "/foo/a"})], {"foo": {}, "q": {"b": 1}}),
    ({"foo": ["a", "b", "c"]}, [op("move", "/foo/2", **{"from": "/foo/0"})], {"foo": ["b", "c", "a"]}),
    (
        {"a": {"b": [1]}},
        [op("copy", "/c", **{"from": "/a"}), op("add", "/c/b/-", value=2)],
        {"a": {"b": [1]}, "c": {"b": [1, 2]}},
    ),
    ({}, [op("replace", "/a", value=1)], {"a": 1}),
    ({}, [op("copy", "/a", **{"from": "/b"}), op("add", "x/c")], {"a": None, "c": None}),
    ({"a~b": 1, "c/d": 2}, [op("remove", "/a~0b"), op("remove", "/c~1d")], {}),
    ({"a": 1}, [op("test", "/a", value=1), op("test", "/none", value=None)], {"a": 1}),
    ({"a": {"x": [1, {"y": None}]}}, [op("test", "/a", value={"x": [1, {"y": None}]})], {"a": {"x": [1, {"y": None}]}}),
    ({"a": 1}, [op("replace", "", value={"b": 2})], {"b": 2}),
    ({"a": None}, [op("replace", "/a", value=1)], {"a": 1}),
]

BAD: list[tuple[Any, list[Op], str]] = [
    ({}, [op("add", "/a/b", value=1)], 'add operation does not apply: doc is missing path: "/a/b": missing value'),
    (
        {"a": []},
        [op("add", "/a/3", value=1)],
        "error in add for path: '/a/3': Unable to access invalid index: 3: invalid index referenced",
    ),
    ({}, [op("remove", "/a")], "error in remove for path: '/a': unable to remove nonexistent key: a: missing value"),
    (
        {},
        [op("replace", "/a/b", value=1)],
        "replace operation does not apply: doc is missing path: /a/b: missing value",
    ),
    ({"a": 1}, [op("test", "/a", value=2)], "testing value /a failed: test failed"),
    ({"a": 1}, [op("test", "/a", value=True)], "testing value /a failed: test failed"),
    (
        {},
        [op("move", "/b", **{"from": "/a"})],
        "error in move for path: '/a': unable to remove nonexistent key: a: missing value",
    ),
    ({}, [op("merge", "/b")], "Unexpected kind: merge"),
]


@pytest.mark.parametrize(("target", "patch", "wanted"), GOOD)
def test_applies(target: Any, patch: list[Op], wanted: Any) -> None:
    before = copy.deepcopy((target, patch))  # noqa: TID251
    assert jsonpatch.apply(target, patch) == wanted
    assert (target, patch) == before


@pytest.mark.parametrize(("target", "patch", "message"), BAD)
def test_refuses(target: Any, patch: list[Op], message: str) -> None:
    before = copy.deepcopy(target)  # noqa: TID251
    with pytest.raises(jsonpatch.PatchError) as error:
        jsonpatch.apply(target, patch)
    assert str(error.value) == message
    assert target == before


@pytest.mark.parametrize(("body", "kind"), [({}, "object"), ("x", "string"), (1, "number"), (None, "null")])
def test_a_patch_is_a_list(body: Any, kind: str) -> None:
    with pytest.raises(
        jsonpatch.PatchFormatError, match=f"cannot unmarshal {kind} into Go value of type ..handlers.jsonPatchOp"
    ):
        jsonpatch.decode(body)
