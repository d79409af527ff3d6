"""The executor on virtual time against the API server in memory: bindings, conditions, events, faults."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.storage.storageclass import KIND as CLASS
from pelamis.base import errors
from pelamis.client.types import Delete, Patch
from pelamis.scheduler.run import Scheduler
from pelamis.sim.loop import now, run
from tests.apiserver.memory import MemoryServer

from .make import pod_tree


class Rig:
    def __init__(self, lag_s: float) -> None:
        self.server = MemoryServer(now, lag_s=lag_s)

    async def start(self) -> asyncio.Task[None]:
        await self.server.start()
        client = self.server.client("system:kube-scheduler", "scheduler")
        self.scheduler = Scheduler(client, clock=now, entropy=random.Random(7).random, cpu=lambda: 0.0)
        return asyncio.ensure_future(self.scheduler.run())

    async def node(self, name: str, cpu: str = "2", **spec: Any) -> None:
        allocatable = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
        meta = {"name": name, "labels": {"kubernetes.io/hostname": name}}
        await self.server.put(NODE, {"metadata": meta, "spec": spec, "status": {"allocatable": allocatable}})

    async def pod(self, name: str, *args: Any, **more: Any) -> None:
        await self.server.put(POD, pod_tree(name, *args, **more))

    def where(self) -> dict[str, str]:
        return {p.metadata.name: p.spec.nodeName for p in self.server.objects(POD)}

    def condition(self, name: str) -> Any:
        found = self.server.get(POD, "default", name).status.conditions
        return next(c for c in found if c.type == "PodScheduled")

    def events(self) -> list[tuple[str, str, str]]:
        return [(e.involvedObject.name, e.reason, e.message) for e in self.server.objects(EVENT)]


def scenario(main: Callable[[Rig], Coroutine[Any, Any, None]], lag_s: float = 0.0) -> None:
    async def body() -> None:
        rig = Rig(lag_s)
        task = await rig.start()
        await asyncio.sleep(0.1)
        await main(rig)
        assert not task.done()
        task.cancel()

    run(body())


def test_pods_are_bound_in_one_commit() -> None:
    async def main(rig: Rig) -> None:
        for name in "abc":
            await rig.node(name)
        for i in range(6):
            await rig.pod(f"p{i}", "1")
        await asyncio.sleep(1)
        assert sorted(rig.where().values()) == ["a", "a", "b", "b", "c", "c"]
        bindings = [c for c in rig.server.commits if any(getattr(a, "subresource", "") == "binding" for a in c)]
        assert len(bindings) == 1 and len(bindings[0]) == 6
        assert rig.events()[0][1:] == ("Scheduled", f"Successfully assigned default/p0 to {rig.where()['p0']}")
        assert rig.scheduler.idle

    scenario(main)


def test_says_why_not_and_binds_when_there_is_room() -> None:
    async def main(rig: Rig) -> None:
        await rig.pod("p", "1")
        await asyncio.sleep(1)
        assert rig.condition("p").message == "no nodes available to schedule pods"
        await rig.node("small", "500m")
        await rig.node("cordoned", unschedulable=True)
        await asyncio.sleep(20)
        why = (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. "
            "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
        found = rig.condition("p")
        assert (found.status, found.reason, found.message) == ("False", "Unschedulable", why)
        assert ("p", "FailedScheduling", why) in rig.events()
        writes = len(rig.server.commits)
        await asyncio.sleep(200)
        assert len(rig.server.commits) == writes, "nothing happens, nothing is done"
        await rig.node("big")
        await asyncio.sleep(11)
        assert rig.where() == {"p": "big"}

    scenario(main)


def test_a_refused_binding_frees_its_place_and_is_tried_again() -> None:
    async def main(rig: Rig) -> None:
        refusals = [errors.StatusError(500, "InternalError", "no")]

        def refuse(component: str, action: Any) -> Any:
            return refusals.pop() if getattr(action, "subresource", "") == "binding" and refusals else None

        rig.server.faults.script = refuse
        await rig.node("n", "1")
        await rig.pod("p", "1")
        await asyncio.sleep(0.5)
        assert rig.where() == {"p": ""} and rig.condition("p").reason == "SchedulerError"
        assert rig.scheduler.snapshot.pods == {}
        await asyncio.sleep(1)
        assert rig.where() == {"p": "n"}

    scenario(main)


def test_views_that_lag_do_not_lead_to_overcommitment() -> None:
    async def main(rig: Rig) -> None:
        for name in "ab":
            await rig.node(name, "2")
        for i in range(4):
            await rig.pod(f"p{i}", "1")
            await asyncio.sleep(1.3)
        await asyncio.sleep(20)
        assert sorted(rig.where().values()) == ["a", "a", "b", "b"]

    scenario(main, lag_s=3.0)


def test_preemption_evicts_and_takes_the_place() -> None:
    async def main(rig: Rig) -> None:
        await rig.node("n", "1")
        await rig.pod("low", "1", terminationGracePeriodSeconds=5)
        await asyncio.sleep(1)
        await rig.pod("high", "1", priority=100)
        await asyncio.sleep(1)
        low = rig.server.get(POD, "default", "low")
        assert low.metadata.deletionTimestamp is not None
        assert [c.reason for c in low.status.conditions if c.type == "DisruptionTarget"] == ["PreemptionByScheduler"]
        high = rig.server.get(POD, "default", "high")
        assert high.status.nominatedNodeName == "n"
        assert any(reason == "Preempted" and message.endswith("on node n") for _, reason, message in rig.events())
        await rig.pod("mid", "1", priority=50)
        await asyncio.sleep(5)
        await rig.server.do(Delete(POD, "default", "low", grace_s=0))
        await asyncio.sleep(12)
        assert rig.where() == {"high": "n", "mid": ""}

    scenario(main)


def test_gates_other_schedulers_and_deleted_pods_are_left_alone() -> None:
    async def main(rig: Rig) -> None:
        await rig.node("n")
        await rig.pod("gated", schedulingGates=[{"name": "g"}])
        await rig.pod("foreign", schedulerName="another")
        await asyncio.sleep(1)
        assert rig.where() == {"gated": "", "foreign": ""} and rig.events() == []
        await rig.server.do(Patch(POD, "default", "gated", {"spec": {"schedulingGates": None}}))
        await asyncio.sleep(1)
        assert rig.where()["gated"] == "n"

    scenario(main)


def test_a_claim_that_waits_for_its_consumer_gets_its_volume_first() -> None:
    async def main(rig: Rig) -> None:
        made = {"metadata": {"name": "c"}, "provisioner": "x.com/y", "volumeBindingMode": "WaitForFirstConsumer"}
        body = {
            "storageClassName": "c",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        volume = {"storageClassName": "c", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
        volume["nfs"] = {"server": "s", "path": "/"}
        available = {"metadata": {"name": "v"}, "spec": volume, "status": {"phase": "Available"}}
        await rig.server.put(CLASS, made)
        await rig.server.put(VOLUME, available)
        claims = ({"metadata": {"name": n, "namespace": "default"}, "spec": body} for n in ("a", "b"))
        await rig.server.put(CLAIM, *claims)
        await rig.node("n")
        await rig.pod("p", volumes=[{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in ("a", "b")])
        await asyncio.sleep(1)
        assert rig.where() == {"p": ""}
        assert rig.server.get(VOLUME, "", "v").spec.claimRef.name == "a"
        claim = rig.server.get(CLAIM, "default", "b")
        assert claim.metadata.annotations["volume.kubernetes.io/selected-node"] == "n"
        assert rig.server.get(POD, "default", "p").status.nominatedNodeName == "n"  # told while it waits
        for name in ("a", "b"):
            bound = {"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}}
            await rig.server.do(Patch(CLAIM, "default", name, {**bound, "spec": {"volumeName": f"v-{name}"}}))
        await asyncio.sleep(1)
        assert rig.where() == {"p": "n"}

    scenario(main)


def test_a_status_report_is_no_news_and_a_finished_pod_makes_room() -> None:
    async def main(rig: Rig) -> None:
        await rig.node("n", "1")
        await rig.pod("p", "1")
        await rig.pod("q", "1", priority=-1)
        await asyncio.sleep(1)
        assert rig.where() == {"p": "n", "q": ""}
        running = {"status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}}
        await rig.server.do(Patch(POD, "default", "p", running, "merge", "status"))
        await asyncio.sleep(1)
        assert rig.scheduler.snapshot.pods[rig.server.get(POD, "default", "p").metadata.uid].start is not None
        await rig.server.do(Patch(POD, "default", "p", {"status": {"phase": "Succeeded"}}, "merge", "status"))
        await asyncio.sleep(11)
        assert rig.where() == {"p": "n", "q": "n"}

    scenario(main)
