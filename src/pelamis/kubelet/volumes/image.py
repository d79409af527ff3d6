"""image: the files of an image, read-only and without rights to execute, as a view of the runtime's layers.

Unlike other volumes it is made when a container that mounts it starts: the image is pulled with the container's own, so
that a pull that fails shows in the container's status, and the pod's other containers run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from pelamis.kubelet.cri.snapshots import Mount
from pelamis.kubelet.volumes import mount

_PLUGIN = "image"


def key_of(folder: Path, name: str) -> str:
    """What the view is called at the runtime."""
    return f"pelamis-volume-{folder.name}-{name}"


def mounted_by(pod: Any, container: Any) -> list[Any]:
    """The image volumes that a container mounts, in the order of its mounts."""
    volumes = {volume.name: volume for volume in pod.spec.volumes if volume.image is not None}
    if not volumes:
        return []
    return [volumes[one.name] for one in container.volumeMounts if one.name in volumes]


async def mount_view(folder: Path, name: str, view: Callable[[str], Awaitable[Sequence[Mount]]]) -> str:
    """The host path. view(key): how to mount the image. Raises CriError, OSError."""
    path = folder / "volumes" / f"kubernetes.io~{_PLUGIN}" / name
    if mount.is_mounted(path):
        return str(path)
    path.mkdir(parents=True, exist_ok=True)
    for one in await view(key_of(folder, name)):
        mount.read_only(one.type, one.source, path, one.options)
    return str(path)


def views(folder: Path) -> list[str]:
    """The keys of all views that a pod's folder has: to be dropped after the volumes were taken down."""
    volumes = folder / "volumes" / f"kubernetes.io~{_PLUGIN}"
    return [key_of(folder, entry.name) for entry in volumes.iterdir()] if volumes.is_dir() else []
