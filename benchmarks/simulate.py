"""How fast virtual time is: a simulated day of a 100-node cluster with churn, and a year of a nightly CronJob.

The limits are the aims of the simulator: 30 s for the day, 30 s for the year. Seconds are of CPU: a simulation is one
thread that never waits, so on an idle machine the clock on the wall shows the same.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from random import Random
from typing import Any

from benchmarks.frame import Row, below

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.client.types import Patch
from pelamis.sim.cluster import Cluster
from pelamis.sim.loop import run

DAY, YEAR = 86400.0, 365 * 86400.0
LIMIT_S = 30.0
NODES, DEPLOYMENTS, REPLICAS = 100, 20, 10


def web(i: int) -> dict[str, Any]:
    labels = {"app": f"web-{i}"}
    container = {"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "100m"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"web-{i}"}, "spec": spec}


def cron(name: str, schedule: str) -> dict[str, Any]:
    container = {"name": "main", "image": "work:1", "command": ["sleep", "60"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"schedule": schedule, "jobTemplate": {"spec": {"template": template}}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}


async def day() -> tuple[int, int]:
    """200 pods on 100 nodes: each 5 minutes a Deployment is scaled or updated, each 10 a job runs, each hour a node is
    lost or comes back. Returns the writes, and the pods that ran."""
    rng = Random(1)
    async with Cluster(seed=1, nodes=NODES) as cluster:
        await cluster.run(10)
        await cluster.apply(*(web(i) for i in range(DEPLOYMENTS)), cron("often", "*/10 * * * *"))
        cluster.horizon = DAY + 3600  # beside the nodes that are expected to be lost, all is well
        lost, victim = "", f"node-{rng.randrange(NODES) + 1}"
        for step in range(int(DAY / 300)):
            if step % 12 == 0:
                if step and lost:
                    cluster.nodes.start_node(lost)
                    lost, victim = "", f"node-{rng.randrange(NODES) + 1}"
                elif step:
                    cluster.nodes.stop_node(victim)
                    lost = victim
                cluster.expected = {victim: cluster.now + 3600}
            name = f"web-{rng.randrange(DEPLOYMENTS)}"
            if rng.random() < 0.5:
                body: dict[str, Any] = {"spec": {"replicas": REPLICAS + rng.randrange(-3, 4)}}
                await cluster.do(Patch(DEPLOYMENT, "default", name, body))
            else:
                image = {"spec": {"containers": [{"name": "web", "image": f"web:{step}"}]}}
                await cluster.do(Patch(DEPLOYMENT, "default", name, {"spec": {"template": image}}, "strategic"))
            await asyncio.sleep(300)
            cluster.check()
        ready = sum(d.status.readyReplicas == d.spec.replicas for d in cluster.objects(DEPLOYMENT))
        assert ready == DEPLOYMENTS, f"{ready} of {DEPLOYMENTS} are as they should be"
        return cluster.trace.writes, len(cluster.pods())


async def year() -> int:
    async with Cluster(seed=1, nodes=2) as cluster:
        await cluster.apply(cron("nightly", "30 2 * * *"))
        await cluster.run(YEAR)
        return cluster.trace.writes


def rows() -> Sequence[Row]:
    gc.set_threshold(50_000, 20, 50)
    began = time.process_time()
    writes, _ = run(day())
    took = time.process_time() - began
    out = [below(f"a simulated day of {NODES} nodes with churn", took, LIMIT_S, "s", f"{writes:,} writes; CPU time")]
    began = time.process_time()
    writes = run(year())
    took = time.process_time() - began
    out.append(below("a simulated year of a nightly CronJob", took, LIMIT_S, "s", f"{writes:,} writes; CPU time"))
    return out
