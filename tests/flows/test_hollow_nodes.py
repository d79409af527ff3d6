"""Hollow nodes over HTTPS: impersonation, the server's rules for nodes, and the kubelets' endpoint."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.serviceaccount import KIND as SERVICE_ACCOUNT
from pelamis.api.rbac.clusterrole import KIND as ROLE
from pelamis.api.rbac.clusterrolebinding import KIND as BINDING
from pelamis.client.acting import acting_as
from pelamis.client.http import HttpClient
from pelamis.client.types import Create, Delete, Patch
from pelamis.kubelet.hollow.lookup import ROOT_CA
from pelamis.kubelet.hollow.node import HollowNode, loopback
from pelamis.kubelet.hollow.run import HollowNodes
from pelamis.kubelet.hollow.server import HollowServer
from pelamis.main.hollow import USER, roles
from pelamis.net.httpclient import HttpPool
from pelamis.net.tls import server_context
from tests.apiserver.harness import Harness, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the whole loopback network")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Live:
    def __init__(self, harness: Harness, client: HttpClient, nodes: HollowNodes) -> None:
        self.harness = harness
        self.client = client
        self.nodes = nodes
        self.admin = HttpClient(harness.url, harness.context(harness.admin))

    def pod(self, name: str, node: str, *command: str, **meta: Any) -> Create:
        container = {"name": "main", "image": "app:1", "command": list(command)}
        metadata = {"name": name, "namespace": "default", **meta}
        return Create(POD, {"metadata": metadata, "spec": {"nodeName": node, "containers": [container]}})

    async def until(self, name: str, holds: Callable[[Any], bool]) -> Any:
        view = self.admin.view(POD)
        changed = asyncio.Event()
        cancel = view.subscribe(lambda key, old, new: changed.set())
        try:
            async with asyncio.timeout(20):
                while not holds(view.get("default", name)):
                    changed.clear()
                    await changed.wait()
        finally:
            cancel()
        return view.get("default", name)

    async def kubelet(self, node: str, method: str, path: str, pair: Any = None) -> tuple[int, bytes]:
        spec = self.nodes.kubelets[node].spec
        pool = HttpPool(f"https://{spec.address}:{spec.port}", self.harness.context(pair))
        try:
            status, _, body = await pool.fetch(method, path, timeout_s=20)
            return status, body
        finally:
            await pool.close()


@asynccontextmanager
async def live() -> AsyncIterator[Live]:
    async with running() as harness:
        port = _free_port()
        specs = [HollowNode(f"n{i}", pod_cidr=f"10.1.{i}.0/24", address=loopback(i), port=port) for i in range(3)]
        hosts = tuple(spec.address for spec in specs)
        pair = harness.ca.issue(USER, time.time(), hosts=hosts, server=True, client=True)
        client = HttpClient(harness.url, harness.context(pair), field_manager="kubelet")
        nodes = HollowNodes(
            client,
            specs,
            client_for=lambda name: acting_as(client, f"system:node:{name}", "system:nodes"),
            clock=time.time,
            rng=random.Random(1),
        )
        world = Live(harness, client, nodes)
        role, binding = roles()
        account = {"metadata": {"name": "default", "namespace": "default"}}
        root = {"metadata": {"name": ROOT_CA, "namespace": "default"}, "data": {"ca.crt": "PEM"}}
        trees = ((ROLE, role), (BINDING, binding), (SERVICE_ACCOUNT, account), (CONFIGMAP, root))
        for outcome in await world.admin.commit([Create(kind, tree) for kind, tree in trees]):
            assert outcome.error is None, outcome.error
        task = asyncio.ensure_future(nodes.run())
        server = HollowServer(nodes, server_context(pair, harness.ca.pair.cert))
        try:
            async with asyncio.timeout(20):
                await nodes.ready.wait()
            await server.listen()
            yield world
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait([task])
            await server.close()
            await world.admin.close()
            await client.close()


def test_writes_are_those_of_the_node_and_of_no_other() -> None:
    async def main() -> None:
        async with live() as world:
            await world.admin.commit([world.pod("p", "n1")])
            found = await world.until("p", lambda pod: pod is not None and pod.status.phase == "Running")
            assert found.status.podIP == "10.1.1.2" and found.status.hostIP == loopback(1)
            managers = {entry.manager for entry in found.metadata.managedFields}
            assert "kubelet" in managers
            node = await world.admin.get(NODE, "", "n2")
            assert node.status.addresses[0].address == loopback(2)

            other = acting_as(world.client, "system:node:n2", "system:nodes")
            status = Patch(POD, "default", "p", {"status": {"phase": "Failed"}}, "strategic", "status")
            label = Patch(NODE, "", "n1", {"metadata": {"labels": {"a": "b"}}})
            refused = [outcome.error for outcome in await other.commit([status, label, Delete(NODE, "", "n2")])]
            assert all(error is not None and error.code == 403 for error in refused), refused
            root = acting_as(world.client, "someone", "system:masters")
            outcome = (await root.commit([label]))[0]
            assert outcome.error is not None and outcome.error.code == 403, "of groups it may act for nodes alone"

    asyncio.run(main())


def test_the_kubelet_endpoint() -> None:
    async def main() -> None:
        async with live() as world:
            await world.admin.commit(
                [
                    world.pod("talks", "n1", "sh", "-c", "echo one; echo two; server"),
                    world.pod("ends", "n1", "sh", "-c", "echo only; sleep 0.3; echo last"),
                    world.pod("idle", "n2"),
                ]
            )
            for name in ("talks", "ends", "idle"):
                await world.until(name, lambda pod: pod is not None and pod.status.phase == "Running")
            admin = world.harness.admin
            assert await world.kubelet("n1", "GET", "/healthz") == (401, b"Unauthorized")
            nobody = world.harness.pair("nobody")
            status, body = await world.kubelet("n1", "GET", "/pods", nobody)
            assert status == 403 and b"subresource(s)=[pods], name=n1" in body
            assert await world.kubelet("n1", "GET", "/healthz", admin) == (200, b"ok")

            status, body = await world.kubelet("n1", "GET", "/containerLogs/default/ends/main?follow=true", admin)
            assert (status, body) == (200, b"only\nlast\n"), "followed to its end"
            path = "/containerLogs/default/talks/main"
            assert await world.kubelet("n1", "GET", path, admin) == (200, b"one\ntwo\n")
            assert await world.kubelet("n1", "GET", f"{path}?tailLines=1", admin) == (200, b"two\n")
            status, body = await world.kubelet("n1", "GET", f"{path}?timestamps=true&limitBytes=10", admin)
            assert status == 200 and len(body) == 10 and body[4:5] == b"-"
            assert (await world.kubelet("n2", "GET", path, admin))[0] == 404
            assert (await world.kubelet("n1", "GET", f"{path}?previous=true", admin))[0] == 400

            status, body = await world.kubelet("n2", "GET", "/stats/summary", admin)
            summary = msgspec.json.decode(body)
            assert summary["node"]["nodeName"] == "n2" and [p["podRef"]["name"] for p in summary["pods"]] == ["idle"]
            status, body = await world.kubelet("n2", "GET", "/metrics/resource", admin)
            assert b'pod_memory_working_set_bytes{namespace="default",pod="idle"} 20971520' in body
            pods = msgspec.json.decode((await world.kubelet("n1", "GET", "/pods", admin))[1])["items"]
            assert sorted(pod["metadata"]["name"] for pod in pods) == ["ends", "talks"]
            for verb in ("exec", "attach"):
                status, body = await world.kubelet("n1", "POST", f"/{verb}/default/talks/main?command=ls", admin)
                assert status == 501 and b"the node is hollow" in body

    asyncio.run(main())
