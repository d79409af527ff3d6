"""What happened before the cache remembers: changes of a kind, read from the store's own log.

A watch may ask for a revision that the ring of recent events has forgotten, or that lies before the start of this
server. The store still knows it until it is compacted; only then is the watch refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pelamis.cache.collection import Collection, Event
from pelamis.cache.entry import Entry, Key, served_of
from pelamis.store.types import Event as StoreEvent
from pelamis.store.types import Store, Unavailable

_ALL = "/registry/"
_PATIENCE_S = 30.0


async def history(store: Store, collection: Collection, rev: int) -> tuple[list[Event], int]:
    """The events of the kind after ``rev`` that the collection has forgotten, and the revision that they reach.

    Raises Compacted, Closed, Unavailable.
    """
    until = collection.oldest
    prefix = collection.kind.prefix
    found: list[StoreEvent] = []
    reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def sink(events: Sequence[StoreEvent]) -> None:
        found.extend(e for e in events if e.rev <= until and e.key.startswith(prefix))
        if events[-1].rev >= until and not reached.done():
            reached.set_result(None)

    # All keys, since an event of any kind tells that the past has been read up to there.
    subscription = store.watch(_ALL, rev + 1, sink)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await reached
    except TimeoutError:
        raise Unavailable("the store does not tell its past") from None
    finally:
        subscription.cancel()
    return [as_event(collection, e) for e in found], until


def as_event(collection: Collection, event: StoreEvent) -> Event:
    key = key_of(collection, event.key)
    old = _entry(collection, key, event.prev_rev, event.prev) if event.prev is not None else None
    new = _entry(collection, key, event.rev, event.value) if event.value is not None else None
    return Event("DELETED" if new is None else "MODIFIED" if old is not None else "ADDED", event.rev, old, new)


def key_of(collection: Collection, key: str) -> Key:
    namespace, _, name = key[len(collection.kind.prefix) :].rpartition("/")
    return namespace, name


def _entry(collection: Collection, key: Key, rev: int, value: bytes) -> Entry:
    return Entry(collection.shape, key, rev, served_of(collection.kind, value, rev))
