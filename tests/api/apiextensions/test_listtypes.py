"""Rules in CEL on lists that are sets or maps by their schema: order does not count, ``+`` merges."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.apiextensions.rules import Rules

TEXTS = {"type": "array", "items": {"type": "string"}}
SET = {**TEXTS, "x-kubernetes-list-type": "set"}
ITEM = {"type": "object", "properties": {"a-b": {"type": "string"}, "v": {"type": "integer"}}}
MAP = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a-b"], "items": ITEM}
HOLDER = {"type": "object", "properties": {"s": SET}}
PROPERTIES = {"s": SET, "t": SET, "l": TEXTS, "m": MAP, "n": MAP, "o": HOLDER, "p": HOLDER, "x": TEXTS}
VALUE = {
    "s": ["a", "b"],
    "t": ["b", "a"],
    "l": ["b", "a"],
    "m": [{"a-b": "x", "v": 1}, {"a-b": "y", "v": 2}],
    "n": [{"a-b": "y", "v": 2}, {"a-b": "x", "v": 1}],
    "o": {"s": ["a", "b"]},
    "p": {"s": ["b", "a"]},
}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("self.s == self.t && self.m == self.n && self.o == self.p", True),
        ("self.s != self.t", False),
        ("self.s == self.l", True),
        ("self.l == self.s", False),
        ("self.s == ['a', 'b', 'c'] || self.s == ['a', 'c']", False),
        ("self.s + self.t == ['a', 'b'] && (self.s + ['c']).size() == 3", True),
        ("(self.s + ['c', 'a'])[2] == 'c'", True),
        ("self.l + self.s == ['b', 'a', 'a', 'b']", True),
        ("self.m + self.n == self.n && (self.m + self.n).size() == 2", True),
        ("(self.m + [{'a__dash__b': 'y', 'v': 5}])[1].v == 5", True),
        ("self.s.all(x, self.t == self.s && x in self.t)", True),
        ("oldSelf.s == self.t && oldSelf.m == self.n", True),
    ],
)
def test_operators(rule: str, holds: bool) -> None:
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "x-kubernetes-validations": [{"rule": rule}], "properties": PROPERTIES}
        },
    }
    old: dict[str, Any] = {"spec": {**VALUE, "x": ["changed"]}}
    assert bool(Rules(schema).check({"spec": VALUE}, old, [])) is not holds


def test_an_optional_old_value() -> None:
    rule = {"rule": "!oldSelf.hasValue() || oldSelf.value().s == self.t", "optionalOldSelf": True}
    spec = {"type": "object", "x-kubernetes-validations": [rule], "properties": PROPERTIES}
    rules = Rules({"type": "object", "properties": {"spec": spec}})
    assert not rules.check({"spec": VALUE}, {"spec": {**VALUE, "x": ["changed"]}}, [])
    assert rules.check({"spec": VALUE}, {"spec": {**VALUE, "s": ["c"]}}, [])


def test_what_is_slow_is_held_against_the_limit() -> None:
    spec = {
        "type": "object",
        "x-kubernetes-validations": [{"rule": "self.s.all(x, self.s == self.t)"}],
        "properties": PROPERTIES,
    }
    rules = Rules({"type": "object", "properties": {"spec": spec}})
    many = [str(i) for i in range(1000)]
    (error,) = rules.check({"spec": {"s": many, "t": many}}, None, [])
    assert "call cost exceeds limit" in str(error)
    assert not rules.check({"spec": {"s": many[:40], "t": many[:40]}}, None, [])
