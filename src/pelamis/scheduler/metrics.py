"""The scheduler's metrics under upstream's names. Counting is a dict update; the page is made when somebody asks.

Durations of single plugins are measured in one decision of ``SAMPLE``: then the decision is made with plugins that
carry a stopwatch (``timed``), else with plain ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pelamis.scheduler.extension import Plugin, Rejection
from pelamis.scheduler.queue import ACTIVE, BACKOFF, GATED, UNSCHEDULABLE, Queue
from pelamis.scheduler.sheet import Watched
from pelamis.scheduler.snapshot import Snapshot

SAMPLE = 64
SCHEDULED, UNSCHEDULED, ERROR = "scheduled", "unschedulable", "error"


def _powers(first: float, factor: float, count: int) -> tuple[float, ...]:
    return tuple(first * factor**i for i in range(count))


ATTEMPT_S = _powers(0.001, 2, 15)
POD_S = _powers(0.01, 2, 20)
POINT_S = _powers(0.0001, 2, 12)
PLUGIN_S = _powers(0.00001, 1.5, 20)
NUMBER = _powers(1, 2, 7)
ATTEMPTS = _powers(1, 2, 5)


class Histogram:
    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        out, total = [], 0
        for bound, count in zip((*(f"{b:g}" for b in self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            out.append((bound, float(total)))
        return out


class Family(dict[tuple[str, ...], Histogram]):
    """Histograms by their labels' values."""

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: tuple[float, ...]) -> None:
        super().__init__()
        self.name, self.text, self.labels, self.bounds = name, text, labels, bounds

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        found = self.get(labels)
        if found is None:
            found = self[labels] = Histogram(self.bounds)
        found.observe(value)


class Measures:
    """queue, snapshot: of the scheduler that is measured, for what is counted when the page is made."""

    def __init__(self, queue: Queue, snapshot: Snapshot) -> None:
        self._queue = queue
        self._snapshot = snapshot
        self.preemptions = 0
        self.attempts = Family(
            "scheduling_attempt_duration_seconds",
            "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
            ("result", "profile"),
            ATTEMPT_S,
        )
        self.algorithm = Family(
            "scheduling_algorithm_duration_seconds", "Scheduling algorithm latency in seconds", (), ATTEMPT_S
        )
        self.pods = Family(
            "pod_scheduling_sli_duration_seconds",
            "Time from when a pod entered the queue to its binding, by how many attempts it took",
            ("attempts",),
            POD_S,
        )
        self.tries = Family("pod_scheduling_attempts", "Attempts that it took to schedule a pod", (), ATTEMPTS)
        self.victims = Family("preemption_victims", "Number of selected preemption victims", (), NUMBER)
        self.points = Family(
            "framework_extension_point_duration_seconds",
            "Latency for running all plugins of a specific extension point",
            ("extension_point", "status", "profile"),
            POINT_S,
        )
        self.plugins = Family(
            "plugin_execution_duration_seconds",
            "Duration for running a plugin at a specific extension point, sampled",
            ("plugin", "extension_point", "status"),
            PLUGIN_S,
        )

    def attempt(self, result: str, profile: str, seconds: float) -> None:
        self.attempts.observe((result, profile), seconds)

    def bound(self, attempts: int, seconds: float) -> None:
        """seconds: since the pod entered the queue."""
        self.pods.observe((str(attempts) if attempts < 16 else "16+",), seconds)
        self.tries.observe((), attempts)

    def preempted(self, victims: int) -> None:
        self.preemptions += 1
        if victims:
            self.victims.observe((), victims)

    def timed(self, plugins: Sequence[Plugin], cpu: Callable[[], float]) -> Watched:
        """The same plugins, with a stopwatch around each of their functions."""

        def watched(name: str, point: str, function: Any) -> Any:
            if function is None:
                return None

            def run(*args: Any) -> Any:
                began = cpu()
                out = function(*args)
                if point == "Filter":
                    out = _listed(out)
                self.plugins.observe((name, point, "Success"), cpu() - began)
                return out

            return run

        watching = (
            replace(
                p.by_arrays,
                before=watched(p.name, "PreFilter", p.before),
                filter=watched(p.name, "Filter", p.filter),
                score=watched(p.name, "Score", p.score),
            )
            for p in plugins
        )
        return Watched.made(watching, plugins)

    def collect(self) -> Iterator[Any]:
        """For a prometheus-client registry."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        total = CounterMetricFamily(
            "scheduler_schedule_attempts", "Attempts to schedule pods, by the result", labels=("result", "profile")
        )
        for labels, histogram in self.attempts.items():
            total.add_metric(labels, sum(histogram.counts))
        yield total
        for family in (
            self.attempts, self.algorithm, self.pods, self.tries, self.victims, self.points, self.plugins,
        ):  # fmt: skip
            metric = HistogramMetricFamily(f"scheduler_{family.name}", family.text, labels=family.labels)
            for labels, histogram in family.items():
                metric.add_metric(labels, histogram.cumulative(), histogram.sum)
            yield metric
        yield CounterMetricFamily(
            "scheduler_preemption_attempts", "Total preemption attempts in the cluster till now", self.preemptions
        )
        pending = GaugeMetricFamily("scheduler_pending_pods", "Number of pending pods, by the queue", labels=("queue",))
        counts = self._queue.counts()
        for place in (ACTIVE, BACKOFF, UNSCHEDULABLE, GATED):
            pending.add_metric((place,), counts[place])
        yield pending
        incoming = CounterMetricFamily(
            "scheduler_queue_incoming_pods",
            "Number of pods added to scheduling queues by event and queue",
            labels=("queue", "event"),
        )
        for key, count in self._queue.incoming.items():
            incoming.add_metric(key, count)
        yield incoming
        by = GaugeMetricFamily(
            "scheduler_unschedulable_pods",
            "Number of unschedulable pods by the plugin that rejected them",
            labels=("plugin", "profile"),
        )
        for key, count in self._queue.unschedulable_by().items():
            by.add_metric(key, count)
        yield by
        size = GaugeMetricFamily(
            "scheduler_cache_size", "Number of nodes and pods that the scheduler knows", labels=("type",)
        )
        size.add_metric(("nodes",), self._snapshot.size)
        size.add_metric(("pods",), len(self._snapshot.pods))
        assumed = sum(1 for p in self._snapshot.pods.values() if not p.bound)
        size.add_metric(("assumed_pods",), assumed)
        yield size


def _listed(rejections: Iterable[Rejection]) -> Iterable[Rejection]:
    """A generator works when it is read."""
    return rejections if isinstance(rejections, tuple | list) else list(rejections)
