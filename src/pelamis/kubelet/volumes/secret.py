"""secret: the keys of a Secret as files in memory, replaced together when it changes."""

from __future__ import annotations

from typing import Any

from pelamis.kubelet.volumes import atomic, mount, payload
from pelamis.kubelet.volumes.context import Context


async def setup(context: Context, volume: Any) -> str:
    source = volume.secret
    path = context.path("secret", volume.name)
    found = context.secret(context.pod.metadata.namespace, source.secretName)
    files: dict[str, atomic.File] = {}
    if found is not None:
        mode = payload.mode_of(source.defaultMode)
        files = payload.secret(found, source.items, mode, bool(source.optional), source.defaultUser)
    elif not source.optional:
        raise payload.VolumeError(f'secret "{source.secretName}" not found')
    path.mkdir(parents=True, exist_ok=True)
    if not mount.is_mounted(path):
        mount.tmpfs(path, mode=0o1777)
    atomic.write(path, files, context.stamp(), atomic.Owner(context.fs_group))
    return str(path)
