"""Whether tolerations cover taints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from pelamis.api.core.node import Taint
from pelamis.api.core.pod.affinity import Toleration

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)


def tolerate(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    operator = toleration.operator
    if operator in ("", "Equal"):
        return toleration.value == taint.value
    if operator == "Exists":
        return True
    if operator in ("Lt", "Gt"):
        if not _INTEGER.fullmatch(toleration.value) or not _INTEGER.fullmatch(taint.value):
            return False
        wanted, has = int(toleration.value), int(taint.value)
        return has < wanted if operator == "Lt" else has > wanted
    return False


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    return any(tolerate(t, taint) for t in tolerations)


def keeps_off(tolerations: Iterable[Toleration], taints: Iterable[Taint]) -> bool:
    """Whether one of the taints keeps a pod with these tolerations from a node."""
    return _keeps_off(tuple(tolerations), tuple(taints))


@lru_cache(maxsize=4096)
def _keeps_off(tolerations: tuple[Toleration, ...], taints: tuple[Taint, ...]) -> bool:
    return any(t.effect in ("NoSchedule", "NoExecute") and not tolerates(tolerations, t) for t in taints)
