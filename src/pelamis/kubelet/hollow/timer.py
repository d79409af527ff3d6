"""Many timers over one timer of the event loop."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any


class Timer:
    """One call to come. ``cancel`` is cheap: what was cancelled is dropped when its time comes."""

    __slots__ = ("args", "at", "fn", "serial")

    def __init__(self, at: float, serial: int, fn: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.at = at
        self.serial = serial
        self.fn: Callable[..., None] | None = fn
        self.args = args

    def __lt__(self, other: Timer) -> bool:
        return (self.at, self.serial) < (other.at, other.serial)

    def cancel(self) -> None:
        self.fn = None
        self.args = ()


class Timers:
    """Calls of one moment are made in the order in which they were asked for, a batch at a time."""

    BATCH = 200

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        """failed: told when a call has raised."""
        self._failed = failed
        self._heap: list[Timer] = []
        self._serial = 0
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def after(self, delay_s: float, fn: Callable[..., None], *args: Any) -> Timer:
        at = self._loop.time() + max(delay_s, 0.0)
        self._serial += 1
        timer = Timer(at, self._serial, fn, args)
        heapq.heappush(self._heap, timer)
        if self._handle is None or at < self._due:
            self._arm(at)
        return timer

    def close(self) -> None:
        self._closed = True
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, at: float) -> None:
        if self._closed:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._due = at
        self._handle = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._handle = None
        heap, now = self._heap, max(self._loop.time(), self._due)
        try:
            for _ in range(self.BATCH):
                if not heap or heap[0].at > now:
                    break
                timer = heapq.heappop(heap)
                if timer.fn is not None:
                    timer.fn(*timer.args)
        except Exception as error:
            self._failed(error)
            return
        while heap and heap[0].fn is None:
            heapq.heappop(heap)
        if heap and (self._handle is None or heap[0].at < self._due):
            self._arm(heap[0].at)
