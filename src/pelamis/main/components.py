"""What runs inside the server beside the API: the controllers and the scheduler, each with its own identity."""

from __future__ import annotations

import asyncio
import os
import random
import time

from pelamis.api.core.node import KIND as NODE
from pelamis.apiserver.local import LocalClient
from pelamis.apiserver.server import ApiServer
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.client.types import Patch
from pelamis.main.config import Cluster
from pelamis.main.pki import Pki

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


class ControllerClient:
    """Reads as the controller manager, whose informers all controllers share; writes as the controller itself."""

    def __init__(self, reader: LocalClient, writer: LocalClient) -> None:
        self.view = reader.view
        self.release = reader.release
        self.get = reader.get
        self.list = reader.list
        self.watch = reader.watch
        self.commit = writer.commit
        self.post = writer.post


async def mark_control_plane(server: ApiServer, node_name: str) -> None:
    """Gives the cluster's own node its role, which a node may not give itself."""
    client = server.client(LOOPBACK_USER)
    changed = asyncio.Event()
    view = client.view(NODE, field_selector=f"metadata.name={node_name}")
    view.subscribe(lambda key, old, new: changed.set())
    body = {"metadata": {"labels": {CONTROL_PLANE: ""}}}
    while True:
        node = view.get("", node_name)
        if node is not None and CONTROL_PLANE not in node.metadata.labels:
            await client.commit([Patch(NODE, "", node_name, body)])
        await changed.wait()
        changed.clear()


async def run_components(server: ApiServer, cluster: Cluster, keys: Pki) -> None:
    """Until cancelled; raises what ended one of them."""
    from pelamis.controllers import Options, controllers
    from pelamis.reconcile.kinds import RegistryKinds
    from pelamis.reconcile.runner import run_all
    from pelamis.scheduler.run import Scheduler

    options = Options(ca_bundle=keys.ca.cert.decode(), node_ranges=((cluster.pod_cidr, 24),))
    scheduler = Scheduler(
        server.client("system:kube-scheduler"), clock=time.time, entropy=random.Random(os.urandom(16)).random
    )
    reader = server.client("system:kube-controller-manager")

    def client_for(user: str) -> ControllerClient:
        return ControllerClient(reader, server.client(user))

    async with asyncio.TaskGroup() as group:
        work = run_all(controllers(options), client_for, clock=time.time, kinds=RegistryKinds(server.registry))
        group.create_task(work, name="controllers")
        group.create_task(scheduler.run(), name="scheduler")
        if cluster.node:
            group.create_task(mark_control_plane(server, cluster.node_name), name="role of the own node")
