"""mount(2) and umount(2): tmpfs, and bind mounts of an open file descriptor."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_MS_NOSUID, _MS_NODEV, _MS_BIND = 2, 4, 4096
_MNT_DETACH = 2


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def tmpfs(target: Path, size: int = 0, mode: int = 0o755) -> None:
    """size in bytes, 0 = the kernel's default (half of memory)."""
    options = f"mode={mode:o}" + (f",size={size}" if size else "")
    result = _libc.mount(b"tmpfs", os.fsencode(target), b"tmpfs", _MS_NOSUID | _MS_NODEV, options.encode())
    _check(result, f"mount tmpfs on {target}")


def bind(source: str, target: Path) -> None:
    result = _libc.mount(os.fsencode(source), os.fsencode(target), None, _MS_BIND, None)
    _check(result, f"bind {source} on {target}")


_FLAGS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "bind": _MS_BIND, "rbind": _MS_BIND | 16384, "rw": 0}
READ_ONLY, _MS_NOEXEC, _MS_REMOUNT = 1, 8, 32
REMOUNT_READ_ONLY = _MS_REMOUNT | _MS_BIND | READ_ONLY
"""Flags that make a bind mount read-only."""


def read_only(kind: str, source: str, target: Path, options: Iterable[str]) -> None:
    """A mount as containerd describes it, made read-only and not executable."""
    flags, data = 0, []
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        else:
            data.append(option)
    extra = READ_ONLY | _MS_NOEXEC
    if flags & _MS_BIND:
        filesystem(source, target, "", "", flags & ~extra)
        filesystem(source, target, "", "", _MS_REMOUNT | _MS_BIND | extra)
    else:
        filesystem(source, target, kind, ",".join(data), flags | extra)


def filesystem(source: str, target: Path, kind: str, options: str = "", flags: int = 0) -> None:
    result = _libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, options.encode())
    _check(result, f"mount {source} on {target}")


def is_mounted(target: Path) -> bool:
    return os.path.ismount(target) or str(target) in mounts()


def mounts() -> list[str]:
    """Mount points of this process, in the order they were mounted."""
    out = []
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            path = line.split(" ", 2)[1]
            out.append(path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\"))
    return out


def unmount_below(folder: Path, points: Iterable[str] | None = None) -> None:
    """Unmount everything at or below a folder, innermost first."""
    prefix = str(folder)
    for path in reversed(list(mounts() if points is None else points)):
        if path == prefix or path.startswith(prefix + "/"):
            result = _libc.umount2(os.fsencode(path), _MNT_DETACH)
            if result != 0 and ctypes.get_errno() not in (2, 22):
                _check(result, f"unmount {path}")
