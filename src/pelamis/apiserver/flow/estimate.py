"""How many seats a request takes, in upstream's units. Pure.

A list takes a seat for each 100 kB that it holds in memory at once; as it comes from the cache, that is a megabyte at
most. A write takes one, and as many for its watchers, one for ten, for 5 ms after it is done.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from urllib.parse import parse_qs

from pelamis.apiserver.request import RequestInfo

_BYTES_PER_SEAT = 100_000
_CACHED_BYTES = 1_000_000
_MOST_LIST_SEATS = 100
_MOST_SEATS = 10
WATCHES_PER_SEAT = 10
_EVENT_S = 0.005
_SHARE = 0.15
_WRITES = frozenset(("create", "update", "patch", "delete"))


class Width(NamedTuple):
    """initial: seats while it runs. final: for ``after_s`` seconds when it is done."""

    initial: int = 1
    final: int = 0
    after_s: float = 0.0

    @property
    def most(self) -> int:
        return self.initial if self.initial > self.final else self.final


ONE = Width()


def most_seats(seats: int, hand: int) -> int:
    """Of one request at a level with so many seats; 0: no such limit."""
    return max(1, math.ceil(seats * _SHARE / hand)) if hand else 0


def estimate(info: RequestInfo, query: str, stored: tuple[int, int], watchers: int, most: int) -> Width:
    """stored: objects of the resource, and their bytes. watchers: of the resource. most: see ``most_seats``."""
    if not info.is_resource or info.subresource == "proxy":
        return ONE
    if info.verb == "list" or (info.verb == "watch" and "sendInitialEvents=true" in query):
        return _list_width(info, query, stored, min(most or _MOST_LIST_SEATS, _MOST_LIST_SEATS))
    if info.verb in _WRITES and watchers >= WATCHES_PER_SEAT:
        final = min(math.ceil(watchers / WATCHES_PER_SEAT), most or _MOST_SEATS, _MOST_SEATS)
        return Width(1, final, _EVENT_S)
    return ONE


def _list_width(info: RequestInfo, query: str, stored: tuple[int, int], most: int) -> Width:
    count, size = stored
    if info.name or not count:
        return ONE
    held = count
    if info.verb == "list" and "limit=" in query:
        limit = parse_qs(query).get("limit", ["0"])[0]
        if limit.isdigit() and int(limit):
            held = min(held, int(limit))
    held_bytes = min(held * (size // count), _CACHED_BYTES)
    return Width(max(1, min(math.ceil(held_bytes / _BYTES_PER_SEAT), most)))
