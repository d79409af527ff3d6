"""The page of metrics, rendered by prometheus-client. Loaded when it is asked for first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from pelamis.apiserver.flow.run import FlowControl
    from pelamis.apiserver.metrics import Metrics

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_DURATION_LABELS = ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component")


def families(metrics: Metrics) -> Iterator[Metric]:
    """All that the server counts."""
    total = CounterMetricFamily(
        "apiserver_request", "Requests by verb, resource and answer.", labels=(*_DURATION_LABELS, "code")
    )
    answered = [(labels, counted) for labels, counted in metrics.requests.items() if counted.codes]
    for labels, counted in answered:
        for code, count in counted.codes.items():
            total.add_metric((*labels, str(code)), count)
    yield total
    duration = HistogramMetricFamily(
        "apiserver_request_duration_seconds",
        "Time from the end of a request to its answer.",
        labels=_DURATION_LABELS,
    )
    for labels, counted in answered:
        duration.add_metric(labels, counted.durations.cumulative(), counted.durations.sum)
    yield duration
    flight = GaugeMetricFamily(
        "apiserver_current_inflight_requests",
        "Requests under way, the most in the last moment.",
        labels=("request_kind",),
    )
    for kind, peak in zip(("readOnly", "mutating"), metrics.peak(), strict=True):
        flight.add_metric((kind,), peak)
    yield flight
    admission = HistogramMetricFamily(
        "apiserver_admission_controller_admission_duration_seconds",
        "Time of each admission plugin.",
        labels=("name", "operation", "rejected", "type"),
    )
    for (plugin, operation, rejected, type), histogram in metrics.admission.items():
        labels = (plugin, operation, "true" if rejected else "false", type)
        admission.add_metric(labels, histogram.cumulative(), histogram.sum)
    yield admission
    store = HistogramMetricFamily("etcd_request_duration_seconds", "Time of the store.", labels=("operation", "type"))
    for operation, histogram in metrics.store.items():
        store.add_metric((operation, ""), histogram.cumulative(), histogram.sum)
    yield store
    if metrics.flow is not None:
        yield from _flows(metrics.flow)
    running = GaugeMetricFamily(
        "apiserver_longrunning_requests", "Watches and streams that are open.", labels=_DURATION_LABELS
    )
    for labels, count in metrics.longrunning.items():
        running.add_metric(labels, count)
    yield running
    events = CounterMetricFamily(
        "apiserver_watch_events", "Events sent to watchers.", labels=("group", "version", "resource")
    )
    for key, count in metrics.watch_events.items():
        events.add_metric(key, count)
    yield events
    if metrics.count_objects is not None:
        stored = GaugeMetricFamily("apiserver_storage_objects", "Objects held, by resource.", labels=("resource",))
        for resource, count in metrics.count_objects():
            stored.add_metric((resource,), count)
        yield stored


def _flows(flow: FlowControl) -> Iterator[Metric]:
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
    for key, ran in flow.ran.items():
        if ran.count:
            dispatched.add_metric(key, ran.count)
    yield dispatched
    rejected = CounterMetricFamily(
        head + "rejected_requests", "Requests refused.", labels=("priority_level", "flow_schema", "reason")
    )
    for why, count in flow.rejected.items():
        rejected.add_metric(why, count)
    yield rejected
    executed = {(*key, "regular"): ran.seconds for key, ran in flow.ran.items() if any(ran.seconds.buckets)}
    for name, label, histograms in (
        ("request_wait_duration_seconds", "execute", flow.waited),
        ("request_execution_seconds", "type", executed),
    ):
        time = HistogramMetricFamily(
            head + name, "Time in a queue, or running.", labels=("priority_level", "flow_schema", label)
        )
        for about, histogram in histograms.items():
            time.add_metric(about, histogram.cumulative(), histogram.sum)
        yield time


def render(collectors: Iterable[Collector], accept: str) -> tuple[bytes, str]:
    """The page and its media type: OpenMetrics for those who ask for it, else as Prometheus has it."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    if "application/openmetrics-text" in accept:
        page = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return page, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), _TEXT
