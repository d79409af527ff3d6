"""From a decision to claims that have their devices: what is kept for a pod, then written, then waited for.

``reserve`` marks the devices as taken at once, so that the next decision does not give them away. ``DeviceBinder``
writes allocation and reservation into the claims before the pod is bound, and waits until devices are ready that say so
by conditions. When anything of that goes wrong, ``undo`` says what takes it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.resource.podclaim import FINALIZER, consumer_of, is_reserved
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.api.resource.resourceclaim import AllocationResult, ResourceClaim, ResourceClaimStatus
from pelamis.base.clock import rfc3339
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Client, Create, Delete, Key, Patch, Update
from pelamis.scheduler.devices import extended
from pelamis.scheduler.devices.grant import grants
from pelamis.scheduler.devices.inventory import Inventory
from pelamis.scheduler.devices.podclaims import NOT_THERE, claims_for
from pelamis.scheduler.devices.readiness import has_conditions, readiness, times_out_at
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.writes import problem

_TRIES = 5
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_TIMEOUT = "device binding timeout"

replace = msgspec.structs.replace


@dataclass(slots=True)
class Part:
    """One claim of the pod. granted: what is to be written into it. uid: under which that is pending.

    unsure: the answer to a write was lost: it may have been carried out. mapped: of a claim for extended resources,
    which container uses which request.
    """

    claim: ResourceClaim
    granted: AllocationResult | None = None
    uid: str = ""
    mapped: tuple[extended.Mapped, ...] = ()
    unsure: bool = False

    @property
    def key(self) -> str:
        return f"{self.claim.metadata.namespace}/{self.claim.metadata.name}"


@dataclass(slots=True)
class Reservation:
    """All claims of a pod that has got a node."""

    info: PodInfo
    parts: list[Part] = field(default_factory=list)


def reserve(
    snapshot: Snapshot, info: PodInfo, node: str, timeout_s: float, new_id: Callable[[], str]
) -> Reservation | None:
    """None: the pod has no claims. new_id: a new UUID."""
    inventory = snapshot.devices
    claims = claims_for(inventory, info, timeout_s)
    if claims is None:
        return None
    place = snapshot.by_name[node].node
    _, found = claims.judge(place)
    resources = claims.parts(place) or frozenset()
    granted = grants(claims.problem_for(resources), found, node, new_id) if found is not None else []
    out = Reservation(info)
    for claim in claims.claims:
        part = Part(claim)
        if claim.status.allocation is None:
            part.granted, part.uid = granted.pop(0), claim.metadata.uid
        out.parts.append(part)
    if resources:
        requests, mapped = extended.requests_of(info.pod, resources, inventory.class_of)
        out.parts.append(Part(extended.claim_for(info.pod, requests), granted.pop(0), new_id(), mapped))
    for part in out.parts:
        if part.granted is not None:
            inventory.grant(part.uid, part.granted)
    return out


def freed(claim: ResourceClaim) -> Action:
    """Takes a claim's devices away."""
    return Update(CLAIM, replace(claim, status=ResourceClaimStatus()), "status")


def dropped(claim: ResourceClaim) -> list[Action]:
    """Deletes a claim that the scheduler has made."""
    meta = claim.metadata
    left = tuple(f for f in meta.finalizers if f != FINALIZER)
    out: list[Action] = []
    if left != meta.finalizers:
        out.append(Update(CLAIM, replace(claim, metadata=replace(meta, finalizers=left))))
    return [*out, Delete(CLAIM, meta.namespace, meta.name, uid=meta.uid)]


def undo(inventory: Inventory, kept: Reservation) -> list[Action]:
    """The pod is not bound after all. What is not written is forgotten at once; what may be, see ``settle``.

    A claim that was written keeps its devices without its pod, so they stay taken until it is seen with them.
    """
    out: list[Action] = []
    for part in kept.parts:
        claim = part.claim
        is_written = claim.status.allocation is not None and not part.mapped
        if part.uid and not part.unsure and not is_written:
            inventory.withdraw(part.uid)
        meta = claim.metadata
        if part.mapped:
            out += dropped(claim) if meta.uid else []
        elif claim.status.allocation is not None and is_reserved(claim, kept.info.uid):
            gone = {"$patch": "delete", "uid": kept.info.uid}
            body = {"metadata": {"uid": meta.uid}, "status": {"reservedFor": [gone]}}
            out.append(Patch(CLAIM, meta.namespace, meta.name, body, "strategic", "status"))
    return out


