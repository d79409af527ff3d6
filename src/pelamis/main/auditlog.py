"""The file of the audit log: lines are appended; past a size it is set aside under its time, and old ones go."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


class AuditLog:
    """path: ``-`` is the standard output. Sizes are in megabytes, ages in days; 0 = no limit of that sort."""

    def __init__(
        self, path: str, *, most_mb: int = 100, backups: int = 0, days: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises OSError."""
        self._path = Path(path) if path != "-" else None
        self._most, self._backups, self._days, self._clock = most_mb << 20, backups, days, clock
        self._fd = sys.stdout.fileno()
        self._size = 0
        if self._path is not None:
            self._open(self._path)

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._fd).st_size

    def __call__(self, line: bytes) -> None:
        path = self._path
        if path is not None and self._most and self._size and self._size + len(line) > self._most:
            os.close(self._fd)
            self._set_aside(path)
            self._open(path)
        os.write(self._fd, line)
        self._size += len(line)

    def _set_aside(self, path: Path) -> None:
        now = self._clock()
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}"
        path.rename(path.with_name(f"{path.stem}-{stamp}{path.suffix}"))
        kept = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"), reverse=True)
        for i, old in enumerate(kept):
            aged = self._days and now - old.stat().st_mtime > self._days * 86400
            if aged or (self._backups and i >= self._backups):
                old.unlink(missing_ok=True)

    def close(self) -> None:
        if self._path is not None:
            os.close(self._fd)
