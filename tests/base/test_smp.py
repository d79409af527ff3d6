"""Strategic merge patch: each directive, list orders, errors, and that the input stays as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.base import mergepatch, smp
from pelamis.base.shape import LEAF, MAP, STRUCT, Field, Node

Tree = dict[str, Any]


def shape() -> Node:
    """name; items merge by name, and each has items; words merge; flat replaces; once replaces; labels; kept."""
    root = Node(STRUCT, "object")
    merge, words, flat = Node(LEAF, "array"), Node(LEAF, "array"), Node(LEAF, "array")
    merge.element = root
    words.element = Node(LEAF, "string")
    flat.element = root
    labels = Node(MAP, "object")
    labels.element = Node(LEAF, "string")
    root.fields = {
        f.name: f
        for f in (
            Field("name", Node(LEAF, "string")),
            Field("value", Node(LEAF)),
            Field("other", Node(LEAF)),
            Field("items", merge, "merge", "name"),
            Field("words", words, "merge"),
            Field("flat", flat),
            Field("once", root, "replace"),
            Field("inner", root),
            Field("labels", labels),
        )
    }
    return root


SHAPE = shape()


def names(*given: str) -> list[Tree]:
    return [{"name": n} for n in given]


A, B, C, D = ({"name": n, "value": n.upper()} for n in "abcd")

GOOD: dict[str, tuple[Tree, Tree, Tree]] = {
    "add and change": ({"value": 1}, {"value": 2, "other": 3}, {"value": 2, "other": 3}),
    "null deletes": ({"value": 1, "other": 2}, {"value": None, "name": None}, {"other": 2}),
    "nulls in a new map go": ({}, {"inner": {"value": None, "other": 1}}, {"inner": {"other": 1}}),
    "maps merge": ({"labels": {"a": "1"}}, {"labels": {"b": "2"}}, {"labels": {"a": "1", "b": "2"}}),
    "unknown fields merge": ({"x": {"a": 1}}, {"x": {"b": 2}}, {"x": {"a": 1, "b": 2}}),
    "patch replace": ({"inner": {"value": 1}}, {"inner": {"$patch": "replace", "other": 2}}, {"inner": {"other": 2}}),
    "patch delete": ({"inner": {"value": 1}}, {"inner": {"$patch": "delete"}}, {"inner": {}}),
    "patch merge": (
        {"inner": {"value": 1}},
        {"inner": {"$patch": "merge", "other": 2}},
        {"inner": {"value": 1, "other": 2}},
    ),
    "replace the whole": ({"value": 1}, {"$patch": "replace", "other": 2}, {"other": 2}),
    "replace strategy": ({"once": {"value": 1}}, {"once": {"other": 2}}, {"once": {"other": 2}}),
    "retainKeys": (
        {"inner": {"value": 1, "other": 2}},
        {"inner": {"$retainKeys": ["value"], "value": 3}},
        {"inner": {"value": 3}},
    ),
    "flat lists replace": ({"flat": [A]}, {"flat": [B]}, {"flat": [B]}),
    "merge by key": ({"items": [A, B]}, {"items": [{"name": "b", "other": 1}]}, {"items": [A, {**B, "other": 1}]}),
    "merge appends": ({"items": [A]}, {"items": [C]}, {"items": [C, A]}),
    "merge into nothing": ({}, {"items": [A, {"name": "b", "$patch": "delete"}]}, {"items": [A]}),
    "delete an item": ({"items": [A, B, C]}, {"items": [{"name": "b", "$patch": "delete"}]}, {"items": [A, C]}),
    "delete one and add one": ({"items": [A, B]}, {"items": [C, {"name": "a", "$patch": "delete"}]}, {"items": [C, B]}),
    "replace a list": ({"items": [A, B]}, {"items": [{"$patch": "replace"}, C]}, {"items": [C]}),
    "empty a list": ({"items": [A, B]}, {"items": [{"$patch": "replace"}]}, {"items": []}),
    "order of the patch": (
        {"items": [A, B, C, D]},
        {"items": [{"name": "d"}, {"name": "a"}]},
        {"items": [B, C, D, A]},
    ),
    "nested lists": (
        {"items": [{"name": "a", "items": [B]}]},
        {"items": [{"name": "a", "items": [{"name": "b", "value": 1}, C]}]},
        {"items": [{"name": "a", "items": [{"name": "b", "value": 1}, C]}]},
    ),
    "words merge": ({"words": ["a", "b"]}, {"words": ["b", "c"]}, {"words": ["a", "b", "c"]}),
    "words deleted": ({"words": ["a", "b"]}, {"$deleteFromPrimitiveList/words": ["a", "x"]}, {"words": ["b"]}),
    "words deleted, none there": ({}, {"$deleteFromPrimitiveList/words": ["a"]}, {}),
    "words ordered": (
        {"words": ["a", "b", "c"]},
        {"$setElementOrder/words": ["c", "x", "a"], "words": ["x"]},
        {"words": ["b", "c", "x", "a"]},
    ),
    "words ordered and deleted": (
        {"words": ["a", "b"]},
        {"$setElementOrder/words": ["b"], "$deleteFromPrimitiveList/words": ["a"]},
        {"words": ["b"]},
    ),
    "items ordered": (
        {"items": [A, B, C]},
        {"$setElementOrder/items": names("c", "a")},
        {"items": [B, C, A]},
    ),
    "items ordered, changed, deleted": (
        {"items": [A, B, C]},
        {
            "$setElementOrder/items": names("d", "a"),
            "items": [D, {"name": "a", "value": 9}, {"name": "c", "$patch": "delete"}],
        },
        {"items": [D, {"name": "a", "value": 9}, B]},
    ),
    "order without the list": ({}, {"$setElementOrder/items": names("a")}, {}),
    "order with a null": ({"items": [A]}, {"$setElementOrder/items": [], "items": None}, {}),
    "list over a scalar": ({"value": 1}, {"value": [1]}, {"value": [1]}),
}


@pytest.mark.parametrize(("target", "patch", "wanted"), GOOD.values(), ids=GOOD)
def test_applies(target: Tree, patch: Tree, wanted: Tree) -> None:
    before = copy.deepcopy((target, patch))  # noqa: TID251
    assert smp.apply(target, patch, SHAPE) == wanted
    assert (target, patch) == before


BAD: list[tuple[Tree, Any, str, int]] = [
    ({}, [], "json: cannot unmarshal array into Go value of type map[string]interface {}", 400),
    ({}, {"$patch": "x"}, "unknown patch type: x in map: map[$patch:x]", 500),
    ({"items": [A]}, {"items": [{"value": 1}]}, "map: map[value:1] does not contain declared merge key: name", 500),
    (
        {"items": [A]},
        {"items": [{"$patch": "delete"}]},
        "map: map[$patch:delete] does not contain declared merge key: name",
        500,
    ),
    ({"items": [A]}, {"items": [{"$patch": "merge"}]}, "merging lists cannot yet be specified in the patch", 500),
    ({"items": [A]}, {"items": ["x"]}, "list element types are not identical: [[map[name:a value:A]] [x]]", 500),
    ({"words": ["a"]}, {"words": [["a"]]}, "lists of lists are not supported", 422),
    ({"inner": {}}, {"inner": {"$retainKeys": [], "value": 1}}, "invalid patch format of retainKeys", 400),
    ({}, {"$retainKeys": "x"}, "invalid patch format of retainKeys", 400),
    ({}, {"$deleteFromPrimitiveList": []}, "invalid patch format of primitive list", 400),
    ({}, {"$setElementOrder": []}, "invalid patch format of setElementOrder list", 400),
    (
        {"items": [A]},
        {"$setElementOrder/items": names("b"), "items": [A]},
        "The order in patch list:\n[map[name:a value:A]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n",
        500,
    ),
]


@pytest.mark.parametrize(("target", "patch", "message", "code"), BAD)
def test_refuses(target: Tree, patch: Any, message: str, code: int) -> None:
    with pytest.raises(smp.PatchError) as error:
        smp.apply(target, patch, SHAPE)
    assert (str(error.value), error.value.code) == (message, code)


leaves = st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.none()
plain = st.recursive(
    st.dictionaries(st.sampled_from("xyz"), leaves, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), leaves | inner, max_size=3),
    max_leaves=8,
)


@given(plain, plain)
def test_without_lists_it_is_a_merge_patch(target: Tree, patch: Tree) -> None:
    assert smp.apply(target, patch, SHAPE) == mergepatch.apply(target, patch)


@given(st.permutations("abcd"), st.lists(st.sampled_from("abcdef"), unique=True))
def test_merged_order(live: list[str], given_names: list[str]) -> None:
    """The patch's items keep the patch's order, the others theirs, and nothing is lost."""
    merged = smp.apply({"items": names(*live)}, {"items": names(*given_names)}, SHAPE)["items"]
    order = [i["name"] for i in merged]
    assert sorted(order) == sorted({*live, *given_names})
    assert [n for n in order if n in given_names] == given_names
    assert [n for n in order if n not in given_names] == [n for n in live if n not in given_names]
