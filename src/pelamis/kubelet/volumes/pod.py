"""All volumes of a pod: set up, brought up to date, taken down. One module per kind of volume does the work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pelamis.kubelet.volumes import (
    claim,
    configmap,
    downwardapi,
    emptydir,
    hostpath,
    mount,
    projected,
    secret,
)
from pelamis.kubelet.volumes.context import Context
from pelamis.kubelet.volumes.payload import VolumeError

Setup = Callable[[Context, Any], Awaitable[str]]


async def _nfs(context: Context, volume: Any) -> str:
    return claim.nfs(context, volume.name, volume.nfs.server, volume.nfs.path, volume.nfs.readOnly)


KINDS: dict[str, Setup] = {
    "emptyDir": emptydir.setup,
    "hostPath": hostpath.setup,
    "configMap": configmap.setup,
    "secret": secret.setup,
    "downwardAPI": downwardapi.setup,
    "projected": projected.setup,
    "persistentVolumeClaim": claim.setup,
    "ephemeral": claim.setup,
    "nfs": _nfs,
}
LIVE = ("configMap", "secret", "downwardAPI", "projected")
"""Kinds whose content follows the API."""


_MOUNTED = ("local-volume", "nfs", "image")
"""Plugins whose volumes are mounts of what belongs to others."""


def kind_of(volume: Any) -> str:
    """The name of the source that is set; upstream treats none as emptyDir."""
    return next((name for name in volume.__struct_fields__ if name != "name" and getattr(volume, name) is not None), "")


async def _set_up(context: Context, volume: Any) -> str:
    kind = kind_of(volume)
    work = KINDS.get(kind)
    if work is None:
        raise VolumeError(f"volumes of kind {kind or 'unknown'} are not supported by this node")
    return await work(context, volume)


def _used(pod: Any) -> set[str]:
    everyone = (*pod.spec.initContainers, *pod.spec.containers, *pod.spec.ephemeralContainers)
    return {one.name for container in everyone for one in (*container.volumeMounts, *container.volumeDevices)}


async def set_up(context: Context) -> dict[str, str]:
    """Volume name to host path, for every volume that a container mounts. Raises VolumeError naming the volume.

    Image volumes are none of these: they are pulled and mounted with the containers that mount them.
    """
    out: dict[str, str] = {}
    used = _used(context.pod)
    for volume in context.pod.spec.volumes:
        if volume.name not in used or volume.image is not None:
            continue
        try:
            out[volume.name] = await _set_up(context, volume)
        except (VolumeError, OSError, ValueError) as error:
            raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
    return out


async def refresh(context: Context) -> None:
    """Bring the live volumes up to date."""
    used = _used(context.pod)
    for volume in context.pod.spec.volumes:
        if volume.name in used and kind_of(volume) in LIVE:
            try:
                await _set_up(context, volume)
            except (VolumeError, OSError, ValueError) as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error


def take_down(folder: Path) -> None:
    """Unmount what is mounted below a pod's folder and delete its volumes. Raises OSError."""
    if not folder.exists():
        return
    mount.unmount_below(folder)
    for plugin in _MOUNTED:
        for entry in (folder / "volumes" / f"kubernetes.io~{plugin}").glob("*"):
            entry.rmdir()  # fails where something is mounted still: nobody's files are deleted with the pod's folder
    for name in ("volume-subpaths", "volumes"):
        if (folder / name).exists():
            shutil.rmtree(folder / name)


def disk_usage(path: str) -> int:
    """Bytes used below a path, without crossing mounts."""
    total = 0
    try:
        device = os.lstat(path).st_dev
    except OSError:
        return 0
    for base, folders, files in os.walk(path):
        for name in files:
            try:
                info = os.lstat(os.path.join(base, name))
            except OSError:
                continue
            if info.st_dev == device:
                total += info.st_blocks * 512
        folders[:] = [f for f in folders if _device(os.path.join(base, f)) == device]
    return total


def _device(path: str) -> int:
    try:
        return os.lstat(path).st_dev
    except OSError:
        return -1
