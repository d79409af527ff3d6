"""Label and field selectors against naive twins; parse errors in upstream's words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.base import fields, labels
from pelamis.base.labels import Requirement

keys, values = st.sampled_from("abc"), st.sampled_from(["1", "2", "x", ""])
label_maps = st.dictionaries(keys, values, max_size=3)
requirements = st.one_of(
    st.builds(lambda k, o, v: Requirement(k, o, (v,)), keys, st.sampled_from(["=", "==", "!="]), values),
    st.builds(
        lambda k, o, v: Requirement(k, o, tuple(sorted(v))),
        keys,
        st.sampled_from(["in", "notin"]),
        st.sets(values, min_size=1),
    ),
    st.builds(lambda k, o: Requirement(k, o), keys, st.sampled_from(["exists", "!"])),
    st.builds(lambda k, o, v: Requirement(k, o, (v,)), keys, st.sampled_from(["gt", "lt"]), st.sampled_from("12")),
)


def twin(r: Requirement, of: dict[str, str]) -> bool:
    if r.operator in ("=", "==", "in"):
        return r.key in of and of[r.key] in r.values
    if r.operator in ("!=", "notin"):
        return not (r.key in of and of[r.key] in r.values)
    if r.operator == "exists":
        return r.key in of
    if r.operator == "!":
        return r.key not in of
    if not of.get(r.key, "").isdigit():
        return False
    return int(of[r.key]) > int(r.values[0]) if r.operator == "gt" else int(of[r.key]) < int(r.values[0])


@given(st.lists(requirements, max_size=4), label_maps)
def test_matches_as_each_requirement_says(rs: list[Requirement], of: dict[str, str]) -> None:
    assert labels.Selector(rs).matches(of) == all(twin(r, of) for r in rs)


@given(st.lists(requirements, max_size=4))
def test_text_parses_back(rs: list[Requirement]) -> None:
    # a set of the empty value alone has no notation of its own: it reads as the empty set, which is refused
    selector = labels.Selector(r for r in rs if r.operator not in ("in", "notin") or r.values != ("",))
    assert labels.parse(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        (" x = a , y != b ", "x=a,y!=b"),
        ("b,!a", "!a,b"),
        ("x in (b,a,a)", "x in (a,b)"),
        ("x notin (a)", "x notin (a)"),
        ("x in (,)", "x in ()"),
        ("x=", "x="),
        ("x>1,y<2", "x>1,y<2"),
        ("in in (in,notin)", "in in (in,notin)"),
        ("example.com/a==b", "example.com/a==b"),
        ("x,", None),
    ],
)
def test_accepted(text: str, shown: str | None) -> None:
    if shown is None:
        with pytest.raises(labels.SelectorError):
            labels.parse(text)
    else:
        assert str(labels.parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("a in x", "unable to parse requirement: found 'x' expected: '('"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in ()", "for 'in', 'notin' operators, values set can't be empty"),
        ("a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators"),
        ("a=%", 'unable to parse requirement: values[0][a]: Invalid value: "%": a valid label must be an empty'),
        ("-a", 'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of'),
        ("a==(", "unable to parse requirement: found '(', expected: identifier"),
    ],
)
def test_refused(text: str, error: str) -> None:
    with pytest.raises(labels.SelectorError) as caught:
        labels.parse(text)
    assert error in str(caught.value)


def test_label_selectors_of_objects() -> None:
    tree = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["x"]}]}
    struct = SimpleNamespace(
        matchLabels={"a": "1"}, matchExpressions=(SimpleNamespace(key="b", operator="NotIn", values=("x",)),)
    )
    for selector in (labels.from_label_selector(tree), labels.from_label_selector(struct)):
        assert selector.matches({"a": "1"}) and not selector.matches({"a": "1", "b": "x"})
    assert not labels.from_label_selector(None).matches({})
    assert labels.from_label_selector({}).empty and labels.from_labels(None).matches({"a": "b"})
    with pytest.raises(labels.SelectorError, match="is not a valid label selector operator"):
        labels.from_label_selector({"matchExpressions": [{"key": "a", "operator": "Near"}]})
    node = [SimpleNamespace(key="n", operator="Gt", values=("3",))]
    assert labels.from_node_requirements(node).matches({"n": "4"})
    assert not labels.from_node_requirements([]).matches({"n": "4"})


texts = st.text("ab,=\\!", max_size=5)


@given(st.dictionaries(st.sampled_from(["x.y", "z"]), texts, min_size=1), st.booleans(), texts)
def test_field_selectors(wanted: dict[str, str], equal: bool, other: str) -> None:
    text = ",".join(f"{k}{'==' if equal else '!='}{fields.escape(v)}" for k, v in wanted.items())
    selector = fields.parse(text)
    assert fields.parse(str(selector)) == selector
    assert selector.matches(wanted) is equal
    values = dict.fromkeys(wanted, other)
    assert selector.matches(values) == all((other == v) is equal for v in wanted.values())
    assert selector.exact("x.y") == (wanted.get("x.y") if equal else None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b=c", "invalid field selector: unescaped character in value: ="),
        ("a=\\x", "invalid field selector: invalid escape sequence: \\x"),
    ],
)
def test_field_selectors_refused(text: str, error: str) -> None:
    with pytest.raises(fields.FieldSelectorError) as caught:
        fields.parse(text)
    assert str(caught.value) == error
