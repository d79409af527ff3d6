"""The drivers of devices that have registered at this node, and what becomes of their ResourceSlices when they go.

A driver may be there more than once, while it is updated: the newest that is connected is asked. When none is, its
slices of this node are deleted after half a minute, so that the scheduler chooses the node no longer; at the start,
before any driver has come back, all slices of the node are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pelamis.api.resource.resourceslice import KIND as SLICE
from pelamis.base.errors import StatusError
from pelamis.client.types import Client, Delete
from pelamis.kubelet.cri.wire import Message
from pelamis.kubelet.dra.call import CallError, Line
from pelamis.kubelet.dra.messages import (
    HEALTH_SERVICES,
    SERVICES,
    Claim,
    DeviceHealth,
    NodePrepareResourcesRequest,
    NodePrepareResourcesResponse,
    NodeUnprepareResourcesRequest,
    NodeUnprepareResourcesResponse,
    NodeWatchResourcesRequest,
    NodeWatchResourcesResponse,
)

log = logging.getLogger("pelamis.kubelet.dra")
M = TypeVar("M", bound=Message)
CALL_S = 45.0
WIPE_S = 30.0
WIPE_RETRY_S = 1.0
WIPE_RETRY_MAX_S = 300.0
CONNECT_RETRY_S = 1.0
CONNECT_RETRY_MAX_S = 120.0
HEALTH_RETRY_S = 5.0


@dataclass(slots=True, eq=False)
class Plugin:
    """One process of a driver. service: path of the gRPC service. watcher: of the health of its devices."""

    driver: str
    endpoint: str
    service: str
    line: Line
    keeper: asyncio.Task[None]
    watcher: asyncio.Task[None] | None = None
    connected: bool = False

    def close(self) -> None:
        for task in (self.keeper, self.watcher):
            if task is not None:
                task.cancel()
        self.line.close()


def choose(driver: str, endpoint: str, services: tuple[str, ...]) -> tuple[str, str]:
    """(the service, why there is none)."""
    for service in services:
        if service in SERVICES:
            return SERVICES[service], ""
    why = "empty list of supported gRPC services (aka supported versions)"
    if services:
        theirs, ours = (" ".join(f'"{name}"' for name in names) for names in (services, SERVICES))
        why = f"none of services supported by the plugin ([{theirs}]) are supported by the kubelet ([{ours}])"
    where = f"DRA driver plugin {driver} at endpoint {endpoint}"
    return (
        "",
        f"RegisterPlugin error -- plugin validation failed with err: invalid supported gRPC versions of {where}: {why}",
    )


class Drivers:
    """spawn(work, name): a task of the kubelet's. heard(driver, devices): the health of all its devices; None: it tells
    nothing any more. wipe_s: how long a driver may be away."""

    def __init__(
        self,
        client: Client,
        node: str,
        spawn: Callable[..., asyncio.Task[None]],
        *,
        heard: Callable[[str, Sequence[DeviceHealth] | None], None] = lambda driver, devices: None,
        wipe_s: float = WIPE_S,
    ) -> None:
        self.heard = heard
        self._client = client
        self._node = node
        self._spawn = spawn
        self._wipe_s = wipe_s
        self._plugins: dict[str, list[Plugin]] = {}
        self._wipes: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        self._spawn(self._wipe(""), name="resource slices of before")

    def close(self) -> None:
        for plugins in self._plugins.values():
            for plugin in plugins:
                plugin.close()
        self._plugins.clear()

    def __contains__(self, driver: object) -> bool:
        return driver in self._plugins

    # --- registration -------------------------------------------------------------------------------------------------

    def register(self, name: str, endpoint: str, services: tuple[str, ...]) -> str:
        service, why = choose(name, endpoint, services)
        if why:
            return why
        known = self._plugins.get(name, [])
        if any(plugin.endpoint == endpoint for plugin in known):
            why = f"endpoint {endpoint} already registered for DRA driver plugin {name}"
            return f"RegisterPlugin error -- plugin registration failed with err: {why}"
        lost = asyncio.Event()
        line = Line(endpoint, lost.set)
        loop = asyncio.get_running_loop()
        plugin = Plugin(name, endpoint, service, line, loop.create_task(asyncio.sleep(0)))
        plugin.keeper = loop.create_task(self._keep(plugin, lost), name=f"driver {name}")
        health = next((path for service, path in HEALTH_SERVICES.items() if service in services), "")
        if health:
            plugin.watcher = loop.create_task(self._watch(plugin, health), name=f"health of {name}")
        self._plugins.setdefault(name, []).append(plugin)
        log.info("driver %s has registered at %s", name, endpoint)
        self._settle(name)
        return ""

    def deregister(self, name: str, endpoint: str) -> None:
        plugins = self._plugins.get(name, [])
        for plugin in [p for p in plugins if p.endpoint == endpoint]:
            plugins.remove(plugin)
            plugin.close()
            log.info("driver %s has gone from %s", name, endpoint)
        if not plugins:
            self._plugins.pop(name, None)
        self._settle(name)

    async def _keep(self, plugin: Plugin, lost: asyncio.Event) -> None:
        """Holds a connection, by which it is known whether the driver is there."""
        pause = CONNECT_RETRY_S
        while True:
            lost.clear()
            try:
                await plugin.line.connect()
            except OSError as error:
                log.info("driver %s at %s: %s", plugin.driver, plugin.endpoint, error)
                await asyncio.sleep(pause)
                pause = min(pause * 1.6, CONNECT_RETRY_MAX_S)
                continue
            pause = CONNECT_RETRY_S
            plugin.connected = True
            self._settle(plugin.driver)
            await lost.wait()
            plugin.connected = False
            self._settle(plugin.driver)

    async def _watch(self, plugin: Plugin, service: str) -> None:
        path = f"{service}/NodeWatchResources"
        while True:
            try:
                async for said in plugin.line.stream(path, NodeWatchResourcesRequest(), NodeWatchResourcesResponse):
                    self.heard(plugin.driver, said.devices)
            except CallError as error:
                if error.code == "Unimplemented":
                    return
                log.info("health of the devices of %s: %s", plugin.driver, error)
            finally:
                others = self._plugins.get(plugin.driver, ())
                if not any(p.watcher is not None and not p.watcher.done() for p in others if p is not plugin):
                    self.heard(plugin.driver, None)
            await asyncio.sleep(HEALTH_RETRY_S)

    # --- slices -------------------------------------------------------------------------------------------------------

    def _settle(self, driver: str) -> None:
        if any(plugin.connected for plugin in self._plugins.get(driver, ())):
            task = self._wipes.pop(driver, None)
            if task is not None:
                task.cancel()
        elif driver not in self._wipes:
            self._wipes[driver] = self._spawn(self._wipe_later(driver), name=f"resource slices of {driver}")

    async def _wipe_later(self, driver: str) -> None:
        await asyncio.sleep(self._wipe_s)
        await self._wipe(driver)
        self._wipes.pop(driver, None)

    async def _wipe(self, driver: str) -> None:
        """Deletes the slices of a driver ("": of all) of this node, however long it takes."""
        selector = f"spec.nodeName={self._node}" + (f",spec.driver={driver}" if driver else "")
        pause = WIPE_RETRY_S
        while True:
            try:
                found, _ = await self._client.list(SLICE, field_selector=selector)
                gone = [Delete(SLICE, "", s.metadata.name, uid=s.metadata.uid) for s in found]
                outcomes = await self._client.commit(gone) if gone else ()
                bad = [
                    o.error for o in outcomes if o.error is not None and o.error.reason not in ("NotFound", "Conflict")
                ]
                if not bad:
                    return
                log.info("resource slices: %s", bad[0].message)
            except (OSError, StatusError) as error:
                log.info("resource slices: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, WIPE_RETRY_MAX_S)

    # --- calls --------------------------------------------------------------------------------------------------------

    def _plugin(self, driver: str) -> Plugin:
        plugins = self._plugins.get(driver)
        if not plugins:
            raise CallError(f"DRA driver {driver} is not registered")
        return next((p for p in reversed(plugins) if p.connected), plugins[-1])

    async def prepare(self, driver: str, claims: tuple[Claim, ...]) -> NodePrepareResourcesResponse:
        """Raises CallError."""
        request = NodePrepareResourcesRequest(claims=claims)
        return await self._call(driver, "NodePrepareResources", request, NodePrepareResourcesResponse)

    async def unprepare(self, driver: str, claims: tuple[Claim, ...]) -> NodeUnprepareResourcesResponse:
        """Raises CallError."""
        request = NodeUnprepareResourcesRequest(claims=claims)
        return await self._call(driver, "NodeUnprepareResources", request, NodeUnprepareResourcesResponse)

    async def _call(self, driver: str, method: str, request: Message, answer: type[M]) -> M:
        plugin = self._plugin(driver)
        try:
            return await plugin.line.call(f"{plugin.service}/{method}", request, answer, CALL_S)
        except CallError as error:
            raise CallError(f"{method}: {error}") from error
