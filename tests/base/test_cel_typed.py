"""Expressions against the declared types of their variables, and regular expressions in Go's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pelamis.base import regexp
from pelamis.base.cel import CompileError
from pelamis.base.cel.cost import Shape
from pelamis.base.cel.typed import Checker

INT, TEXT, DYN = Shape("int"), Shape("string"), Shape("dyn")
KIND = Shape("object", members={"group": TEXT})
SELF = Shape(
    "object",
    members={
        "n": INT,
        "s": TEXT,
        "t": Shape("timestamp"),
        "any": DYN,
        "ls": Shape("list", elem=TEXT),
        "ll": Shape("list", elem=Shape("list", elem=INT)),
        "sub": Shape("list", elem=Shape("object", members={"x": INT, "value": KIND})),
        "m": Shape("map", elem=Shape("object", members={"x": INT})),
        "kind": KIND,
        "otherKind": KIND,
        "fooBar": INT,
        "foo_bar": INT,
    },
)
CHECKER = Checker({"self": SELF, "old": SELF, "a": Shape("kubernetes.authorization.Authorizer")})
OPTIONAL = Checker({"self": SELF, "oldSelf": Shape("list", elem=SELF)})
_NONE = "found no matching overload for"


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("self.n + 1 > 2 && self.n < 1.5 && self.any + 1 == 2 && self.ll[0][0] == 1", ""),
        ("self.n + 'a' == ''", f"1:8: {_NONE} '_+_' applied to '(int, string)'\n | self.n + 'a' == ''\n | .......^"),
        ("self.n == self.s", f"1:8: {_NONE} '_==_' applied to '(int, string)'"),
        ("self.n ==\n self.s", f"1:8: {_NONE} '_==_' applied to '(int, string)'\n | self.n ==\n | .......^"),
        ("self.zz.y == 1", "1:5: undefined field 'zz'\n | self.zz.y == 1\n | ....^"),
        ("self.sub[0].y == 1", "1:12: undefined field 'y'"),
        ("self.m.k.y == 1", "1:9: undefined field 'y'"),
        ("self.s.y == 1", "1:7: type 'string' does not support field selection"),
        ("self.kind == self.otherKind && self == old && self.sub[0].value == self.kind", ""),
        ("self.kind == null && self.t == null", ""),
        ("self.n == null", f"1:8: {_NONE} '_==_' applied to '(int, null_type)'"),
        ("self.ls.all(x, x > 1)", f"1:18: {_NONE} '_>_' applied to '(string, int)'"),
        ("1 in self.ls", f"1:3: {_NONE} '@in' applied to '(int, list(string))'"),
        ("self.s ? true : false", f"1:8: {_NONE} '_?_:_' applied to '(string, bool, bool)'"),
        ("quantity('1').isLessThan(2)", f"1:25: {_NONE} 'isLessThan' applied to '(kubernetes.Quantity, int)'"),
        ("a.check('get')", f"1:8: {_NONE} 'check' applied to '(kubernetes.authorization.Authorizer, string)'"),
        ("a.requestResource.check('get').allowed()", ""),
        ("format.named('uri').value().validate(self.s).hasValue()", ""),
        ("[1, 'a'].size() == 2", "1:5: expected type 'int' but found 'string'"),
        ("{'a': 1, 'b': 'c'}.size() == 2", "1:15: expected type 'int' but found 'string'"),
        ("'%s %d'.format(['a', 1]) == ''", ""),
        ("duration('x') == duration('1s')", "1:10: invalid duration argument"),
        ("timestamp('x') == self.t", "1:11: invalid timestamp argument"),
        ("self.s.matches('[a')", "1:16: invalid matches argument"),
        ("self.ls.sort() == self.ls", "1:13: undeclared reference to 'sort' (in container '')"),
        (
            "1 > 0 && par.x == 1",
            "1:10: undeclared reference to 'par' (in container '')\n | 1 > 0 && par.x == 1\n | .........^",
        ),
        ("par.x.y == 1", "1:1: undeclared reference to 'par' (in container '')"),
        ("has(self.ls[0])", "1:12: invalid argument to has() macro"),
        ("self.fooBar == self.foo_bar", ""),
    ],
)
def test_types(text: str, wrong: str) -> None:
    if not wrong:
        assert str(CHECKER.check(text)) == "bool"
        return
    with pytest.raises(CompileError) as caught:
        CHECKER.check(text)
    assert str(caught.value).startswith(f"ERROR: <input>:{wrong}")


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("oldSelf.?n.orValue(1) == self.n && oldSelf.orValue(self).n == 1", ""),
        ("oldSelf.value().n == 'a'", f"1:19: {_NONE} '_==_' applied to '(int, string)'"),
        ("true ||\n oldSelf.foo", "2:9: undefined field 'foo'\n |  oldSelf.foo\n | ........^"),
        ("self.n == 1 // a comment", ""),
        ("self.n == (1", "1:13: Syntax error: "),
    ],
)
def test_an_optional_old_value(text: str, wrong: str) -> None:
    if not wrong:
        assert str(OPTIONAL.check(text, "oldSelf")) == "bool"
        return
    with pytest.raises(CompileError) as caught:
        OPTIONAL.check(text, "oldSelf")
    assert str(caught.value).startswith(f"ERROR: <input>:{wrong}")


@pytest.mark.parametrize(
    "text, shown",
    [
        ("self", "object_self"),
        ("self.sub.map(x, x.x)", "list(int)"),
        ("self.m.transformMap(k, v, v.x)", "map(string, int)"),
        ("self.?n", "optional_type(int)"),
        ("self.any", "dyn"),
        ("null", "null_type"),
        ("[1].sum()", "int"),
        ("quantity('1')", "kubernetes.Quantity"),
    ],
)
def test_results(text: str, shown: str) -> None:
    found = CHECKER.check(text)
    assert str(found) == shown
    again = Checker({"x": CHECKER.shape(found)} if "optional" not in shown else {"x": DYN})
    assert again.check("x")


@pytest.mark.parametrize(
    "pattern, wrong",
    [
        ("[a", "missing closing ]: `[a`"),
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a(?=x)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?P<n>a)(?P<n>b)", "invalid named capture: `(?P<n>`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("\\8", "invalid escape sequence: `\\8`"),
        ("\\C", "invalid escape sequence: `\\C`"),
    ],
)
def test_patterns_that_go_refuses(pattern: str, wrong: str) -> None:
    with pytest.raises(regexp.PatternError) as caught:
        regexp.check(pattern)
    assert str(caught.value) == f"error parsing regexp: {wrong}"


NAMES = (
    "a",
    "A",
    "aB",
    "a_b",
    "_a",
    "a_",
    "__if__",
    "value",
    "key",
    "AEntry",
    "ABEntry",
    "item_1",
    "a_type1",
    "x1",
    "a__b",
)


@given(st.recursive(st.sampled_from(("int", "string", "dyn", "timestamp", "bytes")), lambda below: st.one_of(
    st.tuples(st.sampled_from(("list", "map")), below),
    st.dictionaries(st.sampled_from(NAMES), below, max_size=8)), max_leaves=20))  # fmt: skip
@example({"a": {}, "a_type1": "int"})
@settings(max_examples=60)
def test_any_shape_can_be_declared(plan: Any) -> None:
    def made(plan: Any) -> Shape:
        if isinstance(plan, str):
            return Shape(plan)
        if isinstance(plan, tuple):
            return Shape(plan[0], elem=made(plan[1]))
        return Shape("object", members={name: made(below) for name, below in plan.items()})

    shape = made(plan)
    checker = Checker({"self": shape, "old": shape})
    assert str(checker.check("self == old")) == "bool"
    for name in plan if isinstance(plan, dict) else ():
        assert str(checker.check(f"has(self.{name})")) == "bool"
        with pytest.raises(CompileError):
            checker.check(f"self.{name}_none == 1")
