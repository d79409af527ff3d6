"""Whether tolerations cover taints."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from pelamis.api.core.node import Taint
from pelamis.api.core.pod.affinity import Toleration
from pelamis.api.core.pod.toleration import covers


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    return any(covers(t, taint) for t in tolerations)


def keeps_off(tolerations: Iterable[Toleration], taints: Iterable[Taint]) -> bool:
    """Whether one of the taints keeps a pod with these tolerations from a node."""
    return _keeps_off(tuple(tolerations), tuple(taints))


@lru_cache(maxsize=4096)
def _keeps_off(tolerations: tuple[Toleration, ...], taints: tuple[Taint, ...]) -> bool:
    return any(t.effect in ("NoSchedule", "NoExecute") and not tolerates(tolerations, t) for t in taints)
