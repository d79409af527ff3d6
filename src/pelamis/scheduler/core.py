"""One decision: filter, score, choose. Pure; the snapshot is only read, but for what is tried out and taken back.

Filters run plugin after plugin over all rows at once; a node counts under the first plugin that rejects it. Of the
feasible nodes every one is scored, none is left out by sampling: columns make that cheap. Pods nominated to a node with
at least the pod's priority are counted there as if they had arrived.

``find`` and ``choose`` are the halves of ``decide``; extenders (see ``extender``) have their say between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pelamis.scheduler.extension import CLUSTER, Plugin, Rejection, Rows, Verdict
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.sheet import Plan, Sheets
from pelamis.scheduler.snapshot import Ints, Mask, NodeInfo, Snapshot

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
        for rejection in rejections(plugin, snapshot, info, rows, alive):
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


def rejections(plugin: Plugin, snapshot: Snapshot, info: PodInfo, rows: Rows, alive: Mask) -> Iterable[Rejection]:
    """Of the rows given. alive: those that other plugins leave."""
    assert plugin.filter is not None
    idle = not plugin.dear or (plugin.idle is not None and plugin.idle(snapshot, info))
    if idle or alive.all():
        return plugin.filter(snapshot, info, rows)
    left = np.flatnonzero(alive) if isinstance(rows, slice) else rows[alive]
    return [_spread(rejection, alive) for rejection in plugin.filter(snapshot, info, left)]


def _spread(rejection: Rejection, alive: Mask) -> Rejection:
    mask = np.zeros(len(alive), np.bool_)
    mask[alive] = rejection.mask
    return rejection._replace(mask=mask)


def alone(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> bool:
    """Whether a node and the pods on it say all that there is to say about the pod and that node."""
    return all(
        p.filter is None or p.reads != CLUSTER or (p.idle is not None and p.idle(snapshot, info)) for p in plugins
    )


class _Nominated:
    """Whether nodes that others wait for take the pod besides these; remembered for like pods, where it can be."""

    def __init__(self, snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> None:
        self._snapshot, self._plugins, self._info = snapshot, plugins, info
        self._all = plugins
        self._alone = alone(snapshot, plugins, info)
        self._known: dict[int, tuple[int, bool]] = {}
        self._codes: Ints = np.empty(0, np.int64)
        self._verdicts: list[tuple[tuple[str, ...], tuple[str, ...], bool]] = []
        """Reasons, plugins, whether an eviction may help; ``_codes`` says which of them is a row's."""
        if self._alone:
            self._plugins = [p for p in plugins if p.filter is not None and p.reads != CLUSTER]
            key = ("nominated", info.priority, id(plugins))
            kept = info.memo.get(key)
            if kept is None or kept[0] != snapshot.generation:
                kept = info.memo[key] = (snapshot.generation, {}, np.zeros(snapshot.size, np.int64), [])
            self._known, self._codes, self._verdicts = kept[1:]

    def mask(self) -> Mask | None:
        """Of all rows; looks at those that have changed. None = it cannot be remembered."""
        if not self._alone:
            return None
        snapshot, memo = self._snapshot, self._info.memo
        key = ("besides", self._info.priority, id(self._all))
        kept = memo.get(key)
        changed = None
        if kept is not None and kept[0] == snapshot.generation:
            changed = snapshot.changed_since(kept[1])
            out: Mask = kept[2]
        if changed is None:
            out = np.ones(snapshot.size, np.bool_)
            changed = {node.row for name in snapshot.nominated if (node := snapshot.by_name.get(name)) is not None}
        for row in changed:
            node = snapshot.nodes[row]
            out[row] = node.name not in snapshot.nominated or self.judge(node, None, "")
        memo[key] = (snapshot.generation, snapshot.position, out)
        own = snapshot.by_name.get(snapshot.nominee(self._info.uid))
        if own is not None:
            out = out.copy()
            out[own.row] = self.judge(own, None)
        return out

    def judge(self, node: NodeInfo, why: Diagnosis | None, uid: str | None = None) -> bool:
        """uid: of the pod that does not count besides itself."""
        snapshot, info, row = self._snapshot, self._info, node.row
        mine = info.uid if uid is None else uid
        pods = [
            p
            for p in snapshot.nominated.get(node.name, {}).values()
            if p.priority >= info.priority and p.uid != mine and p.uid not in snapshot.pods
        ]
        if not pods:
            return True
        if not self._alone:
            return self._with(pods, node, why)
        if mine:  # what holds for one pod alone is not worth keeping
            return self._quietly(pods, node, why)
        kept = self._known.get(row)
        if kept is None or kept[0] != snapshot.touched[row]:
            own = Diagnosis(snapshot.size, resolvable=np.ones(snapshot.size, np.bool_))
            fits = self._quietly(pods, node, own)
            assert own.resolvable is not None
            verdict = (tuple(own.reasons), tuple(own.plugins), bool(own.resolvable[row]))
            if verdict not in self._verdicts:
                self._verdicts.append(verdict)
            self._codes[row] = self._verdicts.index(verdict)
            kept = self._known[row] = (snapshot.touched[row], fits)
        return kept[1]

    def explain(self, rows: Ints, why: Diagnosis) -> None:
        """Of rows that the mask leaves out."""
        own = self._snapshot.by_name.get(self._snapshot.nominee(self._info.uid))
        if own is not None and own.row in rows:
            rows = rows[rows != own.row]
            self.judge(own, why)
        codes = self._codes[rows]
        for code, number in enumerate(np.bincount(codes, minlength=1).tolist()):
            if number:
                reasons, plugins, resolvable = self._verdicts[code]
                for reason in reasons:
                    why.count(reason, number)
                why.plugins.update(plugins)
                if not resolvable and why.resolvable is not None:
                    why.resolvable[rows[codes == code]] = False

    def _quietly(self, pods: list[PodInfo], node: NodeInfo, why: Diagnosis | None) -> bool:
        self._snapshot.trying = True
        try:
            return self._with(pods, node, why)
        finally:
            self._snapshot.trying = False

    def _with(self, pods: list[PodInfo], node: NodeInfo, why: Diagnosis | None) -> bool:
        snapshot = self._snapshot
        for pod in pods:
            snapshot.add_pod(pod, node.name)
        try:
            return bool(judge(snapshot, self._plugins, self._info, np.array([node.row], np.int64), why)[0])
        finally:
            for pod in pods:
                snapshot.remove_pod(pod.uid)


