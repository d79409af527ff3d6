"""Leader election on a Lease, as client-go does it; used only where several servers share a store.

The holder renews every 2 s and gives up when it could not renew for 10 s; the others take over when the lease has not
changed for 15 s (``Timing`` may say otherwise), measured by the loop's time from when they saw it change, so that
clocks need not agree and may be set. Nobody polls: a candidate is woken by the lease's view or by the time of its
expiry. The lease is given back on an orderly end.

A holder that stood still (a machine that was suspended) finds its lease taken at its next renewal, within an instant of
waking up; until then it may write, and only what names a revision or a name is refused. Whoever leads after it sees
those writes and puts right what they did.
"""

from __future__ import annotations

import asyncio
import contextlib
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
    """The decision, without I/O: what to write now. ``observe`` each lease that is seen.

    Two times come in: ``now``, the time of day, is only written; ``at`` only grows, and decides.
    """

    namespace: str
    name: str
    identity: str
    lease: Lease | None = None
    seen_at: float = 0.0
    timing: Timing = USUAL

    def observe(self, lease: Lease | None, at: float) -> None:
        if lease is None or self.lease is None or lease.spec != self.lease.spec:
            self.seen_at = at
        self.lease = lease

    @property
    def held(self) -> bool:
        return self.lease is not None and self.lease.spec.holderIdentity == self.identity

    def expires_at(self) -> float:
        """When somebody else may take the lease."""
        if self.lease is None or not self.lease.spec.holderIdentity:
            return self.seen_at
        return self.seen_at + (self.lease.spec.leaseDurationSeconds or self.timing.lease_s)

    def write(self, now: float, at: float) -> Action | None:
        """What acquires or renews the lease; None while another one holds it."""
        stamp = rfc3339_micro(now)
        if self.lease is None:
            spec = LeaseSpec(
                holderIdentity=self.identity,
                leaseDurationSeconds=max(1, round(self.timing.lease_s)),
                acquireTime=stamp,
                renewTime=stamp,
                leaseTransitions=0,
            )
            return Create(LEASE, Lease(metadata=ObjectMeta(namespace=self.namespace, name=self.name), spec=spec))
        old = self.lease.spec
        if not self.held and at < self.expires_at():
            return None
        spec = msgspec.structs.replace(
            old,
            holderIdentity=self.identity,
            leaseDurationSeconds=max(1, round(self.timing.lease_s)),
            acquireTime=old.acquireTime if self.held else stamp,
            renewTime=stamp,
            leaseTransitions=(old.leaseTransitions or 0) + (0 if self.held else 1),
        )
        return Update(LEASE, msgspec.structs.replace(self.lease, spec=spec))

    def release(self, now: float) -> Action | None:
        if self.lease is None or not self.held:
            return None
        stamp = rfc3339_micro(now)
        spec = msgspec.structs.replace(
            self.lease.spec, holderIdentity="", leaseDurationSeconds=1, renewTime=stamp, acquireTime=stamp
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
    time = asyncio.get_running_loop().time
    wake = asyncio.Event()
    cancel = view.subscribe(lambda key, old, new: wake.set())
    try:
        if not view.synced:
            view.when_reached(1, wake.set)
            await wake.wait()
        while True:
            wake.clear()
            election.observe(view.get(namespace, name), time())
            if await _try(client, election, clock, time()):
                break
            wait_s = election.expires_at() - time()
            try:
                async with asyncio.timeout(wait_s if wait_s > 0 else timing.retry_s):
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
            with contextlib.suppress(OSError):
                await client.commit([action])


async def keep_leading(
    client: Client,
    namespace: str,
    name: str,
    identity: str,
    work: Callable[[], Awaitable[None]],
    *,
    clock: Callable[[], float],
    timing: Timing = USUAL,
) -> None:
    """Does ``work`` whenever the lease is held, until cancelled. It must end well when cancelled."""

    async def led() -> None:
        log.info("leading: %s", name)
        await work()

    while True:
        try:
            await lead(client, namespace, name, identity, led, clock=clock, timing=timing)
        except* LostLease:
            log.warning("the lease %s is lost; another server leads, or the store cannot be reached", name)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # A task group that has an error of its own to tell does not tell of being cancelled meanwhile.
                raise asyncio.CancelledError from None


async def _try(client: Client, election: Election, clock: Callable[[], float], at: float) -> bool:
    action = election.write(clock(), at)
    if action is None:
        return False
    where = f"{election.namespace}/{election.name}"
    try:
        (outcome,) = await client.commit([action])
        if outcome.error is None:
            election.observe(outcome.obj, at)
            return True
        if outcome.error.reason not in ("Conflict", "AlreadyExists", "NotFound"):
            log.warning("lease %s cannot be taken: %s", where, outcome.error.message)
            return False
        election.observe(await client.get(LEASE, election.namespace, election.name), at)
    except (OSError, StatusError) as error:
        log.warning("lease %s cannot be reached: %s", where, error)
    return False


async def _renew(client: Client, election: Election, clock: Callable[[], float]) -> None:
    time = asyncio.get_running_loop().time
    renewed = time()
    while True:
        await asyncio.sleep(election.timing.retry_s)
        at, deadline = time(), renewed + election.timing.renew_deadline_s
        done = False
        with contextlib.suppress(TimeoutError):  # a server that does not answer does not prolong the lease
            async with asyncio.timeout_at(deadline):
                done = await _try(client, election, clock, at)
        if done:
            renewed = at
        elif not election.held or time() >= deadline:
            raise LostLease(f"lease {election.namespace}/{election.name} was lost")
