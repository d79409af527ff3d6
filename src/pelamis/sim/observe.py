"""What there was to see: numbers over time, and a story in lines.

The observer listens to the store, so it works through crashes of the server, and costs one small decode per write of
the kinds that it shows. ``series`` are step functions: (time, value) at each change; values hold until the next one.
A line that says the same of the same object for the sixth time is only counted. Changes of a workload are told when
it has come to rest for a moment, or every half minute while it has not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pelamis.store.types import Event

REST_S = 2.0
IMPATIENT_S = 30.0
REPEATED = 5
PHASES = ("ready", "running", "pending", "terminating", "succeeded", "failed")
_WORKLOADS = {
    "/registry/deployments/": "deployment",
    "/registry/statefulsets/": "statefulset",
    "/registry/daemonsets/": "daemonset",
    "/registry/controllers/": "replicationcontroller",
    "/registry/replicasets/": "replicaset",
}
_QUIET = frozenset(
    (
        "Scheduled",
        "Pulled",
        "Pulling",
        "Created",
        "Started",
        "Killing",
        "SuccessfulCreate",
        "SuccessfulDelete",
        "ScalingReplicaSet",
        "Starting",
        "NodeReady",
        "NodeNotReady",
        "RegisteredNode",
        "NodeAllocatableEnforced",
        "NodeHasSufficientMemory",
        "NodeHasNoDiskPressure",
        "NodeHasSufficientPID",
        "NodeNotSchedulable",
        "SawCompletedJob",
        "Completed",
        "ProvisioningSucceeded",
        "WaitForFirstConsumer",
    )
)
"""Reasons of Events that other lines tell already, or that every pod has."""


class _Tree(msgspec.Struct, frozen=True, gc=False):
    metadata: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    reason: str = ""
    message: str = ""
    involvedObject: dict[str, Any] = {}


_tree = msgspec.json.Decoder(_Tree).decode
_event = msgspec.json.Decoder(_Event).decode


@dataclass(frozen=True, slots=True)
class Line:
    """at: seconds since the start. what: start, step, fault, node, workload, event, warning, broken."""

    at: float
    what: str
    text: str


@dataclass(slots=True)
class Workload:
    """The numbers of one workload, each a series."""

    kind: str
    namespace: str
    name: str
    desired: Series = field(default_factory=lambda: Series())
    ready: Series = field(default_factory=lambda: Series())

    @property
    def title(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Series:
    """A step function of time."""

    __slots__ = ("points",)

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []

    def set(self, at: float, value: float) -> None:
        points = self.points
        if points and points[-1][1] == value:
            return
        if points and points[-1][0] == at:
            points[-1] = (at, value)
            if len(points) > 1 and points[-2][1] == value:
                points.pop()
            return
        points.append((at, value))

    @property
    def last(self) -> float:
        return self.points[-1][1] if self.points else 0.0


class Observer:
    """Called by the trace for every write. say(line): told as the story goes on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, say: Callable[[Line], None] | None = None) -> None:
        self._loop = loop
        self._say = say
        self.lines: list[Line] = []
        self.repeated: dict[tuple[str, ...], int] = {}
        self.pods: dict[str, Series] = {phase: Series() for phase in PHASES}
        self.total = Series()
        """Pods of whatever phase."""
        self.nodes = {"nodes": Series(), "ready": Series()}
        self.workloads: dict[str, Workload] = {}
        self.events: dict[str, int] = {}
        self._phase: dict[str, str] = {}
        self._count: dict[str, int] = dict.fromkeys(PHASES, 0)
        self._node_ready: dict[str, bool] = {}
        self._timers: dict[str, tuple[asyncio.TimerHandle, float]] = {}
        self._shown: dict[str, str] = {}
        self._state: dict[str, str] = {}
        self.marks: list[tuple[float, str, str]] = []
        self.quiet = True

    def __call__(self, at: float, event: Event) -> None:
        key = event.key
        if key.startswith("/registry/pods/"):
            self._pod(at, key, event.value)
        elif key.startswith("/registry/minions/"):
            self._node(at, key.rpartition("/")[2], event.value)
        elif key.startswith("/registry/events/"):
            if event.value is not None:
                self._happened(at, event.value)
        else:
            for prefix, kind in _WORKLOADS.items():
                if key.startswith(prefix):
                    self._workload(at, kind, key[len(prefix) :], event.value)

    def begin(self) -> None:
        """From here on it is told; numbers were kept before."""
        for timer, _ in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.lines.clear()
        self.repeated.clear()
        self.events.clear()
        self.quiet = False

    def note(self, what: str, text: str, *, again: tuple[str, ...] | None = None) -> None:
        """again: lines with the same token are told a few times and then counted."""
        if self.quiet:
            return
        if again is not None:
            seen = self.repeated[again] = self.repeated.get(again, 0) + 1
            if seen > REPEATED:
                return
        line = Line(self._loop.time(), what, text)
        self.lines.append(line)
        if what in ("step", "fault"):
            self.marks.append((line.at, text, what))
        if self._say is not None:
            self._say(line)

    # -- pods and nodes

    def _pod(self, at: float, key: str, value: bytes | None) -> None:
        before = self._phase.get(key)
        if value is None:
            after = None
            self._phase.pop(key, None)
        else:
            after = self._phase[key] = _phase_of(_tree(value))
        if before == after:
            return
        for phase, change in ((before, -1), (after, 1)):
            if phase is not None:
                self._count[phase] += change
                self.pods[phase].set(at, self._count[phase])
        self.total.set(at, len(self._phase))

    def _node(self, at: float, name: str, value: bytes | None) -> None:
        before = self._node_ready.get(name)
        if value is None:
            self._node_ready.pop(name, None)
            self.note("node", f"node {name} is gone")
        else:
            conditions = _tree(value).status.get("conditions", ())
            ready = next((c for c in conditions if c["type"] == "Ready"), None)
            after = self._node_ready[name] = ready is not None and ready["status"] == "True"
            if after and not before:
                self.note("node", f"node {name} is ready", again=("node", "" if before is None else name))
            elif before and not after and ready is not None:
                self.note("node", f"node {name} is not ready ({ready.get('reason', '')})", again=("node", name))
        self.nodes["nodes"].set(at, len(self._node_ready))
        self.nodes["ready"].set(at, sum(self._node_ready.values()))

    # -- workloads

    def _workload(self, at: float, kind: str, name: str, value: bytes | None) -> None:
        namespace, _, short = name.partition("/")
        title = f"{kind} {name}"
        if value is None:
            if title in self.workloads:
                self.workloads[title].desired.set(at, 0)
                self.workloads[title].ready.set(at, 0)
                self._state[title] = "gone"
                self._later(title)
            return
        tree = _tree(value)
        if kind == "replicaset" and tree.metadata.get("ownerReferences"):
            return
        known = self.workloads.get(title)
        if known is None:
            known = self.workloads[title] = Workload(kind, namespace, short)
        desired, ready, updated = _numbers(kind, tree)
        known.desired.set(at, desired)
        known.ready.set(at, ready)
        text = f"{ready}/{desired} ready"
        if updated is not None and updated != desired:
            text += f", {updated} of the newest template"
        self._state[title] = text
        self._later(title)

    def _later(self, title: str) -> None:
        if self._shown.get(title) == self._state[title] and title not in self._timers:
            return
        now = self._loop.time()
        since = now
        if title in self._timers:
            timer, since = self._timers[title]
            timer.cancel()
        due = min(now + REST_S, since + IMPATIENT_S)
        self._timers[title] = (self._loop.call_at(max(due, now), self._tell, title), since)

    def _tell(self, title: str) -> None:
        self._timers.pop(title, None)
        state = self._state[title]
        if self._shown.get(title) != state:
            self._shown[title] = state
            self.note("workload", f"{title}: {state}")

    def _happened(self, at: float, value: bytes) -> None:
        event = _event(value)
        self.events[event.reason] = self.events.get(event.reason, 0) + 1
        if event.reason in _QUIET:
            return
        ref = event.involvedObject
        kind, name = str(ref.get("kind", "")).lower(), ref.get("name", "")
        where = f"{ref['namespace']}/{name}" if ref.get("namespace") else name
        what = "warning" if event.type == "Warning" else "event"
        self.note(what, f"{kind} {where}: {event.reason}: {event.message}", again=(what, kind, event.reason))

    def close(self) -> None:
        for timer, _ in self._timers.values():
            timer.cancel()
        self._timers.clear()


def _phase_of(pod: _Tree) -> str:
    phase = pod.status.get("phase", "Pending")
    if phase in ("Succeeded", "Failed"):
        return str(phase).lower()
    if pod.metadata.get("deletionTimestamp"):
        return "terminating"
    if phase == "Running":
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod.status.get("conditions", ()))
        return "ready" if ready else "running"
    return "pending"


def _numbers(kind: str, tree: _Tree) -> tuple[int, int, int | None]:
    """(desired, ready, of the newest template)."""
    status = tree.status
    if kind == "daemonset":
        desired = status.get("desiredNumberScheduled", 0)
        return desired, status.get("numberReady", 0), status.get("updatedNumberScheduled", 0)
    desired = tree.spec.get("replicas", 1)
    updated = status.get("updatedReplicas", 0) if kind in ("deployment", "statefulset") else None
    return desired, status.get("readyReplicas", 0), updated


def told(repeated: Mapping[tuple[str, ...], int]) -> list[str]:
    """What was only counted, as text."""
    out = []
    for token, count in sorted(repeated.items()):
        if count > REPEATED:
            out.append(f"{count - REPEATED} more: {' '.join(dict.fromkeys(part for part in token if part))}")
    return out
