"""What hollow nodes write: the newest status of each pod, deletions, leases, each with its own node's identity.

A node has one commit under way at most, so its writes keep their order, and whatever changes meanwhile gathers for the
next one. So many nodes write at a time that the way to the server is never idle, and no more. Leases have a way of
their own, as they have in a kubelet: a node whose writes wait is not to be taken for dead.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Action, Client, Delete, Outcome, Patch
from pelamis.kubelet import status as statuses
from pelamis.kubelet.hollow.timer import Timers
from pelamis.kubelet.publish import PATIENCE_S, RETRY_S

if TYPE_CHECKING:
    from pelamis.kubelet.hollow.pod import HollowPod

log = logging.getLogger("pelamis.kubelet.hollow")
Settle = Callable[[Outcome | None], None]
"""Told the outcome of a write; None when the server could not be reached."""
IN_FLIGHT = 80
LEASES_IN_FLIGHT = 24
"""Together about what the priority level of nodes lets run at a time: more would only queue in the server."""
ACTIONS = 100
"""Actions of one commit."""


class Mail:
    """What one node has to say. open: False while it is cut off from the server."""

    __slots__ = (
        "actions",
        "busy",
        "client",
        "deletions",
        "lease",
        "lease_client",
        "node",
        "open",
        "queued",
        "renewing",
        "statuses",
        "waits",
    )

    def __init__(self, node: str) -> None:
        self.node = node
        self.client: Client | None = None
        self.lease_client: Client | None = None
        self.open = True
        self.busy = False
        self.queued = False
        self.waits = False
        self.statuses: dict[str, HollowPod] = {}
        self.deletions: dict[str, HollowPod] = {}
        self.actions: list[tuple[Action, Settle]] = []
        self.lease: Callable[[], tuple[Action, Settle]] | None = None
        """Makes the lease's renewal, with the time at which it leaves."""
        self.renewing = False

    @property
    def empty(self) -> bool:
        return not (self.statuses or self.deletions or self.actions)


