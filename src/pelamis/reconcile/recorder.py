"""Records Events for components that are not controllers: noting one is a plain call, writing happens behind it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from pelamis.client.types import Client
from pelamis.reconcile.events import Correlator, record
from pelamis.reconcile.plan import EventNote

log = logging.getLogger(__name__)
_LIMIT = 1000
"""Notes kept while the API cannot be reached; the oldest are dropped first."""


class Recorder:
    """``run`` must be a task of the owner; a call only appends."""

    def __init__(self, client: Client, component: str, clock: Callable[[], float], host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._correlator = Correlator(component, host)
        self._notes: deque[tuple[EventNote, float]] = deque(maxlen=_LIMIT)
        self._wake = asyncio.Event()

    def __call__(self, regarding: Any, type_: str, reason: str, message: str) -> None:
        self._notes.append((EventNote(regarding, type_, reason, message), self._clock()))
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._notes:
                at = self._notes[0][1]
                notes = []
                while self._notes and self._notes[0][1] - at < 1.0:
                    notes.append(self._notes.popleft()[0])
                try:
                    await record(self._client, self._correlator, notes, at)
                except OSError as error:
                    log.warning("%d events could not be recorded: %s", len(notes), error)
