"""What hollow pods use: CPU and memory by their annotations, as the kubelet's summary tells it. Pure but for Loads.

A total that pods share (``cpu-total``) is divided among those that are ready at the time, so load moves to new pods and
away from those that end. Its time counts from the first pod of the owner, whatever revision that is of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pelamis.base import quantity
from pelamis.base.clock import rfc3339
from pelamis.kubelet.hollow.timeline import Timeline, integral

if TYPE_CHECKING:
    from pelamis.kubelet.actions import Run
    from pelamis.kubelet.hollow.behaviour import Behaviour
    from pelamis.kubelet.hollow.kubelet import HollowKubelet
    from pelamis.kubelet.hollow.pod import HollowPod
    from pelamis.kubelet.hollow.rest import Picture

NODE_CPU, NODE_MEMORY = 50, 256 << 20
"""What a node uses beside its pods: milli-cores, bytes."""
NODE_PIDS = 100
"""Its own processes."""
RESOURCES = ("memory", "ephemeral-storage", "pids")
"""What a node can run short of."""


class Load:
    """One total. share: the integral so far of what each ready pod has of it (milli-core seconds)."""

    __slots__ = ("at", "holders", "line", "origin", "ready", "share")

    def __init__(self, line: Timeline[int], now: float) -> None:
        self.line = line
        self.origin = self.at = now
        self.share = 0.0
        self.ready: dict[str, float] = {}
        self.holders: set[str] = set()

    def advance(self, now: float) -> None:
        if self.ready and now > self.at:
            self.share += integral(self.line, self.at - self.origin, now - self.origin) / len(self.ready)
        self.at = max(now, self.at)


def _group(pod: Any) -> tuple[str, str]:
    meta = pod.metadata
    owner = next((o.name for o in meta.ownerReferences if o.controller), meta.name)
    revision = meta.labels.get("pod-template-hash", "")
    return meta.namespace, owner.removesuffix(f"-{revision}") if revision else owner


class Loads:
    """The totals of all owners."""

    def __init__(self) -> None:
        self._loads: dict[tuple[str, str], Load] = {}

    def mark(self, pod: Any, line: Timeline[int], now: float, *, ready: bool, gone: bool = False) -> None:
        """pod exists and is ready or not; gone: it is no more."""
        key, uid = _group(pod), pod.metadata.uid
        load = self._loads.get(key)
        if load is None:
            if gone:
                return
            load = self._loads[key] = Load(line, now)
        load.advance(now)
        load.line = line
        if gone:
            load.holders.discard(uid)
        else:
            load.holders.add(uid)
        if ready and not gone:
            load.ready.setdefault(uid, load.share)
        else:
            load.ready.pop(uid, None)
        if not load.holders:
            del self._loads[key]

    def of(self, pod: Any, now: float) -> tuple[int, float]:
        """(milli-cores at present, milli-core seconds since it is ready)."""
        load, uid = self._loads.get(_group(pod)), pod.metadata.uid
        if load is None or uid not in load.ready:
            return 0, 0.0
        load.advance(now)
        return load.line.at(now - load.origin) // len(load.ready), load.share - load.ready[uid]


@dataclass(frozen=True, slots=True)
class Used:
    """Of a pod at a time: bytes of memory, of disk, processes; of each container too, by the name of the resource.

    changes_at: when any of it is next other.
    """

    amounts: Mapping[str, int]
    containers: Mapping[str, Mapping[str, int]]
    changes_at: float | None


def of_pod(pod: HollowPod, picture: Picture, now: float) -> Used:
    found: dict[str, dict[str, int]] = {}
    changes: list[float] = []
    behaviour = pod.behaviour
    for slot in picture.state.slots.values():
        run = slot.current
        if run is None or run.state != "running":
            continue
        since = max(now - run.started_at, 0.0)
        lines = behaviour.memory(slot.spec), behaviour.disk(slot.spec), behaviour.pids(slot.spec)
        found[slot.name] = {name: line.at(since) for name, line in zip(RESOURCES, lines, strict=True)}
        changes += [run.started_at + at for line in lines if (at := line.next_change(since)) is not None]
    amounts = {name: sum(own[name] for own in found.values()) for name in RESOURCES}
    return Used(amounts, found, min(changes, default=None))


def _container(behaviour: Behaviour, pod: Any, spec: Any, run: Run, loads: Loads, now: float) -> tuple[int, int, int]:
    """(nano-cores, core nano-seconds, bytes) of a running container."""
    since = max(now - run.started_at, 0.0)
    if behaviour.cpu_total() is not None and spec.name == pod.spec.containers[0].name:
        milli, spent = loads.of(pod, now)
    else:
        line = behaviour.cpu(spec)
        milli, spent = line.at(since), integral(line, 0.0, since)
    return milli * 1_000_000, int(spent * 1e6), behaviour.memory(spec).at(since)


def _pod(pod: HollowPod, loads: Loads, now: float) -> dict[str, Any]:
    picture = pod.picture()
    at, meta, state = rfc3339(now), picture.pod.metadata, picture.state
    containers = []
    rate = spent = memory = 0
    amounts = of_pod(pod, picture, now).amounts
    for slot in state.slots.values():
        run = slot.current
        if run is None or run.state != "running":
            continue
        nano, total, used = _container(pod.behaviour, picture.pod, slot.spec, run, loads, now)
        rate, spent, memory = rate + nano, spent + total, memory + used
        containers.append(
            {
                "name": slot.name,
                "startTime": rfc3339(run.started_at),
                "cpu": {"time": at, "usageNanoCores": nano, "usageCoreNanoSeconds": total},
                "memory": _memory(at, used),
            }
        )
    return {
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "startTime": rfc3339(state.started_at),
        "containers": containers,
        "cpu": {"time": at, "usageNanoCores": rate, "usageCoreNanoSeconds": spent},
        "memory": _memory(at, memory),
        "ephemeral-storage": {"time": at, "usedBytes": amounts["ephemeral-storage"]},
        "process_stats": {"process_count": amounts["pids"]},
    }


def _memory(at: str, used: int) -> dict[str, Any]:
    return {
        "time": at,
        "usageBytes": used,
        "workingSetBytes": used,
        "rssBytes": used,
        "pageFaults": 0,
        "majorPageFaults": 0,
    }


def summary(kubelet: HollowKubelet, pods: Iterable[HollowPod], started_at: float, now: float) -> dict[str, Any]:
    """As ``/stats/summary`` answers."""
    loads, at = kubelet.agent.loads, rfc3339(now)
    found = [one for one in (_pod(pod, loads, now) for pod in pods) if one["containers"]]
    rate = NODE_CPU * 1_000_000 + sum(one["cpu"]["usageNanoCores"] for one in found)
    spent = int(NODE_CPU * 1e6 * max(now - started_at, 0.0))
    spent += sum(one["cpu"]["usageCoreNanoSeconds"] for one in found)
    used = NODE_MEMORY + sum(one["memory"]["workingSetBytes"] for one in found)
    memory = _memory(at, used)
    memory["availableBytes"] = max(kubelet.memory - used, 0)
    storage = quantity.value(kubelet.spec.storage)
    disk = sum(one["ephemeral-storage"]["usedBytes"] for one in found)
    node = {
        "nodeName": kubelet.spec.name,
        "startTime": rfc3339(started_at),
        "cpu": {"time": at, "usageNanoCores": rate, "usageCoreNanoSeconds": spent},
        "memory": memory,
        "fs": {"time": at, "availableBytes": max(storage - disk, 0), "capacityBytes": storage, "usedBytes": disk},
        "rlimit": {
            "time": at,
            "maxpid": kubelet.spec.pids,
            "curproc": NODE_PIDS + sum(one["process_stats"]["process_count"] for one in found),
        },
    }
    return {"node": node, "pods": found}
