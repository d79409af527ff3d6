"""DefaultPreemption: when no node is feasible, which pods of lower priority have to go from where.

Only nodes whose rejection an eviction could lift are tried: at least 100 of them or a tenth, from a random one on. On
each, all pods of lower priority are taken away; if the pod then fits, as many as possible are put back, those whose
disruption budget would be broken first, the more important first. Of the nodes found, the best breaks the fewest
budgets; then has the lowest highest victim, the lowest sum of priorities, the fewest victims, the youngest victims.

Trying out is done on the columns themselves and undone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from pelamis.api.policy.poddisruptionbudget import PodDisruptionBudget
from pelamis.base import labels
from pelamis.base.labels import Selector, SelectorError
from pelamis.scheduler.args import DefaultPreemptionArgs
from pelamis.scheduler.core import Decision, Diagnosis, alone, judge
from pelamis.scheduler.extension import CLUSTER, PODS_OF_ROW, Plugin
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import CPU, MEMORY, Ints, NodeInfo, Snapshot

NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
_PRIORITY_OFFSET = 2**31
_PREFIX = "preemption: "
_FREE, _BREAKING = 1, 2


@dataclass(frozen=True, slots=True)
class Preemption:
    """message: what users read, "" when it succeeds. nominated None = leave the nomination, "" = clear it.

    displaced: pods of lower priority that waited for the same node; they must look for another one.
    """

    message: str = ""
    nominated: str | None = None
    victims: tuple[PodInfo, ...] = ()
    displaced: tuple[PodInfo, ...] = ()


@dataclass(slots=True)
class Candidate:
    """victims: most important first. violations: how many of them break a disruption budget. cost: by ``choose``."""

    node: NodeInfo
    victims: tuple[PodInfo, ...]
    violations: int
    cost: tuple[int, int, int, int, float] | None = field(default=None, compare=False, repr=False)


Tried = Candidate | dict[str, int]
"""Or why it does not help: reasons, counted."""


def preempt(
    snapshot: Snapshot,
    plugins: Sequence[Plugin],
    info: PodInfo,
    decision: Decision,
    *,
    draw: Callable[[], float],
    args: DefaultPreemptionArgs = DefaultPreemptionArgs(),
) -> Preemption | None:
    """None: there is no node at all."""
    found = search(snapshot, plugins, info, decision, draw=draw, args=args)
    return found if isinstance(found, Preemption | None) else settle(snapshot, info, found)


def search(
    snapshot: Snapshot,
    plugins: Sequence[Plugin],
    info: PodInfo,
    decision: Decision,
    *,
    draw: Callable[[], float],
    args: DefaultPreemptionArgs = DefaultPreemptionArgs(),
) -> list[Candidate] | Preemption | None:
    """The first half of ``preempt``: where it would help; a Preemption says why nowhere. Extenders may narrow it."""
    why = decision.diagnosis
    if why is None or not why.nodes:
        return None
    refusal = _refusal(snapshot, info, why)
    if refusal:
        return Preemption(_PREFIX + refusal)
    assert why.resolvable is not None
    rows: Ints = np.flatnonzero(why.resolvable)
    found, result = _candidates(snapshot, plugins, info, rows, draw, args)
    if found:
        return found
    result.count(NOT_HELPFUL, snapshot.size - len(rows))
    return Preemption(_PREFIX + result.text(), nominated="")


def settle(snapshot: Snapshot, info: PodInfo, found: Sequence[Candidate]) -> Preemption:
    best = choose(found)
    waiting = snapshot.nominated.get(best.node.name, {}).values()
    displaced = tuple(p for p in waiting if p.priority < info.priority)
    return Preemption("", best.node.name, best.victims, displaced)


def _refusal(snapshot: Snapshot, info: PodInfo, why: Diagnosis) -> str:
    if info.pod.spec.preemptionPolicy == "Never":
        return NEVER
    name = snapshot.nominee(info.uid) or info.pod.status.nominatedNodeName
    node = snapshot.by_name.get(name) if name else None
    if node is not None:
        assert why.resolvable is not None
        # A node that eviction cannot help any more is left for another one.
        if why.resolvable[node.row]:
            for pod in node.pods.values():
                if pod.priority < info.priority and pod.terminating and _was_preempted(pod):
                    return TERMINATING
    return ""


def _was_preempted(pod: PodInfo) -> bool:
    return any(
        c.type == "DisruptionTarget" and c.status == "True" and c.reason == "PreemptionByScheduler"
        for c in pod.pod.status.conditions
    )


def _candidates(
    snapshot: Snapshot,
    plugins: Sequence[Plugin],
    info: PodInfo,
    rows: Ints,
    draw: Callable[[], float],
    args: DefaultPreemptionArgs,
) -> tuple[list[Candidate], Diagnosis]:
    wanted = max(len(rows) * args.minCandidateNodesPercentage // 100, args.minCandidateNodesAbsolute)
    start = int(draw() * len(rows)) if len(rows) else 0
    trial = Trial(snapshot, plugins, info)
    found = trial.search(np.concatenate((rows[start:], rows[:start])), wanted)
    result = Diagnosis(snapshot.size)
    if not found:
        for row in rows.tolist():
            for reason, count in trial.why(row).items():
                result.count(reason, count)
    return found, result


class Trial:
    """Tries nodes for one pod. What the pods of a node alone decide is remembered for like pods until they change."""

    def __init__(self, snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> None:
        self._snapshot = snapshot
        self._info = info
        self._plugins = plugins
        self._budgets = [(b, _selector(b)) for b in snapshot.budgets.values()]
        filters = [p for p in plugins if p.filter is not None]
        self._alone = alone(snapshot, plugins, info)
        self._again: Sequence[Plugin] = plugins
        self._fitted = any(p.name == "NodeResourcesFit" for p in filters)
        self._known: dict[int, Tried] = {}
        self._tried_at: Ints = np.full(snapshot.size, -1, np.int64)
        self._kinds: Ints = np.zeros(snapshot.size, np.int64)
        if self._alone:
            self._plugins = [p for p in filters if p.reads != CLUSTER]
            self._again = [p for p in filters if p.reads == PODS_OF_ROW]
            budgets = list(snapshot.budgets.values())
            key = ("victims", info.priority, id(plugins))
            kept = info.memo.get(key)
            if kept is None or kept[0] != snapshot.generation or not _same(kept[1], budgets):
                arrays = (self._known, self._tried_at, self._kinds)
                kept = info.memo[key] = (snapshot.generation, budgets, *arrays)
            self._known, self._tried_at, self._kinds = kept[2:]

    def search(self, rows: Ints, wanted: int) -> list[Candidate]:
        """In the order of the rows, until so many are found and one of them breaks no budget."""
        touched = self._snapshot.touched
        known = cast("dict[int, Candidate]", self._known)  # those that are looked up are
        out: list[Candidate] = []
        free, at = False, 0
        own = self._snapshot.by_name.get(self._snapshot.nominee(self._info.uid))
        if own is not None:
            self._tried_at[own.row] = -1  # what is known of it counts the pod besides itself
        # Between rows that have to be tried lie many of which all is known: these are passed over as a whole.
        for stop in (*np.flatnonzero(self._tried_at[rows] != touched[rows]).tolist(), len(rows)):
            kinds = self._kinds[rows[at:stop]]
            good = np.flatnonzero(kinds)
            enough = len(good)
            if len(out) + enough >= wanted:
                enough = max(wanted - len(out), 1)
                if not free:
                    first = np.flatnonzero(kinds[good] == _FREE)
                    enough = max(enough, int(first[0]) + 1) if len(first) else len(good) + 1
            out += [known[row] for row in rows[at:stop][good[:enough]].tolist()]
            if enough <= len(good) and len(out) >= wanted:
                return out
            free = free or bool((kinds == _FREE).any())
            if stop < len(rows):
                tried = self.of(int(rows[stop]))
                if isinstance(tried, Candidate):
                    out.append(tried)
                    free = free or not tried.violations
                    if free and len(out) >= wanted:
                        return out
            at = stop + 1
        return out

    def of(self, row: int) -> Tried:
        """The fewest victims that make room on the row's node, or why it cannot be made."""
        snapshot = self._snapshot
        node = snapshot.nodes[row]
        if not self._alone:
            found = self._known[row] = self._try(node, self._waiting(node))
            return found
        if node.name == snapshot.nominee(self._info.uid):
            self._known.pop(row, None)
            return self._quietly(node, self._waiting(node))
        now = snapshot.touched[row]
        if self._tried_at[row] == now:
            return self._known.get(row, {})
        waiting = self._waiting(node)
        if self._is_hopeless(node, waiting):
            self._known.pop(row, None)  # ``why`` looks closer, should anybody ask
            self._tried_at[row], self._kinds[row] = now, 0
            return {}
        found = self._known[row] = self._quietly(node, waiting)
        self._tried_at[row] = now
        self._kinds[row] = 0 if not isinstance(found, Candidate) else _BREAKING if found.violations else _FREE
        return found

    def why(self, row: int) -> dict[str, int]:
        """Of a row that does not help."""
        found = self._known.get(row)
        if found is None:
            node = self._snapshot.nodes[row]
            waiting = self._waiting(node)
            found = self._quietly(node, waiting) if self._alone else self._try(node, waiting)
        assert not isinstance(found, Candidate)
        return found

    def _is_hopeless(self, node: NodeInfo, waiting: Sequence[PodInfo]) -> bool:
        """Too little cpu or memory even if all went that may go: said without moving a pod."""
        if not self._fitted:
            return False
        snapshot, info, row = self._snapshot, self._info, node.row
        for column, name in ((CPU, "cpu"), (MEMORY, "memory")):
            wanted = info.requests.get(name, 0)
            free = int(snapshot.allocatable[column, row]) - int(snapshot.requested[column, row])
            if not wanted or wanted <= free - sum(p.requests.get(name, 0) for p in waiting):
                continue
            freed = sum(p.requests.get(name, 0) for p in node.pods.values() if p.priority < info.priority)
            if wanted > free + freed - sum(p.requests.get(name, 0) for p in waiting):
                return True
        return False

    def _waiting(self, node: NodeInfo) -> list[PodInfo]:
        snapshot, info = self._snapshot, self._info
        return [
            p
            for p in snapshot.nominated.get(node.name, {}).values()
            if p.priority >= info.priority and p.uid != info.uid and p.uid not in snapshot.pods
        ]

    def _quietly(self, node: NodeInfo, waiting: Sequence[PodInfo]) -> Tried:
        self._snapshot.trying = True
        try:
            return self._try(node, waiting)
        finally:
            self._snapshot.trying = False

    def _try(self, node: NodeInfo, waiting: Sequence[PodInfo]) -> Tried:
        snapshot, info = self._snapshot, self._info
        potential = [p for p in node.pods.values() if p.priority < info.priority]
        if not potential:
            return {NO_VICTIMS: 1}
        order = list(node.pods)
        for pod in potential:
            snapshot.remove_pod(pod.uid)
        victims: list[PodInfo] = []
        violations = 0
        away = {p.uid: p for p in potential}
        try:
            why = Diagnosis(snapshot.size)
            if not self._fits(node, self._plugins, waiting, why):
                return why.reasons
            potential.sort(key=importance)
            breaking, others = split_by_budget(potential, self._budgets)
            for group, breaks in ((breaking, 1), (others, 0)):
                for pod in group:
                    snapshot.add_pod(pod, node.name)
                    if self._fits(node, self._again, waiting, None):
                        del away[pod.uid]
                    else:
                        snapshot.remove_pod(pod.uid)
                        victims.append(pod)
                        violations += breaks
            victims.sort(key=importance)
            return Candidate(node, tuple(victims), violations)
        finally:
            for pod in away.values():
                snapshot.add_pod(pod, node.name)
            node.pods = {uid: node.pods[uid] for uid in order}  # pods of the same importance keep their order

    def _fits(
        self, node: NodeInfo, plugins: Sequence[Plugin], waiting: Sequence[PodInfo], why: Diagnosis | None
    ) -> bool:
        """With the pods that wait for the node there, and, as they may never come, without them."""
        snapshot, row = self._snapshot, np.array([node.row], np.int64)
        for pod in waiting:
            snapshot.add_pod(pod, node.name)
        try:
            fits = self._passes(plugins, row, why)
        finally:
            for pod in waiting:
                snapshot.remove_pod(pod.uid)
        return fits and (not waiting or self._passes(plugins, row, why))

    def _passes(self, plugins: Sequence[Plugin], row: Ints, why: Diagnosis | None) -> bool:
        if why is not None:
            return bool(judge(self._snapshot, plugins, self._info, row, why)[0])
        return not any(
            rejection.mask[0]
            for plugin in plugins
            if plugin.filter is not None
            for rejection in plugin.filter(self._snapshot, self._info, row)
        )


