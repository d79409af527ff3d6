"""subPath: a directory or file inside a volume, resolved so that a symbolic link cannot lead out of the volume.

The path is walked below the volume with every component opened without following links; the descriptor at its end is
bind-mounted to a place that only the agent writes to, and the container gets that place.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pelamis.kubelet.volumes import mount
from pelamis.kubelet.volumes.payload import VolumeError


def _open_inside(volume: str, sub: str) -> int:
    """A path descriptor of ``sub`` below ``volume``; missing directories get the volume's mode, and stay root's."""
    root = os.path.realpath(volume)
    parts = [part for part in sub.split("/") if part not in ("", ".")]
    if ".." in parts or sub.startswith("/"):
        raise VolumeError("must not contain '..'" if ".." in parts else "must not be an absolute path")
    target = os.path.realpath(os.path.join(root, *parts))
    if target != root and not target.startswith(root.rstrip("/") + "/"):
        raise VolumeError(f"subpath {sub!r} not within volume path {root!r}")
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    relative = os.path.relpath(target, root)
    for part in [] if relative == "." else relative.split("/"):
        try:
            child = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=fd)
        except FileNotFoundError:
            os.mkdir(part, dir_fd=fd)
            child = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=fd)
            os.chmod(f"/proc/self/fd/{child}", mode)
        os.close(fd)
        fd = child
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            os.close(fd)
            raise VolumeError(f"subpath {sub!r} changed while it was resolved")
    return fd


def prepare(pod_folder: Path, volume_name: str, volume: str, container: str, index: int, sub: str) -> str:
    """The host path to mount into the container for ``sub`` of the volume."""
    target = pod_folder / "volume-subpaths" / volume_name / container / str(index)
    fd = _open_inside(volume, sub)
    try:
        if target.exists():
            mount.unmount_below(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            if target.exists() and not target.is_dir():
                target.unlink()
            target.mkdir(exist_ok=True)
        else:
            if target.is_dir():
                target.rmdir()
            target.touch()
        mount.bind(f"/proc/self/fd/{fd}", target)
    finally:
        os.close(fd)
    return str(target)
