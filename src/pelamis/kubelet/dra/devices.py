"""Devices for the pods of this node: asked of their drivers before a pod's sandbox is made, given to its containers by
their CDI names, given back when the pod's containers have ended.

A claim is noted, with the pod, before a driver is asked, and forgotten after the driver has taken it back, so that no
restart leaves a device behind. Its last user gives it back; who comes meanwhile has to wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from pelamis.api.core.pod.status import ResourceHealth, ResourceStatus
from pelamis.api.resource.podclaim import Unresolved, claim_name
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.api.resource.resourceclaim import ResourceClaim
from pelamis.client.types import Client
from pelamis.kubelet import deviceclaims
from pelamis.kubelet.deviceclaims import Hindered
from pelamis.kubelet.dra import messages
from pelamis.kubelet.dra.call import CallError
from pelamis.kubelet.dra.claims import Claims, Device, Driver, Info
from pelamis.kubelet.dra.drivers import Drivers
from pelamis.kubelet.dra.health import Health

log = logging.getLogger("pelamis.kubelet.dra")


class Devices:
    """changed(uid): the health of devices of that pod may be another."""

    def __init__(
        self,
        client: Client,
        claims: Claims,
        drivers: Drivers,
        *,
        now: Callable[[], float],
        changed: Callable[[str], None] = lambda uid: None,
    ) -> None:
        self._client = client
        self._claims = claims
        self._drivers = drivers
        self._now = now
        self._changed = changed
        self._health = Health()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        drivers.heard = self.heard

    async def prepare(self, pod: Any) -> str:
        """Why the pod cannot have its devices, "" = it has them."""
        namespace = pod.metadata.namespace

        async def read(name: str) -> Any:
            return await self._client.get(CLAIM, namespace, name)

        try:
            await self._prepare(pod, await deviceclaims.resolve(pod, read, self._drivers))
        except (Hindered, CallError) as why:
            return str(why)
        except OSError as error:
            return f"checkpoint ResourceClaim state: {error}"
        return ""

    async def _prepare(self, pod: Any, claims: Sequence[ResourceClaim]) -> None:
        fresh: dict[str, Info] = {}
        batches: dict[str, list[messages.Claim]] = {}
        for claim in claims:
            info = self._noted(pod.metadata.uid, claim)
            if info.ClaimUID in self._claims.prepared or info.ClaimUID in fresh:
                continue
            fresh[info.ClaimUID] = info
            for driver in info.DriverState:
                batches.setdefault(driver, []).append(_named(info))
        for driver, asked in batches.items():
            answer = await self._drivers.prepare(driver, tuple(asked))
            _check(asked, answer.claims, "NodePrepareResources")
            for entry in answer.claims:
                devices = entry.value.devices if entry.value is not None else ()
                fresh[entry.key].DriverState[driver] = Driver([_device(device) for device in devices])
        self._claims.prepared.update(fresh)
        if fresh:
            self._claims.save()

    def _noted(self, uid: str, claim: ResourceClaim) -> Info:
        """The claim with the pod among its users, in the file. Raises Hindered, OSError."""
        meta, allocation = claim.metadata, claim.status.allocation
        assert allocation is not None
        info = self._claims.get(meta.namespace, meta.name)
        if info is None:
            info = Info(meta.uid, meta.name, meta.namespace)
            info.DriverState = {result.driver: Driver() for result in allocation.devices.results}
            self._claims.add(info)
        elif info.ClaimUID != meta.uid:
            raise Hindered(
                f"old ResourceClaim with same name {meta.name} and different UID {info.ClaimUID} still exists "
                "(previous pod force-deleted?!)"
            )
        elif info.ClaimUID in self._claims.unpreparing:
            raise Hindered(f"ResourceClaim {meta.name} is being unprepared")
        if uid not in info.PodUIDs:
            info.PodUIDs[uid] = {}
            self._claims.save()
        return info

    def of_container(self, pod: Any, container: Any) -> list[str]:
        """CDI names of the devices that a container gets. Raises Hindered."""
        wanted: dict[str, list[str]] = {}
        claims = container.resources.claims if container.resources is not None else ()
        for entry in pod.spec.resourceClaims:
            requests = [claim.request for claim in claims if claim.name == entry.name]
            if not requests:
                continue
            try:
                name, _ = claim_name(pod, entry)
            except Unresolved as missing:
                raise Hindered(str(missing)) from missing
            if name is not None:
                wanted.setdefault(name, []).extend(requests)
        extended = pod.status.extendedResourceClaimStatus
        if extended is not None:
            asked = {name for name, amount in container.resources.requests.items() if amount not in ("", "0")}
            for mapping in extended.requestMappings:
                if mapping.containerName == container.name and mapping.resourceName in asked:
                    wanted.setdefault(extended.resourceClaimName, []).append(mapping.requestName)
        out: list[str] = []
        namespace = pod.metadata.namespace
        for name, requests in wanted.items():
            info = self._claims.get(namespace, name)
            if info is None:
                why = f"unable to get claim info for ResourceClaim {name} in namespace {namespace}"
                raise Hindered(f"internal error: {why}")
            for request in requests:
                out.extend(info.devices(request))
        return list(dict.fromkeys(out))

    # --- health -------------------------------------------------------------------------------------------------------

    def heard(self, driver: str, devices: Sequence[messages.DeviceHealth] | None) -> None:
        """A driver's report of all its devices; None: it reports no longer."""
        if devices is None:
            self._health.clear(driver)
        elif not self._health.update(driver, devices, self._now()):
            return self._arm(driver)
        self._tell(driver)

    def _arm(self, driver: str) -> None:
        timer = self._timers.pop(driver, None)
        if timer is not None:
            timer.cancel()
        now = self._now()
        at = self._health.next_until(driver, now)
        if at is not None:
            self._timers[driver] = asyncio.get_running_loop().call_later(at - now + 0.001, self._tell, driver)

    def _tell(self, driver: str) -> None:
        self._arm(driver)
        for uid in {uid for info in self._claims if driver in info.DriverState for uid in info.PodUIDs}:
            self._changed(uid)

    def status(self, pod: Any, container: Any) -> tuple[ResourceStatus, ...]:
        """What the status of a container says of the health of its devices."""
        entries = {entry.name: entry for entry in pod.spec.resourceClaims}
        out: dict[str, ResourceStatus] = {}
        for claim in container.resources.claims if container.resources is not None else ():
            try:
                name, _ = claim_name(pod, entries[claim.name])
            except (KeyError, Unresolved):
                continue
            info = self._claims.get(pod.metadata.namespace, name) if name is not None else None
            found = self._of_request(info, claim.request.partition("/")[0]) if info is not None else {}
            if found:
                title = f"claim:{claim.name}/{claim.request}" if claim.request else f"claim:{claim.name}"
                out[title] = ResourceStatus(name=title, resources=tuple(found.values()))
        return tuple(out.values())

    def _of_request(self, info: Info, request: str) -> dict[str, ResourceHealth]:
        now = self._now()
        out: dict[str, ResourceHealth] = {}
        for driver, state in info.DriverState.items():
            for device in state.Devices or ():
                if request and device.RequestNames and request not in device.RequestNames:
                    continue
                ids = device.CDIDeviceIDs or [f"{driver}/{device.PoolName}/{device.DeviceName}"]
                health, message = self._health.of(driver, device.PoolName, device.DeviceName, now)
                out.setdefault(ids[0], ResourceHealth(resourceID=ids[0], health=health, message=message or None))
        return out

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._drivers.close()

    async def unprepare(self, uid: str) -> str:
        """Gives the pod's devices back; why that failed, "" = it has none any more."""
        batches: dict[str, list[messages.Claim]] = {}
        ending: list[Info] = []
        held = self._claims.of_pod(uid)
        if not held:
            return ""
        for info in held:
            if len(info.PodUIDs) > 1:
                del info.PodUIDs[uid]
                continue
            self._claims.unpreparing.add(info.ClaimUID)
            ending.append(info)
            for driver in info.DriverState:
                batches.setdefault(driver, []).append(_named(info))
        try:
            for driver, asked in batches.items():
                answer = await self._drivers.unprepare(driver, tuple(asked))
                _check(asked, answer.claims, "NodeUnprepareResources")
            for info in ending:
                self._claims.remove(info)
            self._claims.save()
        except (Hindered, CallError) as why:
            return f"unprepare dynamic resources: {why}"
        except OSError as error:
            return f"unprepare dynamic resources: checkpoint ResourceClaim state: {error}"
        return ""

    async def reconcile(self, active: Collection[str]) -> None:
        """Gives back what pods hold that are no longer here."""
        for uid in self._claims.pods() - set(active):
            why = await self.unprepare(uid)
            if why:
                log.info("devices of pod %s, which has gone: %s", uid, why)


def _named(info: Info) -> messages.Claim:
    return messages.Claim(namespace=info.Namespace, uid=info.ClaimUID, name=info.ClaimName)


def _device(device: messages.Device) -> Device:
    return Device(
        device.pool_name,
        device.device_name,
        device.share_id or None,
        list(device.request_names) or None,
        list(device.cdi_device_ids) or None,
    )


def _check(asked: Sequence[messages.Claim], results: Sequence[Any], call: str) -> None:
    """A driver has to say of each claim that it was asked for, and of no other, that all went well. Raises Hindered."""
    names = {claim.uid: claim.name for claim in asked}
    for entry in results:
        if entry.key not in names:
            raise Hindered(f"{call} returned result for unknown claim UID {entry.key}")
        if entry.value is not None and entry.value.error:
            raise Hindered(f"{call} failed for ResourceClaim {names[entry.key]}: {entry.value.error}")
    left = len(asked) - len({entry.key for entry in results})
    if left:
        raise Hindered(f"{call} skipped {left} ResourceClaims")
