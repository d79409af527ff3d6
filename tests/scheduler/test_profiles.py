"""What a configuration changes: arguments in filters and scores, back-off, several profiles on one queue, metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.affinity import NodeAffinity, TopologySpreadConstraint
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.scheduler import args as a
from pelamis.scheduler import extension as x
from pelamis.scheduler.core import decide
from pelamis.scheduler.extension import Event, Plugin, Rejection
from pelamis.scheduler.plugins import (
    FACTORIES,
    PLUGINS,
    interpodaffinity,
    nodeaffinity,
    noderesourcesfit,
    podtopologyspread,
)
from pelamis.scheduler.profile import IN_TREE, Profile, Settings
from pelamis.scheduler.queue import BACKOFF, UNSCHEDULABLE, Queue
from pelamis.scheduler.run import Scheduler
from pelamis.scheduler.userplugin import guarded
from pelamis.sim.loop import now, run
from tests.apiserver.memory import MemoryServer

from .make import cluster, node, pod, pod_tree
from .test_plugins import APP, A, B, affinity, near

ZONE = "topology.kubernetes.io/zone"


def test_every_plugin_is_known_to_configurations() -> None:
    assert FACTORIES.keys() <= IN_TREE.keys()
    assert [n for n in IN_TREE if n in FACTORIES] == list(FACTORIES)


# -- arguments


def fit(**strategy: Any) -> Any:
    return noderesourcesfit.plugin(a.NodeResourcesFitArgs(scoringStrategy=a.ScoringStrategy(**strategy)))


SHAPE = a.RatioParam((a.ShapePoint(0, 0), a.ShapePoint(50, 10), a.ShapePoint(100, 2)))
STRATEGIES: list[tuple[dict[str, Any], list[int]]] = [
    # Of 4 and 8 cpu, 8 and 8 GiB, with 1 cpu and 2 GiB asked for.
    ({"type": "MostAllocated"}, [25, 18]),
    ({"type": "LeastAllocated", "resources": (a.ResourceSpec("cpu", 3), a.ResourceSpec("memory", 1))}, [75, 84]),
    ({"type": "LeastAllocated", "resources": (a.ResourceSpec("memory"),)}, [75, 75]),
    ({"type": "RequestedToCapacityRatio", "requestedToCapacityRatio": SHAPE}, [50, 37]),
    ({"type": "MostAllocated", "resources": (a.ResourceSpec("a.b/c"),)}, [0, 0]),
]


@pytest.mark.parametrize("strategy,expected", STRATEGIES)
def test_scoring_strategies(strategy: dict[str, Any], expected: list[int]) -> None:
    snapshot = cluster(node("n", cpu="4"), node("m", cpu="8"))
    plugin = fit(**strategy)
    assert plugin.score is not None
    assert list(plugin.score(snapshot, pod("p", "1", "2Gi"), slice(0, 2))) == expected


def test_ignored_resources() -> None:
    snapshot = cluster(node("n"))
    info = pod("p", requests={"a.b/c": "1", "d.e/f": "1"})

    def reasons(**more: Any) -> list[str]:
        plugin = noderesourcesfit.plugin(a.NodeResourcesFitArgs(**more))
        assert plugin.filter is not None
        return sorted(r.reason for r in plugin.filter(snapshot, info, slice(0, 1)))

    assert reasons() == ["Insufficient a.b/c", "Insufficient d.e/f"]
    assert reasons(ignoredResources=("a.b/c",)) == ["Insufficient d.e/f"]
    assert reasons(ignoredResourceGroups=("a.b", "d.e")) == []


def test_added_affinity() -> None:
    def having(key: str, *values: str) -> dict[str, Any]:
        return {"matchExpressions": [{"key": key, "operator": "In", "values": values}]}

    added = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [having(ZONE, "a")]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": having("disk", "ssd")}],
    }
    made = msgspec.convert(added, NodeAffinity)
    plugin = nodeaffinity.plugin(a.NodeAffinityArgs(addedAffinity=made))
    snapshot = cluster(node("n", **A), node("m", **B), node("o", labels={ZONE: "a", "disk": "ssd"}))
    assert plugin.filter is not None and plugin.score is not None and plugin.helps is not None
    (rejection,) = plugin.filter(snapshot, pod("p"), slice(0, 3))
    assert list(rejection.mask) == [False, True, False]
    assert rejection.reason == "node(s) didn't match scheduler-enforced node affinity"
    assert list(plugin.score(snapshot, pod("p"), np.array([0, 2]))) == [0, 100]
    hint = plugin.helps[x.NODE_ADD]
    assert hint is not None and not hint(pod("p"), Event(x.NODE_ADD, None, node("q", **B)))
    assert hint(pod("p"), Event(x.NODE_ADD, None, node("q", **A)))


def test_default_constraints_of_a_list() -> None:
    constraint = TopologySpreadConstraint(maxSkew=1, topologyKey=ZONE, whenUnsatisfiable="DoNotSchedule")
    given = a.PodTopologySpreadArgs(defaultConstraints=(constraint,), defaultingType="List")
    plugin = podtopologyspread.plugin(given)
    assert plugin.filter is not None
    snapshot = cluster(node("n", **A), node("m", **B), pods=(pod("q", node="n", **APP),))
    assert not list(plugin.filter(snapshot, pod("p", **APP), slice(0, 2))), "it belongs to nothing"

    class Service:
        class spec:
            selector = {"app": "a"}

    snapshot.workloads.set_service("default", "s", Service)
    (rejection,) = plugin.filter(snapshot, pod("p", **APP), slice(0, 2))
    assert list(rejection.mask) == [True, False]


def test_weights_of_pod_affinity() -> None:
    friend = pod("q", node="n", **APP, **affinity("podAffinity", [near("a")]))
    snapshot = cluster(node("n", **A), node("m", **B), pods=(friend,))

    def scores(**more: Any) -> Any:
        plugin = interpodaffinity.plugin(a.InterPodAffinityArgs(**more))
        assert plugin.score is not None
        found = plugin.score(snapshot, pod("p", **APP), slice(0, 2))
        return None if found is None else list(found)

    assert scores() == [100, 0]
    assert scores(hardPodAffinityWeight=0) is None
    assert scores(ignorePreferredTermsOfExistingPods=True) is None


# -- the queue


def test_back_off_as_configured() -> None:
    queue = Queue({"default-scheduler": PLUGINS}, initial_backoff_s=4.0, max_backoff_s=6.0)
    queue.add(pod("p"), 0.0)
    expected = [4.0, 6.0, 6.0]
    at = 0.0
    for wait in expected:
        waiting = queue.pop(at)
        assert waiting is not None
        queue.failed(waiting, (), at, error=True)
        assert queue.next_at() == at + wait
        at += wait


def test_a_plugin_that_says_nothing_is_asked_after_every_change() -> None:
    own = Plugin("Own", filter=lambda *_: ())
    queue = Queue({"default-scheduler": PLUGINS, "mine": (own,)})
    queue.add(pod("p", schedulerName="mine"), 0.0)
    waiting = queue.pop(0.0)
    assert waiting is not None
    queue.failed(waiting, ("Own",), 0.0)
    assert queue.counts()[UNSCHEDULABLE] == 1 and queue.unschedulable_by() == {("Own", "mine"): 1}
    queue.event(Event("SomethingElse"), 0.5)
    assert queue.counts()[BACKOFF] == 1
    assert queue.incoming[BACKOFF, "SomethingElse"] == 1


# -- all of it


def play(settings: Settings, *pods: dict[str, Any], seconds: float = 3.0) -> tuple[MemoryServer, Scheduler]:
    async def main() -> tuple[MemoryServer, Scheduler]:
        server = await MemoryServer(now).start()
        for name, cpu in (("n", "4"), ("m", "8")):
            await server.put(NODE, {"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu, "pods": "9"}}})
        await server.put(POD, *pods)
        client = server.client("system:kube-scheduler", "scheduler")
        scheduler = Scheduler(client, clock=now, entropy=lambda: 0.0, cpu=lambda: 0.0, settings=settings)
        task = asyncio.ensure_future(scheduler.run())
        await asyncio.sleep(seconds)
        assert not task.done()
        task.cancel()
        return server, scheduler

    return run(main())


def where(server: MemoryServer) -> dict[str, str]:
    return {p.metadata.name: p.spec.nodeName for p in server.objects(POD)}


def test_profiles_share_a_queue_and_a_picture() -> None:
    packing = fit(type="MostAllocated", resources=(a.ResourceSpec("cpu"),))
    profiles = (Profile(), Profile("packing", (packing,)))
    server, _ = play(
        Settings(profiles),
        pod_tree("a", "3", schedulerName="packing"),
        pod_tree("b", "3", schedulerName="packing"),
        pod_tree("c", "1", schedulerName="packing"),
        pod_tree("d", "1"),
        pod_tree("e", "1", schedulerName="nobody"),
    )
    found = where(server)
    assert found["a"] == "n" and found["b"] == "m" and found["c"] == "n"
    assert found["d"] == "m" and found["e"] == "", "a pod of another scheduler is left alone"


def test_a_plugin_that_fails_shows_in_the_pod_and_holds_nobody_up() -> None:
    def broken(snapshot: Any, info: Any, rows: Any) -> Any:
        raise KeyError("rack")

    bad = Profile("bad", (guarded(Plugin("Rack", filter=broken)),))
    server, scheduler = play(Settings((Profile(), bad)), pod_tree("p", "1", schedulerName="bad"), pod_tree("q", "1"))
    assert where(server) == {"p": "", "q": "m"}
    (condition,) = server.get(POD, "default", "p").status.conditions
    assert (condition.reason, condition.status) == ("SchedulerError", "False")
    assert condition.message == "running \"Rack\" filter plugin: KeyError: 'rack'"
    assert scheduler.queue.counts()[BACKOFF] == 1


def test_no_preemption_where_it_is_disabled() -> None:
    low = pod_tree("low", "8", priority=1, node="m")
    high = pod_tree("high", "8", priority=9)
    for preemption, nominated in ((None, ""), (a.DefaultPreemptionArgs(), "m")):
        server, _ = play(Settings((Profile(preemption=preemption),)), low, high)
        assert server.get(POD, "default", "high").status.nominatedNodeName == nominated


def test_metrics() -> None:
    only = guarded(Plugin("Never", helps={}, filter=lambda s, i, r: [Rejection(np.ones(s.size, np.bool_)[r], "no")]))
    settings = Settings((Profile(), Profile("never", (only,))))
    pods = [pod_tree(f"p{i}", "100m") for i in range(20)]
    _, scheduler = play(settings, *pods, pod_tree("q", schedulerName="never"))
    registry = CollectorRegistry()
    registry.register(scheduler.measures)
    page = generate_latest(registry).decode()
    for line in (
        'scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"} 18.0',
        'scheduler_schedule_attempts_total{profile="never",result="unschedulable"} 1.0',
        'scheduler_pending_pods{queue="unschedulable"} 3.0',
        'scheduler_unschedulable_pods{plugin="Never",profile="never"} 1.0',
        'scheduler_queue_incoming_pods_total{event="PodAdd",queue="active"} 21.0',
        'scheduler_queue_incoming_pods_total{event="ScheduleAttemptFailure",queue="unschedulable"} 3.0',
        "scheduler_pod_scheduling_attempts_count 18.0",
        'scheduler_cache_size{type="nodes"} 2.0',
    ):
        assert line in page
    assert "scheduler_plugin_execution_duration_seconds_bucket" in page
    assert decide(scheduler.snapshot, PLUGINS, pod("z"), draw=float).node == ""
