"""A sorted map whose snapshots cost next to nothing.

Keys are ``(namespace, name)``. Two levels: a list of chunks, each chunk a pair of parallel lists (keys, values) of at
most ``2 * LOAD`` members. A snapshot takes the list of chunks as it is, and stamps the map: from then on a chunk that
an older snapshot may see is copied before it is changed. So a list of 300,000 objects can be walked over many turns
of the event loop while writes go on, and neither waits for the other. Lookups by key go to a dict beside it.

A new value of a key that is there leaves the order as it is, so it goes to the dict alone, and into the chunks when
somebody reads in order, or when ``STALE`` of them have come together: most kinds are written far more than listed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

V = TypeVar("V")
Key = tuple[str, str]
LOAD = 512
STALE = 1024
"""So many values that were replaced stay in the chunks, and in memory, at most."""


class _Chunk(Generic[V]):
    __slots__ = ("keys", "stamp", "values")

    def __init__(self, keys: list[Key], values: list[V], stamp: int) -> None:
        self.keys = keys
        self.values = values
        self.stamp = stamp


class Snapshot(Generic[V]):
    """The members at one moment, in order. ``chunks`` hands out lists of up to ~1,000 values: yield between them."""

    __slots__ = ("_chunks", "_high", "_low", "count")

    def __init__(self, chunks: list[_Chunk[V]], low: Key | None, high: Key | None) -> None:
        """Members with low < key < high (None = unbounded)."""
        self._chunks = chunks
        self._low = low
        self._high = high
        self.count = sum(len(values) for values in self.chunks())

    def chunks(self) -> Iterator[list[V]]:
        last = len(self._chunks) - 1
        for i, chunk in enumerate(self._chunks):
            start = bisect_right(chunk.keys, self._low) if i == 0 and self._low is not None else 0
            stop = bisect_left(chunk.keys, self._high) if i == last and self._high is not None else len(chunk.keys)
            if start == 0 and stop == len(chunk.keys):
                yield chunk.values
            elif start < stop:
                yield chunk.values[start:stop]

    def __iter__(self) -> Iterator[V]:
        for values in self.chunks():
            yield from values

    def __len__(self) -> int:
        return self.count


class OrderedMap(Generic[V]):
    """``get``, ``set`` and ``remove`` by key; ``snapshot`` and ``page`` in key order."""

    __slots__ = ("_by_key", "_chunks", "_firsts", "_stale", "_stamp", "get")

    def __init__(self) -> None:
        self._by_key: dict[Key, V] = {}
        self.get: Callable[[Key], V | None] = self._by_key.get
        self._chunks: list[_Chunk[V]] = []
        self._firsts: list[Key] = []
        self._stale: set[Key] = set()
        """Keys whose value in the chunks is one that was replaced."""
        self._stamp = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: Key) -> bool:
        return key in self._by_key

    def values(self) -> Iterable[V]:
        """In no particular order."""
        return self._by_key.values()

    def fill(self, pairs: Iterable[tuple[Key, V]]) -> None:
        """Replace all members; quicker than one ``set`` each. Snapshots taken before keep what they saw."""
        self._by_key.clear()
        self._by_key.update(pairs)
        self._stale.clear()
        keys = sorted(self._by_key)
        get = self._by_key.__getitem__
        parts = [keys[i : i + LOAD] for i in range(0, len(keys), LOAD)]
        self._stamp += 1
        self._chunks = [_Chunk(part, [get(k) for k in part], self._stamp) for part in parts]
        self._firsts = [part[0] for part in parts]

    def set(self, key: Key, value: V) -> V | None:
        """Returns the value before, None if the key is new."""
        by_key = self._by_key
        old = by_key.get(key)
        by_key[key] = value
        if old is not None:
            self._stale.add(key)
            if len(self._stale) >= STALE:
                self._settle()
            return old
        if not self._chunks:
            self._chunks.append(_Chunk([key], [value], self._stamp))
            self._firsts.append(key)
            return None
        i = max(bisect_right(self._firsts, key) - 1, 0)
        chunk = self._own(i)
        j = bisect_left(chunk.keys, key)
        chunk.keys.insert(j, key)
        chunk.values.insert(j, value)
        if j == 0:
            self._firsts[i] = key
        if len(chunk.keys) > 2 * LOAD:
            right = _Chunk(chunk.keys[LOAD:], chunk.values[LOAD:], self._stamp)
            del chunk.keys[LOAD:], chunk.values[LOAD:]
            # The outer lists belong to the map alone: a snapshot has copied its part.
            self._chunks.insert(i + 1, right)
            self._firsts.insert(i + 1, right.keys[0])
        return None

    def remove(self, key: Key) -> V | None:
        old = self._by_key.pop(key, None)
        if old is None:
            return None
        self._stale.discard(key)
        i = bisect_right(self._firsts, key) - 1
        chunk = self._own(i)
        j = bisect_left(chunk.keys, key)
        del chunk.keys[j], chunk.values[j]
        if not chunk.keys:
            del self._chunks[i], self._firsts[i]
        elif j == 0:
            self._firsts[i] = chunk.keys[0]
        return old

    def _own(self, i: int) -> _Chunk[V]:
        chunk = self._chunks[i]
        if chunk.stamp != self._stamp:
            chunk = self._chunks[i] = _Chunk(chunk.keys[:], chunk.values[:], self._stamp)
        return chunk

    def _settle(self) -> None:
        """Brings the values in the chunks up to date."""
        stale, self._stale = self._stale, set()
        by_key = self._by_key
        if len(stale) * 8 > len(by_key):
            for i, old in enumerate(self._chunks):
                values = [by_key[key] for key in old.keys]
                if old.stamp == self._stamp:
                    old.values = values
                else:
                    self._chunks[i] = _Chunk(old.keys[:], values, self._stamp)
            return
        for key in sorted(stale):
            chunk = self._own(bisect_right(self._firsts, key) - 1)
            chunk.values[bisect_left(chunk.keys, key)] = by_key[key]

    def snapshot(self, namespace: str = "", after: Key | None = None) -> Snapshot[V]:
        """All members, or those of one namespace, strictly after the key ``after``; later writes do not show in it."""
        if self._stale:
            self._settle()
        self._stamp += 1
        return self.part(namespace, after)

    def part(self, namespace: str = "", after: Key | None = None) -> Snapshot[V]:
        """As ``snapshot``, but to be used up before the next write."""
        if self._stale:
            self._settle()
        low, high = after, None
        if namespace:
            if low is None or low[0] < namespace:
                low = (namespace, "")
            high = (namespace + "\0", "")
        start = max(bisect_right(self._firsts, low) - 1, 0) if low is not None else 0
        stop = bisect_left(self._firsts, high) if high is not None else len(self._chunks)
        return Snapshot(self._chunks[start:stop], low, high)

    def page(self, namespace: str, after: Key | None, limit: int) -> tuple[list[V], int]:
        """Up to ``limit`` members (0 = all), and how many are left after them."""
        if self._stale:
            self._settle()
        if not limit and after is None and len(self._chunks) < 2:
            # Kinds with few objects are asked for at each event of others.
            if not self._chunks:
                return [], 0
            keys, values = self._chunks[0].keys, self._chunks[0].values
            if not namespace:
                return values[:], 0
            start = bisect_left(keys, (namespace, ""))
            return values[start : bisect_left(keys, (namespace + "\0", ""), start)], 0
        if not limit:
            return list(self.part(namespace, after)), 0
        found = self.part(namespace, after)
        out: list[V] = []
        for values in found.chunks():
            out.extend(values[: limit - len(out)])
            if len(out) == limit:
                break
        return out, found.count - len(out)