class _Trouble(Exception):
    pass


class DeviceBinder:
    """clock: seconds since the epoch."""

    def __init__(self, client: Client, inventory: Inventory, clock: Callable[[], float]) -> None:
        self._client = client
        self._inventory = inventory
        self._clock = clock
        self._waiters: dict[Key, list[asyncio.Event]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        for task in self._settling:
            task.cancel()

    def settle(self, kept: Reservation) -> None:
        """Devices of claims of which nobody knows whether they were written stay taken until that is known."""
        for part in kept.parts:
            if part.unsure and part.uid:
                task = asyncio.ensure_future(self._settle(part))
                self._settling.add(task)
                task.add_done_callback(self._settling.discard)

    async def _settle(self, part: Part) -> None:
        meta, pause = part.claim.metadata, _PAUSE_S
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            try:
                claim = await self._client.get(CLAIM, meta.namespace, meta.name)
            except StatusError as error:
                if error.reason != "NotFound":
                    continue
                claim = None
            except OSError:
                continue
            if claim is None or claim.metadata.uid != meta.uid or claim.status.allocation is None:
                self._inventory.withdraw(part.uid)
            return  # else the view shows it, or will

    def changed(self, key: Key, old: Any, new: Any) -> None:
        """Of each change of a claim."""
        for waiter in self._waiters.get(key, ()):
            waiter.set()

    async def bind(self, kept: Reservation) -> str:
        """Writes what was reserved; what went wrong, "" = nothing. Raises OSError."""
        try:
            for part in kept.parts:
                if part.granted is not None or not is_reserved(part.claim, kept.info.uid):
                    await self._bind(part, kept.info)
        except _Trouble as trouble:
            return str(trouble)
        return ""

    async def _commit(self, action: Action, what: str = "") -> Any:
        (outcome,) = await self._client.commit([action])
        if outcome.error is not None:
            if not what:
                raise outcome.error
            raise _Trouble(f"{what}: {problem(outcome.error)}")
        return outcome.obj

    async def _bind(self, part: Part, info: PodInfo) -> None:
        if part.mapped:
            made = await self._commit(Create(CLAIM, part.claim), f"create claim for extended resources {part.key}")
            part.claim = made
            assert part.granted is not None
            self._inventory.grant(made.metadata.uid, part.granted)
            self._inventory.withdraw(part.uid)
            part.uid = made.metadata.uid
        pause = _PAUSE_S
        for attempt in range(_TRIES):
            try:
                if attempt:
                    await self._refresh(part)
                await self._write(part, info)
                break
            except StatusError as error:
                if error.reason != "Conflict" or attempt == _TRIES - 1:
                    what = "allocation and reservation" if part.granted is not None else "reservation"
                    raise _Trouble(f"add {what} to claim {part.key}: {problem(error)}") from None
            except OSError:
                part.unsure = True
                if attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
        part.unsure = False
        if part.mapped:
            mappings = [{"containerName": c, "resourceName": r, "requestName": name} for c, r, name in part.mapped]
            told = {"resourceClaimName": part.claim.metadata.name, "requestMappings": mappings}
            body = {"metadata": {"uid": info.uid}, "status": {"extendedResourceClaimStatus": told}}
            what = f"update pod {info.namespace}/{info.key[1]} ExtendedResourceClaimStatus"
            await self._commit(Patch(POD, *info.key, body, "strategic", "status"), what)

    async def _refresh(self, part: Part) -> None:
        meta = part.claim.metadata
        try:
            part.claim = await self._client.get(CLAIM, meta.namespace, meta.name)
        except StatusError as error:
            raise _Trouble(f"get updated claim {part.key} after conflict: {problem(error)}") from None

    async def _write(self, part: Part, info: PodInfo) -> None:
        """Raises StatusError when the claim has changed meanwhile."""
        claim, granted = part.claim, part.granted
        meta = claim.metadata
        if meta.deletionTimestamp is not None:
            raise _Trouble(f"claim {part.key} got deleted in the meantime")
        if granted is not None:
            if claim.status.allocation is not None:
                if claim.status.allocation.devices != granted.devices or not is_reserved(claim, info.uid):
                    raise _Trouble(f"claim {part.key} got allocated elsewhere in the meantime")
                return  # a write whose answer was lost
            if FINALIZER not in meta.finalizers:
                safe = replace(meta, finalizers=(*meta.finalizers, FINALIZER))
                claim = part.claim = await self._commit(Update(CLAIM, replace(claim, metadata=safe)))
            granted = replace(granted, allocationTimestamp=rfc3339(self._clock()))
        allocation = granted or claim.status.allocation
        if allocation is None:
            raise _Trouble(f"claim {part.key} got deallocated elsewhere in the meantime")
        users = claim.status.reservedFor
        if not is_reserved(claim, info.uid):
            users = (*users, consumer_of(info.pod))
        status = replace(claim.status, allocation=allocation, reservedFor=users)
        part.claim = await self._commit(Update(CLAIM, replace(claim, status=status), "status"))
        if part.uid:
            self._inventory.wrote(part.uid, int(part.claim.metadata.resourceVersion))

    # -- devices that have to be made ready

    @staticmethod
    def must_wait(kept: Reservation) -> bool:
        return any(has_conditions(part.claim) for part in kept.parts)

    async def wait(self, kept: Reservation, limit_s: float, there: Callable[[], bool]) -> str:
        """Until all devices are ready; what went wrong, "" = nothing. there: whether the pod is still to be bound."""
        keys = [(part.claim.metadata.namespace, part.claim.metadata.name) for part in kept.parts]
        view = self._client.view(CLAIM)
        changed = asyncio.Event()
        for key in keys:
            self._waiters.setdefault(key, []).append(changed)
        ends = self._clock() + limit_s
        try:
            while True:
                changed.clear()
                if not there():
                    return "pod is gone"
                waiting, ends_now = False, ends
                for part, key in zip(kept.parts, keys, strict=True):
                    claim = view.get(*key)
                    if claim is None:
                        return f'could not find ResourceClaim "{part.key}"'
                    part.claim = claim
                    found = readiness(claim)
                    if found.failure:
                        return found.failure
                    over = times_out_at(claim, limit_s)
                    if not found.ready:
                        waiting = True
                        ends_now = min(ends_now, over if over is not None else ends)
                        if over is not None and over < self._clock():
                            return f"{_TIMEOUT}: claim={claim.metadata.name}"
                if not waiting:
                    return ""
                try:
                    async with asyncio.timeout(max(0.0, ends_now - self._clock()) + 0.001):
                        await changed.wait()
                except TimeoutError:
                    if self._clock() >= ends:
                        return f"{_TIMEOUT}: context deadline exceeded"
        finally:
            for key in keys:
                self._waiters[key].remove(changed)
                if not self._waiters[key]:
                    del self._waiters[key]


def claims_to_free(
    snapshot: Snapshot, info: PodInfo, timeout_s: float, reasons: Sequence[str]
) -> tuple[list[Action], str]:
    """For a pod that found no node: what may get it another one next time, and how users read that.

    reasons: of the nodes that did not fit.
    """
    claims = claims_for(snapshot.devices, info, timeout_s)
    if claims is None or claims.problem:
        return [], ""
    if NOT_THERE in reasons:
        claim = claims.to_free([node.node for node in snapshot.nodes])
        if claim is not None:
            return [freed(claim)], "deallocation of ResourceClaim completed"
    if claims.stale is not None:
        return dropped(claims.stale), "deletion of ResourceClaim completed"
    return [], ""
