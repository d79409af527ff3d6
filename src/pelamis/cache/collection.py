"""One ordered collection per API kind: it applies store events, keeps indexes, remembers the recent past, notifies.

An event arrives as key and stored bytes. The collection splices the resourceVersion in once (``entry.spliced``), puts
the entry in order, updates the indexes, appends an ``Event`` to the ring of the recent past, and calls the subscribers,
in that order and synchronously. A watch is ``since(rev)`` followed by ``subscribe``; nothing can slip in between,
because nothing here yields.

``rev`` is the newest store revision that is known to be reflected. All collections of one cache share a ``Progress``,
so an event of one kind advances all of them, once the whole batch has been applied.

A collection that is filled from another server (client.reflector) gets served bytes: ``apply_served``, ``replace``.
"""

from __future__ import annotations

import heapq
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any, Literal, Protocol

from pelamis.api.kind import Kind
from pelamis.cache.entry import Decoder, Entry, Key, Shape, canonical, spliced
from pelamis.cache.ordered import OrderedMap, Snapshot

log = logging.getLogger("pelamis.cache")
EventType = Literal["ADDED", "MODIFIED", "DELETED"]
OWNER = "owner"
"""The built-in index: uid of the controlling owner reference; ``/<namespace>`` for labelled objects without one."""

RING_EVENTS = 100_000
RING_BYTES = 16 << 20
_EVENT_WEIGHT = 400
"""About what an event and its entry weigh besides the bytes."""


_Pairs = tuple[tuple[str, str], ...]