def _same(kept: Sequence[object], now: Sequence[object]) -> bool:
    return len(kept) == len(now) and all(a is b for a, b in zip(kept, now, strict=True))


def importance(pod: PodInfo) -> tuple[int, float]:
    """Sorts the most important first: higher priority, then longer running."""
    return -pod.priority, pod.start if pod.start is not None else float("inf")


def _selector(budget: PodDisruptionBudget) -> Selector:
    try:
        return labels.from_label_selector(budget.spec.selector)
    except SelectorError:
        return labels.NOTHING


def split_by_budget(
    pods: Sequence[PodInfo], budgets: Sequence[tuple[PodDisruptionBudget, Selector]]
) -> tuple[list[PodInfo], list[PodInfo]]:
    """Those whose eviction breaks a budget, and the others; evicting takes from the budgets as it goes."""
    left = [budget.status.disruptionsAllowed for budget, _ in budgets]
    breaking: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        breaks = False
        own = pod.labels
        for i, (budget, selector) in enumerate(budgets if own else ()):
            if budget.metadata.namespace != pod.namespace or selector.empty or not selector.matches(own):
                continue
            if pod.key[1] in budget.status.disruptedPods:
                continue  # counted already
            left[i] -= 1
            breaks = breaks or left[i] < 0
        (breaking if breaks else others).append(pod)
    return breaking, others


def choose(found: Sequence[Candidate]) -> Candidate:
    """See the module's text."""
    return min(found, key=_cost)


def _cost(candidate: Candidate) -> tuple[int, int, int, int, float]:
    """A node without victims needs nothing but time."""
    if candidate.cost is None:
        victims = candidate.victims
        candidate.cost = (-1, 0, 0, 0, 0.0)
        if victims:
            highest = victims[0].priority
            total = sum(v.priority + _PRIORITY_OFFSET for v in victims)
            starts = (v.start if v.start is not None else float("inf") for v in victims if v.priority == highest)
            candidate.cost = (candidate.violations, highest, total, len(victims), -min(starts))
    return candidate.cost
