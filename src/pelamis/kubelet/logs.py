"""Container logs in the runtime interface's format: reading for the API, the tail for termination messages, rotation.

A line is ``<RFC 3339 time with nanoseconds> <stdout|stderr> <F|P> <content>``; P marks a piece of a longer line.
Rotated files sit beside the live one as ``<n>.log.<stamp>``. The reader follows by inotify, not by polling: it wakes
when the file is written to or replaced, and ends when the container has exited and all has been read.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gzip
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pelamis.base.clock import parse_rfc3339

CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogOptions:
    """tail: lines from the end, None = all. since: seconds since the epoch, 0 = from the start. limit: bytes, None =
    all. stream: "" = both, else ``stdout`` or ``stderr``.
    """

    follow: bool = False
    tail: int | None = None
    since: float = 0.0
    timestamps: bool = False
    limit: int | None = None
    stream: str = ""


class Line(NamedTuple):
    time: bytes
    stream: bytes
    partial: bool
    content: bytes


def parse(raw: bytes) -> Line | None:
    """One line without its line end; None if it is not in the format."""
    parts = raw.split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        return None
    tags = parts[2].split(b":")
    return Line(parts[0], parts[1], b"P" in tags, parts[3] if len(parts) == 4 else b"")


def seconds(stamp: bytes) -> float:
    try:
        return parse_rfc3339(stamp.decode("ascii"))
    except ValueError:
        return 0.0


def tail_offset(path: str, lines: int) -> int:
    """Where the last ``lines`` lines begin."""
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        if lines <= 0:
            return end
        at, seen = end, 0
        while at > 0:
            size = min(CHUNK, at)
            at -= size
            file.seek(at)
            block = file.read(size)
            if at + size == end and block.endswith(b"\n"):
                block = block[:-1]
            where = len(block)
            while (where := block.rfind(b"\n", 0, where)) >= 0:
                seen += 1
                if seen == lines:
                    return at + where + 1
    return 0


def last_lines(path: str, lines: int, limit: int) -> bytes:
    """The end of a log, for a termination message."""
    try:
        with open(path, "rb") as file:
            file.seek(tail_offset(path, lines))
            out = b"".join(
                line.content + (b"" if line.partial else b"\n")
                for line in (parse(raw) for raw in file.read().split(b"\n"))
                if line is not None
            )
    except OSError:
        return b""
    return out[-limit:]


class _Filter:
    """Turns raw lines into what the reader asked for. ``full``: the byte limit has been reached."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit
        self._stream = options.stream.lower().encode()
        self._continued = {b"stdout": False, b"stderr": False}
        self._since = options.since > 0
        self.full = options.limit == 0

    def take(self, raw: bytes) -> bytes:
        line = parse(raw)
        if line is None or (self._stream and line.stream != self._stream):
            return b""
        if self._since:
            if seconds(line.time) < self._options.since:
                return b""
            self._since = False  # times grow; no later line needs the comparison
        out = line.content if line.partial else line.content + b"\n"
        if self._options.timestamps and not self._continued[line.stream]:
            out = line.time + b" " + out
        self._continued[line.stream] = line.partial
        if self._left is not None:
            out = out[: self._left]
            self._left -= len(out)
            self.full = self._left <= 0
        return out


class Watch:
    """Wakes when a directory's files are written, created or moved (inotify)."""

    _MODIFY, _CREATE, _MOVED_TO, _DELETE = 0x2, 0x100, 0x80, 0x200

    def __init__(self, folder: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        mask = self._MODIFY | self._CREATE | self._MOVED_TO | self._DELETE
        if libc.inotify_add_watch(self._fd, os.fsencode(folder), mask) < 0:
            number = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(number, f"watching {folder}")
        self._event = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._fd, 4096):
                self._event.set()

    def poke(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)


def _older(path: Path) -> list[Path]:
    """Rotated files of a log, oldest first."""
    return sorted(entry for entry in path.parent.glob(f"{path.name}.*") if not entry.name.endswith(".tmp"))


async def read(
    path: str,
    options: LogOptions,
    *,
    finished: Callable[[], bool] = lambda: True,
    poked: Callable[[Watch], None] = lambda watch: None,
) -> AsyncIterator[bytes]:
    """The log in pieces. finished(): no more will be written. poked(watch): register to be poked when that changes.

    Raises OSError when there is no such file.
    """
    wanted = _Filter(options)
    watch = Watch(str(Path(path).parent)) if options.follow else None
    if watch is not None:
        poked(watch)
    try:
        file = open(path, "rb")  # noqa: SIM115, ASYNC230 - a local file, held open across pieces
        try:
            if options.tail is not None:
                file.seek(tail_offset(path, options.tail))
            rest = b""
            while not wanted.full:
                ended = finished()
                data = file.read(CHUNK)
                if data:
                    rest += data
                    *lines, rest = rest.split(b"\n")
                    out = bytearray()
                    for raw in lines:
                        out += wanted.take(raw)
                        if wanted.full:
                            break
                    if out:
                        yield bytes(out)
                    else:
                        await asyncio.sleep(0)
                    continue
                if _replaced(file.fileno(), path):
                    file.close()
                    file = open(path, "rb")  # noqa: SIM115, ASYNC230
                    rest = b""
                    continue
                if watch is None or ended:
                    break
                await watch.wait()
            if rest and not wanted.full and (out_ := wanted.take(rest)):
                yield out_
        finally:
            file.close()
    finally:
        if watch is not None:
            watch.close()


def _replaced(fd: int, path: str) -> bool:
    """Whether the path now names another file than the one that is open."""
    try:
        now, then = os.stat(path), os.fstat(fd)
    except OSError:
        return False
    return now.st_ino != then.st_ino


def rotate(path: Path, stamp: str, keep: int) -> None:
    """Move the live file aside and drop what is too old; the runtime must then open its log anew.

    keep: files altogether, the live one included. All rotated files but the newest are compressed.
    """
    older = _older(path)
    for extra in older[: max(len(older) - (keep - 2), 0)]:
        extra.unlink(missing_ok=True)
    for entry in _older(path):
        if not entry.name.endswith(".gz"):
            _compress(entry)
    path.rename(path.with_name(f"{path.name}.{stamp}"))


def _compress(path: Path) -> None:
    packed = path.with_name(path.name + ".tmp")
    with open(path, "rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
        while block := source.read(1 << 20):
            target.write(block)
    packed.rename(path.with_name(path.name + ".gz"))
    path.unlink()
