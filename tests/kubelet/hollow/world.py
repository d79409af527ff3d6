"""Hollow nodes on a real API server without sockets, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from random import Random
from typing import Any

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.serviceaccount import KIND as SERVICE_ACCOUNT
from pelamis.apiserver.server import ApiServer, Config
from pelamis.apiserver.user import LOOPBACK_USER, User
from pelamis.client.types import Action, Create, Delete, Outcome
from pelamis.kubelet.hollow.lookup import ROOT_CA
from pelamis.kubelet.hollow.node import HollowNode
from pelamis.kubelet.hollow.run import HollowNodes
from pelamis.net.tls import key_pem, new_key
from pelamis.reconcile.recorder import Recorder
from pelamis.sim import loop
from pelamis.store.memory import MemoryStore


@lru_cache(maxsize=1)
def _key() -> bytes:
    return key_pem(new_key())


def pod(name: str, *command: str, node: str = "n1", meta: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod of one container ``main``; keywords of the container begin with ``c_``."""
    container: dict[str, Any] = {"name": "main", "image": "app:1"}
    if command:
        container["command"] = list(command)
    container |= {key[2:]: spec.pop(key) for key in list(spec) if key.startswith("c_")}
    return {
        "metadata": {"name": name, "namespace": "default", **(meta or {})},
        "spec": {"nodeName": node, "containers": [container], **spec},
    }


def notes(**behaviour: str) -> dict[str, Any]:
    """Annotations, as metadata; ``_`` stands for ``-`` and ``__`` for ``.``."""
    named = {key.replace("__", ".").replace("_", "-"): value for key, value in behaviour.items()}
    return {"annotations": {f"hollow.pelamis.dev/{key}": value for key, value in named.items()}}


class World:
    def __init__(self, server: ApiServer, specs: list[HollowNode], **options: Any) -> None:
        self.server = server
        self.admin = server.client(LOOPBACK_USER)
        self.record = Recorder(self.admin, "kubelet", loop.now, "hollow")
        self.specs = specs
        self.options = options
        self.nodes: HollowNodes
        self.tasks: list[asyncio.Task[None]] = []
        self.writes: list[str] = []

    def client_for(self, name: str) -> Any:
        return self.server.client(User(f"system:node:{name}", ("system:nodes", "system:authenticated")))

    async def start(self) -> None:
        options = {"record": self.record, **self.options}
        self.nodes = HollowNodes(
            self.admin, self.specs, client_for=self.client_for, clock=loop.now, rng=Random(1), **options
        )
        self.tasks = [asyncio.create_task(self.nodes.run()), asyncio.create_task(self.record.run())]
        await asyncio.wait([self.tasks[0], asyncio.create_task(self.nodes.ready.wait())], return_when="FIRST_COMPLETED")
        self.check()

    def check(self) -> None:
        for task in self.tasks:
            if task.done():
                task.result()

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []

    async def do(self, *actions: Action) -> list[Outcome]:
        outcomes = list(await self.admin.commit(actions))
        for outcome in outcomes:
            assert outcome.error is None, outcome.error
        return outcomes

    async def create(self, *pods: dict[str, Any]) -> None:
        await self.do(*(Create(POD, tree) for tree in pods))
        await self.sleep(0.001)

    async def delete(self, name: str, grace_s: int | None = None) -> None:
        await self.do(Delete(POD, "default", name, grace_s=grace_s))
        await self.sleep(0.001)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.check()

    def pod(self, name: str) -> Any:
        return self.server.objects.get("pods", "default", name)

    def node(self, name: str = "n1") -> Any:
        return self.server.objects.get("nodes", "", name)

    def lease(self, name: str = "n1") -> Any:
        return self.server.objects.get("leases.coordination.k8s.io", "kube-node-lease", name)

    def reasons(self, name: str) -> list[str]:
        """Reasons of the Events about an object, in order of time."""
        found = self.server.objects.view(EVENT.resource).list()
        return [
            f"{e.reason}*{e.count}" if e.count > 1 else e.reason
            for e in sorted(found, key=lambda e: (e.lastTimestamp, e.metadata.name))
            if e.involvedObject.name == name
        ]


def play(scenario: Callable[[World], Awaitable[None]], nodes: int = 1, **options: Any) -> None:
    """Run a scenario; at its end the nodes are stopped."""
    spec = options.pop("spec", {})

    async def main() -> None:
        store = MemoryStore()
        await store.open()
        config = Config(
            store=store, service_account_key=_key(), listen=False, clock=loop.now, entropy=Random(2).randbytes
        )
        server = ApiServer(config)
        await server.start()
        specs = [
            HollowNode(f"n{i + 1}", **{"pod_cidr": f"10.1.{i}.0/24", "address": f"127.1.0.{i + 1}", **spec})
            for i in range(nodes)
        ]
        world = World(server, specs, **options)
        await world.do(
            Create(SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": "default"}}),
            Create(CONFIGMAP, {"metadata": {"name": ROOT_CA, "namespace": "default"}, "data": {"ca.crt": "PEM"}}),
        )
        await world.start()
        try:
            await scenario(world)
            world.check()
        finally:
            await world.stop()
            await server.stop(0.0)
            await store.close()

    loop.run(main())


def phases(world: World, *names: str) -> list[str]:
    return [world.pod(name).status.phase for name in names]


def ready(obj: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in obj.status.conditions)


__all__ = ["NODE", "World", "notes", "phases", "play", "pod", "ready"]
