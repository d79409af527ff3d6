"""configMap: the keys of a ConfigMap as files, replaced together when it changes."""

from __future__ import annotations

from typing import Any

from pelamis.kubelet.volumes import atomic, payload
from pelamis.kubelet.volumes.context import Context


async def setup(context: Context, volume: Any) -> str:
    source = volume.configMap
    path = context.path("configmap", volume.name)
    found = context.configmap(context.pod.metadata.namespace, source.name)
    files: dict[str, atomic.File] = {}
    if found is not None:
        mode = payload.mode_of(source.defaultMode)
        files = payload.configmap(found, source.items, mode, bool(source.optional), source.defaultUser)
    elif not source.optional:
        raise payload.VolumeError(f'configmap "{source.name}" not found')
    path.mkdir(parents=True, exist_ok=True)
    atomic.write(path, files, context.stamp(), atomic.Owner(context.fs_group))
    return str(path)
