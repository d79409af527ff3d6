"""Who may run and who waits at the priority levels: a machine, without a clock of its own.

Each level has seats. A request that finds one runs; otherwise it joins one of the level's queues, if these are not
full. A flow is dealt a hand of queues by its hash, and takes the shortest of the hand: a flow that fills its queues
leaves most other flows a queue that it does not share (shuffle sharding). When a seat comes free, the queue that has
had the least service so far, in virtual time, is next (fair queuing). A level at its limit borrows the idle seats
that others lend.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pelamis.apiserver.flow.estimate import Width

GUESS_S = 0.05
"""What a request is thought to take until it is done."""


@dataclass(frozen=True, slots=True)
class Shape:
    """queues 0: reject what finds no seat. borrow: how many seats at most; None = no limit. exempt: never waits."""

    shares: int = 0
    lendable_percent: int = 0
    borrow_percent: int | None = None
    queues: int = 0
    hand: int = 0
    length: int = 0
    exempt: bool = False


def hand_of(hash: int, queues: int, size: int) -> Iterator[int]:
    """``size`` different numbers below ``queues``, dealt by the hash."""
    left = list(range(queues))
    for _ in range(min(size, queues)):
        hash, at = divmod(hash, len(left))
        yield left.pop(at)


class Waits(Protocol):
    """What waits: it says how many seats it takes."""

    @property
    def width(self) -> Width: ...


T = TypeVar("T", bound=Waits)


@dataclass(slots=True)
class Queue(Generic[T]):
    """running: requests; used: their seats; service: seconds of seats, in virtual time."""

    waiting: deque[T] = field(default_factory=deque)
    service: float = 0.0
    running: int = 0
    used: int = 0


class Level(Generic[T]):
    """One priority level. ``T``: what the caller waits with. ``seats``: nominal; ``used``: taken now."""

    guess_s = GUESS_S

    def __init__(self, name: str, shape: Shape, seats: int) -> None:
        self.name = name
        self.shape = shape
        self.used = 0
        self.running = 0
        self.waiting = 0
        self.rejected = 0
        self.dispatched = 0
        self.queues: list[Queue[T]] = [Queue() for _ in range(shape.queues)]
        self._ready: set[int] = set()
        """The queues in which something waits."""
        self._floor = 0.0
        self.resize(seats)

    def resize(self, seats: int) -> None:
        self.seats = seats
        self.offered = round(seats * self.shape.lendable_percent / 100)
        """Seats that others may take when they are idle."""

    @property
    def lendable(self) -> int:
        """Idle seats that others may take now."""
        return max(0, min(self.offered, self.seats - self.used - self.waiting))

    @property
    def wanted(self) -> int:
        """Seats that would be taken if there were enough."""
        return self.used + sum(w.width.most for q in self.queues for w in q.waiting)

    def run(self, queue: int = -1, seats: int = 1) -> None:
        self.used += seats
        self.running += 1
        self.dispatched += 1
        if queue >= 0:
            self._serve(self.queues[queue], seats)

    def _serve(self, queue: Queue[T], seats: int) -> None:
        if not queue.running:
            # What it did not use while it was idle is no credit.
            queue.service = max(queue.service, self._floor)
        self._floor = queue.service
        queue.running += 1
        queue.used += seats
        queue.service += GUESS_S * seats

    def choose(self, hash: int) -> int:
        """The queue of the hand with the least to do."""
        hand = hand_of(hash, len(self.queues), self.shape.hand)
        return min(hand, key=lambda i: (len(self.queues[i].waiting) + self.queues[i].running, i))

    def wait(self, queue: int, ticket: T) -> bool:
        """False: the queue is full."""
        found = self.queues[queue]
        if len(found.waiting) >= self.shape.length:
            self.rejected += 1
            return False
        if not found.waiting and not found.running:
            found.service = max(found.service, self._floor)
        found.waiting.append(ticket)
        self._ready.add(queue)
        self.waiting += 1
        return True

    def forget(self, queue: int, ticket: T) -> bool:
        """It does not wait any more. False: it was not waiting."""
        found = self.queues[queue].waiting
        try:
            found.remove(ticket)
        except ValueError:
            return False
        if not found:
            self._ready.discard(queue)
        self.waiting -= 1
        return True

    def turn(self) -> int:
        """The queue that is next; -1: nothing waits."""
        best, least = -1, 0.0
        for i in self._ready:
            service = self.queues[i].service
            if best < 0 or service < least or (service == least and i < best):
                best, least = i, service
        return best

    def next(self, queue: int = -1) -> tuple[int, T] | None:
        """Whose turn it is; it is counted as running. queue: what ``turn`` has said."""
        best = queue if queue >= 0 else self.turn()
        if best < 0:
            return None
        waiting = self.queues[best].waiting
        ticket = waiting.popleft()
        if not waiting:
            self._ready.discard(best)
        self.waiting -= 1
        self.run(best, ticket.width.most)
        return best, ticket

    def done(self, queue: int, took_s: float, seats: int = 1, kept: int = 0) -> None:
        """kept: of its seats, those that ``release`` gives back later."""
        self.used -= seats - kept
        self.running -= 1
        if 0 <= queue < len(self.queues):
            found = self.queues[queue]
            found.running -= 1
            found.used -= seats
            found.service += (took_s - GUESS_S) * seats

    def release(self, seats: int) -> None:
        self.used -= seats


class Levels(Generic[T]):
    """All levels of a server with ``total`` seats."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.levels: dict[str, Level[T]] = {}

    def configure(self, shapes: dict[str, Shape]) -> list[T]:
        """The levels from now on. Returns those who waited at a level that is gone or has changed: they run now."""
        shares = sum(s.shares for s in shapes.values() if not s.exempt) or 1
        freed: list[T] = []
        levels: dict[str, Level[T]] = {}
        for name, shape in shapes.items():
            seats = math.ceil(self.total * shape.shares / shares)
            old = self.levels.get(name)
            if old is not None and old.shape == shape:
                old.resize(seats)
                levels[name] = old
            else:
                levels[name] = Level(name, shape, seats)
        for name, old in self.levels.items():
            if levels.get(name) is not old:
                while (following := old.next()) is not None:
                    freed.append(following[1])
        self.levels = levels
        return freed

    def ceiling(self, level: Level[T]) -> int:
        """Seats that a level may use at most."""
        limit = level.shape.borrow_percent
        return self.total if limit is None else min(self.total, level.seats + round(level.seats * limit / 100))

    def limit(self, level: Level[T]) -> int:
        """Seats that a level may use as things are."""
        borrowed = sum(max(0, o.used - o.seats) for o in self.levels.values() if not o.shape.exempt and o is not level)
        offered = sum(o.lendable for o in self.levels.values() if o is not level and not o.shape.exempt)
        return min(self.ceiling(level), level.seats + max(0, offered - borrowed))

    def has_seat(self, level: Level[T], seats: int = 1) -> bool:
        """A request that is wider than its level runs when it is alone there."""
        if level.used + seats <= level.seats or (not level.used and level.seats):
            return True
        limit = level.shape.borrow_percent
        if limit is not None and level.used + seats - level.seats > round(level.seats * limit / 100):
            return False
        borrowed = offered = 0
        for one in self.levels.values():
            if one.shape.exempt:
                continue
            if one.used > one.seats:
                borrowed += one.used - one.seats
            if one is not level:
                offered += one.lendable
        return borrowed + min(seats, level.used + seats - level.seats) <= offered
