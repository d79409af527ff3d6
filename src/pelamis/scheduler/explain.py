"""Why a pod is where it is, or nowhere: each plugin's verdict and score for each node.

The scheduler stops at a node's first rejection; here every filter is asked about every node, so that all that is in the
way is seen at once. Scores are worked out among the nodes that pass, as for a decision. Pure; the snapshot is as it was
afterwards. ``remedy`` finds what would have to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from pelamis.api.core.pod.pod import Pod
from pelamis.scheduler.core import decide
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Snapshot


class Objection(NamedTuple):
    """resolvable: the removal of pods from the node could lift it."""

    plugin: str
    reason: str
    resolvable: bool = True


class Score(NamedTuple):
    """raw: 0 to 100; None = the plugin has no opinion on the pod."""

    plugin: str
    raw: int | None
    weight: int

    @property
    def weighted(self) -> int:
        return (self.raw or 0) * self.weight


class NodeReport(NamedTuple):
    name: str
    objections: tuple[Objection, ...]
    scores: tuple[Score, ...] = ()

    @property
    def total(self) -> int:
        return sum(s.weighted for s in self.scores)


class Group(NamedTuple):
    """Nodes to which the same is objected."""

    objections: tuple[Objection, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """node: where the pod is, "" = nowhere. objection: to the pod as a whole, whatever the node.

    nodes: those that pass first, by falling score; then by how much is in the way. message: the scheduler's own.
    """

    node: str
    nodes: tuple[NodeReport, ...]
    objection: Objection | None
    message: str

    @property
    def feasible(self) -> tuple[NodeReport, ...]:
        return tuple(n for n in self.nodes if not n.objections)

    @property
    def groups(self) -> list[Group]:
        """Of the nodes that do not pass; few objections first, then many nodes."""
        by: dict[tuple[Objection, ...], list[str]] = {}
        for node in self.nodes:
            if node.objections:
                by.setdefault(node.objections, []).append(node.name)
        found = [Group(objections, tuple(names)) for objections, names in by.items()]
        return sorted(found, key=lambda g: (len(g.objections), -len(g.names), g.names[0]))


def objections(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, rows: Ints) -> list[list[Objection]]:
    """For each row, what every plugin objects to."""
    out: list[list[Objection]] = [[] for _ in range(len(rows))]
    for plugin in plugins:
        rejected = np.zeros(len(rows), np.bool_)
        if plugin.filter is not None:
            for rejection in plugin.filter(snapshot, info, rows):
                for i in np.flatnonzero(rejection.mask).tolist():
                    out[i].append(Objection(plugin.name, rejection.reason, rejection.resolvable))
                rejected |= rejection.mask
        if plugin.before is not None:
            verdict = plugin.before(snapshot, info)
            if verdict is not None and verdict.nodes is not None:
                only = verdict.nodes
                for i, row in enumerate(rows):
                    if not rejected[i] and snapshot.nodes[int(row)].name not in only:
                        reason = f"node(s) didn't satisfy plugin(s) [{plugin.name}]"
                        out[i].append(Objection(plugin.name, reason, False))
            elif verdict is not None and verdict.message:
                for each in out:
                    each.append(Objection(plugin.name, verdict.message, verdict.resolvable))
    return [[*dict.fromkeys(each)] for each in out]


def overall(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> Objection | None:
    """The first objection to the pod whatever the node."""
    for plugin in plugins:
        verdict = plugin.before(snapshot, info) if plugin.before is not None else None
        if verdict is not None and verdict.message:
            return Objection(plugin.name, verdict.message, verdict.resolvable)
    return None


def explain(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> Report:
    """A pod that is on a node already is judged as if it had to be placed now."""
    there = snapshot.pods.get(info.uid)
    where = info.pod.spec.nodeName
    if there is not None:
        snapshot.remove_pod(info.uid)
    free = PodInfo(_unplaced(info))
    try:
        return _explain(snapshot, plugins, free, where)
    finally:
        if there is not None:
            snapshot.add_pod(there, where)


def _unplaced(info: PodInfo) -> Pod:
    return msgspec.structs.replace(info.pod, spec=msgspec.structs.replace(info.pod.spec, nodeName=""))


def _explain(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, where: str) -> Report:
    every: Ints = np.arange(snapshot.size)
    against = objections(snapshot, plugins, info, every) if snapshot.size else []
    passing: Ints = np.array([row for row, found in enumerate(against) if not found], np.int64)
    scores: dict[int, list[Score]] = {int(row): [] for row in passing}
    for plugin in plugins:
        if plugin.score is None or not len(passing):
            continue
        points = plugin.score(snapshot, info, passing)
        for place, row in enumerate(passing.tolist()):
            raw = None if points is None else int(points[place])
            scores[row].append(Score(plugin.name, raw, plugin.weight))
    reports = [
        NodeReport(node.name, tuple(against[node.row]), tuple(scores.get(node.row, ()))) for node in snapshot.nodes
    ]
    reports.sort(key=lambda n: (len(n.objections), -n.total, n.name))
    message = ""
    if not len(passing):
        diagnosis = decide(snapshot, plugins, info, draw=lambda: 0.0).diagnosis
        message = (
            diagnosis.text() if diagnosis is not None and diagnosis.nodes else "no nodes available to schedule pods"
        )
    return Report(where, tuple(reports), overall(snapshot, plugins, info), message)
