"""emptyDir: a directory of the pod's own, on the node's disk or in memory, gone with the pod."""

from __future__ import annotations

from typing import Any

from pelamis.base import quantity
from pelamis.kubelet.volumes import mount
from pelamis.kubelet.volumes.context import Context
from pelamis.kubelet.volumes.ownership import apply_group
from pelamis.kubelet.volumes.payload import VolumeError


async def setup(context: Context, volume: Any) -> str:
    source = volume.emptyDir
    path = context.path("empty-dir", volume.name)
    fresh = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    memory = source.medium == "Memory"
    mode = (0o1777 if memory else 0o777) if source.mode is None else source.mode  # upstream leaves tmpfs its own 1777
    if memory:
        if not mount.is_mounted(path):
            size = quantity.value(source.sizeLimit) if source.sizeLimit else 0
            mount.tmpfs(path, _memory_size(context.pod, size), mode)
            fresh = True
    elif source.medium:
        raise VolumeError(f'unknown storage medium "{source.medium}"')
    if fresh:
        path.chmod(mode)
        if context.fs_group is not None:
            await apply_group(path, context.fs_group, read_only=False)
    return str(path)


def _memory_size(pod: Any, declared: int) -> int:
    """The smallest of the volume's limit and the pod's memory limit; 0 = neither is set."""
    total, complete = 0, True
    for container in pod.spec.containers:
        amount = container.resources.limits.get("memory")
        if amount is None:
            complete = False
        else:
            total += quantity.value(amount)
    candidates = [size for size in (declared, total if complete else 0) if size]
    return min(candidates, default=0)
