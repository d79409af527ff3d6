"""The service proxy's executor: views of Services, EndpointSlices and this node's pods in, transactions out.

Changes are gathered while a transaction is under way and go into the next one: under load few large transactions, at
rest each change at once. A refused transaction is followed by the whole table, after a back-off.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.wellknown import SERVICE_NAME, ZONE
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.client.synced import synced
from pelamis.client.types import Client, Key, View
from pelamis.proxy.health import HealthChecks, check_of
from pelamis.proxy.nft import FilterError, PacketFilter
from pelamis.proxy.rules import EMPTY, Part, Settings, Table, pod_part, service_part, stale_udp

log = logging.getLogger(__name__)
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 30.0


class Proxy:
    """``await run()`` until cancelled. ``synced`` is set once the first whole table is in force.

    client: the identity of service proxies. node_client: the node's, which may read its own pods (for host ports).
    """

    def __init__(self, client: Client, node_client: Client, packet_filter: PacketFilter, settings: Settings) -> None:
        self.client = client
        self.node_client = node_client
        self.filter = packet_filter
        self.settings = settings
        self.table = Table(settings)
        self.dirty: set[tuple[str, str, str]] = set()
        self.wake = asyncio.Event()
        self.synced = asyncio.Event()
        self.leaving: dict[asyncio.Future[None], tuple[str, str]] = {}
        """Who waits for a pod (namespace, uid) to get no new connections."""
        self.slices: View[object] | None = None
        self.services: View[object] | None = None
        self.health = HealthChecks()

    async def run(self) -> None:
        services = self.services = self.client.view(SERVICE)
        node = self.client.view(NODE, field_selector=f"metadata.name={self.settings.node}")
        slices = self.slices = self.client.view(SLICE)
        pods = self.node_client.view(POD, field_selector=f"spec.nodeName={self.settings.node}")
        cancels = [
            services.subscribe(lambda key, old, new: self._mark("service", key)),
            slices.subscribe(self._slice),
            pods.subscribe(self._pod),
            node.subscribe(self._node),
        ]
        try:
            for view in (services, slices, pods, node):
                await synced(view)  # the first rules must know every Service, or a restart would cut traffic
            await self._loop(services, slices, pods)
        finally:
            for cancel in cancels:
                cancel()
            await self.health.close()

    async def withdrawn(self, namespace: str, uid: str) -> None:
        """Returns once the rules in force send the pod no new connections (but for want of any better endpoint)."""
        waiting = asyncio.get_running_loop().create_future()
        self.leaving[waiting] = (namespace, uid)
        self.wake.set()
        try:
            await waiting
        finally:
            self.leaving.pop(waiting, None)

    def _left(self) -> list[asyncio.Future[None]]:
        """Those whose pod no slice offers any more."""
        if not self.leaving or self.slices is None:
            return []
        offered = set()
        for namespace in {namespace for namespace, _ in self.leaving.values()}:
            for found in self.slices.list(namespace):
                for endpoint in found.endpoints:  # type: ignore[attr-defined]
                    if endpoint.targetRef is not None and not endpoint.conditions.terminating:
                        offered.add((namespace, endpoint.targetRef.uid))
        return [waiting for waiting, pod in self.leaving.items() if pod not in offered]

    def _mark(self, what: str, key: Key) -> None:
        self.dirty.add((what, *key))
        self.wake.set()

    def _slice(self, key: Key, old: object, new: object) -> None:
        for part in (old, new):
            if part is not None:
                name = part.metadata.labels.get(SERVICE_NAME)  # type: ignore[attr-defined]
                if name:
                    self._mark("service", (key[0], name))

    def _node(self, key: Key, old: object, new: object) -> None:
        """Its zone decides which endpoints are near."""
        zone = new.metadata.labels.get(ZONE, "") if new is not None else self.settings.zone  # type: ignore[attr-defined]
        if zone != self.settings.zone:
            self.settings = replace(self.settings, zone=zone)
            for service in self.services.keys() if self.services is not None else ():
                self._mark("service", service)

    def _pod(self, key: Key, old: object, new: object) -> None:
        for pod in (old, new):
            if pod is not None and any(p.hostPort for c in pod.spec.containers for p in c.ports):  # type: ignore[attr-defined]
                self._mark("pod", key)

    async def _loop(self, services: View[object], slices: View[object], pods: View[object]) -> None:
        whole = True
        backoff = _FIRST_BACKOFF_S
        while True:
            if not whole:
                await self.wake.wait()
            self.wake.clear()
            dirty, self.dirty = self.dirty, set()
            new: dict[object, Part] = {key: self._part(key, services, slices, pods) for key in dirty}
            forget = [item for key, part in new.items() for item in stale_udp(self.table.parts.get(key, EMPTY), part)]
            commands = self.table.change(new)
            if whole:
                commands = self.table.full()
            left = self._left()
            for what, namespace, name in dirty:
                if what == "service":
                    await self._check_health((namespace, name), services, slices)
            try:
                if commands:
                    await self.filter.apply(commands)
            except FilterError as error:
                log.error("the packet filter refused a change, the whole table follows: %s", error)
                whole = True
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _LAST_BACKOFF_S)
                continue
            whole, backoff = False, _FIRST_BACKOFF_S
            self.synced.set()
            for waiting in left:
                if not waiting.done():
                    waiting.set_result(None)
            for address, port, endpoint in forget:
                await self.filter.forget_udp(address, port, endpoint)

    async def _check_health(self, key: Key, services: View[object], slices: View[object]) -> None:
        found = slices.by_index("service", f"{key[0]}/{key[1]}")
        await self.health.set(key, *check_of(services.get(*key), found, self.settings.node))  # type: ignore[arg-type]

    def _part(
        self, key: tuple[str, str, str], services: View[object], slices: View[object], pods: View[object]
    ) -> Part:
        what, namespace, name = key
        if what == "pod":
            return pod_part(pods.get(namespace, name))  # type: ignore[arg-type]
        found = slices.by_index("service", f"{namespace}/{name}")
        return service_part(services.get(namespace, name), found, self.settings)  # type: ignore[arg-type]
