"""A hollow node that runs short of memory, disk or processes: pressure, and pods that are evicted.

What containers use is known for all time to come, so nothing is sampled: after something has changed (a container has
begun or ended, a condition is over, the next step of somebody's usage) the node looks once, at the next of the moments,
ten seconds apart, at which a kubelet would. A node whose pods say nothing about their usage, and that has room for the
usual of it, never looks.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Any

from pelamis.base import quantity
from pelamis.kubelet.actions import Evicted
from pelamis.kubelet.hollow import usage
from pelamis.kubelet.hollow.behaviour import DEFAULT_MEMORY
from pelamis.kubelet.pressure import RESOURCES, TEXTS, Pressure, Signal, larger, low, met, rank, threshold
from pelamis.kubelet.resources import effective

if TYPE_CHECKING:
    from pelamis.kubelet.hollow.kubelet import HollowKubelet
    from pelamis.kubelet.hollow.pod import HollowPod
    from pelamis.kubelet.hollow.timer import Timer

_NOTHING = dict.fromkeys(usage.RESOURCES, 0)
PERIOD_S, TRANSITION_S = 10.0, 300.0
HARD = {"memory.available": "100Mi", "nodefs.available": "10%", "pid.available": "10%"}
"""The kubelet's own thresholds; it has none for processes until it is given one."""


class Strain:
    """conditions: the pressure conditions that hold."""

    def __init__(self, kubelet: HollowKubelet) -> None:
        self._kubelet = kubelet
        self._storage = quantity.value(kubelet.spec.storage)
        usual = kubelet.memory // 2 - usage.NODE_MEMORY - kubelet.spec.pods * DEFAULT_MEMORY
        self._tight = usual < quantity.value(HARD["memory.available"])
        self._loud: set[str] = set()
        """uid of pods that say what they use."""
        self._pressure = Pressure(TRANSITION_S)
        self._timer: Timer | None = None
        self._at = 0.0
        self.conditions: frozenset[str] = frozenset()

    @property
    def watchful(self) -> bool:
        return self._tight or bool(self._loud)

    def changed(self, pod: HollowPod) -> None:
        """A container of the pod has begun or ended, or what it uses has been said anew."""
        if pod.behaviour.says_usage:
            self._loud.add(pod.uid)
        if self.watchful:
            self._look_at(self._kubelet.agent.now())

    def forget(self, uid: str) -> None:
        if self._loud or self.conditions:
            self._loud.discard(uid)
            self._look_at(self._kubelet.agent.now())

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look_at(self, when: float) -> None:
        """At the first moment after it."""
        at = (floor(when / PERIOD_S) + 1) * PERIOD_S
        if self._timer is not None:
            if self._at <= at:
                return
            self._timer.cancel()
        self._at = at
        timers = self._kubelet.agent.timers
        self._timer = timers.after(at - self._kubelet.agent.now(), self._look)

    def _look(self) -> None:
        self._timer = None
        kubelet = self._kubelet
        if kubelet.defer(self._look):
            return
        now = kubelet.agent.now()
        pods = [pod for pod in kubelet.pods.values() if pod.holds]
        pictures = {pod.uid: pod.picture() for pod in pods}
        used = {pod.uid: usage.of_pod(pod, pictures[pod.uid], now) for pod in pods}
        whole = {name: sum(found.amounts[name] for found in used.values()) for name in usage.RESOURCES}
        pids = kubelet.spec.pids
        signals = {
            "memory.available": Signal(max(kubelet.memory - usage.NODE_MEMORY - whole["memory"], 0), kubelet.memory),
            "nodefs.available": Signal(max(self._storage - whole["ephemeral-storage"], 0), self._storage),
            "pid.available": Signal(max(pids - usage.NODE_PIDS - whole["pids"], 0), pids),
        }
        hit = met(signals, HARD)
        held = frozenset(self._pressure.update(hit, now))
        if held != self.conditions:
            self._tell(held)
        if hit:
            self._relieve(hit[0], signals[hit[0]], pods, used)
        for pod in pods:
            if (text := _over(pictures[pod.uid].pod, used[pod.uid])) and pod.picture().state.ending is None:
                _evict(pod, text, 1)
        changes = [found.changes_at for found in used.values() if found.changes_at is not None]
        over = self._pressure.over_at(now)
        if hit:
            changes.append(now)
        if over is not None:
            changes.append(over - PERIOD_S)
        if changes:
            self._look_at(max(min(changes), now))

    def _tell(self, held: frozenset[str]) -> None:
        kubelet = self._kubelet
        for condition in sorted(held ^ self.conditions):
            event = TEXTS[condition][condition in held][2]
            kubelet.agent.tell(kubelet.spec.name, "Normal", event, f"Node {kubelet.spec.name} status is now: {event}")
        self.conditions = held
        kubelet.agent.report(kubelet)

    def _relieve(self, name: str, signal: Signal, pods: list[HollowPod], used: dict[str, usage.Used]) -> None:
        resource = RESOURCES[name.partition(".")[0]]
        kubelet = self._kubelet
        kubelet.agent.tell(kubelet.spec.name, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        held = {pod.uid: pod for pod in pods}
        amounts = {uid: found.amounts[resource] for uid, found in used.items()}
        for pod in rank((pod.picture().pod for pod in pods), amounts, resource):
            victim = held[pod.metadata.uid]
            if victim.picture().state.ending is not None:
                return  # one goes already; see first what that gives
            own = {name: found[resource] for name, found in used[victim.uid].containers.items()}
            limit = threshold(HARD[name], signal.capacity)
            _evict(victim, low(resource, limit, signal.available) + larger(pod, own, resource), 0)
            return


def _evict(pod: HollowPod, text: str, grace_s: int) -> None:
    pod.note("", "Warning", "Evicted", text)
    pod.feed(Evicted("Evicted", text, grace_s, ("DisruptionTarget", "TerminationByKubelet", text)))


def _over(pod: Any, used: usage.Used) -> str:
    """What the pod has written beyond its limits of ephemeral storage."""
    disk = used.amounts["ephemeral-storage"]
    if not disk:
        return ""
    limit, complete = effective(pod, "limits", "ephemeral-storage", quantity.value)
    if complete and limit and disk > limit:
        shown = quantity.from_int(limit, "BinarySI")
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "
    for container in pod.spec.containers:
        own = container.resources.limits.get("ephemeral-storage", "")
        if own and used.containers.get(container.name, _NOTHING)["ephemeral-storage"] > quantity.value(own) > 0:
            return f'Container {container.name} exceeded its local ephemeral storage limit "{own}". '
    return ""
