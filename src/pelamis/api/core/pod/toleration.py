"""Whether a toleration covers a taint."""

from __future__ import annotations

import re

from pelamis.api.core.node import Taint
from pelamis.api.core.pod.affinity import Toleration

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)


def covers(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    operator = toleration.operator
    if operator in ("", "Equal"):
        return toleration.value == taint.value
    if operator in ("Lt", "Gt"):
        if not _INTEGER.fullmatch(toleration.value) or not _INTEGER.fullmatch(taint.value):
            return False
        wanted, has = int(toleration.value), int(taint.value)
        return has < wanted if operator == "Lt" else has > wanted
    return operator == "Exists"
