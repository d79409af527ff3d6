"""image: the files of an image, read-only and without rights to execute, as a view of the runtime's layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pelamis.kubelet.volumes import mount
from pelamis.kubelet.volumes.context import Context

_PLUGIN = "image"


def key_of(folder: Path, name: str) -> str:
    """What the view is called at the runtime."""
    return f"pelamis-volume-{folder.name}-{name}"


async def setup(context: Context, volume: Any) -> str:
    path = context.path(_PLUGIN, volume.name)
    if mount.is_mounted(path):
        return str(path)
    path.mkdir(parents=True, exist_ok=True)
    for view in await context.view_image(volume.image, key_of(context.folder, volume.name)):
        mount.read_only(view.type, view.source, path, view.options)
    return str(path)


def views(folder: Path) -> list[str]:
    """The keys of all views that a pod's folder has: to be dropped after the volumes were taken down."""
    volumes = folder / "volumes" / f"kubernetes.io~{_PLUGIN}"
    return [key_of(folder, entry.name) for entry in volumes.iterdir()] if volumes.is_dir() else []
