"""A whole kubelet over the hollow runtime on virtual time: many pods, faults, a restart of the agent, an empty end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.apiserver.user import User
from pelamis.client.types import Delete
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.run import Kubelet
from pelamis.kubelet.settings import KubeletConfig
from pelamis.reconcile.recorder import Recorder
from pelamis.sim import loop as virtual
from tests.apiserver.memory import MemoryServer
from tests.kubelet.memoryruntime import Delays, MemoryRuntime

IMAGE = "localhost/app:1"


def tree(name: str, command: str = "run", **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": command.split()}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "n", "restartPolicy": "Always", "containers": [container], **spec},
    }


class World:
    def __init__(self, folder: Path, **runtime: Any) -> None:
        self.server = MemoryServer(virtual.now)
        user = User("system:node:n", ("system:nodes", "system:authenticated"))
        self.client = self.server.client(user, "kubelet")
        self.runtime = MemoryRuntime(virtual.now, images=(IMAGE,), **runtime)
        self.settings = KubeletConfig(
            node_name="n",
            root_dir=str(folder / "kubelet"),
            pod_logs_dir=str(folder / "pods"),
            container_logs_dir=str(folder / "containers"),
            manage_cgroups=False,
            max_pods=1000,
            eviction_hard={},
            node_ips=("192.0.2.1",),
        )

    async def start(self) -> None:
        events = Recorder(self.client, "kubelet", virtual.now, "n")
        self.events = asyncio.create_task(events.run())
        self.kubelet = Kubelet(self.settings, self.client, self.runtime, events, virtual.now)
        self.task = asyncio.create_task(self.kubelet.run())
        await self.kubelet.ready.wait()

    async def stop(self) -> None:
        self.task.cancel()
        self.events.cancel()
        await asyncio.gather(self.task, self.events, return_exceptions=True)

    async def create(self, *trees: dict[str, Any]) -> None:
        await self.server.put(POD, *trees)

    def pods(self) -> dict[str, Any]:
        return {p.metadata.name: p for p in self.server.objects(POD)}


def play(folder: Path, scenario: Callable[[World], Any], **runtime: Any) -> None:
    async def main() -> None:
        world = World(folder, **runtime)
        await world.server.start()
        await world.start()
        await scenario(world)
        await world.stop()

    virtual.run(main(), outside=True)


def test_many_pods_come_and_go(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create(*(tree(f"p{i}") for i in range(300)))
        await asyncio.sleep(5)
        pods = world.pods()
        assert {p.status.phase for p in pods.values()} == {"Running"}
        assert len({p.status.podIP for p in pods.values()}) == 300
        await world.server.do(*(Delete(POD, "default", name) for name in pods))
        await asyncio.sleep(5)
        assert not world.pods() and not world.kubelet.workers
        assert not await world.runtime.list_sandboxes() and not await world.runtime.list_containers()
        assert not list((tmp_path / "kubelet/pods").iterdir())

    play(tmp_path, scenario, delays=Delays(sandbox=0.075, create=0.005, start=0.045))


def test_an_exit_that_the_runtime_reports_late_is_not_lost(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        told, status = virtual.now() + 30, world.runtime.container_status

        async def late(container_id: str) -> cri.ContainerStatus:
            found = await status(container_id)
            if found.state == cri.EXITED and virtual.now() < told:
                return msgspec.structs.replace(found, state=cri.RUNNING, finished_at=0, exit_code=0)
            return found

        world.runtime.container_status = late  # type: ignore[method-assign]
        await world.create(tree("late", "exit 3", restartPolicy="Never"))
        await asyncio.sleep(20)
        assert world.pods()["late"].status.phase == "Running"
        await asyncio.sleep(15)
        assert world.pods()["late"].status.phase == "Failed"

    play(tmp_path, scenario)


def test_a_start_is_one_status_write_and_idle_is_quiet(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await asyncio.sleep(1)
        before = len(world.server.commits)
        await world.create(tree("one"))
        await asyncio.sleep(2)
        kinds = [action.kind.plural for commit in world.server.commits[before:] for action in commit]
        assert kinds.count("pods") == 1
        assert [e.reason for e in world.server.objects(EVENT) if e.involvedObject.name == "one"] == [
            "Pulled",
            "Created",
            "Started",
        ]
        before = len(world.server.commits)
        await asyncio.sleep(100)
        idle = [action.kind.plural for commit in world.server.commits[before:] for action in commit]
        assert idle == ["leases"] * 10

    play(tmp_path, scenario, delays=Delays(sandbox=0.075, create=0.005, start=0.045))


def test_node_and_lease(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await asyncio.sleep(1)
        node = world.server.get(NODE, "", "n")
        assert {c.type: c.status for c in node.status.conditions}["Ready"] == "True"
        assert node.status.nodeInfo.containerRuntimeVersion == "hollow://1"
        first = world.server.get(LEASE, "kube-node-lease", "n").spec.renewTime
        await asyncio.sleep(11)
        assert world.server.get(LEASE, "kube-node-lease", "n").spec.renewTime > first

    play(tmp_path, scenario)


def test_faults_and_restarts_of_the_agent_lose_nothing(tmp_path: Path) -> None:
    dice = random.Random(7)

    async def scenario(world: World) -> None:
        for round_ in range(6):
            await world.create(*(tree(f"r{round_}-{i}", dice.choice(["run", "sleep 3", "exit 1"])) for i in range(15)))
            await asyncio.sleep(dice.random() * 2)
            names = list(world.pods())
            for name in dice.sample(names, min(8, len(names))):
                await world.server.do(Delete(POD, "default", name, grace_s=dice.choice([None, 0, 5])))
            for sandbox in dice.sample(list(await world.runtime.list_sandboxes()), 3):
                world.runtime.kill_sandbox(sandbox.id)
            for container in await world.runtime.list_containers():
                if container.state == 1 and dice.random() < 0.2:
                    world.runtime.crash(container.id)
            await world.stop()
            await asyncio.sleep(dice.random())
            await world.start()
        world.runtime._fail = lambda method, name: None
        await asyncio.sleep(700)
        pods = world.pods()
        for name, pod in pods.items():
            command = pod.spec.containers[0].command
            if command == ("run",):
                assert pod.status.phase == "Running" and pod.status.containerStatuses[0].ready, name
        running = {c.labels["io.kubernetes.pod.name"] for c in await world.runtime.list_containers() if c.state == 1}
        assert running <= set(pods)
        held = [s for s in await world.runtime.list_sandboxes() if s.state == 0]
        assert len(held) == len(pods)

    refusals = random.Random(3)
    fail = lambda method, name: "injected" if refusals.random() < 0.03 and method != "status" else None  # noqa: E731
    play(tmp_path, scenario, delays=Delays(sandbox=0.075, create=0.005, start=0.045, stop=0.01), fail=fail)
