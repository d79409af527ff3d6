"""Values that change with time, written as text: ``300m``, ``0s=100m,5m=900m``, ``after=5s``. Pure.

A timeline is a sequence of steps; each value holds from its time on, counted in seconds from a start that the reader of
the timeline knows.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)


@lru_cache(maxsize=4096)
def duration(text: str) -> float | None:
    """``5s``, ``1h2m3.5s``, ``300ms``, or a bare number of seconds; None where it is none."""
    if _NUMBER.fullmatch(text):
        return float(text)
    total, at = 0.0, 0
    for part in _PART.finditer(text):
        if part.start() != at:
            return None
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    return total if text and at == len(text) else None


@dataclass(frozen=True, slots=True)
class Timeline(Generic[T]):
    """times: ascending, the first is 0."""

    times: tuple[float, ...]
    values: tuple[T, ...]

    def at(self, t: float) -> T:
        return self.values[max(bisect_right(self.times, t) - 1, 0)]

    def next_change(self, t: float) -> float | None:
        """When the value changes next, strictly after ``t``."""
        i = bisect_right(self.times, t)
        return self.times[i] if i < len(self.times) else None


def constant(value: T) -> Timeline[T]:
    return Timeline((0.0,), (value,))


def integral(line: Timeline[int], start: float, end: float) -> float:
    """The area under the line between two times."""
    total = 0.0
    for i, (since, value) in enumerate(zip(line.times, line.values, strict=True)):
        until = line.times[i + 1] if i + 1 < len(line.times) else end
        low, high = max(since, start), min(until, end)
        if high > low:
            total += (high - low) * value
    return total


def parse(text: str, value: Callable[[str], T]) -> Timeline[T]:
    """One value, or ``TIME=VALUE,TIME=VALUE…``. Raises ValueError."""
    steps: dict[float, T] = {}
    for part in text.split(","):
        when, equals, what = part.strip().rpartition("=")
        at = duration(when.strip()) if equals else 0.0
        if at is None:
            raise ValueError(f'"{when}" is not a length of time')
        steps[at] = value(what.strip())
    times = tuple(sorted(steps))
    if times[0] != 0.0:
        raise ValueError("the first step must be at 0s")
    return Timeline(times, tuple(steps[at] for at in times))


def verdicts(text: str) -> Timeline[bool]:
    """Results of a probe: ``ok``, ``fail``, ``after=5s`` (fails until then), ``until=60s`` (fails from then on), or a
    timeline of ``ok`` and ``fail``. Raises ValueError."""
    word, equals, rest = text.strip().partition("=")
    if equals and word in ("after", "until"):
        at = duration(rest)
        if at is None:
            raise ValueError(f'"{rest}" is not a length of time')
        if at == 0:
            return constant(word == "after")
        return Timeline((0.0, at), (word == "until", word == "after"))

    def verdict(name: str) -> bool:
        if name not in ("ok", "fail"):
            raise ValueError(f'"{name}" is neither ok nor fail')
        return name == "ok"

    return parse(text, verdict)
