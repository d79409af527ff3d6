"""Container image references: ``[domain/]path[:tag][@digest]``, as the registry world's grammar has it.

Only what defaulting needs: which tag a reference stands for. A reference without tag and digest stands for ``latest``.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
_ID = re.compile(r"[a-f0-9]{64}")


@lru_cache(4096)
def tag(reference: str) -> str:
    """The tag of a reference; "latest" where neither tag nor digest is given; "" for a digest or an invalid one."""
    found = _REFERENCE.fullmatch(reference)
    if found is None or _ID.fullmatch(reference):
        return ""
    given = found["tag"]
    if given:
        return given
    return "" if found["digest"] else "latest"


def pull_policy(reference: str) -> str:
    """The pull policy of a container or image volume that states none."""
    return "Always" if tag(reference) == "latest" else "IfNotPresent"
