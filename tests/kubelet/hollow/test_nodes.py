"""Hollow nodes on virtual time: registration, leases, pods of every sort, faults."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.base.clock import parse_rfc3339
from pelamis.client.types import Create, Patch
from pelamis.kubelet.hollow.node import HollowNode
from pelamis.kubelet.hollow.run import HollowNodes
from pelamis.sim import loop
from tests.kubelet.hollow.world import World, notes, phases, play, pod, ready


def test_a_pod_that_nothing_delays_is_running_and_ready_in_one_write() -> None:
    async def scenario(world: World) -> None:
        assert ready(world.node())
        await world.create(pod("web"))
        found = world.pod("web")
        assert found.status.phase == "Running" and ready(found)
        assert found.status.podIP == "10.1.0.2" and found.status.hostIP == "127.1.0.1"
        assert {c.type: c.status for c in found.status.conditions} == dict.fromkeys(
            ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
        )
        assert world.nodes.agent.outbox.writes == 3, "the node, its lease, the pod's status"
        await world.sleep(10.1)
        assert world.nodes.agent.outbox.writes == 4, "one renewal"
        assert world.reasons("web") == ["Pulling", "Pulled", "Created", "Started"]

    play(scenario)


def test_leases_are_spread_and_statuses_beat() -> None:
    async def scenario(world: World) -> None:
        renewed: dict[str, list[float]] = {}

        def on(key: Any, old: Any, new: Any) -> None:
            renewed.setdefault(key[1], []).append(loop.now())

        world.server.objects.view("leases.coordination.k8s.io").subscribe(on, replay=False)
        await world.sleep(40)
        assert len(renewed) == 20 and all(len(times) in (3, 4) for times in renewed.values())
        assert all(abs((b - a) - 10) < 1e-3 for times in renewed.values() for a, b in itertools.pairwise(times))
        places = sorted(times[0] % 10 for times in renewed.values())
        assert max(b - a for a, b in itertools.pairwise(places)) < 1.5, "evenly over the period"
        before = world.node().status.conditions
        await world.sleep(300)
        after = {c.type: c for c in world.node().status.conditions}
        for c in before:
            assert after[c.type].lastTransitionTime == c.lastTransitionTime
            assert parse_rfc3339(after[c.type].lastHeartbeatTime) > parse_rfc3339(c.lastHeartbeatTime)

    play(scenario, nodes=20)


def test_registration_says_what_the_node_is() -> None:
    async def scenario(world: World) -> None:
        node = world.node()
        assert node.status.allocatable["cpu"] == "4" and node.status.capacity["nvidia.com/gpu"] == "2"
        labels = node.metadata.labels
        assert labels["topology.kubernetes.io/zone"] == "zone-a" and labels["kubernetes.io/hostname"] == "n1"
        assert labels["disk"] == "ssd" and node.spec.podCIDR == "10.1.0.0/24"
        assert ("a", "b", "NoSchedule") in {(t.key, t.value, t.effect) for t in node.spec.taints}
        assert world.lease().metadata.ownerReferences[0].uid == node.metadata.uid

    spec = {
        "cpu": "4",
        "zone": "zone-a",
        "labels": {"disk": "ssd"},
        "taints": (("a", "b", "NoSchedule"),),
        "capacity": {"nvidia.com/gpu": "2"},
    }
    play(scenario, spec=spec)


def test_pods_may_use_what_others_put_into_the_capacity() -> None:
    async def scenario(world: World) -> None:
        for amount in ("5", "3", None):
            body = {"status": {"capacity": {"example.com/dongle": amount}}}
            (outcome,) = await world.do(Patch(NODE, "", "n1", body, "merge", subresource="status"))
            assert outcome.error is None
            await world.sleep(1)
            assert world.node().status.allocatable.get("example.com/dongle") == amount
            assert world.node().status.allocatable["cpu"] == world.node().status.capacity["cpu"]

    play(scenario)


ENDS = [
    # command, annotations, restart policy, after seconds: phase, exit code, restarts, waiting reason
    (("sleep", "5"), {}, "Never", 4.9, "Running", None, 0, ""),
    (("sleep", "5"), {}, "Never", 5.1, "Succeeded", 0, 0, ""),
    (("sh", "-c", "sleep 5; exit 3"), {}, "Never", 5.1, "Failed", 3, 0, ""),
    (("sh", "-c", "exit 3"), {}, "OnFailure", 0.5, "Running", None, 1, "CrashLoopBackOff"),
    (("true",), {}, "OnFailure", 1, "Succeeded", 0, 0, ""),
    (("sh", "-c", "sleep 1"), {}, "Always", 2.5, "Running", None, 1, "CrashLoopBackOff"),
    (("server",), {"run": "30s,exit=2"}, "Never", 31, "Failed", 2, 0, ""),
    (("server",), {"run__main": "1m"}, "Never", 59, "Running", None, 0, ""),
    (("server",), {"run__main": "1m", "run": "1s"}, "Never", 61, "Succeeded", 0, 0, ""),
    (("true",), {"run": "forever"}, "Never", 61, "Running", None, 0, ""),
]


@pytest.mark.parametrize(("command", "behaviour", "policy", "after", "phase", "code", "restarts", "waiting"), ENDS)
def test_ends(
    command: tuple[str, ...],
    behaviour: dict[str, str],
    policy: str,
    after: float,
    phase: str,
    code: int | None,
    restarts: int,
    waiting: str,
) -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p", *command, meta=notes(**behaviour), restartPolicy=policy))
        await world.sleep(after)
        found = world.pod("p")
        status = found.status.containerStatuses[0]
        assert found.status.phase == phase
        assert (status.state.terminated.exitCode if status.state.terminated else None) == code
        assert status.restartCount == restarts
        assert (status.state.waiting.reason if status.state.waiting else "") == waiting

    play(scenario)


def test_crash_loops_back_off_as_upstream() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p", "sh", "-c", "exit 1"))
        began = loop.now()
        starts: list[float] = []

        def on(key: Any, old: Any, new: Any) -> None:
            state = new.status.containerStatuses[0]
            ended = state.state.terminated or state.lastState.terminated
            if ended is not None and (not starts or parse_rfc3339(ended.startedAt) != starts[-1]):
                starts.append(parse_rfc3339(ended.startedAt))

        world.server.objects.view(POD.resource).subscribe(on)
        await world.sleep(1000)
        gaps = [round(b - a) for a, b in itertools.pairwise(starts)]
        assert gaps == [10, 20, 40, 80, 160, 300, 300], (gaps, began)

    play(scenario)


IMAGES = [
    ({"c_image": "missing.invalid/app:1"}, {}, "ErrImagePull", "ImagePullBackOff"),
    ({"c_image": "app:does-not-exist"}, {}, "ErrImagePull", "ImagePullBackOff"),
    ({"c_image": "foo:non-existent"}, {}, "ErrImagePull", "ImagePullBackOff"),
    ({}, {"pull": "missing"}, "ErrImagePull", "ImagePullBackOff"),
    ({"c_image": "app:does-not-exist", "c_imagePullPolicy": "Never"}, {}, "ErrImageNeverPull", "ErrImageNeverPull"),
    ({"c_image": "Bad Name"}, {}, "InvalidImageName", "InvalidImageName"),
    ({}, {"sandbox": "fail"}, "ContainerCreating", "ContainerCreating"),
]


@pytest.mark.parametrize(("spec", "behaviour", "first", "then"), IMAGES)
def test_images_that_cannot_be_had(spec: dict[str, Any], behaviour: dict[str, str], first: str, then: str) -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p", meta=notes(**behaviour), **spec))
        await world.sleep(0.4)
        waits = [world.pod("p").status.containerStatuses[0].state.waiting.reason]
        await world.sleep(2)
        waits.append(world.pod("p").status.containerStatuses[0].state.waiting.reason)
        assert (waits, world.pod("p").status.phase) == ([first, then], "Pending")

    play(scenario)


PROBE = {"periodSeconds": 10, "failureThreshold": 3, "httpGet": {"port": 80}}
PROBES = [
    # what is declared, annotations, [(seconds, ready, restarts)]
    ({"c_readinessProbe": PROBE}, {}, [(0.1, True, 0)]),
    ({"c_readinessProbe": PROBE}, {"readiness": "fail"}, [(100, False, 0)]),
    ({"c_readinessProbe": PROBE}, {"readiness": "after=25s"}, [(24, False, 0), (31, True, 0)]),
    ({"c_readinessProbe": PROBE}, {"readiness": "until=45s"}, [(60, True, 0), (71, False, 0)]),
    ({"c_readinessProbe": PROBE}, {"readiness": "0s=ok,45s=fail,100s=ok"}, [(71, False, 0), (101, True, 0)]),
    ({"c_livenessProbe": PROBE}, {"liveness": "until=15s"}, [(39, True, 0), (41, True, 1)]),
    ({"c_livenessProbe": PROBE}, {}, [(1000, True, 0)]),
    ({"c_startupProbe": PROBE}, {"startup": "after=15s"}, [(19, False, 0), (21, True, 0)]),
    ({"c_startupProbe": PROBE}, {"startup": "fail"}, [(19, False, 0), (21, False, 1)]),
    ({"c_readinessProbe": {**PROBE, "initialDelaySeconds": 7}}, {}, [(6.9, False, 0), (7.1, True, 0)]),
    ({"c_readinessProbe": {"exec": {"command": ["false"]}}}, {}, [(30, False, 0)]),
    ({"c_readinessProbe": {"exec": {"command": ["cat", "/x"]}}}, {}, [(1, True, 0)]),
    ({}, {"readiness": "fail"}, [(1, True, 0)]),
]


@pytest.mark.parametrize(("spec", "behaviour", "looks"), PROBES)
def test_probes(spec: dict[str, Any], behaviour: dict[str, str], looks: list[tuple[float, bool, int]]) -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p", meta=notes(**behaviour), **spec))
        began = loop.now() - 0.001
        for at, is_ready, restarts in looks:
            await world.sleep(began + at - loop.now())
            found = world.pod("p")
            assert (ready(found), found.status.containerStatuses[0].restartCount) == (is_ready, restarts), at

    play(scenario)


def test_a_probe_whose_verdict_stands_costs_nothing() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p", c_readinessProbe=PROBE, c_livenessProbe=PROBE))
        assert ready(world.pod("p"))
        await world.sleep(60)
        pending = [t for t in world.nodes.agent.timers._heap if t.fn is not None]
        assert len(pending) == 2, "a renewal and a report"

    play(scenario)


def test_init_containers_and_sidecars_in_order() -> None:
    async def scenario(world: World) -> None:
        init = [
            {"name": "one", "image": "busybox:1", "command": ["sleep", "3"]},
            {"name": "side", "image": "proxy:1", "restartPolicy": "Always"},
            {"name": "two", "image": "busybox:1", "command": ["sleep", "2"]},
        ]
        await world.create(pod("p", "sleep", "10", initContainers=init, restartPolicy="Never"))
        seen = []
        for at in (1, 4, 6, 16):
            await world.sleep(at - round(loop.current().virtual))
            status = world.pod("p").status
            states = [*status.initContainerStatuses, *status.containerStatuses]
            seen.append(
                (status.phase, "".join("r" if s.state.running else "t" if s.state.terminated else "w" for s in states))
            )
        assert seen == [("Pending", "rwww"), ("Pending", "trrw"), ("Running", "trtr"), ("Succeeded", "tttt")]
        assert world.pod("p").status.initContainerStatuses[1].state.terminated.exitCode == 143

    play(scenario)


STOPS = [
    # behaviour, pod's fields, grace of the deletion: gone after seconds, exit code
    ({}, {}, None, 0, 143),
    ({"stop": "3s,exit=0"}, {}, None, 3, 0),
    ({"stop": "ignore"}, {}, None, 30, 137),
    ({"stop": "ignore"}, {"terminationGracePeriodSeconds": 5}, None, 5, 137),
    ({"stop": "ignore"}, {}, 2, 2, 137),
    ({}, {"c_lifecycle": {"preStop": {"sleep": {"seconds": 4}}}}, None, 4, 143),
    ({}, {"c_lifecycle": {"preStop": {"exec": {"command": ["sleep", "7"]}}}}, None, 7, 143),
    ({"stop": "ignore"}, {"c_lifecycle": {"preStop": {"exec": {"command": ["sleep", "40"]}}}}, None, 32, 137),
]


@pytest.mark.parametrize(("behaviour", "spec", "grace", "seconds", "code"), STOPS)
def test_graceful_ends(
    behaviour: dict[str, str], spec: dict[str, Any], grace: int | None, seconds: float, code: int
) -> None:
    async def scenario(world: World) -> None:
        codes: list[int] = []

        def on(key: Any, old: Any, new: Any) -> None:
            ended = new.status.containerStatuses[0].state.terminated if new is not None else None
            if ended is not None:
                codes.append(ended.exitCode)

        await world.create(pod("p", meta=notes(**behaviour), **spec))
        world.server.objects.view(POD.resource).subscribe(on, replay=False)
        await world.delete("p", grace)
        if seconds:
            await world.sleep(seconds - 0.1)
            assert world.pod("p") is not None
            await world.sleep(0.2)
        assert world.pod("p") is None and codes == [code]
        assert not world.nodes.pods and not world.nodes.kubelets["n1"].pods
        assert world.nodes.kubelets["n1"].claims.used == [0, 0, 0]

    play(scenario)


def test_what_does_not_fit_is_refused() -> None:
    async def scenario(world: World) -> None:
        big = {"c_resources": {"requests": {"cpu": "5"}}}
        port = {"c_ports": [{"containerPort": 80, "hostPort": 8080}]}
        await world.create(pod("a", **big), pod("b", **big), pod("c", **port), pod("d", **port))
        await world.create(pod("e", nodeSelector={"disk": "ssd"}))
        status = {name: world.pod(name).status for name in "abcde"}
        assert [status[n].phase for n in "abcde"] == ["Running", "Failed", "Running", "Failed", "Failed"]
        assert [status[n].reason for n in "bde"] == ["OutOfcpu", "NodePorts", "NodeAffinity"]
        assert status["b"].message.endswith("cpu, requested: 5000, used: 5000, capacity: 8000")
        await world.delete("a")
        await world.create(pod("f", **big))
        assert phases(world, "f") == ["Running"], "what a deleted pod held is free again"
        await world.delete("b")
        assert world.pod("b") is None

    play(scenario)


def test_too_many_pods() -> None:
    async def scenario(world: World) -> None:
        await world.create(*(pod(f"p{i}") for i in range(4)))
        assert sorted(world.pod(f"p{i}").status.reason for i in range(4)) == ["", "", "", "OutOfpods"]

    play(scenario, spec={"pods": 3})


def test_deadlines_and_ended_pods_free_the_node() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p", activeDeadlineSeconds=20, c_resources={"requests": {"cpu": "8"}}))
        await world.sleep(21)
        status = world.pod("p").status
        assert (status.phase, status.reason) == ("Failed", "DeadlineExceeded")
        await world.create(pod("q", c_resources={"requests": {"cpu": "8"}}))
        assert phases(world, "q") == ["Running"]

    play(scenario)


def test_delays_are_shown() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p", meta=notes(sandbox="1s", pull="2s", start="3s")))
        seen = []
        await world.sleep(0.5)
        for _ in range(7):
            await world.sleep(1)
            status = world.pod("p").status
            seen.append((status.phase, bool(status.podIP)))
        assert seen == [*[("Pending", True)] * 4, *[("Running", True)] * 3], "the pull goes on beside the sandbox"

    play(scenario)


def test_a_container_crashes_and_a_sandbox_dies() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p"))
        first = world.pod("p").status.podIP
        assert world.nodes.crash_container("default", "p", "main", 137, "OOMKilled")
        await world.sleep(0.01)
        status = world.pod("p").status.containerStatuses[0]
        assert status.restartCount == 1 and status.lastState.terminated.reason == "OOMKilled"
        world.nodes.lose_sandbox("default", "p")
        await world.sleep(30)
        again = world.pod("p")
        assert ready(again) and again.status.podIP != first and again.status.containerStatuses[0].restartCount == 2
        assert not world.nodes.crash_container("default", "p", "other")

    play(scenario)


def test_a_node_that_is_off_stands_still_and_catches_up() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("ends", "sleep", "20", restartPolicy="Never"), pod("stays"), pod("goes"))
        world.nodes.stop_node("n1")
        renewed = world.lease().spec.renewTime
        await world.do(Create(POD, pod("new")))
        await world.delete("goes")
        await world.sleep(100)
        assert world.lease().spec.renewTime == renewed
        assert phases(world, "ends", "stays", "goes") == ["Running", "Running", "Running"]
        world.nodes.start_node("n1")
        await world.sleep(1)
        assert phases(world, "ends", "stays", "new") == ["Succeeded", "Running", "Running"]
        assert world.pod("goes") is None and world.lease().spec.renewTime > renewed

    play(scenario)


def test_a_node_that_is_cut_off_goes_on_alone() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("ends", "sleep", "20", restartPolicy="Never"))
        world.nodes.cut_node("n1")
        await world.sleep(100)
        assert phases(world, "ends") == ["Running"]
        world.nodes.start_node("n1")
        await world.sleep(1)
        ended = world.pod("ends").status.containerStatuses[0].state.terminated
        took = parse_rfc3339(ended.finishedAt) - parse_rfc3339(ended.startedAt)
        assert took == 20, "it had ended in time"

    play(scenario)


def test_ready_unknown_is_mended_by_the_next_report() -> None:
    async def scenario(world: World) -> None:
        unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        world.nodes.stop_node("n1")
        await world.do(Patch(NODE, "", "n1", {"status": {"conditions": [unknown]}}, "strategic", "status"))
        await world.sleep(1)
        assert not ready(world.node())
        world.nodes.start_node("n1")
        await world.sleep(1)
        assert ready(world.node())

    play(scenario)


def test_a_new_process_adopts_what_runs() -> None:
    async def scenario(world: World) -> None:
        await world.create(
            pod("web", c_readinessProbe=PROBE),
            pod("job", "sleep", "50", restartPolicy="Never"),
            pod("crash", "sh", "-c", "exit 1"),
            pod("stubborn", meta=notes(stop="ignore")),
        )
        await world.sleep(2)
        before = {n: world.pod(n).status for n in ("web", "job", "crash")}
        await world.stop()
        await world.sleep(5)
        await world.start()
        await world.sleep(1)
        for name in ("web", "job"):
            assert world.pod(name).status.containerStatuses == before[name].containerStatuses
            assert world.pod(name).status.podIP == before[name].podIP
        await world.create(pod("more"))
        assert world.pod("more").status.podIP not in {s.podIP for s in before.values()}
        assert world.pod("crash").status.containerStatuses[0].state.waiting.reason == "CrashLoopBackOff"
        await world.sleep(43)
        assert phases(world, "web", "job") == ["Running", "Succeeded"]
        assert world.pod("crash").status.containerStatuses[0].restartCount >= 2
        ended = world.pod("job").status.containerStatuses[0].state.terminated
        assert parse_rfc3339(ended.finishedAt) - parse_rfc3339(ended.startedAt) == 50
        await world.delete("web")
        assert world.pod("web") is None

    play(scenario)


def test_a_node_without_a_range_waits_for_one() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p"))
        assert world.pod("p").status.podIP == ""
        await world.do(Patch(NODE, "", "n1", {"spec": {"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"]}}))
        await world.sleep(1)
        assert world.pod("p").status.podIP == "10.9.0.2" and phases(world, "p") == ["Running"]

    play(scenario, spec={"pod_cidr": ""})


def test_nodes_come_and_go() -> None:
    async def scenario(world: World) -> None:
        world.nodes.add_node(HollowNode("n9", pod_cidr="10.9.0.0/24"))
        await world.sleep(1)
        assert ready(world.node("n9"))
        await world.create(pod("p", node="n9"))
        assert phases(world, "p") == ["Running"]
        world.nodes.remove_node("n9")
        await world.sleep(60)
        assert world.node("n9") is not None and not any(k == ("default", "p") for k in world.nodes.pods)

    play(scenario)


def test_a_wrong_behaviour_is_told() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p", meta=notes(readiness="sometimes", colour="red", run="1x")))
        await world.sleep(1)
        assert world.reasons("p").count("HollowBehaviour") == 3 and phases(world, "p") == ["Running"]

    play(scenario)


def test_usage() -> None:
    async def scenario(world: World) -> None:
        def cpu(nodes: HollowNodes) -> dict[str, tuple[int, float]]:
            pods = nodes.summary("n1")["pods"]
            return {
                p["podRef"]["name"]: (p["cpu"]["usageNanoCores"] // 10**6, p["cpu"]["usageCoreNanoSeconds"] / 1e9)
                for p in pods
            }

        await world.create(
            pod("plain"),
            pod("asks", c_resources={"requests": {"cpu": "400m", "memory": "1Gi"}}),
            pod("says", meta=notes(cpu="0s=100m,10s=900m", memory="50Mi")),
        )
        await world.sleep(20 - 0.001)
        found = cpu(world.nodes)
        assert found["plain"] == (10, pytest.approx(0.2)) and found["asks"] == (200, pytest.approx(4))
        assert found["says"] == (900, pytest.approx(1 + 9))
        summary = world.nodes.summary("n1")
        assert summary["node"]["cpu"]["usageNanoCores"] == (50 + 10 + 200 + 900) * 10**6
        memory = {p["podRef"]["name"]: p["memory"]["workingSetBytes"] for p in summary["pods"]}
        assert memory == {"plain": 20 << 20, "asks": 512 << 20, "says": 50 << 20}

    play(scenario)


def test_a_total_is_shared_by_those_that_are_ready() -> None:
    async def scenario(world: World) -> None:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-abc", "uid": "u", "controller": True}

        def one(name: str, **spec: Any) -> dict[str, Any]:
            meta = {**notes(cpu_total="0s=600m,100s=1200m"), "ownerReferences": [owner]}
            return pod(name, meta={**meta, "labels": {"pod-template-hash": "abc"}}, **spec)

        def rates() -> dict[str, int]:
            pods = world.nodes.summary("n1")["pods"]
            return {p["podRef"]["name"]: p["cpu"]["usageNanoCores"] // 10**6 for p in pods}

        await world.create(one("a"))
        assert rates() == {"a": 600}
        await world.sleep(50)
        await world.create(one("b"), one("late", c_readinessProbe={**PROBE, "initialDelaySeconds": 20}))
        assert rates() == {"a": 300, "b": 300, "late": 0}
        await world.sleep(30)
        assert rates() == {"a": 200, "b": 200, "late": 200}
        await world.sleep(30)
        assert rates() == {"a": 400, "b": 400, "late": 400}
        await world.delete("a")
        assert rates() == {"b": 600, "late": 600}

    play(scenario)
