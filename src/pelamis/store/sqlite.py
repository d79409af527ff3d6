"""The embedded store: one SQLite file in WAL mode, group commit, every answered write synced to disk.

Theory of operation. Commits that arrive while a transaction is being synced wait in a queue; when it is done the
whole queue becomes the next transaction (at most GROUP ops). The statements, microseconds each on pages in memory, run
on the event loop; only COMMIT, which waits for the disk, runs in the writer thread. Statements in the thread would
give up and wait for the interpreter lock at every step, which on a busy loop costs more than the statements. While the
thread syncs, the loop serves; the connection is never used by both at once. When a group is durable the next one is
started first, then its own events are published in order of revision, then its writers are answered.

A sync costs the same for one write and for ten. A write that says that it has time (a lease's renewal) starts no group
before its patience ends; it goes with the next group that somebody else starts.

Reads use a second connection and see only what is durable. Long ones use a connection of their own and yield to the
loop between slices; WAL gives them one snapshot throughout.

Errors. No space: the transaction is rolled back, every writer of the group gets StoreFull, and the next commit tries
again. Any other failure of the disk ends the store (Closed): after a failed sync nobody knows what was written, and
only a restart, which reads the log back, finds out.

Idle, nothing wakes up: the thread waits for a message, the only timer is that of the next key to expire.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from pelamis.store import schema
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
    Unusable,
)

log = logging.getLogger(__name__)

GROUP = 256
"""Ops in one transaction: about 4 ms of statements."""
SLICE = 200
"""Rows read before others get their turn."""
COMPACT = 500
"""Revisions compacted in one transaction."""

Answers = list[Done | Missed]
_Waiter = tuple[Sequence[Op], "asyncio.Future[Answers]"]

_CURRENT = "SELECT rev, create_rev, value, expires FROM log WHERE key = ? ORDER BY rev DESC LIMIT 1"
_HEAD = "SELECT max(rev) FROM log"
_INSERT = "INSERT INTO log (rev, key, create_rev, prev_rev, expires, value) VALUES (?, ?, ?, ?, ?, ?)"
_AT = "SELECT key, value, create_rev, rev, expires FROM log WHERE key = ? AND rev <= ? ORDER BY rev DESC LIMIT 1"
# Walks the index in order of (key, rev) and takes the newest version of each key as of the revision ?2.
_RANGE = """
SELECT key, value, create_rev, rev, expires FROM log AS l INDEXED BY log_key
WHERE key >= ?1 AND key < ?3 AND rev <= ?2 AND value IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM log AS n INDEXED BY log_key WHERE n.key = l.key AND n.rev > l.rev AND n.rev <= ?2)
ORDER BY key LIMIT ?4
"""
_PAST = """
SELECT l.rev, l.key, l.value, p.value, l.create_rev, l.prev_rev
FROM log AS l LEFT JOIN log AS p ON p.rev = l.prev_rev WHERE l.rev >= ? AND l.rev <= ? ORDER BY l.rev LIMIT ?
"""


class SqliteStore:
    """directory: where ``state.db`` and the lock live. now: seconds since the epoch, for keys that expire."""

    trouble = ""

    def __init__(self, directory: Path | str, *, now: Callable[[], float] = time.time) -> None:
        self._directory = Path(directory)
        self._lock: IO[bytes] | None = None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._messages: SimpleQueue[bool] = SimpleQueue()
        self._queue: deque[_Waiter] = deque()
        self._compactions: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._compact_next = 0  # durable progress
        self._group_compact = 0
        self._group: list[tuple[_Waiter, Answers]] = []
        self._group_events: list[Event] = []
        self._group_rev = 0
        self._group_compacted: list[asyncio.Future[None]] = []
        self._busy = False
        self._hurry = False
        """Somebody in the queue has no time, or no more."""
        self._timer: asyncio.TimerHandle | None = None
        """Ends the patience of the others."""
        self._idle = asyncio.Event()
        self._durable_rev = 1
        self._compacted = 0
        self._failed: str = "the store is not open"
        self._feed = Feed(self._past, 1)
        self._expiry = Expiry(now, self.commit)
        self.syncs = 0
        """Group commits so far."""

    # Life

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = schema.lock(self._directory)
        try:
            self._writer = schema.prepare(self._directory)
            self._reader = schema.connect(self._directory / schema.FILE, reader=True)
            head = self._writer.execute(_HEAD).fetchone()[0] or 1
            meta = dict(self._writer.execute("SELECT name, value FROM meta").fetchall())
        except sqlite3.DatabaseError as error:
            self._lock.close()
            raise Unusable(schema.explain(self._directory / schema.FILE, error)) from error
        except BaseException:
            self._lock.close()
            raise
        self._compacted = int(meta.get("compacted", 0))
        self._compact_next = self._group_compact = self._compacted
        self._durable_rev = self._feed.rev = self._group_rev = head
        self._failed = ""
        self._thread = threading.Thread(target=self._sync_forever, name="pelamis-store", daemon=True)
        self._thread.start()
        for key, rev, expires in self._writer.execute("SELECT key, rev, expires FROM log WHERE expires > 0"):
            self._expiry.add(key, rev, expires)

    async def close(self) -> None:
        """Writes under way are finished and answered; those still waiting get Closed."""
        if self._thread is None:
            return
        self._failed = self._failed or "the store is closed"
        self._calm()
        self._refuse(self._queue)
        while self._busy:
            self._idle.clear()
            await self._idle.wait()
        self._expiry.close()
        self._feed.close()
        self._messages.put(False)
        self._thread.join()
        self._thread = None
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        if self._lock is not None:
            self._lock.close()

    @property
    def rev(self) -> int:
        return self._feed.rev

    # Writing

    async def commit(self, ops: Sequence[Op]) -> list[Done | Missed]:
        if self._failed or self._loop is None:
            raise Closed(self._failed)
        if not ops:
            return []
        if len(ops) > GROUP:
            parts = [self.commit(ops[i : i + GROUP]) for i in range(0, len(ops), GROUP)]
            return [answer for part in await asyncio.gather(*parts) for answer in part]
        future: asyncio.Future[Answers] = self._loop.create_future()
        self._queue.append((ops, future))
        first = ops[0]
        if len(ops) == 1 and isinstance(first, Put) and first.patience_s:
            if self._timer is None and not self._hurry:
                self._timer = self._loop.call_later(first.patience_s, self._hasten)
        else:
            self._hurry = True
            self._wake()
        return await future

    async def compact(self, rev: int) -> None:
        if self._failed or self._loop is None:
            raise Closed(self._failed)
        rev = min(rev, self._durable_rev)
        if rev <= self._compacted:
            return
        await self._feed.caught_up()
        self._compacted = max(self._compacted, rev)
        done: asyncio.Future[None] = self._loop.create_future()
        self._compactions.append((rev, done))
        self._wake()
        await done

    def _hasten(self) -> None:
        self._timer = None
        self._hurry = True
        self._wake()

    def _calm(self) -> None:
        self._hurry = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if not self._busy and self._loop is not None:
            self._busy = True
            # In the next turn, so that all commits of this one are in the group.
            self._loop.call_soon(self._start_group)

    def _start_group(self) -> None:
        """Put what waits into a transaction, and hand its COMMIT to the thread."""
        if not self._queue:
            self._calm()
        if self._failed or not (self._hurry or self._compactions) or self._writer is None:
            self._busy = False
            self._refuse(self._queue)
            self._idle.set()
            return
        execute = self._writer.execute
        try:
            execute("BEGIN IMMEDIATE")
            count = 0
            while self._queue and (count == 0 or count + len(self._queue[0][0]) <= GROUP):
                waiter = self._queue.popleft()
                count += len(waiter[0])
                answers: Answers = []
                self._group.append((waiter, answers))
                for op in waiter[0]:
                    answers.append(self._apply(op))
            if not self._queue:
                self._calm()
            if self._compactions:
                self._compact_slice()
        except sqlite3.DatabaseError as error:
            self._finish_group(error)
            return
        self._messages.put(True)

    def _apply(self, op: Op) -> Done | Missed:
        assert self._writer is not None
        row = self._writer.execute(_CURRENT, (op.key,)).fetchone()
        if row is None or row[2] is None:
            held, create_rev, prev, deadline = 0, 0, None, 0
        else:
            held, create_rev, prev, deadline = row
        is_put = isinstance(op, Put)
        if (op.expect is not None and op.expect != held) or (not held and not is_put):
            return Missed(Item(op.key, prev, create_rev, held, deadline) if prev is not None else None)
        rev = self._group_rev + 1
        create_rev = create_rev or rev
        value = op.value if isinstance(op, Put) else None
        expires = self._expiry.deadline(op.ttl_s) if isinstance(op, Put) and op.ttl_s else 0
        self._writer.execute(_INSERT, (rev, op.key, create_rev, held, expires, value))
        self._group_rev = rev
        self._group_events.append(Event(rev, op.key, value, prev, create_rev, held))
        if expires:
            # Early, but harmless should the transaction fail: the deletion will miss.
            self._expiry.add(op.key, rev, expires)
        return Done(rev)

    def _compact_slice(self) -> None:
        """Remove what the next revisions superseded: their predecessors, and deletions themselves."""
        assert self._writer is not None
        target, done = self._compactions[0]
        first, last = self._compact_next, min(self._compact_next + COMPACT, target)
        span = (first, last)
        self._writer.execute(
            "DELETE FROM log WHERE rev IN (SELECT prev_rev FROM log WHERE rev >= ? AND rev <= ? AND prev_rev > 0)", span
        )
        self._writer.execute(
            "DELETE FROM log WHERE rev >= ? AND rev <= ? AND value IS NULL AND rev < (SELECT max(rev) FROM log)", span
        )
        self._writer.execute("INSERT OR REPLACE INTO meta VALUES ('compacted', ?)", (str(last),))
        if last >= target:
            self._compactions.popleft()
            self._group_compacted.append(done)
        # The next slice looks at the last revision again: a deletion that was the newest row had to stay.
        self._group_compact = last

    def _sync_forever(self) -> None:
        """The writer thread: it waits for the disk so that the loop need not."""
        assert self._writer is not None and self._loop is not None
        while self._messages.get():
            error: sqlite3.DatabaseError | None = None
            try:
                self._writer.execute("COMMIT")
            except sqlite3.DatabaseError as failure:
                error = failure
            self._loop.call_soon_threadsafe(self._finish_group, error)

    def _finish_group(self, error: sqlite3.DatabaseError | None) -> None:
        group, self._group = self._group, []
        events, self._group_events = self._group_events, []
        compacted, self._group_compacted = self._group_compacted, []
        if error is not None:
            self._fail_group(error, group, compacted)
            self._start_group()
            return
        self.syncs += 1
        self._compact_next = self._group_compact
        rev = self._durable_rev = self._group_rev
        self._start_group()
        self._feed.publish(events, rev)
        for (_, future), answers in group:
            if not future.done():
                future.set_result(answers)
        for done in compacted:
            if not done.done():
                done.set_result(None)

    def _fail_group(
        self,
        error: sqlite3.DatabaseError,
        group: Sequence[tuple[_Waiter, Answers]],
        compacted: Sequence[asyncio.Future[None]],
    ) -> None:
        assert self._writer is not None
        self._group_rev = self._durable_rev
        self._group_compact = self._compact_next
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            head = self._writer.execute(_HEAD).fetchone()[0] or 1
            if head != self._durable_rev:
                error = sqlite3.OperationalError(f"a failed transaction left revision {head}: {error}")
        except sqlite3.DatabaseError as second:
            error = second
        refusal: Exception
        if schema.is_full(error):
            refusal = StoreFull(f"no space is left for {self._directory / schema.FILE}: free some and try again")
        else:
            self._failed = f"{self._directory / schema.FILE} can no longer be written: {error}"
            refusal = Closed(self._failed)
            log.error("%s", self._failed)
        for (_, future), _answers in group:
            if not future.done():
                future.set_exception(refusal)
        waiting = [done for _, done in self._compactions]
        self._compactions.clear()
        for done in (*compacted, *waiting):
            if not done.done():
                done.set_exception(refusal)

    def _refuse(self, queue: deque[_Waiter]) -> None:
        while queue and self._failed:
            _, future = queue.popleft()
            if not future.done():
                future.set_exception(Closed(self._failed))
        while self._compactions and self._failed:
            _, done = self._compactions.popleft()
            if not done.done():
                done.set_exception(Closed(self._failed))

    # Reading

    async def get(self, key: str, rev: int = 0) -> Item | None:
        reader = self._check(rev)
        row = reader.execute(_AT, (key, rev or self._durable_rev)).fetchone()
        return Item._make(row) if row is not None and row[1] is not None else None

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, rev: int = 0) -> Page:
        reader = self._check(rev)
        rev = rev or self._durable_rev
        # The smallest key after ``after`` is the same with a zero byte.
        bounds = (max(after + "\0" if after else "", prefix), rev, _end(prefix))
        make = Item._make
        if 0 < limit <= SLICE:
            rows = reader.execute(_RANGE, (*bounds, limit + 1)).fetchall()
            return Page([make(row) for row in rows[:limit]], rev, len(rows) > limit, -1 if len(rows) > limit else 0)
        items: list[Item] = []
        async with self._long_read() as connection:
            cursor = connection.execute(_RANGE, (*bounds, limit + 1 if limit else -1))
            while rows := cursor.fetchmany(SLICE):
                items.extend(make(row) for row in rows)
                await asyncio.sleep(0)
            cursor.close()
        more = bool(limit) and len(items) > limit
        if more:
            items.pop()
        return Page(items, rev, more, -1 if more else 0)

    async def current_rev(self) -> int:
        self._check(0)
        return self._durable_rev

    def watch(self, prefix: str, from_rev: int, sink: Sink, lost: OnLost | None = None) -> Subscription:
        self._check(0)
        if from_rev <= self._compacted:
            raise Compacted(from_rev, self._compacted)
        return self._feed.watch(prefix, from_rev, sink, lost)

    async def _past(self, first: int, last: int) -> Sequence[Event]:
        await asyncio.sleep(0)
        return [Event._make(row) for row in self._check(0).execute(_PAST, (first, last, SLICE)).fetchall()]

    def _check(self, rev: int) -> sqlite3.Connection:
        if self._reader is None or (self._failed and self._thread is None):
            raise Closed(self._failed)
        if rev and rev < self._compacted:
            raise Compacted(rev, self._compacted)
        return self._reader

    @asynccontextmanager
    async def _long_read(self) -> AsyncIterator[sqlite3.Connection]:
        connection = schema.connect(self._directory / schema.FILE, reader=True)
        try:
            yield connection
        finally:
            connection.close()


def _end(prefix: str) -> str:
    """The smallest string greater than everything that starts with ``prefix``."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"
