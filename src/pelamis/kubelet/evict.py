"""Eviction: when the node runs short of memory, disk or processes, or a pod of its own storage limits.

``signals`` are read every 10 s. A signal under its hard threshold gives the node its pressure condition and costs one
pod per round (``pressure``). Disk pressure first deletes unused images.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pelamis.base import quantity
from pelamis.kubelet import config, gc, machine
from pelamis.kubelet.actions import Evicted
from pelamis.kubelet.cri import usage_types as us
from pelamis.kubelet.cri.runtime import CriError
from pelamis.kubelet.pressure import RESOURCES, Pressure, Signal, low, met, rank, threshold
from pelamis.kubelet.resources import effective
from pelamis.kubelet.volumes.pod import disk_usage

if TYPE_CHECKING:
    from pelamis.kubelet.run import Kubelet

log = logging.getLogger("pelamis.kubelet.evict")


def read_signals(root: str, runtime_root: str) -> dict[str, Signal]:
    memory = machine.meminfo()
    disk, image = machine.disk(root), machine.disk(runtime_root)
    out = {
        "memory.available": Signal(memory.get("MemAvailable", 0), memory.get("MemTotal", 0)),
        "nodefs.available": Signal(disk.available, disk.capacity),
        "imagefs.available": Signal(image.available, image.capacity),
    }
    if disk.inodes:
        out["nodefs.inodesFree"] = Signal(disk.inodes_free, disk.inodes)
    if image.inodes:
        out["imagefs.inodesFree"] = Signal(image.inodes_free, image.inodes)
    return out


class Evictor:
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._pressure = Pressure(kubelet.settings.pressure_transition_s)
        self._images_seen: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._kubelet.settings.eviction_period_s)
            try:
                await self.check()
            except (CriError, OSError) as error:
                log.warning("eviction check: %s", error)

    async def check(self, signals: Mapping[str, Signal] | None = None) -> None:
        kubelet, settings, now = self._kubelet, self._kubelet.settings, self._kubelet.now()
        if signals is None:
            signals = read_signals(settings.root_dir, settings.runtime_root)
        hit = met(signals, settings.eviction_hard)
        held = self._pressure.update(hit, now)
        if held != kubelet.node.pressure:
            kubelet.node.pressure = held
            kubelet.node.poke()
        if hit:
            await self._relieve(hit[0], signals[hit[0]])
        await self._check_storage()

    async def _relieve(self, name: str, signal: Signal) -> None:
        kubelet = self._kubelet
        resource = RESOURCES[name.partition(".")[0]]
        limit = threshold(kubelet.settings.eviction_hard[name], signal.capacity)
        reference = kubelet.node.reference
        kubelet.agent.record(reference, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        if resource == "ephemeral-storage":
            freed = await gc.free_images(kubelet, self._images_seen, limit - signal.available)
            if freed >= limit - signal.available:
                return
        usage = self._usage(resource)
        for pod in rank(kubelet.active(), usage, resource):
            worker = kubelet.workers[pod.metadata.uid]
            if worker.machine.state.ending is not None:
                return  # one goes already; see first what that gives
            self._evict(worker, low(resource, limit, signal.available))
            return

    def _evict(self, worker: Any, text: str, grace_s: int = 0) -> None:
        self._kubelet.agent.note(worker.pod, "", "Warning", "Evicted", text)
        condition = ("DisruptionTarget", "TerminationByKubelet", text)
        worker.feed(Evicted("Evicted", text, grace_s, condition))

    def _usage(self, resource: str) -> dict[str, int]:
        kubelet = self._kubelet
        out: dict[str, int] = {}
        for pod in kubelet.active():
            uid = pod.metadata.uid
            if resource == "ephemeral-storage":
                out[uid] = disk_usage(str(kubelet.agent.pod_folder(uid)))
                out[uid] += disk_usage(f"{kubelet.settings.pod_logs_dir}/{config.log_folder(pod)}")
            elif kubelet.agent.cgroups is not None:
                figures = kubelet.agent.cgroups.usage(kubelet.agent.cgroups.pod_path(pod))
                out[uid] = figures.get("working_set" if resource == "memory" else "pids", 0)
        return out

    async def _check_storage(self) -> None:
        """Pods over the limits of their own emptyDir volumes or of their ephemeral storage."""
        limited = [
            w
            for w in self._kubelet.workers.values()
            if w.machine.state.ending is None and w.machine.state.volumes == "ready" and has_storage_limit(w.pod)
        ]
        if not limited:
            return
        try:
            layers = writable_layers(await self._kubelet.runtime.list_stats())
        except CriError as error:
            log.warning("the sizes of containers cannot be read: %s", error)
            layers = {}
        for worker in limited:
            text = await asyncio.to_thread(self._over_limit, worker, layers)
            if text and worker.machine.state.ending is None:
                self._evict(worker, text, 1)

    def _over_limit(self, worker: Any, layers: Mapping[tuple[str, str], int]) -> str:
        """layers: bytes that a container has written to its root file system, by pod uid and container name."""
        pod = worker.pod
        total = 0
        for volume in pod.spec.volumes:
            source = volume.emptyDir
            path = worker.paths.get(volume.name)
            if source is None or path is None or source.medium == "Memory":
                continue
            used = disk_usage(path)
            total += used
            if source.sizeLimit and used > quantity.value(source.sizeLimit) > 0:
                return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{source.sizeLimit}". '
        uid = pod.metadata.uid
        limit, complete = effective(pod, "limits", "ephemeral-storage", quantity.value)
        logs = Path(self._kubelet.settings.pod_logs_dir) / config.log_folder(pod)
        total += disk_usage(str(logs)) + sum(size for (owner, _), size in layers.items() if owner == uid)
        if complete and limit and total > limit:
            shown = quantity.from_int(limit, "BinarySI")
            return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "
        for container in pod.spec.containers:
            own = container.resources.limits.get("ephemeral-storage") if container.resources is not None else None
            if not own or not quantity.value(own):
                continue
            used = layers.get((uid, container.name), 0) + disk_usage(str(logs / container.name))
            if used > quantity.value(own):
                return f'Container {container.name} exceeded its local ephemeral storage limit "{own}". '
        return ""


def has_storage_limit(pod: Any) -> bool:
    return any(v.emptyDir is not None and v.emptyDir.sizeLimit for v in pod.spec.volumes) or any(
        c.resources is not None and "ephemeral-storage" in c.resources.limits for c in pod.spec.containers
    )


def writable_layers(stats: Iterable[us.ContainerStats]) -> dict[tuple[str, str], int]:
    """Bytes by (pod uid, container name); of several runs of a container the largest."""
    out: dict[tuple[str, str], int] = {}
    for one in stats:
        if one.attributes is None or one.writable_layer is None or one.writable_layer.used_bytes is None:
            continue
        labels = one.attributes.labels
        key = (labels.get(config.POD_UID, ""), labels.get(config.CONTAINER_NAME, ""))
        out[key] = max(out.get(key, 0), one.writable_layer.used_bytes.value)
    return out
