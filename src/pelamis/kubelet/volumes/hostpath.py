"""hostPath: a path of the node, checked or made as its type says."""

from __future__ import annotations

import os
import stat
from typing import Any

from pelamis.kubelet.volumes.context import Context
from pelamis.kubelet.volumes.payload import VolumeError

_CHECKS = {
    "Directory": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


def check(path: str, kind: str) -> None:
    """Raises VolumeError unless ``path`` is, or has been made, what ``kind`` says."""
    if kind == "":
        return
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if kind == "DirectoryOrCreate":
        if mode is None:
            os.makedirs(path, mode=0o755, exist_ok=True)
        elif not stat.S_ISDIR(mode):
            raise VolumeError(f"hostPath type check failed: {path} is not a directory")
        return
    if kind == "FileOrCreate":
        if mode is None:
            with open(path, "a", encoding="utf-8"):
                os.chmod(path, 0o644)
        elif not stat.S_ISREG(mode):
            raise VolumeError(f"hostPath type check failed: {path} is not a file")
        return
    if kind not in _CHECKS:
        raise VolumeError(f"{kind} is an invalid volume type")
    test, name = _CHECKS[kind]
    if mode is None or not test(mode):
        raise VolumeError(f"hostPath type check failed: {path} is not a {name}")


async def setup(context: Context, volume: Any) -> str:
    source = volume.hostPath
    check(source.path, source.type or "")
    return str(source.path)
