"""Drivers that come and go, and the claims that they prepare; over real sockets, with an API server in memory."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.api.resource.resourceslice import KIND as SLICE
from pelamis.apiserver.user import User
from pelamis.kubelet.dra import messages as m
from pelamis.kubelet.dra.claims import Claims, CorruptState
from pelamis.kubelet.dra.devices import Devices
from pelamis.kubelet.dra.drivers import Drivers
from pelamis.kubelet.dra.health import Health
from pelamis.kubelet.dra.registration import Registrar
from tests.apiserver.memory import MemoryServer
from tests.kubelet.dra.driver import FakeDriver

GPU = "gpu.example.com"


class World:
    """A kubelet's part: registrar, drivers, devices."""

    def __init__(self, folder: Path, server: MemoryServer, wipe_s: float) -> None:
        self.folder = folder
        self.server = server
        self.plugins = folder / "plugins"
        self.plugins.mkdir(exist_ok=True)
        user = User("system:node:n1", ("system:nodes", "system:authenticated"))
        self.client = server.client(user, "kubelet")
        self.tasks: list[asyncio.Task[None]] = []
        self.changed: asyncio.Queue[str] = asyncio.Queue()
        self.drivers = Drivers(self.client, "n1", self.spawn, wipe_s=wipe_s)
        self.load()
        self.spawn(Registrar(self.plugins, self.drivers).run(), name="registrar")

    def load(self) -> None:
        """What is left after a restart: the file."""
        self.claims = Claims(self.folder / "state")
        self.devices = Devices(self.client, self.claims, self.drivers, now=time.time, changed=self.changed.put_nowait)

    def spawn(self, work: Any, name: str = "") -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.append(task)
        return task

    async def close(self) -> None:
        self.devices.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def pod(self, name: str, *claims: str, **status: Any) -> Any:
        entries = [{"name": f"c{i}", "resourceClaimName": claim} for i, claim in enumerate(claims)]
        (made,) = await self.server.put(
            POD,
            {
                "metadata": {"name": name, "namespace": "default"},
                "spec": {
                    "nodeName": "n1",
                    "resourceClaims": entries,
                    "containers": [
                        {"name": "all", "image": "i", "resources": {"claims": [{"name": e["name"]} for e in entries]}},
                        {
                            "name": "one",
                            "image": "i",
                            "resources": {"claims": [{"name": "c0", "request": "r1"}] if entries else []},
                        },
                        {"name": "none", "image": "i"},
                    ],
                },
                "status": status,
            },
        )
        return made

    async def claim(self, name: str, *pods: Any, driver: str = GPU) -> Any:
        requests = [{"name": r, "exactly": {"deviceClassName": "gpu"}} for r in ("r1", "r2")]
        results = [{"request": r, "driver": driver, "pool": "p", "device": f"d-{r}"} for r in ("r1", "r2")]
        reserved = [{"resource": "pods", "name": p.metadata.name, "uid": p.metadata.uid} for p in pods]
        (made,) = await self.server.put(
            CLAIM,
            {
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"devices": {"requests": requests}},
                "status": {"allocation": {"devices": {"results": results}}, "reservedFor": reserved},
            },
        )
        return made

    async def slices(self, *drivers: str) -> None:
        for driver in drivers:
            spec = {
                "driver": driver,
                "nodeName": "n1",
                "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "d"}],
            }
            await self.server.put(SLICE, {"metadata": {"generateName": f"{driver}-"}, "spec": spec})

    async def until_slices(self, *drivers: str) -> None:
        wanted, reached = sorted(drivers), asyncio.Event()

        def look(*_: Any) -> None:
            if sorted(s.spec.driver for s in self.server.objects(SLICE)) == wanted:
                reached.set()

        cancel = self.server.subscribe(SLICE, look)
        look()
        async with asyncio.timeout(10):
            await reached.wait()
        cancel()