class Outbox:
    """client_for(node): a client with the node's identity. lease_client_for: another one, for its lease alone."""

    def __init__(
        self,
        client_for: Callable[[str], Client],
        timers: Timers,
        failed: Callable[[BaseException], None],
        in_flight: int = IN_FLIGHT,
        lease_client_for: Callable[[str], Client] | None = None,
    ) -> None:
        self._client_for = client_for
        self._lease_client_for = lease_client_for
        self._timers = timers
        self._failed = failed
        self._free = in_flight
        self._queue: deque[Mail] = deque()
        self._leases: deque[Mail] = deque()
        """Those whose lease is due."""
        self._free_leases = LEASES_IN_FLIGHT
        self._tasks: set[asyncio.Task[None]] = set()
        self._pumping = False
        self.writes = 0
        """Actions sent so far."""

    # --- what is to be written ----------------------------------------------------------------------------------------

    def status(self, pod: HollowPod, *, at_once: bool) -> None:
        mail = pod.kubelet.mail
        mail.statuses[pod.uid] = pod
        if at_once:
            self.ready(mail)
        elif not mail.waits:
            mail.waits = True
            self._timers.after(PATIENCE_S, self._patience_ends, mail)

    def _patience_ends(self, mail: Mail) -> None:
        mail.waits = False
        self.ready(mail)

    def confirm(self, pod: HollowPod) -> None:
        """The pod's last status, then its deletion."""
        mail = pod.kubelet.mail
        mail.statuses[pod.uid] = pod
        mail.deletions[pod.uid] = pod
        self.ready(mail)

    def drop(self, pod: HollowPod) -> None:
        mail = pod.kubelet.mail
        mail.statuses.pop(pod.uid, None)
        mail.deletions.pop(pod.uid, None)

    def put(self, mail: Mail, action: Action, settle: Settle) -> None:
        mail.actions.append((action, settle))
        self.ready(mail)

    def renew(self, mail: Mail, make: Callable[[], tuple[Action, Settle]]) -> None:
        """The newest one, as soon as the one before has been answered."""
        if mail.lease is None and not mail.renewing:
            self._leases.append(mail)
        mail.lease = make
        self._wake()

    def ready(self, mail: Mail) -> None:
        if mail.queued or mail.busy or not mail.open or mail.empty:
            return
        mail.queued = True
        self._queue.append(mail)
        self._wake()

    def _wake(self) -> None:
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    # --- writing ------------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        self._pumping = False
        loop = asyncio.get_running_loop()
        while self._free_leases > 0 and self._leases:
            mail = self._leases.popleft()
            make, mail.lease = mail.lease, None
            if make is None or not mail.open:
                continue  # a node that is cut off renews anew when it is back
            mail.renewing = True
            self._free_leases -= 1
            self.writes += 1
            self._track(loop.create_task(self._send_lease(mail, *make())))
        while self._free > 0 and self._queue:
            mail = self._queue.popleft()
            mail.queued = False
            if not mail.open or mail.busy:
                continue
            actions, settles = self._take(mail)
            if not actions:
                continue
            mail.busy = True
            self._free -= 1
            self.writes += len(actions)
            self._track(loop.create_task(self._send(mail, actions, settles)))

    def _track(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._sent)

    def _take(self, mail: Mail) -> tuple[list[Action], list[Settle]]:
        actions: list[Action] = []
        settles: list[Settle] = []
        own, mail.actions = mail.actions[:ACTIONS], mail.actions[ACTIONS:]
        for action, settle in own:
            actions.append(action)
            settles.append(settle)
        for uid in list(mail.statuses)[:ACTIONS]:
            pod = mail.statuses.pop(uid)
            meta, built = pod.pod.metadata, pod.built
            body = statuses.difference(uid, pod.sent, built)
            if body is not None:
                actions.append(Patch(POD, meta.namespace, meta.name, body, "strategic", subresource="status"))
                settles.append(lambda outcome, pod=pod, built=built: self._status_sent(pod, built, outcome))  # type: ignore[misc]
            if mail.deletions.pop(uid, None) is not None:
                actions.append(Delete(POD, meta.namespace, meta.name, uid=uid, grace_s=0))
                settles.append(lambda outcome, pod=pod: self._deleted(pod, outcome))  # type: ignore[misc]
        return actions, settles

    def client(self, mail: Mail) -> Client:
        """The node's own."""
        if mail.client is None:
            mail.client = self._client_for(mail.node)
        return mail.client

    async def _send(self, mail: Mail, actions: list[Action], settles: list[Settle]) -> None:
        outcomes: list[Outcome | None]
        try:
            outcomes = list(await self.client(mail).commit(actions))
        except OSError as error:
            log.debug("%d writes of %s could not be sent: %s", len(actions), mail.node, error)
            outcomes = [None] * len(actions)
        finally:
            mail.busy = False
            self._free += 1
        for settle, outcome in zip(settles, outcomes, strict=True):
            settle(outcome)
        self.ready(mail)
        if self._queue and not self._pumping:
            self._pump()

    async def _send_lease(self, mail: Mail, action: Action, settle: Settle) -> None:
        if mail.lease_client is None:
            make = self._lease_client_for
            mail.lease_client = make(mail.node) if make is not None else self.client(mail)
        outcome: Outcome | None = None
        try:
            outcome = (await mail.lease_client.commit((action,)))[0]
        except OSError as error:
            log.debug("the lease of %s could not be renewed: %s", mail.node, error)
        finally:
            mail.renewing = False
            self._free_leases += 1
        settle(outcome)
        if mail.lease is not None:
            self._leases.append(mail)
        if self._leases and not self._pumping:
            self._pump()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    # --- what became of it --------------------------------------------------------------------------------------------

    def _status_sent(self, pod: HollowPod, built: Any, outcome: Outcome | None) -> None:
        if outcome is None:
            self._timers.after(RETRY_S, self._again, pod)
        elif outcome.error is None:
            pod.accepted(outcome.rev, built)
        elif outcome.error.reason not in ("NotFound", "Conflict"):
            meta = pod.pod.metadata
            log.warning("status of %s/%s was refused: %s", meta.namespace, meta.name, outcome.error)
            self._timers.after(RETRY_S, self._again, pod)

    def _again(self, pod: HollowPod) -> None:
        if not pod.picture().state.gone:
            self.status(pod, at_once=True)

    def _deleted(self, pod: HollowPod, outcome: Outcome | None) -> None:
        if outcome is not None and (
            outcome.error is None or outcome.error.reason in ("NotFound", "Conflict") or pod.picture().state.gone
        ):
            return
        if outcome is not None and outcome.error is not None:
            meta = pod.pod.metadata
            log.warning("deletion of %s/%s was refused: %s", meta.namespace, meta.name, outcome.error)
        self._timers.after(RETRY_S, self._confirm_again, pod)

    def _confirm_again(self, pod: HollowPod) -> None:
        if not pod.picture().state.gone:
            self.confirm(pod)
