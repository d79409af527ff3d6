"""Waiting for the first lists of views."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Awaited(Protocol):
    """A view, or what takes its place."""

    @property
    def synced(self) -> bool: ...

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None: ...


async def synced(*views: Awaited) -> None:
    """Returns once each view holds a whole list: who decides on half a picture decides wrong."""
    for view in views:
        if not view.synced:
            reached = asyncio.Event()
            view.when_reached(1, reached.set)
            await reached.wait()
