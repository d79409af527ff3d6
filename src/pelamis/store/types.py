"""The store seam: keys and bytes with revisions; it knows no kind.

A store is a multi-version map. One global revision, starting at 1 for an empty store, grows by one with every
committed write. Reads name a revision or read the newest. Writes carry the revision that they expect, so concurrent
writers never lose an update. Implementations: ``memory``, ``sqlite``, ``etcd``; one contract suite holds all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Item(NamedTuple):
    """One key at one revision. ``lease`` is 0 for none."""

    key: str
    value: bytes
    create_rev: int
    mod_rev: int
    lease: int = 0


class Event(NamedTuple):
    """One committed change. ``value`` is None for a deletion; ``prev`` is the value before, None for a creation.

    ``prev_rev`` is the mod revision of ``prev`` (0 for a creation).
    """

    rev: int
    key: str
    value: bytes | None
    prev: bytes | None
    create_rev: int
    prev_rev: int


@dataclass(frozen=True, slots=True)
class Put:
    """Write ``value``. expect: the mod revision the key must have, 0 = must not exist, None = any.

    ttl_s: seconds after which the store deletes the key by itself (an Event kind's hour); None = for ever. patience_s:
    how long it may wait for others to be synced with.
    """

    key: str
    value: bytes
    expect: int | None = None
    ttl_s: int | None = None
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the key; ``expect`` as for Put, never 0. Deleting an absent key with expect None is a Missed."""

    key: str
    expect: int | None = None


Op = Put | Delete


class Done(NamedTuple):
    """The write is durable at ``rev``."""

    rev: int


class Missed(NamedTuple):
    """The expectation did not hold; nothing was written. ``current`` is what the key holds, None if absent."""

    current: Item | None


class Page(NamedTuple):
    """A range read at ``rev``. ``more`` tells that keys past the limit exist; ``remaining`` how many, -1 = unknown."""

    items: list[Item]
    rev: int
    more: bool
    remaining: int


class Compacted(Exception):
    """The revision asked for is older than what is kept. ``oldest`` is the oldest that can still be read."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"revision {asked} is compacted; the oldest kept is {oldest}")
        self.asked = asked
        self.oldest = oldest


class StoreFull(Exception):
    """The medium refused the write (disk full, quota): nothing was acknowledged, reads still work."""


class Unavailable(Exception):
    """The store could not be reached. A write may or may not have happened; the caller asks again later."""


class Closed(Exception):
    """The store has been closed or has failed for good."""


class Unusable(Exception):
    """The store cannot be opened. The message is for the user: what happened, and what to do."""


class Subscription(Protocol):
    def cancel(self) -> None: ...


Sink = Callable[[Sequence[Event]], None]
"""Gets the events of one or more commits, in order of revision, on the event loop, before writers are answered."""

OnLost = Callable[[], None]
"""Events for a subscriber were compacted away by others before they came: it is cancelled, and reads anew."""


class Store(Protocol):
    """All methods belong to one event loop; none blocks it.

    trouble: why the store cannot be reached at the moment, "" while it can.
    """

    trouble: str

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    @property
    def rev(self) -> int:
        """The newest revision whose events have been delivered."""
        ...

    async def commit(self, ops: Sequence[Op]) -> list[Done | Missed]:
        """Each op stands for itself (no all-or-nothing); all of them share one durable group commit.

        Returned only after the events were delivered to every sink. The ops on one key are done in order. Raises
        StoreFull, Closed, Unavailable.
        """
        ...

    async def get(self, key: str, rev: int = 0) -> Item | None:
        """rev 0 = newest. Raises Compacted."""
        ...

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, rev: int = 0) -> Page:
        """Items whose key starts with ``prefix``, in key order, strictly after the key ``after``; limit 0 = all."""
        ...

    async def current_rev(self) -> int:
        """The newest committed revision, linearizable across all clients of the store."""
        ...

    def watch(self, prefix: str, from_rev: int, sink: Sink, lost: OnLost | None = None) -> Subscription:
        """Events with revision >= from_rev, gap-free, past ones first. Raises Compacted.

        lost: only a store with other writers ever calls it.
        """
        ...

    async def compact(self, rev: int) -> None:
        """Forget versions that are not visible at or after ``rev``."""
        ...
