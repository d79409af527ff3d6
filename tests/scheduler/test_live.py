"""The scheduler on a real API server, with the rights of its own identity."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.serviceaccount import KIND as SERVICEACCOUNT
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.client.types import Create, Patch
from pelamis.scheduler.run import Scheduler
from tests.apiserver.harness import running

from .make import pod_tree


async def _until(view: Any, holds: Any) -> None:
    changed = asyncio.Event()
    cancel = view.subscribe(lambda key, old, new: changed.set())
    try:
        async with asyncio.timeout(10):
            while not holds(view.list()):
                changed.clear()
                await changed.wait()
    finally:
        cancel()


async def _scenario() -> None:
    async with running() as harness:
        client = harness.server.client(LOOPBACK_USER.name, *LOOPBACK_USER.groups)

        async def do(*actions: Any) -> None:
            assert [o.error for o in await client.commit(actions)] == [None] * len(actions)

        scheduler = Scheduler(
            harness.server.client("system:kube-scheduler"), clock=time.time, entropy=random.Random(1).random
        )
        task = asyncio.create_task(scheduler.run())
        await do(Create(SERVICEACCOUNT, {"metadata": {"name": "default", "namespace": "default"}}))
        await do(*(Create(POD, _pod(f"p{i}")) for i in range(3)))
        pods = client.view(POD)
        await _until(pods, lambda found: all(p.status.conditions for p in found))
        await do(Create(NODE, {"metadata": {"name": "n"}}))
        status = {"status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "110"}}}
        await do(Patch(NODE, "", "n", status, "merge", "status"), Patch(NODE, "", "n", {"spec": {"taints": None}}))
        await _until(pods, lambda found: sum(1 for p in found if p.spec.nodeName == "n") == 2)
        await _until(client.view(EVENT), lambda found: sum(1 for e in found if e.reason == "Scheduled") == 2)
        await _until(pods, lambda found: any("Insufficient cpu" in p.status.conditions[0].message for p in found))
        assert not task.done()
        task.cancel()


def _pod(name: str) -> dict[str, Any]:
    tree = pod_tree(name, "1")
    del tree["metadata"]["uid"]
    return tree


def test_pods_reach_nodes() -> None:
    asyncio.run(_scenario())
