"""What a container has of its pod's volumes: mounts, block devices, files that its environment is read from.

``paths``: host path of each volume, by its name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pelamis.kubelet import env
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.volumes import subpath
from pelamis.kubelet.volumes.payload import VolumeError


def mounts(
    pod: Any, container: Any, paths: Mapping[str, str], environment: Mapping[str, str], folder: Path
) -> tuple[tuple[Any, str], ...]:
    """(mount declaration, host path) in order. folder: the pod's. Raises ConfigError."""
    out = []
    images = {volume.name for volume in pod.spec.volumes if volume.image is not None}
    for index, one in enumerate(container.volumeMounts):
        path, sub = paths[one.name], one.subPath
        if one.subPathExpr:
            sub = env.expand(one.subPathExpr, environment)
            if "$(" in sub or sub.startswith("/") or ".." in sub.split("/"):
                raise env.ConfigError(f"invalid subPathExpr {one.subPathExpr!r}: {sub!r}")
        if sub:
            try:
                path = subpath.prepare(folder, one.name, path, container.name, index, sub)
            except (VolumeError, OSError) as error:
                what = f'subPath for volumeMount "{one.name}" of container "{container.name}"'
                raise env.ConfigError(f"failed to prepare {what}: {error}") from error
        out.append((msgspec.structs.replace(one, readOnly=True) if one.name in images else one, path))
    return tuple(out)


def devices(pod: Any, container: Any, paths: Mapping[str, str]) -> tuple[cri.Device, ...]:
    claims = ((volume.name, volume.persistentVolumeClaim) for volume in pod.spec.volumes)
    read_only = {name for name, claim in claims if claim is not None and claim.readOnly}
    return tuple(
        cri.Device(one.devicePath, paths[one.name], "r" if one.name in read_only else "mrw")
        for one in container.volumeDevices
    )


def text_of(paths: Mapping[str, str], volume: str, path: str) -> str | None:
    """A file of a volume; None where there is none, or the path leads out of the volume."""
    base = paths.get(volume)
    if base is None:
        return None
    full = os.path.realpath(os.path.join(base, path))
    if not full.startswith(os.path.realpath(base) + "/"):
        return None
    try:
        return Path(full).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
