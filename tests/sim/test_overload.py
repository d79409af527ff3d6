"""A cluster with more to do than it can, on virtual time: what must not fall behind, and that it comes to rest."""

from __future__ import annotations

import asyncio
from typing import Any

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Action, Create, Outcome
from pelamis.kubelet.hollow.node import HollowNode, pod_range
from pelamis.sim.cluster import Cluster
from pelamis.sim.faults import Rates
from pelamis.sim.loop import now, run

NODES, SETS, EACH = 10, 3, 20


def nodes() -> list[HollowNode]:
    return [HollowNode(f"n{i}", pod_cidr=pod_range(i, 110)) for i in range(NODES)]


def deployment(i: int) -> Create:
    labels = {"app": f"d{i}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
    spec = {"replicas": EACH, "selector": {"matchLabels": labels}, "template": template}
    return Create(DEPLOYMENT, {"metadata": {"name": f"d{i}", "namespace": "default"}, "spec": spec})


def ready(obj: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in obj.status.conditions)


def test_nodes_that_were_taken_for_lost_come_back_and_all_is_quiet_again() -> None:
    """For ten minutes a write of a node takes up to two: leases come too late, whatever the nodes do."""

    async def main() -> None:
        async with Cluster(seed=3, nodes=nodes()) as cluster:
            objects = cluster.server.objects
            await cluster.run(60)
            cluster.faults.set(Rates(latency_s=120.0), ("nodes",))
            await cluster.do(*(deployment(i) for i in range(SETS)))
            lost = 0
            for _ in range(120):
                await cluster.run(5)
                lost = max(lost, sum(not ready(n) for n in objects.view("nodes").list()))
            assert lost > NODES / 4  # or the test tests nothing
            cluster.faults.clear()
            await cluster.run(240)
            assert all(ready(n) and not n.spec.taints for n in objects.view("nodes").list())
            pods = objects.view("pods").list()
            assert len(pods) == SETS * EACH and all(map(ready, pods))
            writes = cluster.trace.writes
            await cluster.run(120)
            # what is left: leases every ten seconds, a status every five minutes
            assert cluster.trace.writes - writes <= NODES * (12 + 1)

    run(main())


def test_a_node_whose_statuses_wait_is_not_taken_for_lost() -> None:
    class Slow:
        """Statuses of pods take a minute, and longer than a node may be silent in all."""

        def __init__(self, client: Any) -> None:
            self._client = client

        async def commit(self, actions: list[Action]) -> list[Outcome]:
            if any(action.kind is POD for action in actions):
                await asyncio.sleep(60)
            outcomes: list[Outcome] = await self._client.commit(actions)
            return outcomes

    async def main() -> None:
        async with Cluster(seed=3, nodes=nodes()) as cluster:
            objects = cluster.server.objects
            await cluster.run(1)
            for kubelet in cluster.nodes.kubelets.values():
                client: Any = Slow(kubelet.mail.client)
                kubelet.mail.client = client
            cluster.faults.set(Rates(latency_s=0.01), ("nodes",))  # with faults about, every lease is written
            await cluster.do(*(deployment(i) for i in range(SETS)))
            renewed: dict[Any, float] = {}
            late: list[float] = []

            def on_lease(key: Any, old: Any, new: Any) -> None:
                late.append(now() - renewed.get(key, now()))
                renewed[key] = now()

            objects.view(f"leases.{LEASE.group}").subscribe(on_lease)
            await cluster.run(200)
            assert len(renewed) == NODES and max(late) < 15
            assert all(map(ready, objects.view("nodes").list()))
            assert all(map(ready, objects.view("pods").list()))

    run(main())