class Change(Protocol):
    """A store event, as far as the cache reads it (store.types.Event)."""

    @property
    def rev(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> bytes | None: ...


class Stored(Protocol):
    """A stored item, as far as the cache reads it (store.types.Item)."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> bytes: ...
    @property
    def mod_rev(self) -> int: ...


class Event:
    """One change of one object. old None = created; new None = deleted."""

    __slots__ = ("_gone", "new", "old", "rev", "type")

    def __init__(
        self, type: EventType, rev: int, old: Entry | None, new: Entry | None, gone: Entry | None = None
    ) -> None:
        self.type: EventType = type
        self.rev = rev
        self.old = old
        self.new = new
        self._gone = gone

    @property
    def key(self) -> Key:
        return self.new.key if self.new is not None else self.gone.key

    @property
    def gone(self) -> Entry:
        """The last state with the resourceVersion of this event.

        What a DELETED event shows, and what a watcher is shown whose selector the object has just left.
        """
        if self._gone is None:
            if self.old is None:
                raise ValueError("nothing was there before")
            self._gone = self.old.at(self.rev)
        return self._gone

    @property
    def shown(self) -> Entry:
        """The entry whose bytes go with the event's type."""
        return self.new if self.new is not None else self.gone

    def __repr__(self) -> str:
        return f"<Event {self.type} {'/'.join(self.key)} @{self.rev}>"


class Progress:
    """The revision that a set of collections has reached, and who waits for one."""

    __slots__ = ("_order", "_waiting", "rev")

    def __init__(self, rev: int = 0) -> None:
        self.rev = rev
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def advance(self, rev: int) -> None:
        if rev > self.rev:
            self.rev = rev
        while self._waiting and self._waiting[0][0] <= self.rev:
            heapq.heappop(self._waiting)[2]()

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None:
        if rev <= self.rev:
            fn()
        else:
            heapq.heappush(self._waiting, (rev, next(self._order), fn))


class Collection:
    """The objects of one kind, at ``rev``."""

    def __init__(
        self,
        kind: Kind,
        *,
        progress: Progress | None = None,
        decoder: Decoder | None = None,
        decode: Callable[[bytes], Any] | None = None,
        ring_events: int = RING_EVENTS,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        """decode: served bytes to the object; the default decodes into kind.type."""
        self.kind = kind
        self.progress = progress or Progress()
        self.decoder = decoder or Decoder()
        self.shape = Shape(kind, self.decoder, decode)
        self.synced = False
        self.bytes = 0
        """Sum of the served bytes held."""
        self.changes = 0
        """Grows with every change, so that what was made from the objects is known to hold still."""
        self.outdated: dict[Key, int] = {}
        """Objects whose stored bytes, as of a revision, are not those that we would write: another server's, or of a
        former version. A write that changes nothing else is stored all the same."""
        self._prefix = kind.prefix
        self._entries: OrderedMap[Entry] = OrderedMap()
        self._makers = dict(kind.indexes or {})
        self._indexes: dict[str, dict[str, dict[Key, Entry]]] = {OWNER: {}, **{n: {} for n in self._makers}}
        self._indexed: dict[Key, _Pairs] = {}
        self._shared: dict[tuple[str, str], tuple[str, str]] = {}
        """One of each pair in ``_indexed``, whose values thousands have in common."""
        self._namespaces: dict[str, str] = {}
        self._subscribers: dict[int, Callable[[Event], None]] = {}
        self._resets: dict[int, Callable[[], None]] = {}
        self._ids = count()
        self._pending: list[Change] | None = None
        self._foreseen: dict[str, tuple[bytes, Any]] = {}
        self._loading: list[tuple[Key, Entry]] = []
        self._ring: list[Event] = []
        self._ring_start = 0
        self._ring_weight = 0
        self._ring_events = ring_events
        self._ring_bytes = ring_bytes
        self._floor = 0

    # Reading

    @property
    def rev(self) -> int:
        return self.progress.rev

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, namespace: str, name: str) -> Entry | None:
        return self._entries.get((namespace, name))

    def range(self, namespace: str = "", after: Key | None = None, limit: int = 0) -> tuple[list[Entry], int]:
        """Up to ``limit`` entries (0 = all) in key order strictly after ``after``, and how many remain.

        namespace "" = all namespaces.
        """
        return self._entries.page(namespace, after, limit)

    def snapshot(self, namespace: str = "", after: Key | None = None) -> Snapshot[Entry]:
        """The same without a limit, and unaffected by later writes: for lists that yield to the loop between chunks."""
        return self._entries.snapshot(namespace, after)

    def by_index(self, index: str, value: str) -> list[Entry]:
        """In key order. index: ``owner`` or a name of kind.indexes (else KeyError)."""
        found = self._indexes[index].get(value)
        return [found[key] for key in sorted(found)] if found else []

    def members(self, index: str, value: str) -> Iterable[Entry]:
        """As ``by_index``, in no particular order, and to be used up before the next write."""
        found = self._indexes[index].get(value)
        return found.values() if found else ()

    # Past

    def since(self, rev: int) -> list[Event] | None:
        """The events after ``rev``, oldest first; None when some of them are already forgotten."""
        if rev < self._floor:
            return None
        start = bisect_right(self._ring, rev, lo=self._ring_start, key=_event_rev)
        return self._ring[start:]

    @property
    def oldest(self) -> int:
        """The smallest revision that ``since`` can answer."""
        return self._floor

    def trim(self, rev: int) -> None:
        """Forget events up to and including ``rev`` (the store was compacted there, or they are old)."""
        while self._ring_start < len(self._ring) and self._ring[self._ring_start].rev <= rev:
            self._drop()
        self._floor = max(self._floor, min(rev, self.rev))
        self._shift()

    def subscribe(self, fn: Callable[[Event], None], on_reset: Callable[[], None] | None = None) -> Callable[[], None]:
        """fn(event) for every change from now on, in order. Returns the cancel.

        on_reset: called when ``load`` has filled the collection at once, without events.
        """
        token = next(self._ids)
        self._subscribers[token] = fn
        if on_reset is not None:
            self._resets[token] = on_reset

        def cancel() -> None:
            self._subscribers.pop(token, None)
            self._resets.pop(token, None)

        return cancel

    # Feeding from a store

    def begin_load(self) -> None:
        """From now on events are kept back until ``end_load``: nothing is lost while the store is being read."""
        self.synced = False
        self._pending = []
        self._loading = []
        self.outdated.clear()

    def load_page(self, items: Iterable[Stored]) -> None:
        """Some of the objects, in any order. Their bytes are spliced here, so the page can be let go."""
        for item in items:
            entry = self._read(item.key, item.value, item.mod_rev)
            if entry is not None:
                self._loading.append((entry.key, entry))

    def _read(self, key: str, value: bytes, rev: int) -> Entry | None:
        """None, and a word in the log, for what cannot be read: it must not keep all else from being served."""
        try:
            ours, found = canonical(self.kind, value), self._key(key)
            if ours is not value or self.outdated:
                self.note_outdated(found, rev, ours is not value)
            return Entry(self.shape, found, rev, spliced(ours, rev))
        except Exception as error:  # of another server's making, so anything may be wrong with it
            log.error("%s at revision %d cannot be read and is not served: %s", key, rev, error)
            return None

    def note_outdated(self, key: Key, rev: int, outdated: bool) -> None:
        if outdated:
            self.outdated[key] = rev
        elif self.outdated:
            self.outdated.pop(key, None)

    def end_load(self, rev: int) -> None:
        """The pages were all objects of the kind as of ``rev``. Become that, then apply the events kept back."""
        entries, self._loading = self._loading, []
        pending, self._pending = self._pending or (), None
        for old in self._entries.values():
            self.decoder.forget(old)
        self._entries.fill(entries)
        self.bytes = sum(len(entry.data) for _, entry in entries)
        self.changes += 1
        for index in self._indexes.values():
            index.clear()
        self._indexed.clear()
        self._shared.clear()
        for _, entry in entries:
            self._add_to_indexes(entry, entry.peek)
        self._ring.clear()
        self._ring_start = self._ring_weight = 0
        self._floor = rev
        self.synced = True
        for reset in list(self._resets.values()):
            reset()
        self.apply([e for e in pending if e.rev > rev])

    def load(self, items: Iterable[Stored], rev: int, refresh: Callable[[bytes], bytes] | None = None) -> None:
        """Begin, one page, end: for a collection that is added later, whose events are kept back already.

        refresh: what the present declaration makes of stored bytes.
        """
        if self._pending is None:
            self.begin_load()
        if refresh is None:
            self.load_page(items)
        else:
            for item in items:
                ours, key = refresh(item.value), self._key(item.key)
                self.note_outdated(key, item.mod_rev, ours != item.value)
                self._loading.append((key, Entry(self.shape, key, item.mod_rev, spliced(ours, item.mod_rev))))
        self.end_load(rev)
        self.progress.advance(rev)

    def apply(self, events: Sequence[Change]) -> None:
        """Store events of this kind, in order. The owner of ``progress`` advances it when the whole batch is in."""
        if self._pending is not None:
            self._pending.extend(events)
            return
        for event in events:
            self.apply_one(event)

    def apply_one(self, event: Change) -> None:
        key, value, rev = event.key, event.value, event.rev
        if self._pending is not None:
            self._pending.append(event)
        elif value is None:
            self._remove(self._key(key), rev, None)
        else:
            entry = self._read(key, value, rev)
            if entry is not None:
                foreseen = self._foreseen.pop(key, None) if self._foreseen else None
                if foreseen is not None and foreseen[0] == value:
                    entry.decoded(foreseen[1])
                self._put(entry, rev)

    def foresee(self, key: str, value: bytes, obj: Any) -> None:
        """A write that is about to be made, with its struct: what is about to arrive need not be decoded again."""
        if self._subscribers or self._makers:
            self._foreseen[key] = value, obj

    def overlook(self, key: str) -> None:
        """The write is over, whatever became of it."""
        self._foreseen.pop(key, None)

    def _key(self, key: str) -> Key:
        rest = key[len(self._prefix) :]
        if not self.kind.namespaced:
            return "", rest
        namespace, _, name = rest.partition("/")
        return self._namespaces.setdefault(namespace, namespace), name

    # Feeding from another server

    def apply_served(self, type: str, namespace: str, name: str, rev: int, data: bytes) -> None:
        """A watch event of another server; ``data`` are its bytes, resourceVersion included."""
        key = (self._namespaces.setdefault(namespace, namespace), name)
        entry = Entry(self.shape, key, rev, data)
        if type == "DELETED":
            self._remove(key, rev, entry)
        else:
            self._put(entry, rev)
        self.progress.advance(rev)

    def replace(self, found: Iterable[tuple[str, str, int, bytes]], rev: int) -> None:
        """A full list of another server: (namespace, name, rev, data). Subscribers get the difference as events.

        Objects that are gone are shown deleted at ``rev``, in their last known state.
        """
        fresh = {(ns, name): Entry(self.shape, (ns, name), at, data) for ns, name, at, data in found}
        for entry in list(self._entries.values()):
            if entry.key not in fresh:
                self._remove(entry.key, rev, None)
        for key in sorted(fresh):
            old = self._entries.get(key)
            # Revisions of one object only grow; an equal one is the same object.
            if old is None or old.rev != fresh[key].rev:
                self._put(fresh[key], rev)
        self.synced = True
        self.trim(rev)
        self._floor = rev
        self.progress.advance(rev)

    def resync(self, items: Iterable[Stored], rev: int) -> None:
        """All objects as the store holds them at ``rev``, after events were lost; the past is forgotten.

        Subscribers get the difference as events.
        """
        if self._pending is not None:
            return  # it is being loaded from the store, at a revision of its own
        fresh = {self._key(item.key): item for item in items}
        for entry in list(self._entries.values()):
            if entry.key not in fresh:
                self._remove(entry.key, rev, None)
        for key in sorted(fresh):
            item, old = fresh[key], self._entries.get(key)
            if old is None or old.rev != item.mod_rev:
                found = self._read(item.key, item.value, item.mod_rev)
                if found is not None:
                    self._put(found, rev)
        self.trim(rev)
        self._floor = rev

    def redeclare(
        self,
        kind: Kind,
        decode: Callable[[bytes], Any] | None = None,
        refresh: Callable[[bytes], bytes] | None = None,
        stored: Sequence[Stored] = (),
    ) -> None:
        """Same objects under a changed declaration of the kind: decoded, selected and indexed anew.

        refresh: the bytes as the new declaration has them, for a change of schema or of the stored version. stored: its
        input for an object that is at the same revision, in place of bytes that a former declaration completed.
        """
        values = {item.key: item for item in stored}
        self.kind = kind
        fresh = Shape(kind, self.decoder, decode)
        self._makers = dict(kind.indexes or {})
        self._indexes = {OWNER: {}, **{n: {} for n in self._makers}}
        self._indexed.clear()
        self._shared.clear()
        for entry in self._entries.values():
            self.decoder.forget(entry)
            entry._fields = entry._maker = entry._facts = None
            entry._dropped = 0
            entry.shape = fresh
            if refresh is not None:
                self.bytes -= len(entry.data)
                item = values.get(kind.key(*entry.key))
                known = item is not None and item.mod_rev == entry.rev
                source = item.value if item is not None and known else entry.data
                ours = refresh(source)
                # What is stored of one that was written meanwhile is not known: at worst it is written once too often.
                self.note_outdated(entry.key, entry.rev, not known or ours != source)
                entry.data = spliced(ours, entry.rev)
                self.bytes += len(entry.data)
            self._add_to_indexes(entry)
        self.changes += 1
        self.shape = fresh

    # The one way in

    def _put(self, entry: Entry, rev: int) -> None:
        old = self._entries.set(entry.key, entry)
        self.changes += 1
        if old is None:
            self.bytes += len(entry.data)
            self._add_to_indexes(entry)
            self._emit(Event("ADDED", rev, None, entry))
            return
        entry.key = old.key  # one of two equal ones is enough for both
        self.bytes += len(entry.data) - len(old.data)
        self._reindex(entry, old)
        try:
            self._emit(Event("MODIFIED", rev, old, entry))
        finally:
            self.decoder.forget(old)

    def _remove(self, key: Key, rev: int, gone: Entry | None) -> None:
        old = self._entries.remove(key)
        if old is None:
            return
        self.bytes -= len(old.data)
        self.changes += 1
        self._remove_from_indexes(key)
        if self.outdated:
            self.outdated.pop(key, None)
        try:
            self._emit(Event("DELETED", rev, old, None, gone))
        finally:
            self.decoder.forget(old)

    def _emit(self, event: Event) -> None:
        ring = self._ring
        ring.append(event)
        self._ring_weight += _weight(event)
        if len(ring) - self._ring_start > self._ring_events or self._ring_weight > self._ring_bytes:
            while len(ring) - self._ring_start > self._ring_events or self._ring_weight > self._ring_bytes:
                self._floor = ring[self._ring_start].rev
                self._drop()
            self._shift()
        if not self._subscribers:
            return
        failed: Exception | None = None
        for fn in tuple(self._subscribers.values()):
            try:
                fn(event)
            except Exception as error:
                # The others must not miss the event; the first failure is raised when all have it.
                failed = failed or error
        if failed is not None:
            raise failed

    def _drop(self) -> None:
        event = self._ring[self._ring_start]
        self._ring_weight -= _weight(event)
        self._ring[self._ring_start] = _FORGOTTEN
        self._ring_start += 1

    def _shift(self) -> None:
        if self._ring_start > 1024 and self._ring_start * 2 > len(self._ring):
            del self._ring[: self._ring_start]
            self._ring_start = 0

    def _pairs(self, entry: Entry, decoded: Callable[[], Any] | None = None, old: Entry | None = None) -> _Pairs:
        """Under which names and values the entry is to be found."""
        owner = entry.note_meta(old)
        if not owner and entry.labels:
            owner = f"/{entry.key[0]}"
        if not self._makers:
            return ((OWNER, owner),) if owner else ()
        pairs = [(OWNER, owner)] if owner else []
        obj = decoded() if decoded is not None else entry.obj
        for name, values_of in self._makers.items():
            for value in values_of(obj):
                pairs.append((name, value))
        return tuple(pairs)

    def _add_to_indexes(self, entry: Entry, decoded: Callable[[], Any] | None = None) -> None:
        pairs = self._pairs(entry, decoded)
        if pairs:
            self._index(entry, pairs)

    def _index(self, entry: Entry, pairs: _Pairs) -> None:
        share = self._shared.setdefault
        pairs = self._indexed[entry.key] = tuple([share(pair, pair) for pair in pairs])
        for name, value in pairs:
            self._indexes[name].setdefault(value, {})[entry.key] = entry

    def _reindex(self, entry: Entry, old: Entry) -> None:
        """As removing the old version and adding the new one: most changes leave it where it was."""
        key = entry.key
        before, pairs = self._indexed.get(key, ()), self._pairs(entry, None, old)
        if pairs == before:
            for name, value in before:
                self._indexes[name][value][key] = entry
            return
        self._remove_from_indexes(key)
        if pairs:
            self._index(entry, pairs)

    def _remove_from_indexes(self, key: Key) -> None:
        for pair in self._indexed.pop(key, ()):
            name, value = pair
            index = self._indexes[name]
            members = index.get(value)
            if members is not None:
                members.pop(key, None)
                if not members:
                    del index[value]
                    self._shared.pop(pair, None)


def _event_rev(event: Event) -> int:
    return event.rev


def _weight(event: Event) -> int:
    # What only the past keeps alive is the old entry; the new one is in the collection or is another event's old one.
    return len(event.old.data) + _EVENT_WEIGHT if event.old is not None else _EVENT_WEIGHT


_FORGOTTEN = Event("DELETED", 0, None, None)
