"""From what kubelets count to what is used: two samples of a node give a rate. Pure.

CPU is the difference of two counters over the time between them, memory the newer working set. A container that started
between the samples is measured from its start, once it has run for ten seconds; a pod is known only when all of its
containers are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pelamis.apiserver.metricsapi.summary import Cpu, Memory, Summary
from pelamis.base.clock import parse_rfc3339

FRESH_S = 10.0
"""A container that was not in the older sample must have run so long."""
Key = tuple[str, str]


class Count(NamedTuple):
    """cpu: nanoseconds spent since ``since`` (seconds since the epoch, 0 = unknown). memory: bytes."""

    cpu: int
    memory: int
    since: float


class Usage(NamedTuple):
    """cpu: billionths of a core. memory: bytes."""

    cpu: int
    memory: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a node said at a time; pods by (namespace, name), then by container."""

    at: float
    node: Count | None
    pods: Mapping[Key, Mapping[str, Count]]


@dataclass(frozen=True, slots=True)
class PodUsage:
    """window_s ends at ``at``."""

    at: float
    window_s: float
    containers: Mapping[str, Usage]


@dataclass(frozen=True, slots=True)
class NodeUsage:
    at: float
    window_s: float
    usage: Usage


def _count(cpu: Cpu | None, memory: Memory | None, since: str) -> Count | None:
    if cpu is None or memory is None or cpu.usageCoreNanoSeconds is None or memory.workingSetBytes is None:
        return None
    try:
        start = parse_rfc3339(since) if since else 0.0
    except ValueError:
        start = 0.0
    return Count(cpu.usageCoreNanoSeconds, memory.workingSetBytes, start)


def sample(summary: Summary, at: float) -> Sample:
    """A pod that has a container without figures is left out."""
    pods: dict[Key, Mapping[str, Count]] = {}
    for pod in summary.pods:
        counts = {c.name: _count(c.cpu, c.memory, c.startTime) for c in pod.containers}
        known = {name: count for name, count in counts.items() if count is not None}
        if known and len(known) == len(counts):
            pods[pod.podRef.namespace, pod.podRef.name] = known
    return Sample(at, _count(summary.node.cpu, summary.node.memory, summary.node.startTime), pods)


def _rate(old: Count, new: Count, seconds: float) -> Usage | None:
    """None: the counter went backwards, or no time has passed."""
    if seconds <= 0 or new.cpu < old.cpu:
        return None
    return Usage(int((new.cpu - old.cpu) / seconds), new.memory)


def node_usage(old: Sample, new: Sample) -> NodeUsage | None:
    if old.node is None or new.node is None:
        return None
    window = new.at - old.at
    usage = _rate(old.node, new.node, window)
    return NodeUsage(new.at, window, usage) if usage is not None else None


def pod_usage(old: Sample, new: Sample, key: Key) -> PodUsage | None:
    """None: there are not enough samples of the pod yet."""
    containers = new.pods.get(key)
    if not containers:
        return None
    before = old.pods.get(key, {})
    window = new.at - old.at
    out: dict[str, Usage] = {}
    for name, count in containers.items():
        earlier = before.get(name)
        seconds = new.at - old.at
        if earlier is None or earlier.since < count.since:
            seconds = new.at - count.since
            if not count.since or seconds < FRESH_S or count.since < old.at - 1.0:
                return None
            earlier = Count(0, 0, count.since)
        usage = _rate(earlier, count, seconds)
        if usage is None:
            return None
        window = min(window, seconds)
        out[name] = usage
    return PodUsage(new.at, window, out)
