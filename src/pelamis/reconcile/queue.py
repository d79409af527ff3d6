"""The work queue of a controller: which keys are to be reconciled, and from when on. Pure; time comes in.

A key is in at most one of these states at a time, and ``pop`` hands it out only when none of the blocking ones holds:

- *dirty*: wants to be reconciled now (order of arrival, no duplicates);
- *timed*: wants to be reconciled at a time (one per key; ``requeue`` replaces it, ``retry`` is separate);
- *in flight*: handed out by ``pop`` and not ``done``; if it becomes dirty meanwhile, it waits;
- *held*: it has written, and the views do not show these writes yet. Reconciling it now would act on a past that it
  has changed itself: create the same pods twice, say. ``hold`` counts what is waited for, ``release`` lets go.

A failed key comes back after 5 ms, 10 ms, 20 ms … 1,000 s, as long as it keeps failing; a change of its objects wakes
it at once all the same. Both numbers are those of upstream's work queue.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Queue(Generic[K]):
    def __init__(self, base_s: float = 0.005, max_s: float = 1000.0) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._dirty: dict[K, None] = {}
        self._in_flight: set[K] = set()
        self._held: dict[K, int] = {}
        self._blocked: dict[K, None] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._at: dict[K, float] = {}
        self._retry_at: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        """Keys that want to run now, whether they may or not."""
        return len(self._dirty) + len(self._blocked)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def add(self, key: K) -> None:
        """Reconcile as soon as possible."""
        if key in self._in_flight or key in self._held:
            self._blocked[key] = None
        else:
            self._dirty[key] = None

    def requeue(self, key: K, at: float | None) -> None:
        """Reconcile at ``at``, in place of the time asked for before; None = no longer by time."""
        if at is None:
            self._at.pop(key, None)
        else:
            self._at[key] = at
            self._push(at, key)

    def retry(self, key: K, now: float) -> float:
        """The last attempt failed. Returns when the next one is due."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        at = now + min(self._base_s * 2.0 ** min(failures, 40), self._max_s)
        self._retry_at[key] = at
        self._push(at, key)
        return at

    def succeeded(self, key: K) -> None:
        self._failures.pop(key, None)
        self._retry_at.pop(key, None)

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    def pop(self, now: float) -> K | None:
        """The next key that may run; it is in flight until ``done``."""
        self._expire(now)
        if not self._dirty:
            return None
        key = next(iter(self._dirty))
        del self._dirty[key]
        self._in_flight.add(key)
        self._at.pop(key, None)
        self._retry_at.pop(key, None)
        return key

    def done(self, key: K) -> None:
        self._in_flight.discard(key)
        self._unblock(key)

    def hold(self, key: K) -> None:
        self._held[key] = self._held.get(key, 0) + 1

    def release(self, key: K) -> None:
        left = self._held.get(key, 0) - 1
        if left > 0:
            self._held[key] = left
        else:
            self._held.pop(key, None)
            self._unblock(key)

    def next_at(self) -> float | None:
        """When ``pop`` has something by time alone; None = never."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._at.get(key) == at or self._retry_at.get(key) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def ready(self, now: float) -> bool:
        self._expire(now)
        return bool(self._dirty)

    def _push(self, at: float, key: K) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, key))

    def _expire(self, now: float) -> None:
        while (at := self.next_at()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            if self._at.get(key) == at:
                del self._at[key]
            if self._retry_at.get(key) == at:
                del self._retry_at[key]
            self.add(key)

    def _unblock(self, key: K) -> None:
        if key in self._blocked and key not in self._in_flight and key not in self._held:
            del self._blocked[key]
            self._dirty[key] = None
