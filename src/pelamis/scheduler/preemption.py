"""DefaultPreemption: when no node is feasible, which pods of lower priority have to go from where.

Only nodes whose rejection an eviction could lift are tried: at least 100 of them or a tenth, from a random one on. On
each, all pods of lower priority are taken away; if the pod then fits, as many as possible are put back, those whose
disruption budget would be broken first, the more important first. Of the nodes found, the best breaks the fewest
budgets; then has the lowest highest victim, the lowest sum of priorities, the fewest victims, the youngest victims.

Trying out is done on the columns themselves and undone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pelamis.api.policy.poddisruptionbudget import PodDisruptionBudget
from pelamis.base import labels
from pelamis.base.labels import Selector, SelectorError
from pelamis.scheduler.args import DefaultPreemptionArgs
from pelamis.scheduler.core import Decision, Diagnosis, judge
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import NodeInfo, Snapshot

NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
_PRIORITY_OFFSET = 2**31
_PREFIX = "preemption: "


@dataclass(frozen=True, slots=True)
class Preemption:
    """message: what users read, "" when it succeeds. nominated None = leave the nomination, "" = clear it.

    displaced: pods of lower priority that waited for the same node; they must look for another one.
    """

    message: str = ""
    nominated: str | None = None
    victims: tuple[PodInfo, ...] = ()
    displaced: tuple[PodInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """victims: most important first. violations: how many of them break a disruption budget."""

    node: NodeInfo
    victims: tuple[PodInfo, ...]
    violations: int


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
    rows = [int(r) for r in np.flatnonzero(why.resolvable)]
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
    rows: list[int],
    draw: Callable[[], float],
    args: DefaultPreemptionArgs,
) -> tuple[list[Candidate], Diagnosis]:
    result = Diagnosis(snapshot.size)
    wanted = max(len(rows) * args.minCandidateNodesPercentage // 100, args.minCandidateNodesAbsolute)
    start = int(draw() * len(rows)) if rows else 0
    free: list[Candidate] = []
    breaking: list[Candidate] = []
    budgets = [(b, _selector(b)) for b in snapshot.budgets.values()]
    for i in range(len(rows)):
        node = snapshot.nodes[rows[(start + i) % len(rows)]]
        tried = try_node(snapshot, plugins, info, node, budgets)
        if isinstance(tried, Candidate):
            (breaking if tried.violations else free).append(tried)
            # A node where no budget is broken is there, and enough have been looked at.
            if free and len(free) + len(breaking) >= wanted:
                break
            continue
        for reason, count in tried.items():
            result.count(reason, count)
    return free + breaking, result


def try_node(
    snapshot: Snapshot,
    plugins: Sequence[Plugin],
    info: PodInfo,
    node: NodeInfo,
    budgets: Sequence[tuple[PodDisruptionBudget, Selector]],
) -> Candidate | dict[str, int]:
    """The fewest victims that make room on the node, or why it cannot be made."""
    potential = [p for p in node.pods.values() if p.priority < info.priority]
    if not potential:
        return {NO_VICTIMS: 1}
    row = np.array([node.row], np.int64)
    for pod in potential:
        snapshot.remove_pod(pod.uid)
    victims: list[PodInfo] = []
    violations = 0
    away = {p.uid: p for p in potential}
    waiting = [
        p
        for p in snapshot.nominated.get(node.name, {}).values()
        if p.priority >= info.priority and p.uid != info.uid and p.uid not in snapshot.pods
    ]
    for pod in waiting:
        snapshot.add_pod(pod, node.name)
    try:
        why = Diagnosis(snapshot.size)
        if not judge(snapshot, plugins, info, row, why)[0]:
            return why.reasons
        potential.sort(key=importance)
        breaking, others = split_by_budget(potential, budgets)
        for group, breaks in ((breaking, 1), (others, 0)):
            for pod in group:
                snapshot.add_pod(pod, node.name)
                if judge(snapshot, plugins, info, row)[0]:
                    del away[pod.uid]
                else:
                    snapshot.remove_pod(pod.uid)
                    victims.append(pod)
                    violations += breaks
        victims.sort(key=importance)
        return Candidate(node, tuple(victims), violations)
    finally:
        for pod in waiting:
            snapshot.remove_pod(pod.uid)
        for pod in away.values():
            snapshot.add_pod(pod, node.name)


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
        own = pod.pod.metadata.labels
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
    """A node without victims needs nothing but time; else see the module's text."""

    def cost(candidate: Candidate) -> tuple[int, int, int, int, float]:
        victims = candidate.victims
        if not victims:
            return -1, 0, 0, 0, 0.0
        highest = victims[0].priority
        total = sum(v.priority + _PRIORITY_OFFSET for v in victims)
        earliest = min(v.start if v.start is not None else float("inf") for v in victims if v.priority == highest)
        return candidate.violations, highest, total, len(victims), -earliest

    return min(found, key=cost)
