"""CEL with the functions of Kubernetes: values, errors and the literals of mutations."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.base.cel import CompileError, EvaluationError, compile_text
from pelamis.base.cel.literal import rewrite

SELF: dict[str, Any] = {"a": 1, "l": [1, 2, 3], "s": "abc", "d": 1.5, "n": None, "m": {"k": "v"}}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("self.a == 1 && self.a < 1.5", True),
        ("has(self.x) || self.s.startsWith('a')", True),
        ("self.?x.orValue('q')", "q"),
        ("self.l.map(x, x > 1, x * 2)", [4, 6]),
        ("self.l.all(i, v, v == i + 1)", True),
        ("cel.bind(x, self.a + 1, x * x)", 4),
        ("self.l.sum()", 6),
        ("self.l.isSorted() && self.l.min() == 1 && self.l.max() == 3", True),
        ("self.l.indexOf(2) == 1 && self.l.lastIndexOf(9) == -1", True),
        ("[[1], [2]].flatten()", [1, 2]),
        ("sets.contains(self.l, [3, 1])", True),
        ("'a-b'.split('-').join('+')", "a+b"),
        ("'x 12 y 3'.findAll('[0-9]+')", ["12", "3"]),
        ("'x 12'.find('[0-9]+')", "12"),
        ("'baac'.findAll('a*')", ["", "aa", ""]),
        ("''.findAll('')", [""]),
        ("{'a': 1}.transformMap(k, v, v > 0, v + 1)", {"a": 2}),
        ("self.m.transformMap(k, v, k + v) == {'k': 'kv'} && self.l.transformMap(i, v, v)[0] == 1", True),
        ("{'a': 'b'}.transformMapEntry(k, v, {v: k})", {"b": "a"}),
        ("['a', 'b'].transformList(i, v, i > 0, v)", ["b"]),
        ("{'a': 1, 'b': 2}.existsOne(k, v, k == 'a' && v == 1)", True),
        ("image('nginx').registry() + '/' + image('nginx').repository()", "index.docker.io/library/nginx"),
        ("image('r.io:5000/a/b:v1').tag() + image('r.io:5000/a/b:v1').identifier()", "v1v1"),
        ("isImage('r.io//a') || isImage('A')", False),
        ("'ab12cd'.find('(a|b)+([0-9])')", "ab1"),
        ("'x(1) y(2)'.findAll('[(](?P<n>[0-9])\\\\)', 1)", ["(1)"]),
        ("'abc'.find('z') + self.l.map(x, 'k7'.find('[0-9]'))[0]", "7"),
        ("('a' + 'a'.replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')).find('(a+)+$z')", ""),
        ("'%s is %d'.format([self.s, self.a])", "abc is 1"),
        ("quantity('1k') == quantity('1000')", True),
        ("quantity('1.5').add(quantity('500m')).asInteger()", 2),
        ("quantity('200M').sub(1).isLessThan(quantity('200M'))", True),
        ("quantity('-3').sign()", -1),
        ("isQuantity('3x')", False),
        ("ip('192.168.0.1').family()", 4),
        ("ip.isCanonical('::0:1')", False),
        ("isIP('1.2.3')", False),
        ("ip('127.0.0.1').isLoopback() && ip('10.0.0.1').isGlobalUnicast()", True),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))", True),
        ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", True),
        ("string(cidr('10.1.2.3/8').masked())", "10.0.0.0/8"),
        ("cidr('10.0.0.1/8').ip() == ip('10.0.0.1')", True),
        ("url('https://u@h.io:8443/a?q=1&q=2').getHost()", "h.io:8443"),
        ("url('https://[::1]:80/').getHostname()", "::1"),
        ("url('https://h.io/a?q=1&q=2').getQuery()", {"q": ["1", "2"]}),
        ("isURL('no url')", False),
        ("semver('1.2.3').isLessThan(semver('1.10.0'))", True),
        ("semver('1.0.0-alpha').compareTo(semver('1.0.0'))", -1),
        ("semver('v1.2', true).minor()", 2),
        ("format.dns1123Label().validate('A').hasValue()", True),
        ("!format.dns1123Label().validate('a').hasValue()", True),
        ("format.named('none').hasValue()", False),
        ("jsonpatch.escapeKey('a/b~c')", "a~1b~0c"),
        ("duration('90s') > duration('1m')", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert compile_text(text, ("self",)).evaluate({"self": SELF}) == expected


@pytest.mark.parametrize(
    "text, error",
    [
        ("self.x == 1", "no such key: x"),
        ("self.l[9] == 1", "index out of bounds: 9"),
        ("self.a + 'x' == 'y'", "no such overload"),
        ("self.a / 0 == 1", "division by zero"),
        ("quantity('1.5').asInteger() == 1", "cannot convert value to integer"),
        ("ip('::ffff:1.2.3.4').family() == 4", 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed'),
    ],
)
def test_failures_are_worded_as_upstream(text: str, error: str) -> None:
    with pytest.raises(EvaluationError) as found:
        compile_text(text, ("self",)).evaluate({"self": SELF})
    assert str(found.value) == error


@pytest.mark.parametrize(
    "text, start",
    [
        ("other == 1", "ERROR: <input>:1:1: undeclared reference to 'other'"),
        ("self +", "ERROR: <input>:1:7: Syntax error"),
        ("1 + 'a'", "ERROR: <input>:1:3: found no matching overload for '_+_'"),
    ],
)
def test_what_does_not_compile(text: str, start: str) -> None:
    with pytest.raises(CompileError) as found:
        compile_text(text, ("self",))
    assert str(found.value).startswith(start)


def test_an_old_self_that_may_be_absent_is_an_optional() -> None:
    program = compile_text("oldSelf.hasValue() ? self > oldSelf.value() : true", ("self", "oldSelf"), "oldSelf")
    assert program.type == "bool"
    assert [program.evaluate({"self": 2, "oldSelf": old}) for old in ([], [1], [3])] == [True, True, False]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Object{spec: Object.spec{replicas: 3}}", '{"spec": {"replicas": 3}}'),
        ("Object{}", "{}"),
        ('[JSONPatch{op: "add", path: "/a", value: {"k": 1}}]', '[{"op": "add", "path": "/a", "value": {"k": 1}}]'),
        ("Object{a: x ? y : z, ?b: c}", '{"a": x ? y : z, ?"b": c}'),
        ("object.Object{a: 1}", "object.Object{a: 1}"),
        ("'Object{a: 1}'", "'Object{a: 1}'"),
        ("Object{l: [1, 2].map(e, Object.l{n: e})}", '{"l": [1, 2].map(e, {"n": e})}'),
    ],
)
def test_literals_of_mutations_become_maps(text: str, expected: str) -> None:
    assert rewrite(text) == expected