def run(folder: Path, scene: Callable[[World], Awaitable[None]], wipe_s: float = 0.01) -> None:
    async def main() -> None:
        server = await MemoryServer(time.time).start()
        await server.put(NODE, {"metadata": {"name": "n1"}})
        world = World(folder, server, wipe_s)
        try:
            async with asyncio.timeout(20):
                await scene(world)
        finally:
            await world.close()
            await server.stop()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        (FakeDriver(), ""),
        (FakeDriver(versions=("v1beta1.DRAPlugin",)), ""),
        (FakeDriver(versions=("v9.DRAPlugin", "v1beta1.DRAPlugin", "v1.DRAPlugin")), ""),
        (
            FakeDriver(type="CSIPlugin"),
            "RegisterPlugin error -- no handler registered for plugin type: CSIPlugin at socket ",
        ),
        (
            FakeDriver(versions=("v9.DRAPlugin",)),
            "RegisterPlugin error -- plugin validation failed with err: invalid supported gRPC versions of DRA driver "
            "plugin gpu.example.com at endpoint ",
        ),
    ],
    ids=["v1", "v1beta1", "the first that we know", "another type", "no version that we know"],
)
def test_registration(tmp_path: Path, driver: FakeDriver, told: str) -> None:
    async def scene(world: World) -> None:
        driver.told = asyncio.Queue()
        await driver.start(world.plugins)
        registered, error = await driver.told.get()
        assert (registered, error[: len(told)]) == (not told, told)
        assert (GPU in world.drivers) is registered
        if registered:
            pod = await world.pod("a", "x")
            await world.claim("x", pod)
            assert await world.devices.prepare(pod) == "" and driver.calls == [("prepare", ["x"])]
        await driver.stop()

    run(tmp_path, scene)


