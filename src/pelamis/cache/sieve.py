"""Which changes of a view matter to a subscriber: declared, so that a change is looked at once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Needs = tuple[int, ...]
"""Bits of which one has to be there, for each member; () = every change."""


class Sieve(NamedTuple):
    """Lets the changes through for which ``sort(old, new)`` has a bit of each of ``needs``.

    A view sorts a change once for all subscribers with the same function.
    """

    sort: Callable[[Any, Any], int]
    needs: Needs

    def lets(self, bits: int) -> bool:
        return all(bits & need for need in self.needs)
