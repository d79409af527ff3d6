"""The compact notation of completion indexes: ``1,3-5,7``, ascending, each below the number of completions."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class IndexesError(ValueError):
    """Not a list of indexes; the message is fit for a field error."""


def _index(text: str, completions: int) -> int:
    if not _NUMBER.fullmatch(text):
        raise IndexesError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise IndexesError(f'too large index: "{text}"')
    return int(text)


def _interval(text: str, completions: int) -> tuple[int, int]:
    ends = text.split("-")
    if len(ends) > 2:
        raise IndexesError(
            f'the fragment "{text}" violates the requirement that an index interval can have at most two parts '
            "separated by '-'"
        )
    low = _index(ends[0], completions)
    if len(ends) == 1:
        return low, low
    high = _index(ends[1], completions)
    if low >= high:
        raise IndexesError(f"non-increasing order, previous: {low}, current: {high}")
    return low, high


def parse_intervals(text: str, completions: int) -> list[tuple[int, int]]:
    """First and last index of each run. Raises IndexesError."""
    out: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        low, high = _interval(part, completions)
        if out and out[-1][1] >= low:
            raise IndexesError(f"non-increasing order, previous: {out[-1][1]}, current: {low}")
        out.append((low, high))
    return out


def count(intervals: list[tuple[int, int]]) -> int:
    return sum(high - low + 1 for low, high in intervals)


def first_common(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> int | None:
    """The smallest index that both have."""
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            return low
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return None
