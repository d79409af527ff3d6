"""A live, synchronous picture of one kind, or of a part of it: the View of ``client.types`` over a Collection.

A view without a selector reads the collection itself. A view with one keeps the set of the keys that match, brought up
to date by each event before its own subscribers hear of it; for them an object that leaves the selector is deleted, and
one that enters it is added. It is the same class in the server's process and behind client.reflector.

Who subscribes with a sieve is not called for changes that cannot matter to it: the view sorts a change once, and keeps
for each sort of change the list of those who want it. A pod's status concerns 4 of the 20 who watch pods.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, TypeVar

from pelamis.cache.collection import Collection, Event
from pelamis.cache.entry import Entry, Key
from pelamis.cache.sieve import Sieve

Listener = Callable[[Key, Any, Any], None]
F = TypeVar("F")


class View:
    """namespace "" = all; match(entry) None = every object."""

    def __init__(
        self, collection: Collection, *, namespace: str = "", match: Callable[[Entry], bool] | None = None
    ) -> None:
        self.collection = collection
        self.namespace = namespace
        self._match = match
        self._matching: dict[Key, Entry] = {}
        self._order: list[Key] = []
        self._listeners: dict[int, tuple[Listener, Sieve | None]] = {}
        self._sorts: tuple[Callable[[Any, Any], int], ...] = ()
        self._routes: dict[tuple[int, ...], tuple[Listener, ...]] = {}
        """Who wants a change, by the bits that the functions of ``_sorts`` give for it."""
        self._ids = count()
        self._cancel: Callable[[], None] | None = None
        if match is not None:
            self._cancel = collection.subscribe(self._on_event, self._reset)
            self._reset()

    @property
    def revision(self) -> int:
        return self.collection.rev

    @property
    def synced(self) -> bool:
        return self.collection.synced

    def get(self, namespace: str, name: str) -> Any:
        if self._match is None and not self.namespace:
            entry = self.collection.get(namespace, name)
        else:
            entry = self._entry((namespace, name))
        return entry.obj if entry is not None else None

    def list(self, namespace: str = "") -> Sequence[Any]:
        return [entry.obj for entry in self.entries(namespace)]

    def keys(self, namespace: str = "") -> Sequence[Key]:
        return [entry.key for entry in self.entries(namespace)]

    def revisions(self) -> Sequence[tuple[Key, int]]:
        return [(entry.key, entry.rev) for entry in self.entries()]

    def __len__(self) -> int:
        if self._match is not None:
            return len(self._matching)
        return len(self.entries()) if self.namespace else len(self.collection)

    def entries(self, namespace: str = "") -> Sequence[Entry]:
        """As ``list``, undecoded."""
        if self.namespace:
            if namespace and namespace != self.namespace:
                return []
            namespace = self.namespace
        if self._match is None:
            return self.collection.range(namespace)[0]
        if not namespace:
            return [self._matching[key] for key in self._order]
        low, high = bisect_left(self._order, (namespace, "")), bisect_left(self._order, (namespace + "\0", ""))
        return [self._matching[key] for key in self._order[low:high]]

    def by_index(self, index: str, value: str) -> Sequence[Any]:
        entries = self.collection.by_index(index, value)
        if entries and (self._match is not None or self.namespace):
            entries = list(filter(self._holds, entries))
        return [entry.obj for entry in entries]

    def facts(self, index: str, value: str, make: Callable[[Any, Mapping[str, str]], F]) -> Sequence[F]:
        entries: Iterable[Entry] = self.collection.members(index, value)
        if self._match is not None or self.namespace:
            entries = filter(self._holds, entries)
        found: Sequence[F] = [entry._facts if entry._maker is make else entry.facts(make) for entry in entries]
        return found

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None:
        self.collection.progress.when_reached(rev, fn)

    def subscribe(self, fn: Listener, *, replay: bool = True, sieve: Sieve | None = None) -> Callable[[], None]:
        if replay:
            for entry in self.entries():
                fn(entry.key, None, entry.obj)
        if self._cancel is None:
            # Nobody listened so far, so nobody had to be told.
            self._cancel = self.collection.subscribe(self._on_event, self._reset)
        token = next(self._ids)
        self._listeners[token] = fn, sieve
        self._reroute()

        def cancel() -> None:
            self._listeners.pop(token, None)
            self._reroute()
            if not self._listeners and self._match is None and self._cancel is not None:
                self._cancel()
                self._cancel = None

        return cancel

    def close(self) -> None:
        """No more updates: for views that are not shared."""
        self._listeners.clear()
        self._reroute()
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _holds(self, entry: Entry) -> bool:
        if self._match is not None:
            return entry.key in self._matching
        return not self.namespace or entry.key[0] == self.namespace

    def _entry(self, key: Key) -> Entry | None:
        if self._match is not None:
            return self._matching.get(key)
        if self.namespace and key[0] != self.namespace:
            return None
        return self.collection.get(*key)

    def _reroute(self) -> None:
        self._sorts = tuple(dict.fromkeys(sieve.sort for _, sieve in self._listeners.values() if sieve is not None))
        self._routes = {}

    def _route(self, bits: tuple[int, ...]) -> tuple[Listener, ...]:
        """Those who want a change of these bits, in the order in which they came."""
        of = dict(zip(self._sorts, bits, strict=True))
        found = tuple(fn for fn, sieve in self._listeners.values() if sieve is None or sieve.lets(of[sieve.sort]))
        self._routes[bits] = found
        return found

    def _wanted(self, entry: Entry) -> bool:
        return (not self.namespace or entry.key[0] == self.namespace) and (self._match is None or self._match(entry))

    def _seen(self, event: Event) -> tuple[Entry | None, Entry | None]:
        """The change as it looks through the view; brings the matching ones up to date."""
        new = event.new if event.new is not None and self._wanted(event.new) else None
        if self._match is None:
            return event.old if event.old is not None and self._wanted(event.old) else None, new
        key = event.key
        old = self._matching.get(key)
        if new is not None:
            self._matching[key] = new
            if old is None:
                insort(self._order, key)
        elif old is not None:
            del self._matching[key]
            del self._order[bisect_left(self._order, key)]
        return old, new

    def _on_event(self, event: Event) -> None:
        if self._match is None and not self.namespace:
            old, new = event.old, event.new
        else:
            old, new = self._seen(event)
        shown = new if new is not None else old
        if shown is None or not self._listeners:
            return
        before = old.obj if old is not None else None
        after = new.obj if new is not None else None
        bits = tuple([sort(before, after) for sort in self._sorts])
        key = shown.key
        route = self._routes.get(bits)
        for fn in route if route is not None else self._route(bits):
            fn(key, before, after)

    def _reset(self) -> None:
        """The collection was filled at once: tell the listeners the difference."""
        if self._match is None:
            for entry in self.entries():
                for fn, _ in tuple(self._listeners.values()):
                    fn(entry.key, None, entry.obj)
            return
        before = self._matching
        self._matching = {e.key: e for e in self.collection.range(self.namespace)[0] if self._match(e)}
        self._order = list(self._matching)
        if not self._listeners:
            return
        for key in sorted(before.keys() | self._matching.keys()):
            old, new = before.get(key), self._matching.get(key)
            if old is not None and new is not None and old.rev == new.rev:
                continue
            for fn, _ in tuple(self._listeners.values()):
                fn(key, old.obj if old is not None else None, new.obj if new is not None else None)
