"""All collections of one server, fed by one stream of store events.

Pure: whoever owns the store does the waiting. To start (apiserver.load does it)::

    cache = Cache(kinds)                       # every kind that is stored (kind.hub is None)
    cache.begin_load()
    rev, after = 0, ""
    while True:                                # one revision for all pages
        page = await store.range("/registry/", after=after, limit=5_000, rev=rev)
        rev = page.rev
        cache.load_page(page.items)            # takes what it needs of the page: memory is not needed twice
        if not page.more:
            break
        after = page.items[-1].key
    cache.end_load(rev)                        # 100,000 objects: about a second in all
    store.watch("/registry/", rev + 1, cache.apply)

To add a kind later (a CustomResourceDefinition), without losing what happens meanwhile::

    cache.add(kind, loading=True)              # events of the kind are kept back from here on
    page = await store.range(kind.prefix)
    cache.collection(kind).load(page.items, page.rev)

``rev`` of every collection is the newest revision that was applied, of whichever kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pelamis.api.kind import Kind
from pelamis.cache.collection import Change, Collection, Progress, Stored
from pelamis.cache.entry import BUDGET, Decoder

Decode = Callable[[Kind], Callable[[bytes], Any]]

Refresh = Callable[[bytes], bytes]
"""What the served bytes of an object become under a new declaration of its kind."""


class Cache:
    """decode(kind) gives the function from served bytes to the object; None = straight into kind.type.

    budget, most: bounds of what is kept decoded (see ``Decoder``), in bytes of JSON.
    """

    def __init__(
        self, kinds: Iterable[Kind] = (), *, decode: Decode | None = None, budget: int = BUDGET, most: int = 0
    ) -> None:
        self.progress = Progress()
        self.decoder = Decoder(budget, most)
        self._decode = decode
        self._by_prefix: dict[str, Collection] = {}
        for kind in kinds:
            self.add(kind)

    @property
    def rev(self) -> int:
        return self.progress.rev

    @property
    def bytes(self) -> int:
        """Served bytes held, over all kinds."""
        return sum(c.bytes for c in self._by_prefix.values())

    def __iter__(self) -> Iterator[Collection]:
        return iter(self._by_prefix.values())

    def add(self, kind: Kind, *, loading: bool = False) -> Collection:
        """The kind's collection, made if need be; kinds with the same store prefix share one.

        loading: keep its events back until ``Collection.load``.
        """
        found = self._by_prefix.get(kind.prefix)
        if found is not None:
            return found
        decode = self._decode(kind) if self._decode is not None else None
        collection = Collection(kind, progress=self.progress, decoder=self.decoder, decode=decode)
        collection.trim(self.progress.rev)
        if loading:
            collection.begin_load()
        else:
            collection.synced = self.progress.rev > 0
        self._by_prefix[kind.prefix] = collection
        return collection

    def remove(self, kind: Kind) -> None:
        """Forget the kind and its objects."""
        self._by_prefix.pop(kind.prefix, None)

    def swap(self, kind: Kind, refresh: Refresh | None = None, stored: Sequence[Stored] = ()) -> Collection:
        """A new declaration of a kind that is held (a changed CustomResourceDefinition): same objects, decoded anew.

        refresh: what the bytes of an object become under the new declaration. stored: what the store has of them.
        """
        collection = self._by_prefix[kind.prefix]
        collection.redeclare(kind, self._decode(kind) if self._decode is not None else None, refresh, stored)
        return collection

    def collection(self, kind: Kind) -> Collection:
        """KeyError when the kind is not held."""
        return self._by_prefix[kind.prefix]

    def find(self, key: str) -> Collection | None:
        """The collection that a store key belongs to: the prefix ends at the third, fourth or fifth slash."""
        end = key.find("/", 1)
        while (end := key.find("/", end + 1)) > 0:
            found = self._by_prefix.get(key[: end + 1])
            if found is not None:
                return found
        return None

    def begin_load(self) -> None:
        for collection in self:
            collection.begin_load()

    def load_page(self, items: Iterable[Stored]) -> None:
        """Some of the store's items; those of no kind held here are passed over."""
        parts: dict[Collection, list[Stored]] = {}
        for item in items:
            collection = self.find(item.key)
            if collection is not None:
                parts.setdefault(collection, []).append(item)
        for collection, part in parts.items():
            collection.load_page(part)

    def end_load(self, rev: int) -> None:
        """The pages were all that the store held at ``rev``."""
        for collection in self:
            collection.end_load(rev)
        self.progress.advance(rev)

    def resync(self, items: Iterable[Stored], rev: int) -> None:
        """All that the store holds at ``rev``, after events were lost: who watches gets the difference as events."""
        parts: dict[Collection, list[Stored]] = {}
        for item in items:
            collection = self.find(item.key)
            if collection is not None:
                parts.setdefault(collection, []).append(item)
        for collection in self:
            collection.resync(parts.get(collection, ()), rev)
        self.progress.advance(rev)

    def apply(self, events: Sequence[Change]) -> None:
        """A store's sink: events of one or more commits, in order of revision."""
        if not events:
            return
        failed: Exception | None = None
        prefix = "none"
        for event in events:
            key = event.key
            # Those of one commit are mostly of one kind.
            collection = self._by_prefix.get(prefix) if key.startswith(prefix) else None
            if collection is None:
                collection = self.find(key)
                if collection is None:
                    continue
                prefix = collection.kind.prefix
            try:
                collection.apply_one(event)
            except Exception as error:
                failed = failed or error
        self.progress.advance(events[-1].rev)
        if failed is not None:
            raise failed

    def trim(self, rev: int) -> None:
        """Forget the past up to ``rev``, in all kinds: after the store was compacted there."""
        for collection in self:
            collection.trim(rev)
