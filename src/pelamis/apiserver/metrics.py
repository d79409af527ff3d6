"""Request metrics under upstream's names.

Counting is a dict update per request; prometheus-client only renders (``metricspage``): its own counters would cost
several times more than the request that they count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from pelamis.apiserver.histogram import Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

    from pelamis.apiserver.flow.run import FlowControl

Labels = tuple[str, ...]


class Counted:
    """Requests of one kind: how many had which code, and how long they took."""

    __slots__ = ("codes", "durations")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.durations = Histogram()

    def add(self, code: int, seconds: float) -> None:
        codes = self.codes
        codes[code] = codes.get(code, 0) + 1
        self.durations.observe(seconds)


class Metrics:
    """One server's counters."""

    def __init__(self) -> None:
        self.requests: dict[Labels, Counted] = {}
        self.watch_events: dict[tuple[str, str, str], int] = {}
        self.admission: dict[tuple[str, str, bool, str], Histogram] = {}
        self._inflight = [0, 0]
        self._peak = [0, 0]
        self.store: dict[str, Histogram] = {}
        """Time of the store's answers, by operation."""
        self.flow: FlowControl | None = None
        self.longrunning: dict[Labels, int] = {}
        self.watching: dict[tuple[str, str, str], int] = {}
        """Watches that are open, by group, version and resource."""
        self.count_objects: Callable[[], Iterable[tuple[str, int]]] | None = None
        """Objects held, by resource."""
        self._others: list[Collector] = []

    def register(self, other: Collector) -> None:
        """What another component of the process counts is shown on the same page."""
        self._others.append(other)

    def unregister(self, other: Collector) -> None:
        self._others.remove(other)

    def request(self, labels: Labels, code: int, seconds: float) -> None:
        self.counted(labels).add(code, seconds)

    def counted(self, labels: Labels) -> Counted:
        """labels: verb, dry_run, group, version, resource, subresource, scope, component."""
        found = self.requests.get(labels)
        if found is None:
            found = self.requests[labels] = Counted()
        return found

    def enter(self, writes: bool) -> None:
        now = self._inflight[writes] = self._inflight[writes] + 1
        if now > self._peak[writes]:
            self._peak[writes] = now

    def leave(self, writes: bool) -> None:
        self._inflight[writes] -= 1

    def stored(self, operation: str, seconds: float) -> None:
        histogram = self.store.get(operation)
        if histogram is None:
            histogram = self.store[operation] = Histogram()
        histogram.observe(seconds)

    def admitted(self, name: str, operation: str, type: str, rejected: bool) -> Histogram:
        """type: admit (mutating) or validate."""
        key = (name, operation, rejected, type)
        histogram = self.admission.get(key)
        if histogram is None:
            histogram = self.admission[key] = Histogram()
        return histogram

    def started(self, labels: Labels) -> None:
        self._long(labels, 1)

    def ended(self, labels: Labels) -> None:
        self._long(labels, -1)

    def _long(self, labels: Labels, more: int) -> None:
        self.longrunning[labels] = self.longrunning.get(labels, 0) + more
        if labels[0] == "WATCH":
            what = (labels[2], labels[3], labels[4])
            self.watching[what] = self.watching.get(what, 0) + more

    def peak(self) -> tuple[int, int]:
        """The most requests at a time since this was asked last: reads, writes."""
        most = self._peak[0], self._peak[1]
        self._peak = list(self._inflight)
        return most

    def collect(self) -> Iterator[Metric]:
        """For a prometheus-client registry."""
        from pelamis.apiserver.metricspage import families

        return families(self)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The page and its media type: OpenMetrics for those who ask for it, else as Prometheus has it."""
        from pelamis.apiserver.metricspage import render  # not for a server that nobody scrapes

        return render((self, *self._others), accept)
