"""The columns against a naive twin: whatever comes and goes, they say what counting everything anew says."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.base import labels
from pelamis.scheduler.podinfo import PodInfo, Term
from pelamis.scheduler.snapshot import PODS, Snapshot

from .make import node, pod

NODES = [f"n{i}" for i in range(5)]
SELECTOR = labels.parse("app=a")
TERM = Term("zone", SELECTOR, frozenset(), labels.parse("team=x"))

changes = st.lists(
    st.one_of(
        st.tuples(st.just("node"), st.sampled_from(NODES), st.sampled_from(["1", "4"]), st.sampled_from("ab")),
        st.tuples(st.just("no node"), st.sampled_from(NODES)),
        st.tuples(
            st.just("pod"),
            st.integers(0, 7),
            st.sampled_from(NODES),
            st.sampled_from(["100m", "1"]),
            st.sampled_from("ab"),
            st.booleans(),
        ),
        st.tuples(st.just("no pod"), st.integers(0, 7)),
        st.tuples(st.just("namespace"), st.sampled_from(["x", "y", None])),
    ),
    max_size=40,
)


def check(snapshot: Snapshot, nodes: dict[str, Any], pods: dict[str, tuple[PodInfo, str]], team: str | None) -> None:
    assert sorted(n.name for n in snapshot.nodes) == sorted(nodes) and snapshot.size == len(nodes)
    for row, info in enumerate(snapshot.nodes):
        assert info.row == row and snapshot.by_name[info.name] is info
        here = [p for p, name in pods.values() if name == info.name]
        want = nodes[info.name]
        for name, column in snapshot.resources.items():
            if name == "pods":
                assert snapshot.requested[PODS, row] == len(here)
            else:
                assert snapshot.requested[column, row] == sum(p.requests.get(name, 0) for p in here)
        assert snapshot.allocatable[0, row] == int(want.status.allocatable["cpu"]) * 1000
        assert snapshot.nonzero[0, row] == sum(p.nonzero[0] for p in here)
        zone = snapshot.labels("zone")
        assert zone.values[zone.ids[row]] == want.metadata.labels["zone"]
        counted = [p for p in here if p.pod.metadata.labels["app"] == "a"]
        assert snapshot.count("default", SELECTOR)[row] == sum(1 for p in counted if not p.terminating)
        assert snapshot.count_terms((TERM,)).array[row] == (len(counted) if team == "x" else 0)
        assert set(info.pods) == {p.uid for p in here}
    assert set(snapshot.pods) == {p.uid for p, _ in pods.values()}


@settings(max_examples=150, deadline=None)
@given(changes)
def test_columns_say_what_counting_says(steps: list[Any]) -> None:
    snapshot = Snapshot(capacity=2)
    nodes: dict[str, Any] = {}
    pods: dict[str, tuple[PodInfo, str]] = {}
    team: str | None = None
    for step in steps:
        if step[0] == "node":
            nodes[step[1]] = node(step[1], cpu=step[2], labels={"zone": step[3]})
            snapshot.set_node(nodes[step[1]])
        elif step[0] == "no node":
            nodes.pop(step[1], None)
            snapshot.remove_node(step[1])
        elif step[0] == "pod":
            info = pod(f"p{step[1]}", step[3], labels={"app": step[4]}, deleted=step[5], requests={"x.com/y": "1"})
            snapshot.remove_pod(info.uid)
            snapshot.add_pod(info, step[2])
            pods[info.uid] = (info, step[2])
        elif step[0] == "no pod":
            snapshot.remove_pod(f"uid-p{step[1]}")
            pods.pop(f"uid-p{step[1]}", None)
        else:
            team = step[1]
            snapshot.set_namespace("default", {"team": team} if team else None)
        check(snapshot, nodes, pods, team)


def test_a_heartbeat_keeps_what_was_worked_out() -> None:
    snapshot = Snapshot()
    snapshot.set_node(node("n"))
    before = snapshot.generation
    snapshot.set_node(node("n"))
    assert snapshot.generation == before
    snapshot.set_node(node("n", cpu="1"))
    assert snapshot.generation == before + 1


def test_a_group_that_ended_starts_anew() -> None:
    snapshot = Snapshot()
    snapshot.set_node(node("n"))
    one, two = pod("a", labels={"app": "a"}), pod("b", labels={"app": "a"})
    for info in (one, two):
        snapshot.add_pod(info, "n")
    for info in (one, two):
        snapshot.remove_pod(info.uid)
    snapshot.add_pod(one, "n")
    assert np.array_equal(snapshot.count("default", SELECTOR), [1])
