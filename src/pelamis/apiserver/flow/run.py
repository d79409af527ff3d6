"""Holds requests to the flows of the cluster: follows its objects, and lets those that wait run in their turn."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pelamis.apiserver.flow.estimate import ONE, WATCHES_PER_SEAT, Width, estimate, most_seats
from pelamis.apiserver.flow.queues import Level, Levels, Shape
from pelamis.apiserver.flow.rules import Classifier, Flow
from pelamis.apiserver.histogram import Histogram
from pelamis.apiserver.request import MUTATING, RequestInfo
from pelamis.apiserver.user import User
from pelamis.base.errors import StatusError
from pelamis.cache.view import View

WAIT_S = 15.0
"""A quarter of the time that a request may take."""
_REFUSED = "Too many requests, please try again later."
_LONGEST_RETRY_S = 32


class Refused(StatusError):
    """The answer is plain text, as upstream's."""

    def __init__(self, retry_s: int) -> None:
        super().__init__(429, "TooManyRequests", _REFUSED, headers={"Retry-After": str(retry_s)})


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits for seats. since: seconds since the epoch."""

    width: Width
    flow: Flow
    user: User
    info: RequestInfo
    future: asyncio.Future[None]
    since: float
    distinguisher: str


class Ran:
    """Requests of one schema at one level that were let run, and how long those took that are done."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = Histogram()


class Ticket:
    """A request that runs. queue -1: it never stood in one."""

    __slots__ = ("level", "queue", "ran", "started", "width")

    def __init__(self, level: Level[Waiter], queue: int, started: float, width: Width, ran: Ran) -> None:
        self.level = level
        self.queue = queue
        self.started = started
        self.width = width
        self.ran = ran


class RetryAfter:
    """After how many seconds a refused client may come again, at one level: longer while many are refused."""

    def __init__(self) -> None:
        self.seconds = 1
        self._changed = 0
        self._history: deque[list[int]] = deque()
        """[second, refused in it], the oldest first."""

    def refused(self, now: float) -> int:
        second = int(now)
        if self._history and self._history[-1][0] == second:
            self._history[-1][1] += 1
            return self.seconds
        self._adjust(second)
        self._history.append([second, 1])
        while self._history[0][0] < second - _LONGEST_RETRY_S:
            self._history.popleft()
        return self.seconds

    def _adjust(self, second: int) -> None:
        if second - self._changed < self.seconds:
            return
        refused = sum(count for at, count in self._history if second - at <= self.seconds)
        if refused < self.seconds:
            self.seconds = max(1, self.seconds - 1)
        elif refused >= 3 * self.seconds:
            self.seconds = min(2 * self.seconds, _LONGEST_RETRY_S)
        self._changed = second


