"""What the functions that Kubernetes adds to CEL work on.

The runtime has no values of our own types, so a quantity, an address, a version and so on is a map with a member
``$``, which says what it is, in a canonical form: equal values are equal maps. Functions check what they are given.
"""

from __future__ import annotations

from typing import Any

Made = dict[str, Any]


class Wrong(ValueError):
    """A function was given what it does not work on."""


def of_kind(kind: str, value: Any) -> Made:
    if not isinstance(value, dict) or value.get("$") != kind:
        raise Wrong("no such overload")
    return value
