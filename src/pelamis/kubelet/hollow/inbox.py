"""Where hollow nodes learn of their pods: from a view (``Viewed``), or from another process and kept only until read.

A hollow pod holds what it has seen itself (``rest``). So an ``Inbox`` keeps no version that its pod has taken over a
second time: only its revision, for the difference when everything is listed anew. It is filled by a reflector, as a
collection is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.cache.collection import Progress
from pelamis.cache.entry import decode_of
from pelamis.client.types import Key, View

_decode = decode_of(POD)


class Source(Protocol):
    """The pods that are bound to a node."""

    @property
    def synced(self) -> bool: ...

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None: ...

    def get(self, namespace: str, name: str) -> Any:
        """The newest version; None: there is no such pod."""
        ...

    def on_node(self, name: str) -> Sequence[Key]:
        """The pods that are bound to that node."""
        ...

    def taken(self, key: Key) -> None:
        """The reader has what ``get`` gave, and can give it back (``keeper``)."""
        ...

    def given_back(self, key: Key, pod: Any) -> None:
        """The reader holds the pod no longer."""
        ...

    def subscribe(self, fn: Callable[[Key, Any, Any], None]) -> Callable[[], None]:
        """fn(key, …) for each pod that there is, and on every change. Returns the cancel."""
        ...


class Viewed:
    """From a view, which holds all pods for everybody in its process."""

    def __init__(self, view: View[Any]) -> None:
        self.view = view
        self.when_reached = view.when_reached
        self.get = view.get
        self.subscribe = view.subscribe

    @property
    def synced(self) -> bool:
        return self.view.synced

    def on_node(self, name: str) -> Sequence[Key]:
        return [(obj.metadata.namespace, obj.metadata.name) for obj in self.view.by_index("node", name)]

    def taken(self, key: Key) -> None:
        pass

    def given_back(self, key: Key, pod: Any) -> None:
        pass


class _Item(msgspec.Struct, gc=False):
    """data: None once the version was taken over."""

    rev: int
    data: bytes | None


class Inbox:
    """keeper(key): the newest version that was taken over."""

    kind = POD

    def __init__(self, keeper: Callable[[Key], Any]) -> None:
        self._keeper = keeper
        self._items: dict[Key, _Item] = {}
        self._namespaces: dict[str, str] = {}
        self._listeners: list[Callable[[Key, Any, Any], None]] = []
        self.progress = Progress()
        self.synced = False

    # --- who reads ----------------------------------------------------------------------------------------------------

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None:
        self.progress.when_reached(rev, fn)

    def __len__(self) -> int:
        return len(self._items)

    def get(self, namespace: str, name: str) -> Any:
        key = (namespace, name)
        item = self._items.get(key)
        if item is None:
            return None
        return _decode(item.data) if item.data is not None else self._keeper(key)

    def on_node(self, name: str) -> Sequence[Key]:
        return [key for key in sorted(self._items) if self.get(*key).spec.nodeName == name]

    def taken(self, key: Key) -> None:
        item = self._items.get(key)
        if item is not None:
            item.data = None

    def given_back(self, key: Key, pod: Any) -> None:
        item = self._items.get(key)
        if item is not None and item.data is None:
            item.data = msgspec.json.encode(pod)

    def subscribe(self, fn: Callable[[Key, Any, Any], None]) -> Callable[[], None]:
        self._listeners.append(fn)
        for key in sorted(self._items):
            fn(key, None, None)
        return lambda: self._listeners.remove(fn)

    # --- the reflector ------------------------------------------------------------------------------------------------

    def apply_served(self, type: str, namespace: str, name: str, rev: int, data: bytes) -> None:
        key = (self._namespaces.setdefault(namespace, namespace), name)
        if type == "DELETED":
            self._items.pop(key, None)
        else:
            self._put(key, rev, data)
        self._tell(key)
        self.progress.advance(rev)

    def replace(self, found: Iterable[tuple[str, str, int, bytes]], rev: int) -> None:
        fresh = {(ns, name): (at, data) for ns, name, at, data in found}
        for key in sorted(self._items.keys() - fresh.keys()):
            del self._items[key]
            self._tell(key)
        for key in sorted(fresh):
            at, data = fresh[key]
            item = self._items.get(key)
            if item is None or item.rev != at:
                self._put(key, at, data)
                self._tell(key)
        self.synced = True
        self.progress.advance(rev)

    def _put(self, key: Key, rev: int, data: bytes) -> None:
        item = self._items.get(key)
        if item is None:
            self._items[key] = _Item(rev, data)
        else:
            item.rev, item.data = rev, data

    def _tell(self, key: Key) -> None:
        for fn in self._listeners:
            fn(key, None, None)
