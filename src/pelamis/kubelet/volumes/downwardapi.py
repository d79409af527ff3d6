"""downwardAPI: facts about the pod as files, kept up to date (labels and annotations may change)."""

from __future__ import annotations

from typing import Any

from pelamis.kubelet.volumes import atomic, payload
from pelamis.kubelet.volumes.context import Context


async def setup(context: Context, volume: Any) -> str:
    source = volume.downwardAPI
    path = context.path("downward-api", volume.name)
    files = payload.downward(
        context.pod,
        source.items,
        payload.mode_of(source.defaultMode),
        context.ips,
        context.host_ips,
        context.allocatable,
        source.defaultUser,
    )
    path.mkdir(parents=True, exist_ok=True)
    atomic.write(path, files, context.stamp(), atomic.Owner(context.fs_group))
    return str(path)
