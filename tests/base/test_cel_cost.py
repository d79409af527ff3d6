"""What expressions cost: by schemas, where upstream's own figures are the oracle, and on values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pelamis.api.apiextensions.declared import declare
from pelamis.base.cel import CompileError, compile_text
from pelamis.base.cel.budget import PER_CALL, Budget, CallLimit, OutOfBudget, bound_of, cost_of
from pelamis.base.cel.cost import MOST, Shape, estimate
from pelamis.base.cel.typed import Checker

Schema = dict[str, Any]
Sized = Callable[[int | None], Schema]
LIMIT = 10_000_000


def scalar(kind: str) -> Schema:
    if kind == "int-or-string":
        return {"x-kubernetes-int-or-string": True}
    if kind in ("date", "date-time", "duration", "byte"):
        return {"type": "string", "format": kind}
    return {"type": kind}


def limited(schema: Schema, name: str, limit: int | None) -> Schema:
    return schema if limit is None else {**schema, name: limit}


def text(kind: str = "string") -> Sized:
    return lambda most: limited(scalar(kind), "maxLength", most)


def items(below: Schema | str) -> Sized:
    inner = scalar(below) if isinstance(below, str) else below
    return lambda most: limited({"type": "array", "items": inner}, "maxItems", most)


def entries(below: Schema | str) -> Sized:
    inner = scalar(below) if isinstance(below, str) else below
    return lambda most: limited({"type": "object", "additionalProperties": inner}, "maxProperties", most)


def members(**properties: Sized) -> Sized:
    return lambda most: {"type": "object", "properties": {n: p(most) for n, p in properties.items()}}


def both(most: int | None) -> Schema:
    return items(text()(most))(most)


REQUIRED = {"type": "object", "properties": {"required": {"type": "string"}}, "required": ["required"]}
ALL = "self.all(x, true)"


@pytest.mark.parametrize(
    "schema, rule, without, most, limits",
    [
        (items("number"), ALL, 4718591, 10, 32),
        (items("string"), ALL, 3145727, 20, 62),
        (items("boolean"), ALL, 1887437, 5, 17),
        (items(items("number")(None)), ALL, 3145727, 100, 302),
        (entries("number"), ALL, 1348169, 10, 32),
        (entries("string"), ALL, 1179647, 3, 11),
        (entries("boolean"), ALL, 943718, 100, 302),
        (text(), "self.contains('test')", 314574, 10, 5),
        (text(), "self.startsWith('test')", 2, 15, 2),
        (text(), "self.endsWith('test')", 2, 30, 2),
        (text(), 'size(self + "hello") > size("hello")', 314578, 4, 7),
        (items("number"), "self[1] == 0.0", 2, 5000, 2),
        (items("string"), "self[1] == self[1]", 314577, 8, 314577),
        (items("number"), "self.all(x, self.all(y, true))", None, 10, 352),
        (items("number"), "self.all(x, self.all(y, self.all(z, true)))", None, 10, 3552),
        (text(), 'self.matches("x")', 314574, 50, 22),
        (text(), '"".matches("(((((((((())))))))))[0-9]")', 7, 10, 7),
        (text(), 'self.matches("")', 1, 100, 1),
        (entries("number"), 'self["x"] == 0.0', 2, 0, 2),
        (text(), 'self == "x"', 2, 0, 1),
        (text("byte"), 'self == b"x"', 2, 0, 1),
        (items("number"), "self.all(x, x == 0.0)", 6291454, 3 * 1024 * 2048, 25165826),
        (items("int-or-string"), ALL, 4718591, 10, 32),
        (items("int-or-string"), "self[0] == 5", 3, 10, 3),
        (items("boolean"), "self[0] == false", 2, 25, 2),
        (items(REQUIRED), "self[0] == null", 2, 422, 2),
        (items(items("number")(None)), "self[0][0] == -1.0", 3, 51, 3),
        (items(entries("number")(None)), "self.all(x, x.y == 25.2)", 6291452, 12, 74),
        (items(entries("number")(None)), "self[0].x > 2.0", 4, 3000, 4),
        (items("duration"), ALL, 2359295, 5, 17),
        (items("duration"), "self[0].getHours() == 2", 4, 525, 4),
        (items("date"), ALL, 725936, 15, 47),
        (items("date"), "self[2].getDayOfMonth() == 13", 4, 42, 4),
        (items("date-time"), ALL, 428963, 25, 77),
        (items("date-time"), "self[2].getMinutes() == 45", 4, 99, 4),
        (entries("int-or-string"), ALL, 1348169, 15, 47),
        (entries(entries("number")(None)), ALL, 1179647, 10, 32),
        (entries(items("number")(None)), ALL, 1179647, 25, 77),
        (entries("duration"), ALL, 1048577, 5, 17),
        (entries("date"), ALL, 524288, 10, 32),
        (entries("date-time"), ALL, 349526, 25, 77),
        (text(), "self.find('[0-9]+') == ''", 629147, 10, 11),
        (both, "self.join(' ') == 'aa bb'", 329853068905, 10, 43),
        (both, "self.isSorted() == true", 329854432052, 10, 52),
        (members(str=text(), separator=text()), "self.str.split(self.separator) == []", 629160, 10, 22),
        (text(), "self.lowerAscii() == 'lower!'", 314575, 10, 6),
        (entries("integer"), "oldSelf.size() == self.size()", 5, 10, 5),
        (entries("date-time"), 'self["a"] == self["b"]', 8, 7, 8),
        (entries("duration"), 'self["c"] == self["d"]', 8, 42, 8),
        (lambda most: {**text()(most), "enum": ["A", "LongValue"]}, "self.contains('A')", 2, 1000, 401),
    ],
)
def test_estimates_are_those_of_upstream(schema: Sized, rule: str, without: int | None, most: int, limits: int) -> None:
    def cost(limit: int | None) -> int:
        declared = declare(schema(limit))
        assert declared is not None
        return estimate(
            compile_text(rule, ("self", "oldSelf")).checked, dict.fromkeys(("self", "oldSelf"), declared.shape)
        )

    if without is None:
        assert cost(None) > LIMIT
    else:
        assert cost(None) == without
    assert cost(most) == limits


OBJECT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "a-b": {"type": "integer"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "any": {"x-kubernetes-preserve-unknown-fields": True},
    },
}


@pytest.mark.parametrize(
    "rule, undefined, old",
    [
        ("self.name == 'a' && self.a__dash__b > 1 && self.map.k == 1 && has(self.metadata.name)", "", ""),
        ("self.foo == 1", "1:5: undefined field 'foo'\n | self.foo == 1\n | ....^", ""),
        ("has(self.foo)", "1:4: undefined field 'foo'", ""),
        ("self.list.all(e, e.x == 'a')", "", ""),
        ("self.list.all(e, e.y == 'a')", "1:19: undefined field 'y'", ""),
        ("self.list.filter(e, e.x == 'a')[0].y == 1", "1:35: undefined field 'y'", ""),
        ("self.list.map(e, {'q': e.x})[0].q == 'a' && dyn(self).foo == 1", "", ""),
        ("self.any == 1", "1:5: undefined field 'any'", ""),
        ("self.metadata.labels == {}", "1:14: undefined field 'labels'", ""),
        ("self.?name.hasValue() || self.?foo.hasValue()", "1:30: undefined field 'foo'", ""),
        ("cel.bind(z, self.list, z[0].x == z[0].z)", "1:38: undefined field 'z'", ""),
        ("oldSelf.hasValue() ?\n oldSelf.value().foo == 1 : true", "2:17: undefined field 'foo'", "oldSelf"),
        ("oldSelf.orValue(self).foo == 1", "1:22: undefined field 'foo'", "oldSelf"),
    ],
)
def test_members_that_a_schema_lacks_are_found(rule: str, undefined: str, old: str) -> None:
    declared = declare(OBJECT, resource=True)
    assert declared is not None
    old_shape = Shape("list", 1, elem=declared.shape) if old else declared.shape
    checker = Checker({"self": declared.shape, "oldSelf": old_shape})
    try:
        checker.check(rule, old)
    except CompileError as error:
        assert undefined and str(error).removeprefix("ERROR: <input>:").startswith(undefined)
    else:
        assert not undefined


@pytest.mark.parametrize(
    "rule, size, least, most",
    [
        ("self.l.all(x, x > 0)", 100, 400, 1000),
        ("self.l.all(x, self.l.exists(y, x == y))", 100, 10_000, 100_000),
        ("self.l.all(x, self.l.all(y, self.l.all(z, x + y > z)))", 100, 1_000_000, 10_000_000),
        ("self.l.filter(x, x > 2).map(x, string(x)).all(s, s.startsWith('a'))", 50, 500, 2500),
        ("self.s.split(',').all(p, p.matches('^[0-9]*$'))", 50, 100, 3000),
        ("lists.range(self.n).all(x, x >= 0)", 10, 40, 200),
        ("lists.range(1000000000).all(x, x >= 0)", 1, 1_000_000_000, MOST),
        ("self.s.replace('a', self.s).contains(self.s)", 100, 500, 100_000),
        ("[self.l, self.l].flatten().all(x, x > 0)", 100, 800, 3000),
        ("'%s'.format([self.l]).size() > 3", 10, 5, 100),
    ],
)
def test_the_cost_on_values(rule: str, size: int, least: int, most: int) -> None:
    value = {"l": list(range(size)), "s": "1," * size, "n": size}
    assert least <= cost_of(compile_text(rule, ("self",)), {"self": value}) <= most


def test_what_is_charged() -> None:
    cheap = compile_text("self.a == 1", ("self",))
    value = {"self": {"a": 1, "l": [1] * 300}}
    budget = Budget()
    for _ in range(1000):
        budget.charge(cheap, value)
    assert budget.left == Budget().left, "what is cheap on any value is not held against the budget"
    squared = compile_text("self.l.all(x, self.l.all(y, x == y))", ("self",))
    assert bound_of(squared) > PER_CALL > cost_of(squared, value) > 200_000
    with pytest.raises(OutOfBudget):
        for _ in range(100):
            budget.charge(squared, value)
    with pytest.raises(CallLimit):
        Budget().charge(compile_text("self.l.all(x, self.l.all(y, self.l.all(z, x == z)))", ("self",)), value)
