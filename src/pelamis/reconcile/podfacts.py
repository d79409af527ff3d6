"""What controllers that count pods need to know of each: made once for each version of a pod (``View.facts``). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from pelamis.api.core.pod.pod import Pod
from pelamis.reconcile.podstate import is_active, is_ready, is_terminating, ready_since


class Facts(msgspec.Struct, frozen=True, gc=False):
    """ready_since: 0 when it is not ready or does not say since when."""

    labels: Mapping[str, str]
    active: bool
    terminating: bool
    ready: bool
    ready_since: float

    def available_at(self, min_ready_s: int) -> float | None:
        """As ``podstate.available_at``."""
        if not self.ready:
            return None
        if min_ready_s == 0:
            return 0.0
        return self.ready_since + min_ready_s if self.ready_since else None


def facts_of(pod: Pod, labels: Mapping[str, str]) -> Facts:
    return Facts(labels, is_active(pod), is_terminating(pod), is_ready(pod), ready_since(pod))


def each_once(test: Callable[[Mapping[str, str]], bool]) -> Callable[[Mapping[str, str]], bool]:
    """The same test; a dict that many pods share is looked at once. Only for as long as the dicts are there."""
    known: dict[int, bool] = {}

    def of(labels: Mapping[str, str]) -> bool:
        token = id(labels)
        found = known.get(token)
        if found is None:
            found = known[token] = test(labels)
        return found

    return of


def next_available(pods: Iterable[Facts], min_ready_s: int, now: float) -> float | None:
    """As ``podstate.next_available``."""
    if not min_ready_s:
        return None
    times = [at for pod in pods if (at := pod.available_at(min_ready_s)) is not None and at > now]
    return min(times) if times else None
