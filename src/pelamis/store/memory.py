"""The store that forgets: for tests, the simulator, the test kit, and as the naive reference of the contract.

Every version of every key since the last compaction is in one log; a commit is applied and published at once. Deadlines
follow the loop's clock, so virtual time works.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from sortedcontainers import SortedDict

from pelamis.store.feed import Feed
from pelamis.store.ttl import Expiry
from pelamis.store.types import (
    Closed,
    Compacted,
    Done,
    Event,
    Item,
    Missed,
    OnLost,
    Op,
    Page,
    Put,
    Sink,
    StoreFull,
    Subscription,
)

PAST = 500
"""Events read at a time by a watch that starts in the past."""


class MemoryStore:
    """capacity: bytes of live values after which writes are refused as on a full disk; 0 = no limit."""

    trouble = ""

    def __init__(self, capacity: int = 0) -> None:
        self.capacity = capacity
        self._size = 0
        self._versions: SortedDict = SortedDict()  # key -> list of (mod_rev, Item or None), oldest first
        self._log: list[Event] = []
        self._compacted = 0
        self._feed = Feed(self._past, 1)
        self._expiry: Expiry | None = None
        self._open = False

    async def open(self) -> None:
        self._expiry = Expiry(asyncio.get_running_loop().time, self.commit)
        self._open = True

    async def close(self) -> None:
        self._open = False
        self._feed.close()
        if self._expiry is not None:
            self._expiry.close()

    @property
    def rev(self) -> int:
        return self._feed.rev

    async def commit(self, ops: Sequence[Op]) -> list[Done | Missed]:
        if self._expiry is None or not self._open:
            raise Closed("the store is closed")
        if self.capacity and self._size + sum(len(op.value) for op in ops if isinstance(op, Put)) > self.capacity:
            raise StoreFull("the store has reached its capacity")
        rev = self._feed.rev
        answers: list[Done | Missed] = []
        events: list[Event] = []
        for op in ops:
            versions = self._versions.get(op.key)
            current: Item | None = versions[-1][1] if versions else None
            held = current.mod_rev if current is not None else 0
            if (op.expect is not None and op.expect != held) or (current is None and not isinstance(op, Put)):
                answers.append(Missed(current))
                continue
            rev += 1
            create_rev = current.create_rev if current is not None else rev
            prev = current.value if current is not None else None
            if isinstance(op, Put):
                deadline = self._expiry.deadline(op.ttl_s) if op.ttl_s else 0
                item = Item(op.key, op.value, create_rev, rev, deadline)
                self._versions.setdefault(op.key, []).append((rev, item))
                events.append(Event(rev, op.key, op.value, prev, create_rev, held))
                self._size += len(op.value)
                if deadline:
                    self._expiry.add(op.key, rev, deadline)
            else:
                self._versions[op.key].append((rev, None))
                events.append(Event(rev, op.key, None, prev, create_rev, held))
            self._size -= len(prev or b"")
            answers.append(Done(rev))
        self._log.extend(events)
        self._feed.publish(events, rev)
        return answers

    async def get(self, key: str, rev: int = 0) -> Item | None:
        self._check(rev)
        return self._at(key, rev or self._feed.rev)

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, rev: int = 0) -> Page:
        self._check(rev)
        rev = rev or self._feed.rev
        items: list[Item] = []
        remaining = 0
        after_first = after >= prefix
        for key in self._versions.irange(after if after_first else prefix, inclusive=(not after_first, True)):
            if not key.startswith(prefix):
                break
            item = self._at(key, rev)
            if item is None:
                continue
            if limit and len(items) >= limit:
                remaining += 1
            else:
                items.append(item)
        return Page(items, rev, remaining > 0, remaining)

    async def current_rev(self) -> int:
        self._check(0)
        return self._feed.rev

    def watch(self, prefix: str, from_rev: int, sink: Sink, lost: OnLost | None = None) -> Subscription:
        if not self._open:
            raise Closed("the store is closed")
        if from_rev <= self._compacted:
            raise Compacted(from_rev, self._compacted)
        return self._feed.watch(prefix, from_rev, sink, lost)

    async def compact(self, rev: int) -> None:
        self._check(0)
        rev = min(rev, self._feed.rev)
        if rev <= self._compacted:
            return
        await self._feed.caught_up()
        self._compacted = rev
        for key in {e.key for e in self._log[: bisect_right(self._log, rev, key=_rev)]}:
            versions = self._versions.get(key)
            if versions is None:
                continue
            visible = bisect_right(versions, rev, key=_first) - 1
            del versions[: max(visible, 0)]
            if versions[0][1] is None and versions[0][0] <= rev:
                del versions[0]
            if not versions:
                del self._versions[key]
        del self._log[: bisect_right(self._log, rev, key=_rev)]

    def _check(self, rev: int) -> None:
        if not self._open:
            raise Closed("the store is closed")
        if rev and rev < self._compacted:
            raise Compacted(rev, self._compacted)

    def _at(self, key: str, rev: int) -> Item | None:
        versions: list[tuple[int, Item | None]] | None = self._versions.get(key)
        if not versions:
            return None
        i = bisect_right(versions, rev, key=_first) - 1
        return versions[i][1] if i >= 0 else None

    async def _past(self, first: int, last: int) -> Sequence[Event]:
        await asyncio.sleep(0)
        start = bisect_left(self._log, first, key=_rev)
        return self._log[start : min(start + PAST, bisect_right(self._log, last, key=_rev))]


def _rev(event: Event) -> int:
    return event.rev


def _first(version: tuple[int, Item | None]) -> int:
    return version[0]
