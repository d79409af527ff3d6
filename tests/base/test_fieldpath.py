"""Field sets against a naive twin: sets of paths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pelamis.base import fieldpath as fp

Paths = frozenset[tuple[str, ...]]
members = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"z"'])
path_sets = st.frozensets(st.lists(members, min_size=1, max_size=3).map(tuple), max_size=8)


def build(paths: Paths) -> fp.Set:
    out: fp.Set = {}
    for path in sorted(paths):
        fp.insert(out, path)
    return out


def back(a: fp.Set) -> Paths:
    return frozenset(fp.paths(a))


@given(path_sets)
def test_round_trip(a: Paths) -> None:
    made = build(a)
    assert back(made) == a
    assert fp.canonical(made) == made
    assert all(fp.has(made, p) for p in a)


@given(path_sets, path_sets)
def test_operations(a: Paths, b: Paths) -> None:
    x, y = build(a), build(b)
    before = (repr(x), repr(y))
    assert back(fp.union(x, y)) == a | b
    assert back(fp.difference(x, y)) == a - b
    assert back(fp.intersection(x, y)) == a & b
    under = frozenset(p for p in a if not any(p[: len(q)] == q for q in b))
    assert back(fp.recursive_difference(x, y)) == under
    assert (repr(x), repr(y)) == before


@given(path_sets, path_sets)
def test_results_have_one_form(a: Paths, b: Paths) -> None:
    for made in (fp.union(build(a), build(b)), fp.difference(build(a), build(b)), fp.intersection(build(a), build(b))):
        assert made == build(back(made))


def test_shown_paths() -> None:
    path = ("f:spec", "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}', "f:name")
    assert fp.show(path) == '.spec.ports[containerPort=80,protocol="TCP"].name'
    assert fp.show(("f:finalizers", 'v:"a/b"')) == '.finalizers[="a/b"]'
    assert fp.show(("f:x", "i:3")) == ".x[3]"


def test_canonical_keys_and_unknown_elements() -> None:
    given_set = {"f:c": {'k:{"protocol": "TCP", "containerPort": 80}': {}, "x:new": {}}}
    assert fp.canonical(given_set) == {"f:c": {'k:{"containerPort":80,"protocol":"TCP"}': {}}}
