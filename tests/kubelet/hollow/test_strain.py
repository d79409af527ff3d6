"""Containers over their limits, nodes under pressure: conditions, who is evicted and why, what is refused meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Patch
from pelamis.kubelet import pressure
from tests.kubelet.hollow.world import World, notes, phases, play, pod
from tests.kubelet.pods import make

GIB = 1 << 30


def uses(name: str, memory: str = "", request: str = "", disk: str = "", **spec: Any) -> dict[str, Any]:
    said = {key: value for key, value in (("memory", memory), ("disk", disk)) if value}
    requests = {"memory": request} if request else {}
    return pod(name, meta=notes(**said), c_resources={"requests": requests}, **spec)


def condition(world: World, type_: str) -> tuple[str, str]:
    found = next(c for c in world.node().status.conditions if c.type == type_)
    return found.status, found.reason


def messages(world: World, reason: str, name: str) -> list[str]:
    found = world.server.objects.view(EVENT.resource).list()
    return [e.message for e in found if e.reason == reason and e.involvedObject.name == name]


@pytest.mark.parametrize(
    "memory, limit, killed_after",
    [
        ("100Mi", "200Mi", None),
        ("300Mi", "200Mi", 0.0),
        ("0s=100Mi,30s=300Mi", "200Mi", 30.0),
        ("0s=100Mi,30s=200Mi", "200Mi", None),
        ("9Gi", "", None),
    ],
)
def test_a_container_over_its_limit_is_killed(memory: str, limit: str, killed_after: float | None) -> None:
    async def scenario(world: World) -> None:
        limits = {"limits": {"memory": limit}} if limit else {}
        await world.create(pod("p", meta=notes(memory=memory), c_resources=limits, restartPolicy="Never"))
        if killed_after is None:
            await world.sleep(300)
            assert phases(world, "p") == ["Running"]
            return
        if killed_after:
            await world.sleep(killed_after - 1)
            assert phases(world, "p") == ["Running"]
        await world.sleep(2)
        (told,) = world.pod("p").status.containerStatuses
        assert (told.state.terminated.reason, told.state.terminated.exitCode) == ("OOMKilled", 137)
        assert phases(world, "p") == ["Failed"]

    play(scenario)


def test_what_is_killed_comes_back_and_is_killed_again() -> None:
    async def scenario(world: World) -> None:
        limits = {"limits": {"memory": "200Mi"}}
        await world.create(pod("p", meta=notes(memory="0s=1Mi,20s=1Gi"), c_resources=limits))
        await world.sleep(60)
        (told,) = world.pod("p").status.containerStatuses
        assert told.restartCount >= 1 and told.lastState.terminated.reason == "OOMKilled"
        await world.do(Patch(POD, "default", "p", {"metadata": {"annotations": {MEMORY: "1Mi"}}}))
        await world.sleep(600)
        (told,) = world.pod("p").status.containerStatuses
        count = told.restartCount
        await world.sleep(600)
        (told,) = world.pod("p").status.containerStatuses
        assert told.restartCount == count and told.state.running is not None

    play(scenario)


MEMORY = "hollow.pelamis.dev/memory"


def test_memory_pressure_evicts_in_order_until_there_is_room() -> None:
    async def scenario(world: World) -> None:
        await world.create(
            uses("inside", "1Gi", "2Gi"),
            uses("over", "0s=1Gi,60s=2Gi", "1Gi"),
            uses("most", "0s=1Gi,60s=5Gi", "1Gi"),
            uses("critical", "3Gi", "", priorityClassName="system-node-critical"),
        )
        await world.sleep(59)
        assert condition(world, "MemoryPressure") == ("False", "KubeletHasSufficientMemory")
        await world.sleep(11)
        assert condition(world, "MemoryPressure") == ("True", "KubeletHasInsufficientMemory")
        assert phases(world, "inside", "over", "most", "critical") == ["Running", "Running", "Failed", "Running"]
        told = world.pod("most").status
        assert (told.reason, told.phase) == ("Evicted", "Failed")
        assert told.message == (
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 0. "
            "Container main was using 5Gi, request is 1Gi, has larger consumption of memory. "
        )
        assert [c.reason for c in told.conditions if c.type == "DisruptionTarget"] == ["TerminationByKubelet"]
        assert messages(world, "EvictionThresholdMet", "n1") == ["Attempting to reclaim memory"]
        assert len(messages(world, "NodeHasInsufficientMemory", "n1")) == 1
        await world.create(uses("best", ""), uses("asks", "", "10Mi"))
        refused = world.pod("best").status
        why = "Pod was rejected: The node had condition: [MemoryPressure]. "
        assert (refused.phase, refused.reason, refused.message) == ("Failed", "Evicted", why)
        await world.sleep(100)
        assert phases(world, "inside", "over", "asks") == ["Running"] * 3, "there is room again"
        assert condition(world, "MemoryPressure")[0] == "True", "kept for five minutes"
        await world.sleep(200)
        assert condition(world, "MemoryPressure") == ("False", "KubeletHasSufficientMemory")
        writes = world.nodes.agent.outbox.writes
        await world.sleep(250)
        leases = world.nodes.agent.outbox.writes - writes
        assert leases <= 27, "at rest again"

    play(scenario, spec={"memory": "8Gi"})


def test_disk_pressure_refuses_everybody_and_limits_are_kept() -> None:
    async def scenario(world: World) -> None:
        limit = {"limits": {"ephemeral-storage": "1Gi"}, "requests": {"ephemeral-storage": "1Gi"}}
        await world.create(
            uses("big", disk="0s=1Gi,1m=92Gi"),
            pod("greedy", meta=notes(disk="0s=0,30s=2Gi"), c_resources=limit),
        )
        await world.sleep(45)
        told = world.pod("greedy").status
        text = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "
        assert (told.reason, told.message) == ("Evicted", text)
        await world.sleep(30)
        assert phases(world, "big") == ["Failed"]
        assert world.pod("big").status.message.startswith(
            "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 8Gi. Container main"
        )
        assert condition(world, "DiskPressure") == ("True", "KubeletHasDiskPressure")
        await world.create(uses("asks", "", "10Mi"))
        assert world.pod("asks").status.reason == "Evicted"
        await world.sleep(320)
        await world.create(uses("later", "", "10Mi"))
        assert phases(world, "later") == ["Running"]

    play(scenario, spec={"storage": "100Gi"})


def test_processes_run_short() -> None:
    """Nobody can request them: the lower priority goes first, then whoever has most."""

    async def scenario(world: World) -> None:
        def has(name: str, pids: str, **spec: Any) -> dict[str, Any]:
            return pod(name, meta=notes(pids=pids), **spec)

        await world.create(
            pod("silent"),
            has("some", "0s=1,1m=12k"),
            has("most", "0s=1,1m=18k"),
            has("critical", "2k", priorityClassName="system-node-critical"),
        )
        await world.sleep(59)
        assert condition(world, "PIDPressure") == ("False", "KubeletHasSufficientPID")
        await world.sleep(11)
        assert condition(world, "PIDPressure") == ("True", "KubeletHasInsufficientPID")
        assert phases(world, "silent", "some", "most", "critical") == ["Running", "Running", "Failed", "Running"]
        told = world.pod("most").status
        text = "The node was low on resource: pids. Threshold quantity: 3276, available: 667. "
        assert (told.reason, told.message) == ("Evicted", text)
        assert messages(world, "EvictionThresholdMet", "n1") == ["Attempting to reclaim pids"]
        await world.create(uses("asks", "", "10Mi"))
        why = "Pod was rejected: The node had condition: [PIDPressure]. "
        assert world.pod("asks").status.message == why
        found = world.nodes.summary("n1")
        assert found["node"]["rlimit"]["maxpid"] == 32768 and found["node"]["rlimit"]["curproc"] == 100 + 12_000 + 2_001
        await world.sleep(320)
        assert condition(world, "PIDPressure") == ("False", "KubeletHasSufficientPID")

    play(scenario)


def test_who_has_processes_is_ranked_by_priority_first() -> None:
    pods = [make("a", priority=5), make("b", priority=0), make("c", priority=0), make("d", priority=0)]
    usage = {p.metadata.uid: n for p, n in zip(pods, (900, 10, 30, 0), strict=True)}
    assert [p.metadata.name for p in pressure.rank(pods, usage, "pids")] == ["c", "b", "d", "a"]


def test_a_small_node_counts_what_nobody_says() -> None:
    async def scenario(world: World) -> None:
        await world.create(*(pod(f"p{i}") for i in range(20)))  # 20 Mi each
        await world.sleep(60)
        gone = [n for n in (f"p{i}" for i in range(20)) if world.pod(n).status.reason == "Evicted"]
        assert condition(world, "MemoryPressure")[0] == "True"
        assert 1 <= len(gone) <= 6

    play(scenario, spec={"memory": "700Mi", "pods": 110})


def test_summary_tells_it() -> None:
    async def scenario(world: World) -> None:
        await world.create(uses("p", "1Gi", disk="3Gi"))
        await world.sleep(1)
        found = world.nodes.summary("n1")
        assert found["node"]["fs"]["usedBytes"] == 3 * GIB == found["pods"][0]["ephemeral-storage"]["usedBytes"]
        assert found["node"]["memory"]["availableBytes"] == (32 << 30) - GIB - (256 << 20)

    play(scenario)


def test_pressure_is_pure() -> None:
    held = pressure.Pressure(300.0)
    assert held.update(["memory.available"], 10.0) == {"MemoryPressure"}
    assert held.update([], 309.0) == {"MemoryPressure"}
    assert held.over_at(309.0) == 310.0
    assert held.update(["nodefs.inodesFree"], 310.0) == {"DiskPressure"}
