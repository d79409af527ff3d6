"""Which rows of a sheet are best, without adding up the scores of all of them at every decision.

A row's total is what the sheet keeps of it (``best``) and the points of its band (see ``extension.Bands``): rows with
the same of both stand in one *cell*. Counts per cell say what the highest total is and how many rows have it; only then
the rows of the winning cells are looked up. A pod that comes or goes moves one row to another cell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from pelamis.scheduler.extension import Bands
from pelamis.scheduler.snapshot import Ints, Mask, Snapshot

MOST_BANDS = 64
"""Beyond this adding up arrays costs less."""
_MOST_CODES = 2**16
_MANY = 64
"""Beyond so many changed rows starting anew costs less."""


class Standing:
    """bands None: all rows are in one. number: of rows that are feasible. usable: else nothing else here holds."""

    __slots__ = ("_cells", "_code", "_shift", "bands", "number", "usable")

    def __init__(self, bands: Bands | None, snapshot: Snapshot, ok: Mask, best: Ints) -> None:
        self.bands = bands
        self._start(snapshot, ok, best)

    def _start(self, snapshot: Snapshot, ok: Mask, best: Ints) -> None:
        self._cells: dict[int, dict[int, int]] = {}
        self._shift = 0
        self._code: Ints = np.full(snapshot.size, -1, np.int64)
        self.number = int(np.count_nonzero(ok))
        self.usable = True
        if not self.number:
            return
        kept = best[ok]
        self._shift = int(kept.max()).bit_length() + 1  # room for what comes
        codes = kept if self.bands is None else kept + (self.bands.of(snapshot)[ok] << self._shift)
        self._code[ok] = codes
        high = int(codes.max())
        if int(kept.min()) < 0 or high >> self._shift > _MOST_CODES:
            self.usable = False
            return
        if high < _MOST_CODES:
            every = np.bincount(codes)
            values = np.flatnonzero(every)
            counts = every[values]
        else:
            values, counts = np.unique(codes, return_counts=True)
        low = (1 << self._shift) - 1
        for code, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._cells.setdefault(code >> self._shift, {})[code & low] = count
        self.usable = len(self._cells) <= MOST_BANDS

    def update(self, snapshot: Snapshot, ok: Mask, best: Ints, rows: Collection[int] | None) -> None:
        """rows: those that have changed; None = any."""
        if rows is None or len(rows) > _MANY:
            self._start(snapshot, ok, best)
            return
        if not self.usable:
            return
        bands, codes = self.bands, self._code
        for row in rows:
            kept = best.item(row)
            if not ok[row]:
                new = -1
            elif kept < 0 or kept >> self._shift:
                self._start(snapshot, ok, best)
                return
            else:
                new = kept if bands is None else kept + (bands.one(snapshot, row) << self._shift)
            old = codes.item(row)
            if old != new:
                self._move(old, new)
                codes[row] = new
        if len(self._cells) > MOST_BANDS:
            self.usable = False

    def _move(self, old: int, new: int) -> None:
        shift, cells = self._shift, self._cells
        low = (1 << shift) - 1
        if old >= 0:
            cell = cells[old >> shift]
            left = cell[old & low] - 1
            if left:
                cell[old & low] = left
            else:
                del cell[old & low]
                if not cell:
                    del cells[old >> shift]
            self.number -= 1
        if new >= 0:
            cell = cells.setdefault(new >> shift, {})
            cell[new & low] = cell.get(new & low, 0) + 1
            self.number += 1

    def choose(self, snapshot: Snapshot, weight: int, draw: Callable[[], float]) -> int:
        """A best row; draw, a number in [0, 1), breaks ties. weight: of the points. There is a feasible row."""
        shift, cells = self._shift, self._cells
        found = list(cells)
        points = None
        if self.bands is not None:
            points = self.bands.points(snapshot, found, self.number)
        high, ties = -1, 0
        winners: list[int] = []
        for at, band in enumerate(found):
            cell = cells[band]
            top = max(cell)
            total = top if points is None else top + weight * points[at]
            if total > high:
                high, ties, winners = total, cell[top], [(band << shift) + top]
            elif total == high:
                ties += cell[top]
                winners.append((band << shift) + top)
        codes = self._code
        mask = codes == winners[0]
        for code in winners[1:]:
            mask |= codes == code
        if ties == 1:
            return int(mask.argmax())
        return int(mask.nonzero()[0][int(draw() * ties)])
