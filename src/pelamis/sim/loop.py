"""An event loop whose time is virtual: when nothing is left to do, its clock jumps to the next timer.

Everything else is asyncio's own, so that the components run on it as they are. Timers of one instant fire in the order
in which they were set; callbacks run in the order in which they were added: what happens is a function of the program
alone. A process, of which there may be several on the loop, can stand still for a while (``freeze``) as one that is
stopped does: its timers become due, and nothing of it runs.

Without ``outside`` the loop touches no selector, and a program in which everything waits and no timer is set is stuck:
it is told so instead of hanging. With ``outside`` it also serves sockets and other threads: time still jumps, but only
when none of them has something to say, and without timers the loop waits for them.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z, a Thursday: where the clocks of the components start."""


PROCESS: ContextVar[str] = ContextVar("process", default="")
"""Whose callbacks they are: tasks inherit it."""


class Stuck(Exception):
    """Everything waits, and no timer is set."""


class Clock:
    """What the components take for the time of day: the loop's time from an epoch on, plus the steps made so far."""

    def __init__(self, loop: VirtualLoop, of: Clock | None = None) -> None:
        """of: another clock, beside whose steps this one has its own."""
        self._loop = loop
        self._of = of
        self.epoch = EPOCH
        self.offset = 0.0

    def __call__(self) -> float:
        if self._of is not None:
            return self._of() + self.offset
        return self.epoch + self.offset + self._loop.virtual

    def step(self, seconds: float) -> None:
        """As an operator or NTP sets a clock; timers do not move."""
        self.offset += seconds


class VirtualLoop(asyncio.SelectorEventLoop):
    """``virtual``: the loop's time, which starts at ``start``. ``steps``: callbacks run so far."""

    _ready: Any
    _selector: Any

    def __init__(self, *, outside: bool = False, start: float = 0.0) -> None:
        self.virtual = start
        self.steps = 0
        self._outside = outside
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._serial = 0
        self._frozen: dict[str, list[asyncio.Handle]] = {}
        super().__init__()
        self.clock = Clock(self)

    def time(self) -> float:
        return self.virtual

    def now(self) -> float:
        """The clock of the components: seconds since the epoch."""
        return self.clock()

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._serial += 1
        heapq.heappush(self._timers, (when, self._serial, timer))
        return timer

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.virtual + delay, callback, *args, context=context)

    def next_timer(self) -> float | None:
        """When the next timer fires; None when there is none."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def freeze(self, process: str) -> None:
        self._frozen.setdefault(process, [])

    def thaw(self, process: str) -> None:
        """What has become due meanwhile runs now."""
        self._ready.extend(self._frozen.pop(process, ()))

    def is_frozen(self, process: str) -> bool:
        return process in self._frozen

    def _run_once(self) -> None:
        ready = self._ready
        if self._outside and (not ready or self.steps % 64 == 0):
            self._process_events(self._selector.select(0))  # type: ignore[attr-defined]
        if not ready:
            at = self.next_timer()
            if at is not None:
                self.virtual = max(self.virtual, at)
            elif self._outside:
                self._process_events(self._selector.select(None))  # type: ignore[attr-defined]
            elif not self._stopping:  # type: ignore[attr-defined]
                raise Stuck("everything waits, and no timer is set")
        timers, now = self._timers, self.virtual
        while timers and timers[0][0] <= now:
            ready.append(heapq.heappop(timers)[2])
        count = len(ready)
        self.steps += count
        for _ in range(count):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            if self._frozen and (parked := self._frozen.get(handle._context.get(PROCESS, ""))) is not None:
                parked.append(handle)
            else:
                handle._run()


def run(main: Coroutine[Any, Any, T], *, outside: bool = False, start: float = 0.0) -> T:
    """Run to the end on a loop of its own; whatever is left running is cancelled. start: what its clock shows first."""
    loop = VirtualLoop(outside=outside, start=start)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        _close(loop)


def _close(loop: VirtualLoop) -> None:
    try:
        left = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        if loop._outside:
            loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def current() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def now() -> float:
    """The time of day on the running virtual loop."""
    return current().now()
