"""Request metrics under upstream's names.

Counting is a dict update per request; prometheus-client only renders: its own counters would cost several times more
than the request that they count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics

from pelamis.apiserver.histogram import Histogram

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from pelamis.apiserver.flow.run import FlowControl

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_DURATION_LABELS = ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component")
Labels = tuple[str, ...]


class Metrics:
    """One server's counters. ``gauges`` are asked for when the page is rendered."""

    def __init__(self) -> None:
        self.requests: dict[Labels, int] = {}
        self.durations: dict[Labels, Histogram] = {}
        self.sizes: dict[Labels, list[int]] = {}
        self.watch_events: dict[tuple[str, str, str], int] = {}
        self.admission: dict[tuple[str, str, bool, str], Histogram] = {}
        self._inflight = [0, 0]
        self._peak = [0, 0]
        self.store: dict[str, Histogram] = {}
        """Time of the store's answers, by operation."""
        self.flow: FlowControl | None = None
        self.longrunning: dict[Labels, int] = {}
        self.objects: Iterable[tuple[str, int]] | None = None
        self.count_objects: object = None
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def register(self, other: Collector) -> None:
        """What another component of the process counts is shown on the same page."""
        self._registry.register(other)

    def unregister(self, other: Collector) -> None:
        self._registry.unregister(other)

    def request(self, labels: Labels, code: int, seconds: float) -> None:
        """labels: verb, dry_run, group, version, resource, subresource, scope, component."""
        key = (*labels, str(code))
        self.requests[key] = self.requests.get(key, 0) + 1
        histogram = self.durations.get(labels)
        if histogram is None:
            histogram = self.durations[labels] = Histogram()
        histogram.observe(seconds)

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
        self.longrunning[labels] = self.longrunning.get(labels, 0) + 1

    def ended(self, labels: Labels) -> None:
        self.longrunning[labels] = self.longrunning.get(labels, 1) - 1

    def collect(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "apiserver_request", "Requests by verb, resource and answer.", labels=(*_DURATION_LABELS, "code")
        )
        for labels, count in self.requests.items():
            total.add_metric(labels, count)
        yield total
        duration = HistogramMetricFamily(
            "apiserver_request_duration_seconds",
            "Time from the end of a request to its answer.",
            labels=_DURATION_LABELS,
        )
        for labels, histogram in self.durations.items():
            duration.add_metric(labels, histogram.cumulative(), histogram.sum)
        yield duration
        flight = GaugeMetricFamily(
            "apiserver_current_inflight_requests",
            "Requests under way, the most in the last moment.",
            labels=("request_kind",),
        )
        for kind, peak in zip(("readOnly", "mutating"), self._peak, strict=True):
            flight.add_metric((kind,), peak)
        self._peak = list(self._inflight)
        yield flight
        admission = HistogramMetricFamily(
            "apiserver_admission_controller_admission_duration_seconds",
            "Time of each admission plugin.",
            labels=("name", "operation", "rejected", "type"),
        )
        for (plugin, operation, rejected, type), histogram in self.admission.items():
            labels = (plugin, operation, "true" if rejected else "false", type)
            admission.add_metric(labels, histogram.cumulative(), histogram.sum)
        yield admission
        store = HistogramMetricFamily(
            "etcd_request_duration_seconds", "Time of the store.", labels=("operation", "type")
        )
        for operation, histogram in self.store.items():
            store.add_metric((operation, ""), histogram.cumulative(), histogram.sum)
        yield store
        yield from self._flows()
        running = GaugeMetricFamily(
            "apiserver_longrunning_requests", "Watches and streams that are open.", labels=_DURATION_LABELS
        )
        for labels, count in self.longrunning.items():
            running.add_metric(labels, count)
        yield running
        events = CounterMetricFamily(
            "apiserver_watch_events", "Events sent to watchers.", labels=("group", "version", "resource")
        )
        for key, count in self.watch_events.items():
            events.add_metric(key, count)
        yield events
        if callable(self.count_objects):
            stored = GaugeMetricFamily("apiserver_storage_objects", "Objects held, by resource.", labels=("resource",))
            for resource, count in self.count_objects():
                stored.add_metric((resource,), count)
            yield stored

    def _flows(self) -> Iterator[Metric]:
        flow = self.flow
        if flow is None:
            return
        levels = [level for level in flow.levels.levels.values() if not level.shape.exempt]
        head = "apiserver_flowcontrol_"
        for name, what, of in (
            ("nominal_limit_seats", "Seats of a priority level.", lambda level: level.seats),
            ("current_limit_seats", "Seats that it may use now.", flow.levels.limit),
            ("lower_limit_seats", "Seats that it never lends.", lambda level: level.seats - level.offered),
            ("upper_limit_seats", "Seats that it may use at most.", flow.levels.ceiling),
            ("current_executing_seats", "Seats that are taken.", lambda level: level.used),
            ("current_executing_requests", "Requests that run.", lambda level: level.running),
            ("current_inqueue_requests", "Requests that wait.", lambda level: level.waiting),
            ("demand_seats", "Seats that would be taken if there were enough.", lambda level: level.wanted),
        ):
            gauge = GaugeMetricFamily(head + name, what, labels=("priority_level",))
            for level in levels:
                gauge.add_metric((level.name,), of(level))
            yield gauge
        dispatched = CounterMetricFamily(
            head + "dispatched_requests", "Requests that ran.", labels=("priority_level", "flow_schema")
        )
        for ran, count in flow.dispatched.items():
            dispatched.add_metric(ran, count)
        yield dispatched
        rejected = CounterMetricFamily(
            head + "rejected_requests", "Requests refused.", labels=("priority_level", "flow_schema", "reason")
        )
        for key, count in flow.rejected.items():
            rejected.add_metric(key, count)
        yield rejected
        for name, label, histograms in (
            ("request_wait_duration_seconds", "execute", flow.waited),
            ("request_execution_seconds", "type", flow.executed),
        ):
            time = HistogramMetricFamily(
                head + name, "Time in a queue, or running.", labels=("priority_level", "flow_schema", label)
            )
            for key, histogram in histograms.items():
                time.add_metric(key, histogram.cumulative(), histogram.sum)
            yield time

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The page and its media type: OpenMetrics for those who ask for it, else as Prometheus has it."""
        if "application/openmetrics-text" in accept:
            page = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return page, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self._registry), _TEXT
