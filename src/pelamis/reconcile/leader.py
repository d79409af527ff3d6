"""Leader election on a Lease, as client-go does it; used only where several servers share a store.

The holder renews every 2 s and gives up when it could not renew for 10 s; the others take over when the lease has not
changed for 15 s (``Timing`` may say otherwise), measured by their own clock from when they saw it change, so that
clocks need not agree. Nobody polls: a candidate is woken by the lease's view or by the time of its expiry. The lease is
given back on an orderly end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.coordination.lease import Lease, LeaseSpec
from pelamis.api.meta import ObjectMeta
from pelamis.base.clock import rfc3339_micro
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Client, Create, Update

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. lease_s: how long a holder that is not heard of keeps it; the Lease itself holds whole seconds."""

    lease_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0


USUAL = Timing()


class LostLease(Exception):
    """The lease could not be renewed in time: whoever leads must stop at once."""


@dataclass(slots=True)
class Election:
    """The decision, without I/O: what to write now. ``observe`` each lease that is seen."""

    namespace: str
    name: str
    identity: str
    lease: Lease | None = None
    seen_at: float = 0.0
    timing: Timing = USUAL

    def observe(self, lease: Lease | None, now: float) -> None:
        if lease is None or self.lease is None or lease.spec != self.lease.spec:
            self.seen_at = now
        self.lease = lease

    @property
    def held(self) -> bool:
        return self.lease is not None and self.lease.spec.holderIdentity == self.identity

    def expires_at(self) -> float:
        """When somebody else may take the lease."""
        if self.lease is None or not self.lease.spec.holderIdentity:
            return self.seen_at
        return self.seen_at + (self.lease.spec.leaseDurationSeconds or self.timing.lease_s)

    def write(self, now: float) -> Action | None:
        """What acquires or renews the lease; None while another one holds it."""
        at = rfc3339_micro(now)
        if self.lease is None:
            spec = LeaseSpec(
                holderIdentity=self.identity,
                leaseDurationSeconds=max(1, round(self.timing.lease_s)),
                acquireTime=at,
                renewTime=at,
                leaseTransitions=0,
            )
            return Create(LEASE, Lease(metadata=ObjectMeta(namespace=self.namespace, name=self.name), spec=spec))
        old = self.lease.spec
        if not self.held and now < self.expires_at():
            return None
        spec = msgspec.structs.replace(
            old,
            holderIdentity=self.identity,
            leaseDurationSeconds=max(1, round(self.timing.lease_s)),
            acquireTime=old.acquireTime if self.held else at,
            renewTime=at,
            leaseTransitions=(old.leaseTransitions or 0) + (0 if self.held else 1),
        )
        return Update(LEASE, msgspec.structs.replace(self.lease, spec=spec))

    def release(self, now: float) -> Action | None:
        if self.lease is None or not self.held:
            return None
        at = rfc3339_micro(now)
        spec = msgspec.structs.replace(
            self.lease.spec, holderIdentity="", leaseDurationSeconds=1, renewTime=at, acquireTime=at
        )
        return Update(LEASE, msgspec.structs.replace(self.lease, spec=spec))


async def lead(
    client: Client,
    namespace: str,
    name: str,
    identity: str,
    work: Callable[[], Awaitable[None]],
    *,
    clock: Callable[[], float],
    timing: Timing = USUAL,
) -> None:
    """Wait for the lease, then run ``work`` while it is held. Raises LostLease when it is lost."""
    view = client.view(LEASE, namespace=namespace, field_selector=f"metadata.name={name}")
    election = Election(namespace, name, identity, timing=timing)
    wake = asyncio.Event()
    cancel = view.subscribe(lambda key, old, new: wake.set())
    try:
        if not view.synced:
            view.when_reached(1, wake.set)
            await wake.wait()
        while True:
            now = clock()
            wake.clear()
            election.observe(view.get(namespace, name), now)
            if await _try(client, election, now):
                break
            delay = max(election.expires_at() - clock(), timing.retry_s if election.lease is None else 0.05)
            try:
                async with asyncio.timeout(delay):
                    await wake.wait()
            except TimeoutError:
                pass
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(_renew(client, election, clock), name="lease-renewal")
            await work()
            renewing.cancel()
    finally:
        cancel()
        action = election.release(clock())
        if action is not None:
            await client.commit([action])


async def _try(client: Client, election: Election, now: float) -> bool:
    action = election.write(now)
    if action is None:
        return False
    where = f"{election.namespace}/{election.name}"
    try:
        (outcome,) = await client.commit([action])
        if outcome.error is None:
            election.observe(outcome.obj, now)
            return True
        if outcome.error.reason not in ("Conflict", "AlreadyExists", "NotFound"):
            log.warning("lease %s cannot be taken: %s", where, outcome.error.message)
            return False
        election.observe(await client.get(LEASE, election.namespace, election.name), now)
    except (StatusError, OSError) as error:
        log.warning("lease %s cannot be reached: %s", where, error)
    return False


async def _renew(client: Client, election: Election, clock: Callable[[], float]) -> None:
    renewed = clock()
    while True:
        await asyncio.sleep(election.timing.retry_s)
        now = clock()
        if await _try(client, election, now):
            renewed = now
        elif not election.held or clock() - renewed > election.timing.renew_deadline_s:
            raise LostLease(f"lease {election.namespace}/{election.name} was lost")