def test_slices_go_with_the_driver(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.slices(GPU, "other.example.com")
        world.drivers.start()
        await world.until_slices()  # nobody has registered since the kubelet started
        driver = FakeDriver()
        path = await driver.start(world.plugins)
        assert await driver.told.get() == (True, "")
        await world.slices(GPU, "other.example.com")
        path.unlink()
        await driver.stop()
        await world.until_slices("other.example.com")
        assert GPU not in world.drivers

    run(tmp_path, scene)


def test_a_driver_that_dies_and_comes_back_in_time_keeps_its_slices(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        first, second = FakeDriver(), FakeDriver()
        path = await first.start(world.plugins, "a.sock")
        assert await first.told.get() == (True, "")
        await world.slices(GPU)
        path.unlink()
        await first.stop()
        await second.start(world.plugins, "b.sock")
        assert await second.told.get() == (True, "")
        pod = await world.pod("a", "x")
        await world.claim("x", pod)
        assert await world.devices.prepare(pod) == "" and second.calls == [("prepare", ["x"])]
        assert not world.drivers._wipes and len(world.server.objects(SLICE)) == 1
        await second.stop()

    run(tmp_path, scene, wipe_s=3600.0)


def test_devices_are_given_to_containers_and_given_back_by_the_last_pod(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        driver = FakeDriver()
        driver.cdi = {"r1": ("v/c=1",), "r2": ("v/c=2",)}
        await driver.start(world.plugins)
        await driver.told.get()
        one, two = await world.pod("one", "x"), await world.pod("two", "x")
        await world.claim("x", one, two)
        assert await world.devices.prepare(one) == "" and await world.devices.prepare(two) == ""
        assert driver.calls == [("prepare", ["x"])]
        got = [world.devices.of_container(one, container) for container in one.spec.containers]
        assert got == [["v/c=1", "v/c=2"], ["v/c=1"], []]
        world.load()  # the kubelet is started again
        assert world.devices.of_container(one, one.spec.containers[1]) == ["v/c=1"]
        assert await world.devices.unprepare(one.metadata.uid) == "" and driver.calls == [("prepare", ["x"])]
        driver.fail["x"] = "busy"
        why = "unprepare dynamic resources: NodeUnprepareResources failed for ResourceClaim x: busy"
        assert await world.devices.unprepare(two.metadata.uid) == why
        assert await world.devices.prepare(one) == "ResourceClaim x is being unprepared"
        driver.fail.clear()
        await world.devices.reconcile({one.metadata.uid})
        assert driver.calls[-1] == ("unprepare", ["x"]) and world.claims.pods() == set()
        assert Claims(tmp_path / "state").pods() == set()
        await driver.stop()

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({}, "DRA driver gpu.example.com is not registered"),
        ({"fail": {"x": "no memory"}}, "NodePrepareResources failed for ResourceClaim x: no memory"),
        ({"skip": {"x"}}, "NodePrepareResources skipped 1 ResourceClaims"),
        ({"refuse": "no"}, "NodePrepareResources: rpc error: code = Unavailable desc = no"),
    ],
)
def test_why_a_pod_has_no_devices(tmp_path: Path, setting: dict[str, Any], why: str) -> None:
    async def scene(world: World) -> None:
        driver = FakeDriver()
        for name, value in setting.items():
            setattr(driver, name, value)
        pod = await world.pod("a", "x")
        await world.claim("x", pod)
        if setting:
            await driver.start(world.plugins)
            await driver.told.get()
        assert await world.devices.prepare(pod) == why
        # What a driver was asked for has to be taken back; what none was, not.
        assert world.claims.pods() == ({pod.metadata.uid} if setting else set())
        if setting:
            driver.fail, driver.skip, driver.refuse = {}, set(), ""
            assert await world.devices.prepare(pod) == ""
            await driver.stop()

    run(tmp_path, scene)


def test_another_claim_of_the_name_waits_for_the_old_one(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        driver = FakeDriver()
        await driver.start(world.plugins)
        await driver.told.get()
        pod = await world.pod("a", "x")
        await world.claim("x", pod)
        info = world.claims
        assert await world.devices.prepare(pod) == ""
        held = info.get("default", "x")
        assert held is not None
        was, held.ClaimUID = held.ClaimUID, "old"
        assert await world.devices.prepare(pod) == (
            "old ResourceClaim with same name x and different UID old still exists (previous pod force-deleted?!)"
        )
        assert was != "old"
        await driver.stop()

    run(tmp_path, scene)


def test_a_file_that_was_damaged_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    Claims(path).save()
    assert list(Claims(path)) == []
    path.write_bytes(path.read_bytes().replace(b"v1", b"v2"))
    with pytest.raises(CorruptState):
        Claims(path)


def report(health: int, seconds: int = 0, message: str = "", device: str = "d") -> m.DeviceHealth:
    return m.DeviceHealth(
        device=m.DeviceIdentifier(pool_name="p", device_name=device),
        health=health,
        health_check_timeout_seconds=seconds,
        message=message,
    )


@pytest.mark.parametrize("version", ["v1.DRAResourceHealth", "v1alpha1.DRAResourceHealth"])
def test_health_comes_into_the_status_and_goes_with_the_stream(tmp_path: Path, version: str) -> None:
    async def scene(world: World) -> None:
        driver = FakeDriver(versions=("v1.DRAPlugin", version))
        driver.cdi = {"r1": ("v/c=1",), "r2": ()}
        await driver.start(world.plugins)
        await driver.told.get()
        pod = await world.pod("a", "x")
        await world.claim("x", pod)
        assert await world.devices.prepare(pod) == ""

        def shown(index: int) -> dict[str, list[tuple[str, str, str | None]]]:
            found = world.devices.status(pod, pod.spec.containers[index])
            return {s.name: [(r.resourceID, r.health, r.message) for r in s.resources] for s in found}

        other = "gpu.example.com/p/d"
        assert shown(0) == {"claim:c0": [("v/c=1", "Unknown", None), (other, "Unknown", None)]}
        assert shown(2) == {}
        driver.health.put_nowait((report(2, message="hot"),))
        assert await world.changed.get() == pod.metadata.uid
        assert shown(0) == {"claim:c0": [("v/c=1", "Unhealthy", "hot"), (other, "Unhealthy", "hot")]}
        assert shown(1) == {"claim:c0/r1": [("v/c=1", "Unhealthy", "hot")]}
        driver.health.put_nowait(None)
        assert await world.changed.get() == pod.metadata.uid
        assert shown(1) == {"claim:c0/r1": [("v/c=1", "Unknown", None)]}
        await driver.stop()

    run(tmp_path, scene)


def test_reports_age() -> None:
    health = Health()
    assert health.update("d", [report(1), report(2, 100, "hot", "e")], 1000.0)
    assert not health.update("d", [report(1), report(2, 100, "hot", "e")], 1010.0)
    assert (health.next_until("d", 1010.0), health.next_until("d", 1041.0)) == (1040.0, 1110.0)
    assert health.of("d", "p", "d", 1040.0) == ("Healthy", "") and health.of("d", "p", "d", 1041.0) == ("Unknown", "")
    assert health.of("d", "p", "e", 1041.0) == ("Unhealthy", "hot")
    assert health.update("d", [report(2, 100, "x" * 2000, "e")], 1050.0)  # the other has aged
    assert health.of("d", "p", "e", 1050.0)[1] == "x" * 1021 + "..."
    health.clear("d")
    assert health.of("d", "p", "e", 1050.0) == ("Unknown", "") and health.next_until("d", 1050.0) is None


def test_a_folder_of_plugins_that_is_removed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pelamis.kubelet.dra.registration.AGAIN_S", 0.01)
    folder = tmp_path / "registry"

    async def main() -> None:
        task = asyncio.create_task(Registrar(folder, None).run())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        (folder / "file").touch()
        await asyncio.sleep(0)
        shutil.rmtree(folder)
        async with asyncio.timeout(10):
            while not folder.exists():
                assert not task.done()
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait((task,))

    asyncio.run(main())
