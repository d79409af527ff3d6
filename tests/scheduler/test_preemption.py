"""Preemption: whether it helps, who has to go, and from which node."""

from __future__ import annotations

from typing import Any

from pelamis.api.codec import from_tree
from pelamis.api.policy.poddisruptionbudget import KIND as BUDGET
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.preemption import Preemption, preempt
from pelamis.scheduler.snapshot import Snapshot

from .make import cluster, node, place, pod


def tried(snapshot: Snapshot, info: PodInfo) -> Preemption:
    before = snapshot.requested.copy()
    result = preempt(snapshot, PLUGINS, info, place(snapshot, info), draw=lambda: 0.0)
    assert result is not None
    assert (snapshot.requested == before).all(), "trying out is undone"
    return result


def victims(result: Preemption) -> list[str]:
    return [v.key[1] for v in result.victims]


def started(hour: int) -> dict[str, Any]:
    return {"status": {"startTime": f"2026-01-01T{hour:02}:00:00Z"}}


def test_no_help() -> None:
    snapshot = cluster(node("n", cpu="2"), node("m", unschedulable=True), pods=(pod("q", "2", node="n", priority=5),))
    result = tried(snapshot, pod("p", "1", priority=5))
    assert result.message == (
        "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, "
        "1 Preemption is not helpful for scheduling."
    )
    assert result.nominated == ""
    assert "2 Preemption is not helpful" in tried(snapshot, pod("p", "100", priority=9)).message


def test_never() -> None:
    snapshot = cluster(node("n", cpu="2"), pods=(pod("q", "2", node="n"),))
    result = tried(snapshot, pod("p", "1", priority=5, preemptionPolicy="Never"))
    assert result.message == "preemption: not eligible due to preemptionPolicy=Never."


def test_as_few_as_possible_and_the_least_important() -> None:
    snapshot = cluster(
        node("n", cpu="3"),
        pods=(
            pod("low", "1", node="n", priority=1),
            pod("old", "1", node="n", priority=2, **started(1)),
            pod("young", "1", node="n", priority=2, **started(2)),
        ),
    )
    assert victims(tried(snapshot, pod("p", "1", priority=9))) == ["low"]
    result = tried(snapshot, pod("p", "2", priority=9))
    assert victims(result) == ["young", "low"] and result.nominated == "n"


def test_budgets_are_kept_where_they_can_be() -> None:
    snapshot = cluster(
        node("n", cpu="1"),
        node("m", cpu="1"),
        pods=(pod("q", "1", node="n", labels={"a": "b"}), pod("r", "1", node="m", priority=3)),
    )
    budget = {"metadata": {"name": "b", "namespace": "default"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    assert victims(tried(snapshot, pod("p", "1", priority=9))) == ["q"]
    snapshot.budgets[("default", "b")] = from_tree(BUDGET, {**budget, "status": {"disruptionsAllowed": 0}})
    assert victims(tried(snapshot, pod("p", "1", priority=9))) == ["r"]


def test_the_best_node_has_the_lowest_highest_victim_then_the_youngest() -> None:
    pods = (
        pod("a", "1", node="n", priority=5),
        pod("b", "1", node="m", priority=2, **started(1)),
        pod("c", "1", node="o", priority=2, **started(2)),
    )
    snapshot = cluster(node("n", cpu="1"), node("m", cpu="1"), node("o", cpu="1"), pods=pods)
    result = tried(snapshot, pod("p", "1", priority=9))
    assert victims(result) == ["c"] and result.nominated == "o"


def test_a_nominated_pod_counts_for_its_equals_and_displaces_the_lesser() -> None:
    snapshot = cluster(node("n", cpu="2"))
    waiting = pod("w", "2", priority=5)
    snapshot.nominate(waiting, "n")
    assert place(snapshot, pod("p", "1", priority=5)).node == ""
    assert place(snapshot, pod("p", "1", priority=6)).node == "n"
    assert place(snapshot, waiting).node == "n"
    snapshot.add_pod(pod("q", "2", node="n", priority=1), "n")
    result = tried(snapshot, pod("p", "1", priority=9))
    assert victims(result) == ["q"] and [d.key[1] for d in result.displaced] == ["w"]


def test_one_eviction_at_a_time() -> None:
    gone = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}
    snapshot = cluster(node("n", cpu="2"), pods=(pod("q", "2", node="n", deleted=True, status=gone),))
    info = pod("p", "1", priority=5, status={"nominatedNodeName": "n"})
    assert "terminating pod on the nominated node" in tried(snapshot, info).message


def test_a_domain_is_freed() -> None:
    zone = {"labels": {"z": "1"}}
    term = {"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "z"}
    away = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    snapshot = cluster(node("n", **zone), pods=(pod("q", node="n", labels={"a": "b"}), pod("r", node="n")))
    assert victims(tried(snapshot, pod("p", priority=5, affinity=away))) == ["q"]
