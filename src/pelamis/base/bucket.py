"""A token bucket: so much at once, and then so much a second. Pure."""

from __future__ import annotations


class Bucket:
    """burst: the most it holds, and what it holds at first. per_second: how fast it fills."""

    __slots__ = ("_at", "_burst", "_per_second", "_tokens")

    def __init__(self, burst: float, per_second: float, now: float) -> None:
        self._burst = self._tokens = burst
        self._per_second = per_second
        self._at = now

    def take(self, now: float, keep: float = 0.0) -> bool:
        """Takes one if there is one. keep: how many there must be at least, since the rest is for others."""
        self._tokens = min(self._burst, self._tokens + max(now - self._at, 0.0) * self._per_second)
        self._at = now
        if self._tokens < max(keep, 1.0):
            return False
        self._tokens -= 1.0
        return True
