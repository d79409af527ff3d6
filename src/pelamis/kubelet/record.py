"""Events of the agent: gathered while a commit is under way, written in one, never waited for by anybody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from pelamis.client.types import Client
from pelamis.reconcile.events import Correlator, record
from pelamis.reconcile.plan import EventNote

log = logging.getLogger("pelamis.kubelet.events")
QUEUE = 1000
GATHER_S = 0.2
"""Events are for people: they wait so long for company, and leave the start of a pod to the writes that count."""


class EventRecorder:
    """Call it to record; ``run`` writes until cancelled. Beyond ``QUEUE`` waiting notes the newest are dropped."""

    def __init__(self, client: Client, host: str, now: Callable[[], float]) -> None:
        self._client = client
        self._now = now
        self._correlator = Correlator("kubelet", host)
        self._waiting: list[EventNote] = []
        self._wake = asyncio.Event()

    def __call__(self, regarding: Any, type_: str, reason: str, message: str) -> None:
        if len(self._waiting) < QUEUE:
            self._waiting.append(EventNote(regarding, type_, reason, message[:1024]))
            self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            notes, self._waiting = self._waiting, []
            try:
                await record(self._client, self._correlator, notes, self._now())
            except OSError as error:
                log.warning("%d events could not be written: %s", len(notes), error)
