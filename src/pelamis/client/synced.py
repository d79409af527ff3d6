"""Waiting for the first lists of views."""

from __future__ import annotations

import asyncio
from typing import Any

from pelamis.client.types import View


async def synced(*views: View[Any]) -> None:
    """Returns once each view holds a whole list: who decides on half a picture decides wrong."""
    for view in views:
        if not view.synced:
            reached = asyncio.Event()
            view.when_reached(1, reached.set)
            await reached.wait()
