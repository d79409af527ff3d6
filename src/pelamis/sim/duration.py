"""Spans of time as people write them, ``1h30m``, ``90s``, ``2d``, ``1y``, and as a clock shows them."""

from __future__ import annotations

import re
from typing import Any

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|y|w|d|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0, "y": 365 * 86400.0}


def seconds(value: Any) -> float:
    """A number is seconds already. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text.lstrip("+-")
    total, at = 0.0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            raise ValueError(f'"{value}" is no span of time: write 90s, 10m, 1h30m, 2d or 1y')
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if not rest:
        raise ValueError("a span of time is missing: write 90s, 10m, 1h30m, 2d or 1y")
    return sign * total


def clock(at: float) -> str:
    """``0:01:30``; from a day on ``2d 04:00:00``."""
    whole = int(at + 1e-6)
    days, rest = divmod(whole, 86400)
    hours, minutes = divmod(rest // 60, 60)
    return f"{days}d {hours:02d}:{minutes:02d}:{rest % 60:02d}" if days else f"{hours}:{minutes:02d}:{rest % 60:02d}"


def span(amount: float) -> str:
    """``1h 30m``: the two largest units."""
    if amount < 60:
        return f"{amount:.3g} s"
    left = int(amount + 0.5)
    parts = []
    for unit, size in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
