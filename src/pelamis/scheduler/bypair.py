"""Finding selectors by labels and labels by selectors without comparing all with all.

Most selectors require some label to have one value. Under one such *pair* a selector is filed, so that an object's
labels lead to the few selectors that may select it, and a selector to the few sets of labels that it may select.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from pelamis.base.labels import DOUBLE_EQUAL, EQUAL, IN, Selector

V = TypeVar("V")
Pair = tuple[str, str]


def pair_of(selector: Selector) -> Pair | None:
    """A label and the one value that it must have; None = the selector requires no such thing."""
    for r in selector.requirements:
        if len(r.values) == 1 and r.operator in (EQUAL, DOUBLE_EQUAL, IN):
            return r.key, r.values[0]
    return None


class Selecting(Generic[V]):
    """Things that have a selector."""

    def __init__(self) -> None:
        self._tables: dict[Pair | None, dict[Any, V]] = {}

    def put(self, selector: Selector, key: Any, value: V) -> None:
        self._tables.setdefault(pair_of(selector), {})[key] = value

    def pop(self, selector: Selector, key: Any) -> None:
        pair = pair_of(selector)
        table = self._tables[pair]
        del table[key]
        if not table:
            del self._tables[pair]

    def of(self, labels: Mapping[str, str]) -> Iterator[tuple[Any, V]]:
        """Those that may select an object with these labels: none of the others does."""
        for pair in (None, *labels.items()):
            table = self._tables.get(pair)
            if table is not None:
                yield from table.items()


class Labelled(Generic[V]):
    """Things that have labels."""

    def __init__(self) -> None:
        self._all: dict[Any, V] = {}
        self._tables: dict[Pair, dict[Any, V]] = {}

    def put(self, labels: Mapping[str, str], key: Any, value: V) -> None:
        self._all[key] = value
        for pair in labels.items():
            self._tables.setdefault(pair, {})[key] = value

    def pop(self, labels: Mapping[str, str], key: Any) -> None:
        del self._all[key]
        for pair in labels.items():
            table = self._tables[pair]
            del table[key]
            if not table:
                del self._tables[pair]

    def of(self, selector: Selector) -> Iterator[V]:
        """Those that the selector may select: none of the others."""
        pair = pair_of(selector)
        yield from (self._all if pair is None else self._tables.get(pair, {})).values()