class FlowControl:
    """schemas, levels: views of the two kinds. total: requests at once, over all levels but the exempt."""

    def __init__(
        self,
        schemas: View,
        levels: View,
        total: int,
        *,
        stored: Callable[[RequestInfo], tuple[int, int]] = lambda info: (0, 0),
        watchers: Callable[[RequestInfo], int] = lambda info: 0,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """stored: how many objects a resource has, and their bytes; watchers: how many watch it."""
        self._schemas = schemas
        self._configs = levels
        self._stored, self._watchers, self._clock = stored, watchers, clock
        self.levels: Levels[Waiter] = Levels(total)
        self.rejected: dict[tuple[str, str, str], int] = {}
        """By priority level, flow schema and reason."""
        self.ran: dict[tuple[str, str], Ran] = {}
        """By priority level and flow schema."""
        self.waited: dict[tuple[str, str, str], Histogram] = {}
        """By priority level, flow schema, and whether it ran."""
        self._retry: dict[str, RetryAfter] = {}
        self._classifier: Classifier | None = None
        schemas.subscribe(self._changed, replay=False)
        levels.subscribe(self._changed, replay=False)

    def _changed(self, key: Any, old: Any, new: Any) -> None:
        if old is None or new is None or old.spec != new.spec:
            self._classifier = None

    def _renew(self) -> Classifier:
        configs = self._configs.list()
        for waiter in self.levels.configure({c.metadata.name: shape_of(c) for c in configs}):
            if not waiter.future.done():
                waiter.future.set_result(None)
        self._classifier = found = Classifier(self._schemas.list(), configs)
        return found

    def classify(self, user: User, info: RequestInfo) -> Flow:
        return (self._classifier or self._renew()).classify(user, info)

    async def take(self, flow: Flow, user: User, info: RequestInfo, query: str = "") -> Ticket | None:
        """Returns when the request may run. None: it is not counted. Raises Refused."""
        loop = asyncio.get_running_loop()
        found = self.enter(flow, info, query, loop.time())
        return await self.wait(flow, user, info, found) if isinstance(found, Width) else found

    def enter(self, flow: Flow, info: RequestInfo, query: str, now: float) -> Ticket | Width | None:
        """The first step, which is mostly all: a ticket, or None as ``take`` says. A Width: it has to ``wait``."""
        level = self.levels.levels.get(flow.level)
        if level is None or level.shape.exempt:
            return None
        width = self._width(info, query, level)
        if level.waiting or not self.levels.has_seat(level, width.most):
            return width
        level.run(-1, width.most)
        ran = self._of(flow)
        ran.count += 1
        return Ticket(level, -1, now, width, ran)

    def _width(self, info: RequestInfo, query: str, level: Level[Waiter]) -> Width:
        verb = info.verb
        if verb == "list" or verb == "watch":
            stored, watchers = self._stored(info), 0
        elif verb in MUTATING and (watchers := self._watchers(info)) >= WATCHES_PER_SEAT:
            stored = 0, 0
        else:
            return ONE
        return estimate(info, query, stored, watchers, most_seats(level.seats, level.shape.hand))

    async def wait(self, flow: Flow, user: User, info: RequestInfo, width: Width) -> Ticket:
        """Raises Refused."""
        level = self.levels.levels[flow.level]
        loop = asyncio.get_running_loop()
        if not level.shape.queues:
            level.rejected += 1
            raise self._refused(flow, "concurrency-limit")
        key = flow.key(user, info)
        queue = level.choose(hash_of(key))
        mine = Waiter(width, flow, user, info, loop.create_future(), self._clock(), key.partition("/")[2])
        if not level.wait(queue, mine):
            raise self._refused(flow, "queue-full")
        ticket = Ticket(level, queue, 0.0, width, self._of(flow))
        began = loop.time()
        timer = loop.call_later(WAIT_S, self._expire, ticket, mine, flow)
        ran = "false"
        try:
            await mine.future
            ran = "true"
        except asyncio.CancelledError:
            future = mine.future
            had_seat = future.done() and not future.cancelled() and future.exception() is None
            if not level.forget(queue, mine) and had_seat:
                ticket.started = loop.time()
                self.give(ticket, ticket.started)
            self._note(flow, "cancelled")
            raise
        finally:
            timer.cancel()
            self._observe((flow.level, flow.schema, ran), loop.time() - began)
        ticket.started = loop.time()
        ticket.ran.count += 1
        return ticket

    def _of(self, flow: Flow) -> Ran:
        key = (flow.level, flow.schema)
        found = self.ran.get(key)
        if found is None:
            found = self.ran[key] = Ran()
        return found

    def _observe(self, key: tuple[str, str, str], seconds: float) -> None:
        found = self.waited.get(key)
        if found is None:
            found = self.waited[key] = Histogram()
        found.observe(seconds)

    def give(self, ticket: Ticket | None, now: float) -> None:
        """The request is done."""
        if ticket is None:
            return
        level, width = ticket.level, ticket.width
        took = now - ticket.started
        kept = width.final if width.after_s else 0
        ticket.ran.seconds.observe(took)
        level.done(ticket.queue, took, width.most, kept)
        if kept:
            asyncio.get_running_loop().call_later(width.after_s, self._release, level, kept)
        self._turn(level)

    def _release(self, level: Level[Waiter], seats: int) -> None:
        level.release(seats)
        self._turn(level)

    def _turn(self, level: Level[Waiter]) -> None:
        if level.waiting:
            self._dispatch(level)
        for one in self.levels.levels.values():
            if one.waiting:
                # It may borrow what is idle now.
                self._dispatch(one)

    def _dispatch(self, level: Level[Waiter]) -> None:
        while level.waiting:
            turn = level.turn()
            if not self.levels.has_seat(level, level.queues[turn].waiting[0].width.most):
                return
            following = level.next(turn)
            assert following is not None
            queue, waiter = following
            if waiter.future.done():
                level.done(queue, 0.0, waiter.width.most)
            else:
                waiter.future.set_result(None)

    def _expire(self, ticket: Ticket, waiter: Waiter, flow: Flow) -> None:
        if not waiter.future.done() and ticket.level.forget(ticket.queue, waiter):
            waiter.future.set_exception(self._refused(flow, "time-out"))

    def _note(self, flow: Flow, reason: str) -> None:
        key = (flow.level, flow.schema, reason)
        self.rejected[key] = self.rejected.get(key, 0) + 1

    def _refused(self, flow: Flow, reason: str) -> Refused:
        self._note(flow, reason)
        return Refused(self._retry.setdefault(flow.level, RetryAfter()).refused(self._clock()))


def shape_of(config: Any) -> Shape:
    """Of a PriorityLevelConfiguration."""
    limited = config.spec.limited
    if config.spec.type == "Exempt" or limited is None:
        return Shape(exempt=True)
    shares = limited.nominalConcurrencyShares
    queuing = limited.limitResponse.queuing if limited.limitResponse.type == "Queue" else None
    queues = (queuing.queues, queuing.handSize, queuing.queueLengthLimit) if queuing is not None else (0, 0, 0)
    return Shape(30 if shares is None else shares, limited.lendablePercent or 0, limited.borrowingLimitPercent, *queues)


def hash_of(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
