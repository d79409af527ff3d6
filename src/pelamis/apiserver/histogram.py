"""Counts of durations, with the buckets of upstream's request metrics."""

from __future__ import annotations

from bisect import bisect_left

BUCKETS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0,
    15.0, 20.0, 30.0, 45.0, 60.0,
)  # fmt: skip
_LEAST = BUCKETS[0]
_SHOWN = (*(str(b) for b in BUCKETS), "+Inf")


class Histogram:
    """Counts per bucket, and the sum."""

    __slots__ = ("buckets", "sum")

    def __init__(self) -> None:
        self.buckets = [0] * len(_SHOWN)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.buckets[bisect_left(BUCKETS, value) if value > _LEAST else 0] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        total = 0
        out = []
        for shown, count in zip(_SHOWN, self.buckets, strict=True):
            total += count
            out.append((shown, float(total)))
        return out
