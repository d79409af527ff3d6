"""JSON merge patch: the cases of RFC 7386, and the inverse."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.base import mergepatch

CASES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "wanted"), CASES)
def test_rfc(target: Any, patch: Any, wanted: Any) -> None:
    before = copy.deepcopy((target, patch))  # noqa: TID251
    assert mergepatch.apply(target, patch) == wanted
    assert (target, patch) == before


leaves = st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
objects = st.recursive(
    st.dictionaries(st.text("xyz", min_size=1, max_size=2), leaves, max_size=3),
    lambda inner: st.dictionaries(
        st.text("xyz", min_size=1, max_size=2), leaves | inner | st.lists(leaves, max_size=2), max_size=3
    ),
    max_leaves=8,
)


@given(objects, objects)
def test_diff_is_the_inverse(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert mergepatch.apply(old, mergepatch.diff(old, new)) == new
