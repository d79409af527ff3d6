"""One suite over every runtime: the hollow one always, the real containerd with root and the packages."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri.client import CriClient
from pelamis.kubelet.cri.runtime import CriError, Runtime
from pelamis.kubelet.volumes import mount
from tests.kubelet import rig
from tests.kubelet.memoryruntime import MemoryRuntime

Scenario = Callable[[Runtime, str], Awaitable[None]]


async def _hollow(scenario: Scenario) -> None:
    await scenario(MemoryRuntime(time.time, images=(rig.BUSYBOX,)), "/tmp")


async def _containerd(scenario: Scenario) -> None:
    async with rig.Rig() as made:
        runtime = CriClient(made.socket)
        try:
            await scenario(runtime, str(made.dir))
        finally:
            await runtime.close()


real = [pytest.mark.e2e, pytest.mark.skipif(bool(rig.missing()), reason=f"needs {rig.missing()}")]


@pytest.fixture(params=[pytest.param(_hollow, id="hollow"), pytest.param(_containerd, id="containerd", marks=real)])
def play(request: Any) -> Callable[[Scenario], None]:
    return lambda scenario: asyncio.run(request.param(scenario))


def sandbox_config(name: str, folder: str) -> cri.PodSandboxConfig:
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name=name, uid=f"uid-{name}", namespace="test"),
        log_directory=f"{folder}/{name}-logs",
        labels={"name": name},
        linux=cri.LinuxPodSandboxConfig(),
    )


def container_config(name: str, *command: str) -> cri.ContainerConfig:
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=name, attempt=2),
        image=cri.ImageSpec(image=rig.BUSYBOX),
        command=command,
        labels={"c": name},
        annotations={"note": "x"},
        log_path=f"{name}.log",
    )


async def exited(runtime: Runtime, id_: str) -> cri.ContainerStatus:
    for _ in range(200):
        found = await runtime.container_status(id_)
        if found.state == cri.EXITED:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("the container did not exit")


def test_life_of_a_pod(play: Any) -> None:
    async def scenario(runtime: Runtime, folder: str) -> None:
        seen: list[tuple[str, str]] = []
        ready = asyncio.Event()

        async def listen() -> None:
            async for event in runtime.events():
                seen.append((event.type, event.id))
                ready.set()

        listener = asyncio.create_task(listen())
        await ready.wait()
        await asyncio.sleep(0.1)
        settings = sandbox_config("one", folder)
        sandbox = await runtime.run_sandbox(settings)
        status = await runtime.sandbox_status(sandbox)
        assert status.state == cri.SANDBOX_READY and status.network is not None and status.network.ip
        assert status.labels == {"name": "one"}
        ends = await runtime.create_container(
            sandbox, container_config("ends", "sh", "-c", "sleep 0.2; exit 3"), settings
        )
        stays = await runtime.create_container(sandbox, container_config("stays", "sleep", "1000"), settings)
        found = await runtime.container_status(ends)
        assert (found.state, found.started_at, found.annotations) == (cri.CREATED, 0, {"note": "x"})
        assert found.metadata == cri.ContainerMetadata(name="ends", attempt=2)
        await runtime.start_container(ends)
        await runtime.start_container(stays)
        assert (await runtime.container_status(stays)).state == cri.RUNNING
        over = await exited(runtime, ends)
        assert (over.exit_code, over.reason) == (3, "Error") and over.finished_at >= over.started_at > 0
        listed = {c.id: c.state for c in await runtime.list_containers()}
        assert listed == {ends: cri.EXITED, stays: cri.RUNNING}
        assert [c.id for c in await runtime.list_containers({"c": "stays"})] == [stays]
        assert (await runtime.exec_sync(stays, ["true"], 5)).exit_code == 0
        assert (await runtime.exec_sync(stays, ["false"], 5)).exit_code == 1
        with pytest.raises(CriError) as slow:
            await runtime.exec_sync(stays, ["sleep", "5"], 1)
        assert slow.value.code == "DeadlineExceeded"
        await runtime.stop_container(stays, 0)
        assert (await exited(runtime, stays)).exit_code == 137
        await runtime.stop_sandbox(sandbox)
        assert (await runtime.sandbox_status(sandbox)).state == cri.SANDBOX_NOTREADY
        await runtime.remove_sandbox(sandbox)
        assert list(await runtime.list_sandboxes()) == [] and list(await runtime.list_containers()) == []
        await runtime.stop_container(stays, 0)
        await runtime.remove_container(stays)
        await runtime.stop_sandbox(sandbox)
        await runtime.remove_sandbox(sandbox)
        with pytest.raises(CriError) as missing:
            await runtime.container_status(stays)
        assert missing.value.code == "NotFound"
        await asyncio.sleep(0.05)
        listener.cancel()
        for event in (("started", ends), ("exited", ends), ("exited", stays), ("exited", sandbox)):
            assert event in seen

    play(scenario)


def test_images(play: Any) -> None:
    async def scenario(runtime: Runtime, folder: str) -> None:
        image = await runtime.image_status(rig.BUSYBOX)
        assert image is not None and rig.BUSYBOX in image.repo_tags and image.size > 0
        assert (await runtime.image_status(image.id)) == image
        assert await runtime.image_status("localhost/none:1") is None
        await runtime.remove_image("localhost/none:1")
        await runtime.remove_image(image.id)
        assert await runtime.image_status(rig.BUSYBOX) is None

    play(scenario)


def test_a_view_of_an_image_can_be_mounted_until_it_is_dropped(play: Any, tmp_path: Path) -> None:
    async def scenario(runtime: Runtime, folder: str) -> None:
        with pytest.raises(CriError):
            await runtime.view_image("localhost/none:1", "k")
        for _ in range(2):  # the second time it is there already
            mounts = await runtime.view_image(rig.BUSYBOX, "k")
        target = tmp_path / "view"
        target.mkdir()
        for one in mounts:
            mount.read_only(one.type, one.source, target, one.options)
        try:
            if mounts:
                assert (target / "bin" / "busybox").is_file()
                with pytest.raises(OSError, match="Read-only"):
                    (target / "new").touch()
                with pytest.raises(PermissionError):
                    subprocess.run([str(target / "bin" / "busybox"), "true"], check=True)
        finally:
            mount.unmount_below(target)
        for _ in range(2):
            await runtime.drop_view("k")

    play(scenario)
