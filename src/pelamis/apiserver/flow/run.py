"""Holds requests to the flows of the cluster: follows its objects, and lets those that wait run in their turn."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

from pelamis.apiserver.flow.queues import Level, Levels, Shape
from pelamis.apiserver.flow.rules import Classifier, Flow
from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.user import User
from pelamis.base.errors import TooManyRequests
from pelamis.cache.view import View

WAIT_S = 15.0
"""A quarter of the time that a request may take."""
_Waiter = asyncio.Future[None]


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that runs. queue -1: it never stood in one."""

    level: Level[_Waiter]
    queue: int
    started: float


class FlowControl:
    """schemas, levels: views of the two kinds. total: requests at once, over all levels but the exempt."""

    def __init__(self, schemas: View, levels: View, total: int) -> None:
        self._schemas = schemas
        self._configs = levels
        self.levels: Levels[_Waiter] = Levels(total)
        self.rejected: dict[tuple[str, str, str], int] = {}
        """By priority level, flow schema and reason."""
        self._classifier: Classifier | None = None
        schemas.subscribe(self._changed, replay=False)
        levels.subscribe(self._changed, replay=False)

    def _changed(self, key: Any, old: Any, new: Any) -> None:
        if old is None or new is None or old.spec != new.spec:
            self._classifier = None

    def _renew(self) -> Classifier:
        configs = self._configs.list()
        for waiter in self.levels.configure({c.metadata.name: shape_of(c) for c in configs}):
            if not waiter.done():
                waiter.set_result(None)
        self._classifier = found = Classifier(self._schemas.list(), configs)
        return found

    def classify(self, user: User, info: RequestInfo) -> Flow:
        return (self._classifier or self._renew()).classify(user, info)

    async def take(self, flow: Flow, user: User, info: RequestInfo) -> Ticket | None:
        """Returns when the request may run. None: it is not counted. Raises TooManyRequests."""
        level = self.levels.levels.get(flow.level)
        if level is None or level.shape.exempt:
            return None
        loop = asyncio.get_running_loop()
        if not level.waiting and self.levels.has_seat(level):
            level.run()
            return Ticket(level, -1, loop.time())
        if not level.shape.queues:
            level.rejected += 1
            raise self._refused(flow, "concurrency-limit")
        queue = level.choose(hash_of(flow.key(user, info)))
        mine: _Waiter = loop.create_future()
        if not level.wait(queue, mine):
            raise self._refused(flow, "queue-full")
        ticket = Ticket(level, queue, 0.0)
        timer = loop.call_later(WAIT_S, self._expire, ticket, mine, flow)
        try:
            await mine
        except asyncio.CancelledError:
            if not level.forget(queue, mine) and mine.done() and not mine.cancelled():
                ticket.started = loop.time()
                self.give(ticket, ticket.started)
            raise
        finally:
            timer.cancel()
        ticket.started = loop.time()
        return ticket

    def give(self, ticket: Ticket | None, now: float) -> None:
        """The request is done."""
        if ticket is None:
            return
        ticket.level.done(ticket.queue, now - ticket.started)
        self._dispatch(ticket.level)
        if any(o.waiting for o in self.levels.levels.values()):
            # Others may borrow what is idle now.
            for other in self.levels.levels.values():
                self._dispatch(other)

    def _dispatch(self, level: Level[_Waiter]) -> None:
        while level.waiting and self.levels.has_seat(level):
            following = level.next()
            if following is None:
                return
            queue, waiter = following
            if waiter.done():
                level.done(queue, 0.0)
            else:
                waiter.set_result(None)

    def _expire(self, ticket: Ticket, waiter: _Waiter, flow: Flow) -> None:
        if not waiter.done() and ticket.level.forget(ticket.queue, waiter):
            waiter.set_exception(self._refused(flow, "time-out"))

    def _refused(self, flow: Flow, reason: str) -> Exception:
        key = (flow.level, flow.schema, reason)
        self.rejected[key] = self.rejected.get(key, 0) + 1
        return TooManyRequests("Too many requests, please try again later.")


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
