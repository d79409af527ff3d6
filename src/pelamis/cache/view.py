"""A live, synchronous picture of one kind, or of a part of it: the View of ``client.types`` over a Collection.

A view without a selector reads the collection itself. A view with one keeps the set of the keys that match, brought up
to date by each event before its own subscribers hear of it; for them an object that leaves the selector is deleted, and
one that enters it is added. It is the same class in the server's process and behind client.reflector.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, TypeVar

from pelamis.cache.collection import Collection, Event
from pelamis.cache.entry import Entry, Key

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
        self._listeners: dict[int, Listener] = {}
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
        return [entry.obj for entry in self.collection.by_index(index, value) if self._holds(entry)]

    def facts(self, index: str, value: str, make: Callable[[Any, Mapping[str, str]], F]) -> Sequence[F]:
        found: Sequence[F] = [
            entry._facts if entry._maker is make else entry.facts(make)
            for entry in self.collection.members(index, value)
            if self._holds(entry)
        ]
        return found

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None:
        self.collection.progress.when_reached(rev, fn)

    def subscribe(self, fn: Listener, *, replay: bool = True) -> Callable[[], None]:
        if replay:
            for entry in self.entries():
                fn(entry.key, None, entry.obj)
        if self._cancel is None:
            # Nobody listened so far, so nobody had to be told.
            self._cancel = self.collection.subscribe(self._on_event, self._reset)
        token = next(self._ids)
        self._listeners[token] = fn

        def cancel() -> None:
            self._listeners.pop(token, None)
            if not self._listeners and self._match is None and self._cancel is not None:
                self._cancel()
                self._cancel = None

        return cancel

    def close(self) -> None:
        """No more updates: for views that are not shared."""
        self._listeners.clear()
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

    def _wanted(self, entry: Entry) -> bool:
        return (not self.namespace or entry.key[0] == self.namespace) and (self._match is None or self._match(entry))

    def _on_event(self, event: Event) -> None:
        new = event.new if event.new is not None and self._wanted(event.new) else None
        if self._match is None:
            old = event.old if event.old is not None and self._wanted(event.old) else None
        else:
            key = event.key
            old = self._matching.get(key)
            if new is not None:
                self._matching[key] = new
                if old is None:
                    insort(self._order, key)
            elif old is not None:
                del self._matching[key]
                del self._order[bisect_left(self._order, key)]
        if (old is None and new is None) or not self._listeners:
            return
        key = event.key
        before = old.obj if old is not None else None
        after = new.obj if new is not None else None
        for fn in tuple(self._listeners.values()):
            fn(key, before, after)

    def _reset(self) -> None:
        """The collection was filled at once: tell the listeners the difference."""
        if self._match is None:
            for entry in self.entries():
                for fn in tuple(self._listeners.values()):
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
            for fn in tuple(self._listeners.values()):
                fn(key, old.obj if old is not None else None, new.obj if new is not None else None)
