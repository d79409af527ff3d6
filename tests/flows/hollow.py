"""A scheduler and hollow nodes on a real API server, each with its own identity."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from pelamis.apiserver.server import ApiServer
from pelamis.apiserver.user import LOOPBACK_USER, User
from pelamis.kubelet.hollow.node import HollowNode
from pelamis.kubelet.hollow.run import HollowNodes
from pelamis.scheduler.run import Scheduler


def hollow_nodes(server: ApiServer, *names: str) -> HollowNodes:
    def client_for(name: str) -> Any:
        return server.client(User(f"system:node:{name}", ("system:nodes", "system:authenticated")))

    specs = [HollowNode(name, pod_cidr=f"10.244.{i}.0/24") for i, name in enumerate(names)]
    return HollowNodes(
        server.client(LOOPBACK_USER), specs, client_for=client_for, clock=time.time, rng=random.Random(1)
    )


def tasks(server: ApiServer, nodes: HollowNodes) -> list[asyncio.Future[None]]:
    scheduler = Scheduler(server.client("system:kube-scheduler"), clock=time.time, entropy=random.Random(2).random)
    return [asyncio.ensure_future(nodes.run()), asyncio.ensure_future(scheduler.run())]
