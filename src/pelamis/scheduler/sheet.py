"""What was worked out for a kind of pod, kept: so that a decision looks only at the rows that have changed.

Pods of one template differ in name alone. Their *signature* is all that the plugins read of a pod besides its volumes;
the part of it that says what a pod asks of its node by itself, its *demands*, is often that of many templates. For each
kind of demands a *sheet* keeps, over all rows: who passes the filters that read nodes and the pods on a row, and what
the scores of such plugins add up to. The snapshot notes the row of each pod that comes or goes; a sheet brings these
rows up to date when it is next used, and starts anew when a node has changed.

For each signature a *leaf* of the sheet keeps in ``memo`` what plugins that read the cluster as a whole (spreading,
affinity, volumes) have prepared. These are asked each time; where all that they have to say is said by bands, the rows'
*standing* is kept too, and a decision looks at no array but one.

The answers are the same as without sheets: ``core.find`` and ``core.score``, which know nothing of them, are the
reference that the tests compare with.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from pelamis.scheduler.extension import CLUSTER, NODE, PODS_OF_ROW, Plugin, Rows
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Mask, Snapshot
from pelamis.scheduler.standing import Standing

SHEETS, SHEETS_BYTES = 48, 2**26
"""How many leaves are kept at least; as many as fit into so much memory, if each had a sheet of its own."""
_ROW_BYTES = 28
_FEW = 8
"""So many changed rows are looked at one by one."""


class Watched(tuple[Plugin, ...]):
    """Plugins that answer as those ``of`` which they are made, with a stopwatch: they share their sheets."""

    of: Sequence[Plugin]

    @classmethod
    def made(cls, plugins: Iterable[Plugin], of: Sequence[Plugin]) -> Watched:
        out = cls(plugins)
        out.of = of
        return out


class Plan:
    """The plugins of a profile by what they read, and whether changed rows can be looked at one by one."""

    __slots__ = ("asked", "before", "by_demands", "by_node", "by_row", "one_by_one", "plugins", "scores", "sheets")

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = plugins
        self.before = tuple(p for p in plugins if p.before is not None)
        self.by_node = tuple(p for p in plugins if p.reads == NODE)
        self.by_row = tuple(p for p in plugins if p.reads == PODS_OF_ROW)
        self.asked = tuple(p for p in plugins if p.reads == CLUSTER and p.filter is not None)
        self.scores = tuple(p for p in plugins if p.reads == CLUSTER and p.score is not None)
        self.one_by_one = all(
            (p.filter is None or p.passes is not None) and (p.score is None or p.points is not None)
            for p in self.by_row
        )
        self.by_demands = all(p.demands_only for p in (*self.by_node, *self.by_row))
        self.sheets = id(plugins.of if isinstance(plugins, Watched) else plugins)
        """Says whose sheets these are."""


class Sheet:
    """ok: rows that pass the kept filters. best: the kept scores of these, -1 for the others."""

    __slots__ = ("__weakref__", "_fixed", "_of_nodes", "_position", "best", "generation", "normalized", "ok")

    def __init__(self) -> None:
        self.generation = -1
        self._position = -1
        self.ok: Mask = np.empty(0, np.bool_)
        self.best: Ints = np.empty(0, np.int64)
        self._of_nodes: Mask = self.ok
        self._fixed: Ints | None = None
        self.normalized: list[tuple[Plugin, Ints]] = []
        """Plugins whose scores are looked at together, with their raw scores; without those that give all rows 0."""

    def update(self, plan: Plan, snapshot: Snapshot, info: PodInfo) -> None:
        if self.generation != snapshot.generation:
            self._start(plan, snapshot, info)
            return
        position = snapshot.position
        if position == self._position:
            return
        rows = snapshot.changed_since(self._position)
        self._position = position
        if rows is None or len(rows) * 4 > snapshot.size:
            self._refresh(plan, snapshot, info, slice(0, snapshot.size))
        elif len(rows) <= _FEW and plan.one_by_one:
            for row in rows:
                self._refresh_one(plan, snapshot, info, row)
        else:
            self._refresh(plan, snapshot, info, np.array(list(rows), np.int64))

    def _start(self, plan: Plan, snapshot: Snapshot, info: PodInfo) -> None:
        size = snapshot.size
        rows = slice(0, size)
        self.generation, self._position = snapshot.generation, snapshot.position
        self._of_nodes = np.ones(size, np.bool_)
        self._fixed = None
        self.normalized = []
        for plugin in plan.by_node:
            for rejection in plugin.filter(snapshot, info, rows) if plugin.filter is not None else ():
                self._of_nodes &= ~rejection.mask
            if plugin.score is None:
                continue
            if plugin.normalize is not None and plugin.raw is not None:
                raw = plugin.raw(snapshot, info, rows)
                if raw is not None and raw.any():
                    self.normalized.append((plugin, raw))
            elif (own := plugin.score(snapshot, info, rows)) is not None:
                own = own * plugin.weight
                self._fixed = own if self._fixed is None else self._fixed + own
        self.ok = np.empty(size, np.bool_)
        self.best = np.empty(size, np.int64)
        self._refresh(plan, snapshot, info, rows)

    def _refresh_one(self, plan: Plan, snapshot: Snapshot, info: PodInfo, row: int) -> None:
        """As ``_refresh`` of a few rows."""
        total = -1
        if self._of_nodes[row]:
            total = 0 if self._fixed is None else self._fixed.item(row)
            for plugin in plan.by_row:
                if plugin.filter is not None:
                    assert plugin.passes is not None
                    if not plugin.passes(snapshot, info, row):
                        total = -1
                        break
                if plugin.score is not None:
                    assert plugin.points is not None
                    total += plugin.points(snapshot, info, row) * plugin.weight
        self.ok[row] = total >= 0
        self.best[row] = total

    def _refresh(self, plan: Plan, snapshot: Snapshot, info: PodInfo, rows: Rows) -> None:
        ok = self._of_nodes[rows]
        total: Ints = np.zeros(len(ok), np.int64) if self._fixed is None else self._fixed[rows]
        if isinstance(rows, slice):
            ok, total = ok.copy(), total.copy()
        for plugin in plan.by_row:
            if plugin.filter is not None:
                for rejection in plugin.filter(snapshot, info, rows):
                    ok &= ~rejection.mask
            if plugin.score is not None and (own := plugin.score(snapshot, info, rows)) is not None:
                total += own * plugin.weight if plugin.weight != 1 else own
        self.ok[rows] = ok
        total[~ok] = -1
        self.best[rows] = total


class Leaf:
    """What a sheet does not share with other signatures. memo: of plugins; ``PodInfo.memo`` of the pod in question."""

    __slots__ = ("_generation", "_position", "_standing", "memo", "sheet")

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.memo: dict[Any, Any] = {}
        self._generation = -1
        self._position = -1
        self._standing: Standing | None = None

    def update(self, plan: Plan, snapshot: Snapshot, info: PodInfo) -> None:
        """And the sheet."""
        if self._generation != snapshot.generation:
            self._generation = snapshot.generation
            self._standing = None
            self.memo.clear()
        sheet, standing, position = self.sheet, self._standing, snapshot.position
        sheet.update(plan, snapshot, info)
        if standing is not None and position != self._position:
            standing.update(snapshot, sheet.ok, sheet.best, snapshot.changed_since(self._position))
        self._position = position

    def standing(self, plan: Plan, snapshot: Snapshot, info: PodInfo) -> tuple[Standing, int] | None:
        """And the weight of its points. None: ``total`` alone says what the scores are."""
        if self.sheet.normalized:
            return None
        speaks: Plugin | None = None
        for plugin in plan.scores:
            if plugin.silent is None or not plugin.silent(snapshot, info):
                if plugin.bands is None or speaks is not None:
                    return None
                speaks = plugin
        bands, weight = None, 0
        if speaks is not None and speaks.bands is not None:
            bands, weight = speaks.bands(snapshot, info), speaks.weight
            if bands is None:
                return None
        standing = self._standing
        if standing is None or standing.bands is not bands:
            standing = self._standing = Standing(bands, snapshot, self.sheet.ok, self.sheet.best)
        return (standing, weight) if standing.usable else None

    def total(self, plan: Plan, snapshot: Snapshot, info: PodInfo, found: Ints | None) -> Ints | None:
        """The scores of the rows found; found None = all rows. None: ``best`` says it all."""
        sheet = self.sheet
        rows: Rows = slice(0, snapshot.size) if found is None else found
        out: Ints | None = None
        for plugin, raw in sheet.normalized:
            assert plugin.normalize is not None
            own = plugin.normalize(raw[rows])
            if own is not None:
                out = sheet.best[rows] + own * plugin.weight if out is None else out + own * plugin.weight
        for plugin in plan.scores:
            assert plugin.score is not None
            own = plugin.score(snapshot, info, rows)
            if own is not None:
                if plugin.weight != 1:
                    own *= plugin.weight
                if out is None:
                    own += sheet.best[rows]
                    out = own
                else:
                    out += own
        return out


class Sheets:
    """Of one snapshot, by plugins and signature; the leaves used longest ago are forgotten, with the sheets of none."""

    def __init__(self) -> None:
        self._leaves: OrderedDict[tuple[int, bytes], Leaf] = OrderedDict()
        self._sheets: WeakValueDictionary[tuple[int, bytes], Sheet] = WeakValueDictionary()
        self._plans: dict[int, Plan] = {}

    def plan(self, plugins: Sequence[Plugin]) -> Plan:
        plan = self._plans.get(id(plugins))
        if plan is None:
            plan = self._plans[id(plugins)] = Plan(plugins)  # holds them, so that no others get their id
        return plan

    def of(self, snapshot: Snapshot, plan: Plan, info: PodInfo) -> Leaf:
        """Up to date, and its memo is the pod's."""
        key = (plan.sheets, info.signature)
        leaf = self._leaves.get(key)
        if leaf is None:
            leaf = self._leaves[key] = Leaf(self._sheet(plan, info))
            if len(self._leaves) > max(SHEETS, SHEETS_BYTES // (_ROW_BYTES * max(snapshot.size, 64))):
                self._leaves.popitem(last=False)
        else:
            self._leaves.move_to_end(key)
        info.memo = leaf.memo
        leaf.update(plan, snapshot, info)
        return leaf

    def _sheet(self, plan: Plan, info: PodInfo) -> Sheet:
        key = (plan.sheets, info.demands if plan.by_demands else info.signature)
        sheet = self._sheets.get(key)
        if sheet is None:
            sheet = self._sheets[key] = Sheet()
        return sheet
