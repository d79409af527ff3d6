"""How many Events hollow nodes record: so many that the cluster is not busy with them."""

from __future__ import annotations

from collections.abc import Callable

PER_SECOND, BURST = 50.0, 500.0


class EventLimit:
    """As many Events as one kubelet may record (50 a second, here with a larger burst), for all nodes together.

    Half of the burst is kept for warnings.
    """

    def __init__(self, clock: Callable[[], float], per_second: float = PER_SECOND, burst: float = BURST) -> None:
        self._clock = clock
        self._rate = per_second
        self._burst = self._tokens = burst
        self._at = clock()
        self.dropped = 0

    def take(self, type_: str) -> bool:
        """Whether one more Event may be recorded; then it counts."""
        now = self._clock()
        self._tokens = min(self._tokens + max(now - self._at, 0.0) * self._rate, self._burst)
        self._at = now
        if self._tokens < (1.0 if type_ == "Warning" else self._burst / 2):
            self.dropped += 1
            return False
        self._tokens -= 1.0
        return True
