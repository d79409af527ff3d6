"""Files of a volume, replaced all at once: readers see the old set or the new set, never a mixture.

Each set is a directory ``..<time>.<counter>`` beside a symbolic link ``..data`` that is renamed over the old one; the
visible names are links through ``..data``. A set equal to the present one is not written again.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

DATA = "..data"


class File(NamedTuple):
    """user: owning uid, None = root."""

    data: bytes
    mode: int
    user: int | None = None


Payload = Mapping[str, File]
"""Relative path to file."""


@dataclass(frozen=True, slots=True)
class Owner:
    """group: fsGroup of the pod; files become readable for it."""

    group: int | None = None


def checked(path: str) -> str:
    """The path as it may be used inside a volume. Raises ValueError."""
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or len(path) > 4096:
        raise ValueError(f"invalid path: {path!r}")
    if parts[0].startswith(".."):
        raise ValueError(f"invalid path: must not begin with '..': {path!r}")
    return "/".join(part for part in parts if part not in ("", "."))


def _same(folder: Path, payload: Payload) -> bool:
    found = set()
    for base, _, names in os.walk(folder):
        for name in names:
            found.add(str((Path(base) / name).relative_to(folder)))
    if found != set(payload):
        return False
    return all((folder / path).read_bytes() == file.data for path, file in payload.items())


def write(target: Path, payload: Payload, stamp: str, owner: Owner = Owner()) -> bool:
    """Make ``target`` hold exactly ``payload``; True if anything changed. stamp: unique text for the new directory."""
    clean = {checked(path): file for path, file in payload.items()}
    data = target / DATA
    old: Path | None = None
    if data.is_symlink():
        old = target / os.readlink(data)
        if old.is_dir() and _same(old, clean):
            return False
    fresh = target / f"..{stamp}"
    fresh.mkdir(mode=0o755)
    fresh.chmod(0o755)
    folders = {fresh}
    for path, file in clean.items():
        full = fresh / path
        folder = full.parent
        folder.mkdir(parents=True, exist_ok=True)
        while folder != fresh:
            folders.add(folder)
            folder = folder.parent
        full.write_bytes(file.data)
        mode = file.mode
        if owner.group is not None:
            mode |= 0o440
        if file.user is not None or owner.group is not None:
            os.chown(full, 0 if file.user is None else file.user, -1 if owner.group is None else owner.group)
        full.chmod(mode)
    for folder in folders:
        folder.chmod(0o755)
        if owner.group is not None:
            os.chown(folder, -1, owner.group)
            folder.chmod(0o755 | stat.S_ISGID)
    link = target / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.rename(data)
    tops = {path.split("/")[0] for path in clean}
    for top in tops:
        visible = target / top
        if not visible.is_symlink():
            visible.symlink_to(f"{DATA}/{top}")
    for entry in target.iterdir():
        if not entry.name.startswith("..") and entry.name not in tops:
            entry.unlink()
    if old is not None and old != fresh:
        shutil.rmtree(old, ignore_errors=True)
    return True
