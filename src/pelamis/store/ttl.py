"""Expiry of keys: one heap, one timer, deletions that are ordinary events.

Deadlines are rounded up to whole seconds, so that what expires together is deleted in one commit. A deletion expects
the revision that the deadline was set with: a key written again meanwhile is left alone, and old heap records need no
clean-up of their own. Nothing runs while nothing is about to expire.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pelamis.store.types import Closed, Delete, StoreFull

RETRY_S = 5
GROUP = 256


class Expiry:
    """now() in seconds since the epoch (or of the loop's clock, for a store that forgets)."""

    def __init__(self, now: Callable[[], float], commit: Callable[[Sequence[Delete]], Awaitable[Any]]) -> None:
        self._now = now
        self._commit = commit
        self._heap: list[tuple[int, str, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def deadline(self, ttl_s: int) -> int:
        return math.ceil(self._now() + ttl_s)

    def add(self, key: str, mod_rev: int, deadline: int) -> None:
        heapq.heappush(self._heap, (deadline, key, mod_rev))
        self._arm(deadline)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _arm(self, deadline: int) -> None:
        if self._closed or self._task is not None:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        delay = max(0.0, deadline - self._now())
        self._timer = asyncio.get_running_loop().call_later(delay, self._start)

    def _start(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._expire(), name="expiry of keys")

    async def _expire(self) -> None:
        wait_until = 0
        try:
            while self._heap and self._heap[0][0] <= self._now():
                due: list[tuple[int, str, int]] = []
                while self._heap and self._heap[0][0] <= self._now() and len(due) < GROUP:
                    due.append(heapq.heappop(self._heap))
                try:
                    await self._commit([Delete(key, expect=rev) for _, key, rev in due])
                except StoreFull:
                    for record in due:
                        heapq.heappush(self._heap, record)
                    wait_until = math.ceil(self._now() + RETRY_S)
                    break
        except Closed:
            return
        finally:
            self._task = None
        if self._heap:
            self._arm(max(self._heap[0][0], wait_until))