def _with_nominated(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, alive: Mask, why: Diagnosis) -> None:
    """Nodes that others wait for are judged again with these on them."""
    besides = _Nominated(snapshot, plugins, info)
    mask = besides.mask()
    if mask is not None:
        rejected = np.flatnonzero(alive & ~mask)
        if len(rejected):
            besides.explain(rejected, why)
            alive &= mask
        return
    for name in list(snapshot.nominated):
        node = snapshot.by_name.get(name)
        if node is not None and alive[node.row] and not besides.judge(node, why):
            alive[node.row] = False


def restrict(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> tuple[Rows, Diagnosis]:
    """What ``before`` leaves to look at; an empty array when it rejects the pod."""
    return _restricted(snapshot, _verdicts(snapshot, plugins, info))


def _verdicts(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> list[tuple[Plugin, Verdict]]:
    """What ``before`` says, up to the first that rejects the pod."""
    out = []
    for plugin in plugins:
        if plugin.before is not None and (verdict := plugin.before(snapshot, info)) is not None:
            out.append((plugin, verdict))
            if verdict.message:
                break
    return out


def _restricted(snapshot: Snapshot, verdicts: Sequence[tuple[Plugin, Verdict]]) -> tuple[Rows, Diagnosis]:
    size = snapshot.size
    why = Diagnosis(size, resolvable=np.ones(size, np.bool_))
    names: frozenset[str] | None = None
    by: list[str] = []
    for plugin, verdict in verdicts:
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
        if snapshot.sheets is None:
            snapshot.sheets = Sheets()
        plan = snapshot.sheets.plan(plugins)
        nominated = snapshot.nominee(info.uid)
        own = snapshot.by_name.get(nominated) if nominated else None
        if own is not None and _keeps(snapshot, plugins, info, own.row):
            return Decision(nominated, feasible=1)
        verdicts = _verdicts(snapshot, plan.before, info)
        rows, why = _restricted(snapshot, verdicts) if verdicts else (slice(0, snapshot.size), None)
        if why is None or isinstance(rows, slice) or len(rows) > _FEW:
            found = _known(snapshot, plan, info, rows, draw)
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
    rows, _ = restrict(snapshot, plugins, info)
    if not isinstance(rows, slice) and row not in rows:
        return False
    alive = judge(snapshot, plugins, info, np.array([row], np.int64))
    return bool(alive[0]) and _Nominated(snapshot, plugins, info).judge(snapshot.nodes[row], None)


def _known(snapshot: Snapshot, plan: Plan, info: PodInfo, rows: Rows, draw: Callable[[], float]) -> Decision | None:
    """None: no node is feasible; why not is not worked out here."""
    plugins = plan.plugins
    leaf = snapshot.sheets.of(snapshot, plan, info)
    sheet = leaf.sheet
    asked = [p for p in plan.asked if p.idle is None or not p.idle(snapshot, info)]
    if not asked and not snapshot.nominated and isinstance(rows, slice):
        stands = leaf.standing(plan, snapshot, info)
        if stands is not None:
            standing, weight = stands
            if not standing.number:
                return None
            row = standing.choose(snapshot, weight, draw)
            return Decision(snapshot.nodes[row].name, feasible=standing.number)
    size = snapshot.size
    alive = sheet.ok
    if not isinstance(rows, slice):
        only = np.zeros(size, np.bool_)
        only[rows] = True
        alive = alive & only
    for plugin in asked:
        for rejection in rejections(plugin, snapshot, info, slice(0, size), alive):
            alive = alive & ~rejection.mask
    if snapshot.nominated:
        besides = _Nominated(snapshot, plugins, info).mask()
        if besides is not None:
            alive = alive & besides
        else:
            if alive is sheet.ok:
                alive = alive.copy()
            _with_nominated(snapshot, plugins, info, alive, Diagnosis(size))
    number = int(np.count_nonzero(alive))
    if number <= 1:
        return Decision(snapshot.nodes[int(alive.argmax())].name, feasible=1) if number else None
    found = None if number == size else np.flatnonzero(alive)
    total = leaf.total(plan, snapshot, info, found)
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
