"""What was found for a kind of pod, over all rows: brought up to date where devices were taken or given back.

Only of pods whose claims all wait for devices, and have no others in mind than these: as pods of one template are. The
answers are those of ``PodClaims.judge``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np

from pelamis.api.resource.podclaim import MOST_ALTERNATIVES
from pelamis.scheduler.devices.allocator import Found
from pelamis.scheduler.devices.ask import AllocationFailure, Problem
from pelamis.scheduler.devices.podclaims import NOT_ENOUGH, PodClaims
from pelamis.scheduler.snapshot import Snapshot

MOST = 32
"""Kinds of pods that are remembered."""


class Verdicts:
    """codes: per row, which of ``reasons`` keeps the pod off (the first none); points: as ``PodClaims.preference``."""

    __slots__ = ("codes", "generation", "points", "position", "reasons")

    def __init__(self, size: int, generation: int) -> None:
        self.generation = generation
        self.position = -1
        self.codes = np.zeros(size, np.int8)
        self.points = np.zeros(size, np.int64)
        self.reasons = [""]

    def _judge(self, snapshot: Snapshot, problem: Problem, rows: Iterable[int]) -> None:
        inventory, nodes = snapshot.devices, snapshot.nodes
        known: dict[Any, tuple[int, int]] = {}
        for row in rows:
            node = nodes[row].node
            stock = inventory.stock(node)
            found = known.get(stock)
            if found is None:
                found = known[stock] = self._told(inventory.answer(problem, node))
            self.codes[row], self.points[row] = found

    def _told(self, answer: Found | str | None) -> tuple[int, int]:
        if isinstance(answer, Found):
            return 0, sum(MOST_ALTERNATIVES - i for i in answer.chosen.values())
        reason = answer or NOT_ENOUGH
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason), 0


def verdicts(snapshot: Snapshot, claims: PodClaims) -> Verdicts | None:
    """None: the rows have to be looked at one by one."""
    if not claims.plain:
        return None
    inventory = snapshot.devices
    kept: OrderedDict[Any, Verdicts] = inventory.verdicts
    try:
        problem = claims.problem_for(frozenset())
        found = kept.get(problem.key)
        if found is None or found.generation != snapshot.generation:
            found = kept[problem.key] = Verdicts(snapshot.size, snapshot.generation)
            if len(kept) > MOST:
                kept.popitem(last=False)
        kept.move_to_end(problem.key)
        names = inventory.changed_since(found.position)
        rows: Iterable[int] = range(snapshot.size)
        if names is not None:
            rows = [node.row for name in names if (node := snapshot.by_name.get(name)) is not None]
        found._judge(snapshot, problem, rows)
        found.position = inventory.changes.position
    except AllocationFailure:
        kept.clear()  # some may be half up to date
        return None
    return found
