"""Verdicts and scores per node, and the changes that would help: each as the scheduler itself judges them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.scheduler.core import decide
from pelamis.scheduler.edit import applied
from pelamis.scheduler.explain import explain
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.remedy import Remedy, remedies
from pelamis.scheduler.snapshot import Snapshot

from .make import cluster, node, pod
from .test_plugins import APP, SOFT, TAINT, A, B, affinity, near, select, spread


def helped(snapshot: Snapshot, info: PodInfo) -> list[str]:
    found = remedies(snapshot, PLUGINS, info, explain(snapshot, PLUGINS, info))
    return [" + ".join(e.text for e in remedy.edits) for remedy in found]


PORT = [{"containerPort": 80, "hostPort": 80}]
CLAIM = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}
CASES: dict[str, tuple[list[Any], list[Any], Any, list[str]]] = {
    "cpu": (
        [node("n", cpu="2"), node("m", cpu="4")],
        [pod("a", "1", node="n"), pod("b", "1500m", node="m"), pod("c", "2", node="m")],
        pod("p", "1500m"),
        [
            "lower requests.cpu of container c from 1500m to 1",
            "delete a on n (frees 1 cpu)",
            "add a node like m (4 cpu, 8Gi memory)",
        ],
    ),
    "nothing is big enough": (
        [node("n", cpu="2")],
        [],
        pod("p", "3"),
        ["lower requests.cpu of container c from 3 to 2"],
    ),
    "two pods have to go": (
        [node("n", cpu="2")],
        [pod("a", "1", node="n"), pod("b", "1", node="n")],
        pod("p", "2"),
        ["delete a, b on n (frees 2 cpu)", "add a node like n (2 cpu, 8Gi memory)"],
    ),
    "the less important goes": (
        [node("n", cpu="2")],
        [pod("a", "1", node="n", priority=9), pod("b", "1", node="n")],
        pod("p", "1"),
        ["delete b on n (frees 1 cpu)", "add a node like n (2 cpu, 8Gi memory)"],
    ),
    "priority": (
        [node("n", cpu="1")],
        [pod("a", "1", node="n", priority=5)],
        pod("p", "1", priority=5),
        [
            "delete a on n (frees 1 cpu)",
            "add a node like n (1 cpu, 8Gi memory)",
            "give the pod a PriorityClass above 5: it then takes the place of a on n",
        ],
    ),
    "taint": (
        [node("n", taints=[TAINT])],
        [],
        pod("p"),
        ["add a toleration of k=v:NoSchedule to the pod", "remove the taint k=v:NoSchedule from n"],
    ),
    "two taints": (
        [node("n", taints=[TAINT, {**TAINT, "key": "l"}])],
        [],
        pod("p"),
        [
            "add a toleration of k=v:NoSchedule to the pod + add a toleration of l=v:NoSchedule to the pod",
            "remove the taint k=v:NoSchedule from n + remove the taint l=v:NoSchedule from n",
        ],
    ),
    "cordoned": (
        [node("n", unschedulable=True)],
        [],
        pod("p"),
        [
            "uncordon n",
            "add a toleration of node.kubernetes.io/unschedulable:NoSchedule to the pod",
            "add a node like n (4 cpu, 8Gi memory)",
        ],
    ),
    "not ready": (
        [node("n", taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])],
        [],
        pod("p"),
        [
            "make n healthy: it is not-ready",
            "add a node like n (4 cpu, 8Gi memory)",
            "add a toleration of node.kubernetes.io/not-ready:NoSchedule to the pod",
        ],
    ),
    "selector": (
        [node("n"), node("m")],
        [],
        pod("p", nodeSelector={"disk": "ssd"}),
        ["label m disk=ssd", "drop the pod's nodeSelector disk=ssd"],
    ),
    "affinity": (
        [node("n")],
        [],
        pod("p", **select(("disk", "In", ["ssd", "nvme"]), ("arch", "Exists"))),
        ["label n disk=ssd arch=true", "drop the pod's required node affinity"],
    ),
    "both at once": (
        [node("n", cpu="1")],
        [],
        pod("p", "2", nodeSelector={"disk": "ssd"}),
        [
            "label n disk=ssd + lower requests.cpu of container c from 2 to 1",
            "drop the pod's nodeSelector disk=ssd + lower requests.cpu of container c from 2 to 1",
        ],
    ),
    "port": (
        [node("n")],
        [pod("a", ports=PORT, node="n")],
        pod("p", ports=PORT),
        [
            "drop hostPort 80 of the pod (a Service reaches it without)",
            "delete a on n",
            "add a node like n (4 cpu, 8Gi memory)",
        ],
    ),
    "anti-affinity": (
        [node("n", **A), node("m", **A)],
        [pod("a", node="n", **APP)],
        pod("p", **affinity("podAntiAffinity", [near("a")])),
        ["delete a", "drop the pod's required anti-affinity to pods app=a per topology.kubernetes.io/zone"],
    ),
    "affinity to nobody": (
        [node("n", **A)],
        [],
        pod("p", **affinity("podAffinity", [near("a")])),
        [
            "run a pod that app=a selects on a node with topology.kubernetes.io/zone=a",
            "drop the pod's required affinity to pods app=a per topology.kubernetes.io/zone",
        ],
    ),
    "spread": (
        [node("n", **A), node("m", cpu="1", **B)],
        [pod("a", node="n", **APP), pod("x", "1", node="m")],
        pod("p", "500m", **spread(1), **APP),
        ["raise maxSkew of the spread over topology.kubernetes.io/zone from 1 to 2"],
    ),
    "claim": ([node("n")], [], pod("p", **CLAIM), ["create the PersistentVolumeClaim data"]),
}


@pytest.mark.parametrize("nodes,pods,info,expected", CASES.values(), ids=list(CASES))
def test_what_would_help(nodes: list[Any], pods: list[Any], info: PodInfo, expected: list[str]) -> None:
    snapshot = cluster(*nodes, pods=tuple(pods))
    found = helped(snapshot, info)
    assert found[: len(expected)] == expected


def test_a_sibling_is_not_sent_away() -> None:
    own = {"name": "web", "uid": "u"}
    snapshot = cluster(node("n", cpu="1"), pods=(pod("a", "1", node="n", owner=own),))
    assert not any("delete" in text for text in helped(snapshot, pod("p", "1", owner=own)))


def test_every_plugin_is_asked_about_every_node() -> None:
    snapshot = cluster(node("n", cpu="1", taints=[TAINT]), node("m"), node("o", unschedulable=True))
    report = explain(snapshot, PLUGINS, pod("p", "2", nodeSelector={"disk": "ssd"}))
    by = {n.name: [o.plugin for o in n.objections] for n in report.nodes}
    assert by == {
        "n": ["TaintToleration", "NodeAffinity", "NodeResourcesFit"],
        "m": ["NodeAffinity"],
        "o": ["NodeUnschedulable", "NodeAffinity"],
    }
    assert [len(g.names) for g in report.groups] == [1, 1, 1] and not report.feasible
    assert report.message.startswith("0/3 nodes are available: ")


def test_scores_are_those_of_the_decision() -> None:
    snapshot = cluster(node("n", taints=[SOFT]), node("m"), pods=(pod("q", "1", "1Gi", node="m"),))
    report = explain(snapshot, PLUGINS, pod("p", "1", "1Gi"))
    assert [n.name for n in report.feasible] == ["m", "n"]
    best = decide(snapshot, PLUGINS, pod("p", "1", "1Gi"), draw=lambda: 0.0).node
    assert report.feasible[0].name == best
    taints = next(s for s in report.feasible[0].scores if s.plugin == "TaintToleration")
    assert (taints.raw, taints.weight, taints.weighted) == (100, 3, 300)


def test_a_pod_on_a_node_is_judged_as_if_it_were_not_there() -> None:
    there = pod("p", "3", node="n")
    snapshot = cluster(node("n", cpu="4"), pods=(there,))
    report = explain(snapshot, PLUGINS, there)
    assert report.node == "n" and [n.name for n in report.feasible] == ["n"]
    assert snapshot.pods[there.uid] is there


@st.composite
def worlds(draw: Any) -> tuple[Snapshot, PodInfo]:
    zone = st.sampled_from([A, B, {}])
    nodes = []
    for i in range(draw(st.integers(1, 4))):
        taints = [TAINT] if draw(st.booleans()) else []
        cpu = str(draw(st.integers(1, 4)))
        more = {k: dict(v) for k, v in draw(zone).items()}
        nodes.append(node(f"n{i}", cpu=cpu, taints=taints, unschedulable=draw(st.booleans()), **more))
    pods = []
    for i in range(draw(st.integers(0, 6))):
        where = f"n{draw(st.integers(0, len(nodes) - 1))}"
        rule = affinity("podAntiAffinity", [near("a")]) if draw(st.integers(0, 3)) == 0 else {}
        pods.append(pod(f"q{i}", f"{draw(st.integers(1, 8)) * 250}m", node=where, **APP, **rule))
    own: dict[str, Any] = draw(
        st.sampled_from(
            [
                {},
                {"nodeSelector": {"disk": "ssd"}},
                spread(1),
                affinity("podAffinity", [near("b")]),
                affinity("podAntiAffinity", [near("a")]),
            ]
        )
    )
    info = pod("p", f"{draw(st.integers(1, 16)) * 250}m", ports=PORT, **APP, **own)
    return cluster(*nodes, pods=tuple(pods)), info


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_what_is_said_to_help_does_and_nothing_is_left_behind(world: tuple[Snapshot, PodInfo]) -> None:
    snapshot, info = world
    size = snapshot.size

    def picture() -> Any:
        names = {name: (n.node, sorted(n.pods)) for name, n in snapshot.by_name.items()}
        return snapshot.requested[:, :size].tolist(), snapshot.allocatable[:, :size].tolist(), names

    before = picture()
    report = explain(snapshot, PLUGINS, info)
    decision = decide(snapshot, PLUGINS, info, draw=lambda: 0.0)
    assert bool(report.feasible) == bool(decision.node)
    if decision.node:
        best = report.feasible[0].total
        assert next(n.total for n in report.feasible if n.name == decision.node) == best
    found: list[Remedy] = remedies(snapshot, PLUGINS, info, report)
    assert picture() == before
    for remedy in found:
        if remedy.node not in snapshot.by_name:
            continue  # a node more
        with applied(snapshot, info, snapshot.by_name[remedy.node], remedy.edits) as changed:
            assert decide(snapshot, PLUGINS, changed, draw=lambda: 0.0).node
        assert picture() == before
    assert np.array_equal(snapshot.requested[:, :size], np.array(before[0]))
