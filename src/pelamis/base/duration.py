"""Go's duration notation: ``1h30m0s``, ``1.5s``, ``100ms``."""

from __future__ import annotations

import re

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)?", re.ASCII)
_LIMIT = 1 << 63


def parse_nanos(text: str) -> int:
    """Nanoseconds. Raises ValueError with Go's wording."""
    rest, negative = text, False
    if rest[:1] in ("+", "-"):
        negative, rest = rest[0] == "-", rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    total = 0
    while rest:
        match = _PART.match(rest)
        if match is None or not (match[1] or match[2]):
            raise ValueError(f'time: invalid duration "{text}"')
        unit = match[3]
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        scale = _UNITS[unit]
        total += int(match[1] or "0") * scale
        if match[2]:
            total += int(match[2]) * scale // 10 ** len(match[2])
        rest = rest[match.end() :]
    if total > _LIMIT or (total == _LIMIT and not negative):
        raise ValueError(f'time: invalid duration "{text}"')
    return -total if negative else total


def parse(text: str) -> float:
    """Seconds."""
    return parse_nanos(text) / 1e9


def format_nanos(nanos: int) -> str:
    if nanos == 0:
        return "0s"
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if nanos < 10**9:
        for unit, scale in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if nanos >= scale:
                return f"{sign}{_fraction(nanos, scale)}{unit}"
    hours, rest = divmod(nanos, 3600 * 10**9)
    minutes, rest = divmod(rest, 60 * 10**9)
    seconds = _fraction(rest, 10**9) + "s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    if minutes:
        return f"{sign}{minutes}m{seconds}"
    return sign + seconds


def _fraction(amount: int, scale: int) -> str:
    whole, rest = divmod(amount, scale)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).rjust(len(str(scale)) - 1, '0').rstrip('0')}"


def format(seconds: float) -> str:
    """``5400`` is ``1h30m0s``."""
    return format_nanos(round(seconds * 1e9))
