"""How many replicas a metric asks for, by upstream's rules. Pure; used by the HorizontalPodAutoscaler.

Values are thousandths: of a core, a byte, or whatever a metric counts. The number of pods follows the ratio of usage to
target, rounded up, unless the ratio is within the tolerance. Pods that are going or have failed do not count; pods that
are not ready yet, or of which no sample is known, are taken at the value that makes the change smaller: as much as they
may use when scaling down, nothing when scaling up; and where that would turn the direction, nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from pelamis.api.core.pod.pod import Pod
from pelamis.base import quantity
from pelamis.base.clock import parse_rfc3339
from pelamis.reconcile.podstate import condition, is_ready

TOLERANCE = 0.1
CPU_INITIALIZATION_S = 300.0
INITIAL_READINESS_DELAY_S = 30.0


class Unable(Exception):
    """No number can be computed; the text is upstream's."""


class PodMetric(NamedTuple):
    """value: thousandths. at: end of the window, seconds since the epoch."""

    value: int
    at: float = 0.0
    window_s: float = 60.0


Metrics = Mapping[str, PodMetric]
"""By name of the pod."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Relative deviations from the target that are let pass."""

    down: float = TOLERANCE
    up: float = TOLERANCE

    def within(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Groups:
    """ready: how many pods count as they are. ignored: pods that are going or have failed."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def _time(text: str | None) -> float:
    return parse_rfc3339(text) if text else 0.0


def _is_unready(pod: Pod, metric: PodMetric, now: float) -> bool:
    """Whether a CPU sample tells more of the start of the pod than of its work."""
    ready = condition(pod, "Ready")
    if ready is None or not pod.status.startTime:
        return True
    started, changed = _time(pod.status.startTime), _time(ready.lastTransitionTime)
    if started + CPU_INITIALIZATION_S > now:
        return ready.status == "False" or metric.at < changed + metric.window_s
    return ready.status == "False" and started + INITIAL_READINESS_DELAY_S > changed


def group_pods(pods: Sequence[Pod], metrics: Metrics, resource: str, now: float) -> Groups:
    ready = 0
    unready, missing, ignored = set(), set(), set()
    for pod in pods:
        name = pod.metadata.name
        if pod.metadata.deletionTimestamp is not None or pod.status.phase == "Failed":
            ignored.add(name)
        elif pod.status.phase == "Pending":
            unready.add(name)
        elif name not in metrics:
            missing.add(name)
        elif resource == "cpu" and _is_unready(pod, metrics[name], now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def requested(pod: Pod, container: str, resource: str) -> int:
    """What a pod, or one container of it, requests. Raises Unable."""
    spec = pod.spec
    if not container and spec.resources is not None and resource in spec.resources.requests:
        return quantity.milli(spec.resources.requests[resource])
    total = 0
    for one in (*spec.containers, *(c for c in spec.initContainers if c.restartPolicy == "Always")):
        if container in ("", one.name):
            amount = one.resources.requests.get(resource)
            if amount is None:
                raise Unable(f"missing request for {resource} in container {one.name} of Pod {pod.metadata.name}")
            total += quantity.milli(amount)
    return total


def _utilization(metrics: Metrics, requests: Mapping[str, int], target: int) -> tuple[float, int, int]:
    """(ratio to the target, percent of the requests, average). Raises Unable."""
    known = [(metric.value, requests[name]) for name, metric in metrics.items() if name in requests]
    total, wanted = sum(value for value, _ in known), sum(request for _, request in known)
    if wanted == 0:
        raise Unable("no metrics returned matched known pods")
    percent = total * 100 // wanted
    return percent / target, percent, total // len(known)


def _usage(metrics: Metrics, target: int) -> tuple[float, int]:
    """(ratio to the target, average)."""
    average = sum(metric.value for metric in metrics.values()) // len(metrics)
    return average / target, average


def _counted(pods: Sequence[Pod], metrics: Metrics, resource: str, now: float) -> tuple[Groups, dict[str, PodMetric]]:
    if not pods:
        raise Unable("no pods returned by selector while calculating replica count")
    groups = group_pods(pods, metrics, resource, now)
    skipped = groups.unready | groups.ignored
    return groups, {name: metric for name, metric in metrics.items() if name not in skipped}


def _turned(current: int, first: float, ratio: float, replicas: int) -> bool:
    """Whether the cautious figures point the other way than the plain ones."""
    if (first < 1.0 < ratio) or (first > 1.0 > ratio):
        return True
    return (ratio < 1.0 and replicas > current) or (ratio > 1.0 and replicas < current)


def utilization_replicas(
    current: int,
    target: int,
    resource: str,
    pods: Sequence[Pod],
    metrics: Metrics,
    tolerances: Tolerances,
    now: float,
    container: str = "",
) -> tuple[int, int, int]:
    """(replicas, percent of the requests, average). target: percent. Raises Unable."""
    groups, counted = _counted(pods, metrics, resource, now)
    requests = {pod.metadata.name: requested(pod, container, resource) for pod in pods}
    if not counted:
        raise Unable("did not receive metrics for targeted pods (pods might be unready)")
    ratio, percent, average = _utilization(counted, requests, target)
    rebalance = bool(groups.unready) and ratio > 1.0
    if not rebalance and not groups.missing:
        replicas = current if tolerances.within(ratio) else ceil(ratio * groups.ready)
        return replicas, percent, average
    if ratio < 1.0:
        most = max(100, target)
        counted.update({name: PodMetric(requests[name] * most // 100) for name in groups.missing})
    elif ratio > 1.0:
        counted.update(dict.fromkeys(groups.missing, PodMetric(0)))
    if rebalance:
        counted.update(dict.fromkeys(groups.unready, PodMetric(0)))
    cautious, _, _ = _utilization(counted, requests, target)
    replicas = ceil(cautious * len(counted))
    if tolerances.within(cautious) or _turned(current, ratio, cautious, replicas):
        return current, percent, average
    return replicas, percent, average


def average_replicas(
    current: int,
    target: int,
    resource: str,
    pods: Sequence[Pod],
    metrics: Metrics,
    tolerances: Tolerances,
    now: float,
) -> tuple[int, int]:
    """(replicas, average). resource: "" for what is not a resource. Raises Unable."""
    groups, counted = _counted(pods, metrics, resource, now)
    if not counted:
        raise Unable("did not receive metrics for targeted pods (pods might be unready)")
    ratio, average = _usage(counted, target)
    rebalance = bool(groups.unready) and ratio > 1.0
    if not rebalance and not groups.missing:
        return current if tolerances.within(ratio) else ceil(ratio * groups.ready), average
    if groups.missing:
        counted.update(dict.fromkeys(groups.missing, PodMetric(target if ratio < 1.0 else 0)))
    if rebalance:
        counted.update(dict.fromkeys(groups.unready, PodMetric(0)))
    cautious, _ = _usage(counted, target)
    replicas = ceil(cautious * len(counted))
    if tolerances.within(cautious) or _turned(current, ratio, cautious, replicas):
        return current, average
    return replicas, average


def value_replicas(current: int, target: int, value: int, pods: Sequence[Pod], tolerances: Tolerances) -> int:
    """What one value for the whole asks for. From zero replicas there are no ready pods to start from."""
    ratio = value / target
    if current == 0:
        return ceil(ratio)
    if tolerances.within(ratio):
        return current
    if not pods:
        raise Unable("unable to calculate ready pods: no pods returned by selector while calculating replica count")
    return ceil(ratio * sum(1 for pod in pods if pod.status.phase == "Running" and is_ready(pod)))


def per_pod_replicas(status_replicas: int, target: int, value: int, tolerances: Tolerances) -> tuple[int, int]:
    """(replicas, average): one value for the whole, of which each pod is to have ``target``."""
    if status_replicas == 0:
        return ceil(value / target), value
    replicas = status_replicas
    if not tolerances.within(value / (target * status_replicas)):
        replicas = ceil(value / target)
    return replicas, ceil(value / status_replicas)
