"""fsGroup: files of a volume belong to the group and can be used by it; new ones inherit it."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

_READ_WRITE, _READ_ONLY, _EXECUTE = 0o660, 0o440, 0o110


def _one(path: str, group: int, read_only: bool) -> None:
    info = os.lstat(path)
    os.chown(path, -1, group, follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        return
    mask = _READ_ONLY if read_only else _READ_WRITE
    if stat.S_ISDIR(info.st_mode):
        mask |= stat.S_ISGID | _EXECUTE
    os.chmod(path, stat.S_IMODE(info.st_mode) | mask)


def matches(path: Path, group: int) -> bool:
    """Whether the root of the volume already looks right (fsGroupChangePolicy OnRootMismatch)."""
    info = path.stat()
    wanted = _READ_WRITE | stat.S_ISGID | _EXECUTE
    return info.st_gid == group and stat.S_IMODE(info.st_mode) & wanted == wanted


async def apply_group(path: Path, group: int, *, read_only: bool, on_root_mismatch: bool = False) -> None:
    if on_root_mismatch and matches(path, group):
        return
    done = 0
    for base, folders, files in os.walk(path, topdown=False):
        for name in (*files, *folders):
            _one(os.path.join(base, name), group, read_only)
            done += 1
            if done % 256 == 0:
                await asyncio.sleep(0)
    _one(str(path), group, read_only)
