"""What controllers that count pods need to know of each: made once for each version of a pod (``View.facts``). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from pelamis.api.core.pod.pod import Pod
from pelamis.base.clock import parse_rfc3339
from pelamis.reconcile.podstate import is_finished


class Facts(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Compared and hashed by identity. ready_since: 0 when it is not ready or does not say since when."""

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


_MOST = 4096
_known: dict[tuple[int, bool, bool, bool, str], Facts] = {}


def facts_of(pod: Pod, labels: Mapping[str, str]) -> Facts:
    """Equal facts with the same dict of labels are mostly one object."""
    leaving, finished = pod.metadata.deletionTimestamp is not None, is_finished(pod)
    ready, since = False, ""
    for c in pod.status.conditions:
        if c.type == "Ready":
            if c.status == "True":
                ready, since = True, c.lastTransitionTime
            break
    token = id(labels), not leaving and not finished, leaving and not finished, ready, since
    found = _known.get(token)
    if found is None:
        if len(_known) >= _MOST:
            _known.clear()
        found = _known[token] = Facts(labels, token[1], token[2], ready, parse_rfc3339(since) if since else 0.0)
    return found


Tally = Sequence[tuple[Facts, int]]
"""Each fact with the number of pods of which it holds."""


def tally(pods: Iterable[Facts]) -> Tally:
    """Thousands of pods are counted by a handful of facts."""
    return tuple(Counter(pods).items())


def of_all(counted: Tally, test: Callable[[Mapping[str, str]], bool]) -> list[bool]:
    """The test of the labels of all pods; a dict that many of them share is looked at once."""
    return [test(labels) for labels in {id(pod.labels): pod.labels for pod, _ in counted}.values()]


def next_available(pods: Iterable[Facts], min_ready_s: int, now: float) -> float | None:
    """As ``podstate.next_available``."""
    if not min_ready_s:
        return None
    times = [at for pod in pods if (at := pod.available_at(min_ready_s)) is not None and at > now]
    return min(times) if times else None
