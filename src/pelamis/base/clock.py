"""Time as values: seconds since the epoch in code, RFC 3339 text in objects. Nothing here reads a clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_LAYOUT = "2006-01-02T15:04:05Z07:00"


@lru_cache(maxsize=1024)
def _seconds(whole: int) -> str:
    return (_EPOCH + timedelta(seconds=whole)).isoformat()[:19]


def rfc3339(now: float) -> str:
    """``2026-01-31T08:00:00Z``: whole seconds, rounded down, as metav1.Time is written."""
    return _seconds(int(now // 1)) + "Z"


def rfc3339_micro(now: float) -> str:
    """``2026-01-31T08:00:00.000000Z``: six decimals, as metav1.MicroTime is written."""
    micros = round(now * 1_000_000)
    return f"{_seconds(micros // 1_000_000)}.{micros % 1_000_000:06d}Z"


@lru_cache(maxsize=8192)
def parse_rfc3339(text: str) -> float:
    """Seconds since the epoch. Raises ValueError with the wording of Go's time.Parse."""
    if not _SHAPE.fullmatch(text):
        raise ValueError(_complaint(text))
    try:
        # microseconds are kept as an exact integer until the last step
        delta = datetime.fromisoformat(text) - _EPOCH
    except ValueError as e:
        raise ValueError(f'parsing time "{text}": {e}') from None
    return (delta.days * 86400 + delta.seconds) + delta.microseconds / 1_000_000


def _complaint(text: str) -> str:
    parts = (
        (r"\d{4}", "2006"),
        ("-", "-"),
        (r"\d\d", "01"),
        ("-", "-"),
        (r"\d\d", "02"),
        ("T", "T"),
        (r"\d\d", "15"),
        (":", ":"),
        (r"\d\d", "04"),
        (":", ":"),
        (r"\d\d(?:[.,]\d+)?", "05"),
        (r"(?:Z|[+-]\d\d:\d\d)", "Z07:00"),
    )
    at = 0
    for pattern, shown in parts:
        match = re.compile(pattern, re.ASCII).match(text, at)
        if not match:
            return f'parsing time "{text}" as "{_LAYOUT}": cannot parse "{text[at:]}" as "{shown}"'
        at = match.end()
    return f'parsing time "{text}": extra text: "{text[at:]}"'


def human_duration(seconds: float) -> str:
    """The shortest text that is precise enough for a column: ``5s``, ``2m30s``, ``3h``, ``5d12h``, ``2y40d``.

    Two units are shown while the larger one is small (under 10 minutes, 8 hours, 8 days, 8 years).
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return _two(years, "y", days % 365, "d")
    return f"{years}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
