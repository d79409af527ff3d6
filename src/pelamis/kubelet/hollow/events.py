"""Events of hollow nodes, so many that the cluster is not busy with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pelamis.kubelet.agent import Recorder

PER_SECOND, BURST = 50.0, 500.0


class Limited:
    """Passes on as many Events as a kubelet may record (50 a second, here with a larger burst), all nodes together.

    Of the burst, half is kept for warnings.
    """

    def __init__(
        self, record: Recorder, clock: Callable[[], float], per_second: float = PER_SECOND, burst: float = BURST
    ) -> None:
        self._record = record
        self._clock = clock
        self._rate = per_second
        self._burst = self._tokens = burst
        self._at = clock()
        self.dropped = 0

    def __call__(self, regarding: Any, type_: str, reason: str, message: str) -> None:
        now = self._clock()
        self._tokens = min(self._tokens + max(now - self._at, 0.0) * self._rate, self._burst)
        self._at = now
        if self._tokens < (1.0 if type_ == "Warning" else self._burst / 2):
            self.dropped += 1
            return
        self._tokens -= 1.0
        self._record(regarding, type_, reason, message)
