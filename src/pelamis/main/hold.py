"""One `up` or `down` at a time for the clusters of a directory, so that two never start or number themselves at once.

The lock is on the directory itself (the nearest one that exists): no file is left, and the kernel lets go of it
whatever happens to the holder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def hold(data: Path) -> Iterator[Callable[[], None]]:
    """Waits for its turn. Gives a function that ends the hold before the block does."""
    try:
        import fcntl
    except ImportError:  # not a Unix: the port decides which of two wins
        yield lambda: None
        return
    folder = data.parent
    while not folder.is_dir():
        folder = folder.parent
    held: list[int] = []

    def release() -> None:
        while held:
            os.close(held.pop())

    try:
        held.append(os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
        fcntl.flock(held[0], fcntl.LOCK_EX)
    except OSError:  # a directory that may not be read, a file system without locks
        release()
    try:
        yield release
    finally:
        release()
