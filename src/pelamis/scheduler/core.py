"""One decision: filter, score, choose. Pure; the snapshot is only read, but for what is tried out and taken back.

Filters run plugin after plugin over all rows at once; a node counts under the first plugin that rejects it. Of the
feasible nodes every one is scored, none is left out by sampling: columns make that cheap. Pods nominated to a node with
at least the pod's priority are counted there as if they had arrived.

``find`` and ``choose`` are the halves of ``decide``; extenders (see ``extender``) have their say between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pelamis.scheduler.extension import Plugin, Rows
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.sheet import Sheets
from pelamis.scheduler.snapshot import Ints, Mask, Snapshot

_FEW = 64
"""So many named nodes are looked at by themselves."""
NO_NODES = "no nodes available to schedule pods"


@dataclass(slots=True)
class Diagnosis:
    """Why no node is feasible. reasons: text to number of nodes; plugins: who rejected.

    resolvable: rows that an eviction may help.
    """

    nodes: int
    reasons: dict[str, int] = field(default_factory=dict)
    plugins: set[str] = field(default_factory=set)
    message: str = ""
    resolvable: Mask | None = None

    def count(self, reason: str, nodes: int) -> None:
        if nodes:
            self.reasons[reason] = self.reasons.get(reason, 0) + nodes

    def text(self, after: str = "") -> str:
        """As users read it, e.g. ``0/3 nodes are available: 3 Insufficient cpu.``; after: what preemption found."""
        out = f"0/{self.nodes} nodes are available:"
        if self.message:
            out += f" {self.message}."
        elif self.reasons:
            out += " " + ", ".join(sorted(f"{n} {reason}" for reason, n in self.reasons.items())) + "."
        return f"{out} {after}" if after else out


@dataclass(frozen=True, slots=True)
class Decision:
    """node "": none is feasible, see ``diagnosis``."""

    node: str
    diagnosis: Diagnosis | None = None
    feasible: int = 0


def judge(
    snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, rows: Rows, diagnosis: Diagnosis | None = None
) -> Mask:
    """Which of the rows pass all filters. The rejections are counted into ``diagnosis``."""
    count = snapshot.size if isinstance(rows, slice) else len(rows)
    alive = np.ones(count, np.bool_)
    for plugin in plugins:
        if plugin.filter is None:
            continue
        rejected: Mask | None = None
        for rejection in plugin.filter(snapshot, info, rows):
            mask = rejection.mask & alive
            number = int(np.count_nonzero(mask))
            if not number:
                continue
            if diagnosis is not None:
                diagnosis.count(rejection.reason, number)
                diagnosis.plugins.add(plugin.name)
                if not rejection.resolvable and diagnosis.resolvable is not None:
                    diagnosis.resolvable[rows] &= ~mask
            rejected = mask if rejected is None else rejected | mask
        if rejected is not None:
            alive &= ~rejected
            if not alive.any():
                break
    return alive


def _with_nominated(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, alive: Mask, why: Diagnosis) -> None:
    """Nodes that others wait for are judged again with these on them."""
    for name, waiting in list(snapshot.nominated.items()):
        node = snapshot.by_name.get(name)
        if node is None or not alive[node.row]:
            continue
        pods = [p for p in waiting.values() if p.priority >= info.priority and p.uid != info.uid]
        pods = [p for p in pods if p.uid not in snapshot.pods]
        if not pods:
            continue
        for pod in pods:
            snapshot.add_pod(pod, name)
        alive[node.row] = judge(snapshot, plugins, info, np.array([node.row], np.int64), why)[0]
        for pod in pods:
            snapshot.remove_pod(pod.uid)


def restrict(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> tuple[Rows, Diagnosis]:
    """What ``before`` leaves to look at; an empty array when it rejects the pod."""
    size = snapshot.size
    why = Diagnosis(size, resolvable=np.ones(size, np.bool_))
    names: frozenset[str] | None = None
    by: list[str] = []
    for plugin in plugins:
        verdict = plugin.before(snapshot, info) if plugin.before is not None else None
        if verdict is None:
            continue
        if verdict.message:
            why.message = verdict.message
            why.plugins.add(plugin.name)
            if not verdict.resolvable:
                why.resolvable = np.zeros(size, np.bool_)
            return np.empty(0, np.int64), why
        if verdict.nodes is not None:
            names = verdict.nodes if names is None else names & verdict.nodes
            by.append(plugin.name)
            if not names:
                shown = " ".join(sorted(by))
                why.message = f"node(s) didn't satisfy plugin(s) [{shown}] simultaneously"
                if len(by) == 1:
                    why.message = f"node(s) didn't satisfy plugin {shown}"
                why.plugins.update(by)
                why.resolvable = np.zeros(size, np.bool_)
                return np.empty(0, np.int64), why
    if names is None:
        return slice(0, size), why
    rows = np.array(sorted(snapshot.by_name[n].row for n in names if n in snapshot.by_name), np.int64)
    assert why.resolvable is not None
    why.resolvable[:] = False
    why.resolvable[rows] = True
    left_out = size - len(rows)
    if left_out:
        why.count(f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(by))}]", left_out)
        why.plugins.update(by)
    return rows, why


def find(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> tuple[Ints, Diagnosis]:
    """The rows that pass all filters, and why the others do not."""
    size = snapshot.size
    none: Ints = np.empty(0, np.int64)
    if not size:
        # NodeName stands for what any node that comes may help.
        return none, Diagnosis(0, plugins={"NodeName"}, message=NO_NODES)
    rows, why = restrict(snapshot, plugins, info)
    if not isinstance(rows, slice) and not len(rows):
        return none, why
    judged = judge(snapshot, plugins, info, rows, why)
    if isinstance(rows, slice):
        alive = judged
    else:
        alive = np.zeros(size, np.bool_)
        alive[rows] = judged
    if snapshot.nominated:
        _with_nominated(snapshot, plugins, info, alive, why)
    found: Ints = np.flatnonzero(alive)
    return found, why


def choose(
    snapshot: Snapshot,
    plugins: Sequence[Plugin],
    info: PodInfo,
    found: Ints,
    *,
    draw: Callable[[], float],
    more: Ints | None = None,
) -> Decision:
    """The best of the feasible rows; the node that the pod is nominated to, when it is among them.

    draw: a number in [0, 1) that breaks ties. more: what extenders add to the scores.
    """
    number = len(found)
    nominated = snapshot.nominee(info.uid)
    if nominated and (own := snapshot.by_name.get(nominated)) is not None and own.row in found:
        return Decision(nominated, feasible=number)
    if number == 1:
        return Decision(snapshot.nodes[int(found[0])].name, feasible=1)
    total = score(snapshot, plugins, info, slice(0, number) if number == snapshot.size else found)
    if more is not None:
        total = total + more
    best: Ints = np.flatnonzero(total == total.max())
    pick = int(draw() * len(best)) if len(best) > 1 else 0
    return Decision(snapshot.nodes[int(found[best[pick]])].name, feasible=number)


def decide(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, *, draw: Callable[[], float]) -> Decision:
    """As ``find`` and ``choose``, which work everything out anew; here what is known of like pods is used."""
    if snapshot.size:
        nominated = snapshot.nominee(info.uid)
        own = snapshot.by_name.get(nominated) if nominated else None
        if own is not None and _keeps(snapshot, plugins, info, own.row):
            return Decision(nominated, feasible=1)
        rows, why = restrict(snapshot, plugins, info)
        if isinstance(rows, slice) or len(rows) > _FEW:
            found = _known(snapshot, plugins, info, rows, draw)
            if found is not None:
                return found
        elif not len(rows):
            return Decision("", why)
        elif not snapshot.nominated:
            alive = judge(snapshot, plugins, info, rows, why)
            return choose(snapshot, plugins, info, rows[alive], draw=draw) if alive.any() else Decision("", why)
    feasible, why = find(snapshot, plugins, info)
    if not len(feasible):
        return Decision("", why)
    return choose(snapshot, plugins, info, feasible, draw=draw)


def _keeps(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, row: int) -> bool:
    """Whether the node that the pod waits for takes it now."""
    rows, why = restrict(snapshot, plugins, info)
    if not isinstance(rows, slice) and row not in rows:
        return False
    alive = judge(snapshot, plugins, info, np.array([row], np.int64))
    if not alive[0]:
        return False
    mask = np.zeros(snapshot.size, np.bool_)
    mask[row] = True
    _with_nominated(snapshot, plugins, info, mask, why)
    return bool(mask[row])


def _known(
    snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, rows: Rows, draw: Callable[[], float]
) -> Decision | None:
    """None: no node is feasible; why not is not worked out here."""
    if snapshot.sheets is None:
        snapshot.sheets = Sheets()
    sheet = snapshot.sheets.of(snapshot, plugins, info)
    size = snapshot.size
    alive = sheet.ok
    for plugin in sheet.asked:
        assert plugin.filter is not None
        for rejection in plugin.filter(snapshot, info, slice(0, size)):
            alive = alive & ~rejection.mask
    if not isinstance(rows, slice):
        only = np.zeros(size, np.bool_)
        only[rows] = True
        alive = alive & only
    if snapshot.nominated:
        if alive is sheet.ok:
            alive = alive.copy()
        _with_nominated(snapshot, plugins, info, alive, Diagnosis(size))
    number = int(np.count_nonzero(alive))
    if number <= 1:
        return Decision(snapshot.nodes[int(alive.argmax())].name, feasible=1) if number else None
    found = None if number == size else np.flatnonzero(alive)
    total = sheet.total(snapshot, info, found)
    if total is None:
        total = sheet.best if found is None or alive is sheet.ok else sheet.best[found]
        if alive is sheet.ok:
            found = None
    best = np.flatnonzero(total == total.max())
    at = int(best[int(draw() * len(best)) if len(best) > 1 else 0])
    return Decision(snapshot.nodes[at if found is None else int(found[at])].name, feasible=number)


def score(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, rows: Rows) -> Ints:
    total: Ints = np.zeros(snapshot.size if isinstance(rows, slice) else len(rows), np.int64)
    for plugin in plugins:
        if plugin.score is not None:
            own = plugin.score(snapshot, info, rows)
            if own is not None:
                total += own * plugin.weight if plugin.weight != 1 else own
    return total
