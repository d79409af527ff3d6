"""A kubelet on a real containerd, with an API server in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop  # noqa: F401 - the loop of the agent

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.apiserver.user import User
from pelamis.client.types import Delete
from pelamis.kubelet.cri.client import CriClient
from pelamis.kubelet.run import Kubelet
from pelamis.kubelet.server import KubeletServer
from pelamis.kubelet.settings import KubeletConfig
from tests.apiserver.memory import MemoryServer
from tests.kubelet.rig import BUSYBOX, Rig

NODE = "node-1"


def pod(name: str, *containers: dict[str, Any], namespace: str = "default", **spec: Any) -> dict[str, Any]:
    made = [
        {
            "name": "main",
            "image": BUSYBOX,
            "imagePullPolicy": "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            **container,
        }
        for container in containers
    ]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "nodeName": NODE,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "containers": made,
            **spec,
        },
    }


class Live:
    """``async with Live() as live``: live.server is the API, live.kubelet the agent."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.server = MemoryServer(time.time)
        user = User(f"system:node:{NODE}", ("system:nodes", "system:authenticated"))
        self.client = self.server.client(user, "kubelet")
        self.events: list[tuple[str, str, str, str]] = []

    def config(self) -> KubeletConfig:
        base = self.rig.dir
        return KubeletConfig(
            node_name=NODE,
            root_dir=f"{base}/kubelet",
            pod_logs_dir=f"{base}/logs/pods",
            container_logs_dir=f"{base}/logs/containers",
            node_logs_dir=f"{base}/logs",
            runtime_root=f"{base}/root",
            cgroup_root=f"/pelamis-test-{self.rig.tag}",
            cluster_dns=("10.96.0.10",),
            eviction_hard={},
        )

    def record(self, regarding: Any, type_: str, reason: str, message: str) -> None:
        self.events.append((regarding.name, type_, reason, message))

    async def __aenter__(self) -> Live:
        await self.rig.__aenter__()
        await self.server.start()
        await self.start()
        return self

    async def start(self) -> None:
        self.runtime = CriClient(self.rig.socket)
        self.http = KubeletServer(None, host="127.0.0.1", port=0, insecure=True)
        self.kubelet = Kubelet(self.config(), self.client, self.runtime, self.record, time.time, server=self.http)
        self.task = asyncio.create_task(self.kubelet.run())
        ready = asyncio.create_task(self.kubelet.ready.wait())
        await asyncio.wait({self.task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            self.task.result()

    async def stop(self) -> None:
        """As if the agent had been killed: containers stay."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.runtime.close()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.server.stop()
        cgroups = self.kubelet._cgroups
        from pelamis.kubelet.volumes import mount

        await self.rig.__aexit__()
        mount.unmount_below(self.rig.dir)
        if cgroups is not None:
            cgroups.teardown()

    async def create(self, tree: dict[str, Any]) -> None:
        await self.server.put(POD, tree)

    def get(self, name: str) -> Any:
        return self.server.get(POD, "default", name)

    async def delete(self, name: str, grace_s: int | None = None) -> None:
        await self.server.do(Delete(POD, "default", name, grace_s=grace_s))

    async def until(self, name: str, test: Callable[[Any], bool], timeout: float = 20.0) -> Any:
        """Wait until the pod passes the test (None = gone)."""
        found = asyncio.Event()

        def on_change(key: Any, old: Any, new: Any) -> None:
            if key == ("default", name) and test(new):
                found.set()

        cancel = self.server.subscribe(POD, on_change)
        try:
            if test(self.get(name)):
                return self.get(name)
            async with asyncio.timeout(timeout):
                await found.wait()
        except TimeoutError:
            if self.task.done():
                self.task.result()
            now = self.get(name)
            raise AssertionError(f"{name}: {now.status if now else None}\n{self.events[-12:]}") from None
        finally:
            cancel()
        return self.get(name)

    async def exec(self, name: str, *command: str, container: str = "main") -> str:
        worker = self.kubelet.find("default", name)
        assert worker is not None
        run = worker.machine.state.slots[container].current
        assert run is not None
        answer = await self.runtime.exec_sync(run.id, command, 10)
        return (answer.stdout + answer.stderr).decode()

    def reasons(self, name: str) -> list[str]:
        return [reason for who, _, reason, _ in self.events if who == name]

    def log_of(self, name: str, container: str = "main", attempt: int = 0) -> str:
        meta = self.get(name).metadata
        path = Path(self.config().pod_logs_dir) / f"default_{name}_{meta.uid}" / container / f"{attempt}.log"
        return path.read_text()


def running(found: Any) -> bool:
    return (
        found is not None and found.status.phase == "Running" and all(c.ready for c in found.status.containerStatuses)
    )
