"""Pressure on a node: which signals are under their thresholds, which conditions hold, who is evicted first. Pure.

A condition is kept for five minutes after its signal is over (``settings.pressure_transition_s``). Pods are evicted in
upstream's order: those over their requests first, then the lower priority, then the larger excess; where processes run
short, the lower priority, then whoever has more of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.node import Taint
from pelamis.api.core.pod.qos import qos_class
from pelamis.api.core.pod.toleration import covers
from pelamis.base import quantity
from pelamis.kubelet.admit import Refusal
from pelamis.kubelet.resources import NODE_CRITICAL, effective

CONDITIONS = {"memory": "MemoryPressure", "nodefs": "DiskPressure", "imagefs": "DiskPressure", "pid": "PIDPressure"}
RESOURCES = {"memory": "memory", "nodefs": "ephemeral-storage", "imagefs": "ephemeral-storage", "pid": "pids"}
"""Of a signal, by what comes before its dot: the condition, and what is reclaimed."""
TEXTS = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available", "NodeHasSufficientMemory"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available", "NodeHasInsufficientMemory"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available", "NodeHasSufficientPID"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available", "NodeHasInsufficientPID"),
    ),
}
"""Of a condition that does not hold, and of one that holds: reason, message, and the reason of the Event."""
_LOW_MEMORY = Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")


@dataclass(frozen=True, slots=True)
class Signal:
    available: int
    capacity: int


def threshold(text: str, capacity: int) -> int:
    return int(capacity * float(text[:-1]) / 100) if text.endswith("%") else quantity.value(text)


def met(signals: Mapping[str, Signal], hard: Mapping[str, str]) -> list[str]:
    """Signals that are under their thresholds, memory first."""
    out = [
        name
        for name, text in hard.items()
        if name in signals and signals[name].available < threshold(text, signals[name].capacity)
    ]
    return sorted(out, key=lambda name: (not name.startswith("memory"), name))


class Pressure:
    """The conditions that hold."""

    def __init__(self, transition_s: float) -> None:
        self._transition_s = transition_s
        self._last_met: dict[str, float] = {}

    def update(self, hit: Iterable[str], now: float) -> set[str]:
        """hit: the signals under their thresholds."""
        for name in hit:
            self._last_met[CONDITIONS[name.partition(".")[0]]] = now
        return {c for c, at in self._last_met.items() if at == now or now - at < self._transition_s}

    def over_at(self, now: float) -> float | None:
        """When the next condition ends, if nothing more is met."""
        ends = (at + self._transition_s for at in self._last_met.values())
        return min((end for end in ends if end > now), default=None)


def critical(pod: Any) -> bool:
    """Static, mirrored or system-critical pods are never evicted."""
    mirrored = "kubernetes.io/config.mirror" in pod.metadata.annotations
    return mirrored or (pod.spec.priority or 0) >= NODE_CRITICAL - 1000


def rank(pods: Iterable[Any], usage: Mapping[str, int], resource: str) -> list[Any]:
    """The first is evicted first. usage: by pod uid."""

    def order(pod: Any) -> tuple[bool, int, int]:
        used = usage.get(pod.metadata.uid, 0)
        if resource == "pids":  # which nobody can request
            return (False, pod.spec.priority or 0, -used)
        request = effective(pod, "requests", resource, quantity.value)[0]
        return (used <= request, pod.spec.priority or 0, -(used - request))

    return sorted((pod for pod in pods if not critical(pod)), key=order)


def low(resource: str, limit: int, available: int) -> str:
    """Why a pod is evicted."""
    shown = quantity.from_int(available // 1024 * 1024, "BinarySI")
    if resource == "pids":
        shown = quantity.from_int(available)
    return (
        f"The node was low on resource: {resource}. "
        f"Threshold quantity: {quantity.from_int(limit, 'BinarySI')}, available: {shown}. "
    )


def larger(pod: Any, usage: Mapping[str, int], resource: str) -> str:
    """What of the pod uses more than it asked for. usage: by container. Of processes nothing is said."""
    out = ""
    if resource == "pids":
        return out
    for container in (*pod.spec.containers, *pod.spec.initContainers):
        request = container.resources.requests.get(resource, "0")
        used = usage.get(container.name, 0)
        if used > quantity.value(request):
            shown = quantity.from_int(used, "BinarySI")
            out += f"Container {container.name} was using {shown}, request is {request}, "
            out += f"has larger consumption of {resource}. "
    return out


def refusal(pod: Any, conditions: Iterable[str]) -> Refusal | None:
    """Under pressure of memory alone pods with requests are still taken; under any other only critical ones."""
    held = sorted(conditions)
    if not held or critical(pod):
        return None
    if held == ["MemoryPressure"]:
        tolerant = any(covers(toleration, _LOW_MEMORY) for toleration in pod.spec.tolerations)
        if tolerant or qos_class(pod) != "BestEffort":
            return None
    return Refusal("Evicted", f"Pod was rejected: The node had condition: [{' '.join(held)}]. ")
