"""The parts that the snapshot is made of: columns of label values, and counts of pods per row and per value.

Pods with the same namespace, labels and termination state form a *group*. A *counter* is the array of how many pods of
the selected groups each node has; *sums* are the same per value of a label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pelamis.base.labels import Selector

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


class Group:
    """Pods that no selector can tell apart. counts: node name to how many."""

    __slots__ = ("counters", "counts", "key", "labels", "namespace", "terminating")

    def __init__(self, key: Any, namespace: str, labels: Mapping[str, str], terminating: bool) -> None:
        self.key = key
        self.namespace = namespace
        self.labels = labels
        self.terminating = terminating
        self.counts: dict[str, int] = {}
        self.counters: list[Counter] = []


class Sums:
    """Counts per value of a label, one place more than there are values: for the nodes without it, always 0."""

    __slots__ = ("array", "generation", "ids")

    def __init__(self, array: Ints, ids: Ids, generation: int) -> None:
        self.array = array
        self.ids = ids
        self.generation = generation

    def add(self, row: int, by: int, generation: int) -> None:
        if self.generation == generation:  # else it is made anew when it is asked for
            place = self.ids[row]
            if place >= 0:
                self.array[place] += by


class Counter:
    """sums: the same by value of a label. live: it is kept up to date; who holds one that is not asks anew."""

    __slots__ = ("array", "covers", "live", "selector", "sums")

    def __init__(self, selector: Selector, covers: Callable[[Group], bool], capacity: int) -> None:
        self.selector = selector
        self.covers = covers
        self.array: Ids = np.zeros(capacity, np.int32)
        self.sums: dict[str, Sums] = {}
        self.live = True


class TermUse:
    """Where the pods are that have an affinity term. nodes: name to how many of them."""

    __slots__ = ("nodes", "sums")

    def __init__(self) -> None:
        self.nodes: dict[str, int] = {}
        self.sums: Sums | None = None


class LabelColumn:
    """ids: -1 where the node has no such label."""

    __slots__ = ("ids", "index", "values")

    def __init__(self, capacity: int) -> None:
        self.ids: Ids = np.full(capacity, -1, np.int32)
        self.values: list[str] = []
        self.index: dict[str, int] = {}

    def intern(self, value: str) -> int:
        found = self.index.get(value)
        if found is None:
            found = self.index[value] = len(self.values)
            self.values.append(value)
        return found

    def rows(self, judge: Callable[[str], bool], missing: bool, size: int) -> Mask:
        """Which rows have a value that ``judge`` accepts."""
        table = np.empty(len(self.values) + 1, np.bool_)
        for i, value in enumerate(self.values):
            table[i] = judge(value)
        table[-1] = missing
        return table[self.ids[:size]]
