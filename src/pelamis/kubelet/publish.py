"""Statuses of pods on their way to the API: newest only, many pods in one commit, urgent ones at once.

While a commit is under way, further changes gather for the next. A change that users or controllers act on (phase,
readiness, states of containers) goes out at once; the rest waits a moment for company, so that a quick start of a pod
is one write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Client, Outcome, Patch
from pelamis.kubelet import status as statuses

log = logging.getLogger("pelamis.kubelet.status")
PATIENCE_S = 0.3
RETRY_S = 1.0


class Subject(Protocol):
    """A pod whose status is published. sent: the tree of the status as the API has it, as far as is known."""

    pod: Any
    sent: dict[str, Any]
    wanted: dict[str, Any]
    acked_rev: int


def urgent(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether somebody waits for this change."""
    if old.get("phase", "Pending") != new.get("phase") or old.get("reason") != new.get("reason"):
        return True

    def gist(tree: dict[str, Any]) -> list[Any]:
        out: list[Any] = []
        for group in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
            for c in tree.get(group, ()):
                state = c.get("state", {})
                waiting = state.get("waiting", {}).get("reason", "")
                waiting = "" if waiting in ("ContainerCreating", "PodInitializing") else waiting
                what = next(iter(state), "waiting")
                out.append((c["name"], what, waiting, c.get("ready"), c.get("started") or False, c.get("restartCount")))
        ready = [c["status"] for c in tree.get("conditions", ()) if c["type"] == "Ready"]
        return [*sorted(out), "True" in ready]

    before = gist(old)
    if len(before) == 1:  # nothing was published yet: a pod that only waits is not urgent
        return any(item[1] != "waiting" or item[2] for item in gist(new)[:-1])
    return before != gist(new)


class Publisher:
    def __init__(self, client: Client, now: Callable[[], float]) -> None:
        self._client = client
        self._now = now
        self._waiting: dict[str, Subject] = {}
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._flushed: dict[str, list[asyncio.Future[None]]] = {}

    def mark(self, subject: Subject, *, at_once: bool) -> None:
        self._waiting[subject.pod.metadata.uid] = subject
        if at_once:
            self._wake.set()
        elif self._timer is None and not self._wake.is_set():
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()

    def drop(self, uid: str) -> None:
        self._waiting.pop(uid, None)
        for future in self._flushed.pop(uid, ()):
            if not future.done():
                future.set_result(None)

    async def flush(self, subject: Subject) -> None:
        """Return when the API has the wanted status, or the pod is gone."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushed.setdefault(subject.pod.metadata.uid, []).append(future)
        self.mark(subject, at_once=True)
        await future

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            batch, self._waiting = self._waiting, {}
            await self._send(list(batch.values()))

    async def _send(self, subjects: list[Subject]) -> None:
        actions: list[Patch] = []
        sent: list[tuple[Subject, dict[str, Any]]] = []
        for subject in subjects:
            meta = subject.pod.metadata
            body = statuses.patch(meta.uid, subject.sent, subject.wanted)
            if body is None:
                self._done(subject)
                continue
            actions.append(Patch(POD, meta.namespace, meta.name, body, "strategic", subresource="status"))
            sent.append((subject, subject.wanted))
        if not actions:
            return
        try:
            outcomes = await self._client.commit(actions)
        except OSError as error:
            log.warning("statuses of %d pods could not be sent: %s", len(actions), error)
            self._later([subject for subject, _ in sent])
            return
        for (subject, wanted), outcome in zip(sent, outcomes, strict=True):
            self._settle(subject, wanted, outcome)

    def _settle(self, subject: Subject, wanted: dict[str, Any], outcome: Outcome) -> None:
        if outcome.error is None:
            subject.sent = wanted
            subject.acked_rev = outcome.rev
            if subject.wanted is wanted or subject.wanted == wanted:
                self._done(subject)
            else:
                self.mark(subject, at_once=True)
        elif outcome.error.reason in ("NotFound", "Conflict"):
            self._done(subject)  # the pod is gone, or another of that name has taken its place
        else:
            meta = subject.pod.metadata
            log.warning("status of %s/%s was refused: %s", meta.namespace, meta.name, outcome.error)
            self._later([subject])

    def _done(self, subject: Subject) -> None:
        for future in self._flushed.pop(subject.pod.metadata.uid, ()):
            if not future.done():
                future.set_result(None)

    def _later(self, subjects: list[Subject]) -> None:
        for subject in subjects:
            self._waiting.setdefault(subject.pod.metadata.uid, subject)
        asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)
