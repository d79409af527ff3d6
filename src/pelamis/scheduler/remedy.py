"""The smallest change that would make a pod fit, found by trying.

``edit.edits`` lists changes that are conceivable for a pod and a node; deleting pods, a higher priority and a node more
come from here. Each is applied to the snapshot, every filter is asked again, and it is taken back. What makes a plugin
stop objecting is combined into plans, the plans are tried as a whole, and the cheapest of them are told. Only some
nodes of each kind are looked at: those where the least is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np

from pelamis.api.core.node import Node
from pelamis.api.core.pod.pod import Pod
from pelamis.api.field import Tree
from pelamis.base.quantity import parse
from pelamis.scheduler.core import Decision, find
from pelamis.scheduler.edit import CONDITIONS, Edit, applied, edits, made, shown, tree_of
from pelamis.scheduler.explain import Objection, Report, objections
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.podinfo import MILLI, PodInfo
from pelamis.scheduler.preemption import search, settle
from pelamis.scheduler.snapshot import NodeInfo, Snapshot

GROUPS, PER_GROUP = 6, 2
"""How many kinds of nodes are looked at, and how many nodes of each."""
CHOICES = 4
NEIGHBOURS = 16
"""More pods than this elsewhere are not proposed for deletion."""
COMBINATIONS = 64
_SYSTEM = 2_000_000_000
"""Priorities from here on are the system's own."""


class Remedy(NamedTuple):
    """edits: all of them together. node: where the pod then fits; nodes: on how many it does."""

    edits: tuple[Edit, ...]
    node: str
    nodes: int

    @property
    def cost(self) -> float:
        return sum(e.cost for e in self.edits) + 4 * (len(self.edits) - 1)

    @property
    def sorts(self) -> frozenset[str]:
        return frozenset(e.sort or e.text for e in self.edits)


def remedies(
    snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, report: Report, most: int = 4
) -> list[Remedy]:
    """The cheapest first; empty when the pod fits, or when nothing that was tried helps."""
    if report.feasible:
        return []
    found: dict[tuple[str, ...], Remedy] = {}
    for node in _representatives(snapshot, info, report):
        for remedy in _for_node(snapshot, plugins, info, node):
            key = tuple(e.text for e in remedy.edits)
            if key not in found:
                found[key] = remedy
    for remedy in _new_nodes(snapshot, plugins, info):
        found.setdefault(tuple(e.text for e in remedy.edits), remedy)
    for remedy in _by_priority(snapshot, plugins, info):
        found.setdefault(tuple(e.text for e in remedy.edits), remedy)
    ranked = sorted(found.values(), key=lambda r: (r.cost, -r.nodes, r.edits[0].text))
    out: list[Remedy] = []
    for remedy in ranked:
        if not any(other.sorts <= remedy.sorts for other in out):  # more of what helps already
            out.append(remedy)
    return out[:most]


# -- trying


def _against(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, node: NodeInfo) -> list[Objection]:
    return objections(snapshot, plugins, info, np.array([node.row], np.int64))[0]


def _helps(snapshot: Snapshot, plugin: Plugin, info: PodInfo, node: NodeInfo, edits: Sequence[Edit]) -> bool:
    with applied(snapshot, info, node, edits) as changed:
        return not _against(snapshot, (plugin,), changed, node)


def _for_node(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, node: NodeInfo) -> list[Remedy]:
    names = {o.plugin for o in _against(snapshot, plugins, info, node)}
    objecting = [p for p in plugins if p.name in names]
    conceivable = list(edits(snapshot, info, node))
    helping: list[list[tuple[Edit, ...]]] = []
    for plugin in objecting:
        own: list[tuple[Edit, ...]] = [(e,) for e in conceivable if _helps(snapshot, plugin, info, node, (e,))]
        victims = _victims(snapshot, plugin, info, node)
        if victims is not None:
            own.append((victims,))
        if not own:  # several things of one kind may be in the way: two taints, two labels
            own = _together(snapshot, plugin, info, node, conceivable)
        if not own:
            return []
        own.sort(key=lambda es: sum(e.cost for e in es))
        helping.append(own[:CHOICES])
    out = []
    for combination in islice(product(*helping), COMBINATIONS):
        plan = tuple(dict.fromkeys(e for part in combination for e in part))
        with applied(snapshot, info, node, plan) as changed:
            if _against(snapshot, plugins, changed, node):
                continue
            every = objections(snapshot, plugins, changed, np.arange(snapshot.size))
            out.append(Remedy(plan, node.name, sum(1 for each in every if not each)))
    return out


def _together(
    snapshot: Snapshot, plugin: Plugin, info: PodInfo, node: NodeInfo, conceivable: Sequence[Edit]
) -> list[tuple[Edit, ...]]:
    """All edits to the pod, or all to the node, as few of them as do."""
    out = []
    for pool in (
        [e for e in conceivable if e.pod is not None],
        [e for e in conceivable if e.node is not None],
        [e for e in conceivable if e.world is not None],
    ):
        kept = list(pool)
        if len(kept) < 2 or not _helps(snapshot, plugin, info, node, kept):
            continue
        for edit in sorted(pool, key=lambda e: -e.cost):
            fewer = [e for e in kept if e is not edit]
            if _helps(snapshot, plugin, info, node, fewer):
                kept = fewer
        out.append(tuple(kept))
    return out


def _representatives(snapshot: Snapshot, info: PodInfo, report: Report) -> Iterator[NodeInfo]:
    """Of each kind of node those that lack the least."""
    size = snapshot.size
    lacking = np.zeros(size, np.float64)
    for column, amount in snapshot.vector(info):
        if amount > 0:
            free = snapshot.allocatable[column, :size] - snapshot.requested[column, :size]
            lacking += np.maximum(amount - free, 0) / amount
    for group in report.groups[:GROUPS]:
        nodes = [snapshot.by_name[name] for name in group.names]
        nodes.sort(key=lambda n: (float(lacking[n.row]), n.name))
        yield from nodes[:PER_GROUP]


# -- deleting pods


def _removable(pod: PodInfo, info: PodInfo) -> bool:
    """What a DaemonSet or the node itself keeps there comes back; a pod of the same owner would only change places."""
    meta = pod.pod.metadata
    if "kubernetes.io/config.mirror" in meta.annotations:
        return False
    own = {r.uid for r in info.pod.metadata.ownerReferences if r.controller}
    return not any(r.controller and (r.kind in ("DaemonSet", "Node") or r.uid in own) for r in meta.ownerReferences)


def _victims(snapshot: Snapshot, plugin: Plugin, info: PodInfo, node: NodeInfo) -> Edit | None:
    """The fewest pods whose end makes the plugin content with the node; the less important first."""
    pods = [p for p in node.pods.values() if _removable(p, info)]

    def enough(gone: Sequence[PodInfo]) -> bool:
        edit = Edit("", 0, victims=tuple(p.uid for p in gone))
        return _helps(snapshot, plugin, info, node, (edit,))

    if not pods or not enough(pods):
        near = [p for p in _neighbours(snapshot, info, node) if p.uid not in node.pods and _removable(p, info)]
        pods += near
        if not near or len(near) > NEIGHBOURS or not enough(pods):
            return None
    pods.sort(key=lambda p: (p.namespace == "kube-system", p.priority, sum(p.requests.values())))
    alone = next((p for p in pods if enough((p,))), None)
    gone = [alone] if alone is not None else list(pods)
    if alone is None:
        for pod in sorted(pods, key=lambda p: (-p.priority, sum(p.requests.values()))):
            fewer = [p for p in gone if p is not pod]
            if enough(fewer):
                gone = fewer
    more_important = any(p.priority > info.priority or p.namespace == "kube-system" for p in gone)
    names = [f"{p.namespace}/{p.key[1]}" if p.namespace != info.namespace else p.key[1] for p in gone]
    frees = _freed(gone, info)
    text = f"delete {_few(names)} on {node.name}" if all(p.uid in node.pods for p in gone) else f"delete {_few(names)}"
    if frees:
        text += f" (frees {frees})"
    by_namespace: dict[str, list[str]] = {}
    for pod in gone:
        by_namespace.setdefault(pod.namespace, []).append(pod.key[1])
    command = " && ".join(f"kubectl delete pod -n {ns} {' '.join(sorted(own))}" for ns, own in by_namespace.items())
    cost = 4 + len(gone) + (10 if more_important else 0)
    return Edit(text, cost, command, "delete", victims=tuple(p.uid for p in gone))


def _neighbours(snapshot: Snapshot, info: PodInfo, node: NodeInfo) -> list[PodInfo]:
    """Pods elsewhere that keep this one away from the node by anti-affinity, from either side."""
    if not info.anti_affinity and not snapshot.terms["anti_affinity"]:
        return []
    out = []
    mine = info.pod.metadata.labels
    for pod in snapshot.pods.values():
        place = pod.node.node.metadata.labels if pod.node is not None else {}
        here = node.node.metadata.labels
        terms = [(t, pod.namespace, pod.pod.metadata.labels) for t in info.anti_affinity]
        terms += [(t, info.namespace, mine) for t in pod.anti_affinity]
        for term, namespace, own in terms:
            shared = term.topology_key in here and here[term.topology_key] == place.get(term.topology_key)
            if shared and snapshot.term_selects(term, namespace, own):
                out.append(pod)
                break
    return out


def _freed(gone: Sequence[PodInfo], info: PodInfo) -> str:
    parts = []
    for name in info.requests:
        amount = sum(p.requests.get(name, 0) for p in gone)
        if amount and name != "pods":
            parts.append(f"{shown(name, amount)} {name}")
    return ", ".join(parts)


def _few(names: Sequence[str], most: int = 4) -> str:
    if len(names) <= most:
        return ", ".join(names)
    return ", ".join(names[:most]) + f" and {len(names) - most} more"


# -- being more important


def _by_priority(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> Iterator[Remedy]:
    """Whom the pod would send away, were it more important than every pod of users."""
    others = [p.priority for p in snapshot.pods.values() if p.priority < _SYSTEM]
    wanted = max(others, default=0) + 1
    if wanted <= info.priority:
        return

    def raise_priority(tree: Tree) -> None:
        tree["spec"]["priority"] = wanted
        tree["spec"].pop("preemptionPolicy", None)

    tree = tree_of(info.pod)
    raise_priority(tree)
    raised = PodInfo(made(Pod, tree))
    _, why = find(snapshot, plugins, raised)
    tried = search(snapshot, plugins, raised, Decision("", why), draw=lambda: 0.0)
    if not isinstance(tried, list):
        return
    own = {r.uid for r in info.pod.metadata.ownerReferences if r.controller}
    tried = [
        c
        for c in tried
        if c.victims
        and not any(v.namespace == "kube-system" for v in c.victims)
        and not any(r.uid in own for v in c.victims for r in v.pod.metadata.ownerReferences)
    ]
    if not tried:
        return
    best = settle(snapshot, raised, tried)
    names = [v.key[1] if v.namespace == info.namespace else "/".join(v.key) for v in best.victims]
    above = max(v.priority for v in best.victims)
    where = best.nominated or ""
    text = f"give the pod a PriorityClass above {above}: it then takes the place of {_few(names)} on {where}"
    gone = tuple(v.uid for v in best.victims)
    yield Remedy((Edit(text, 8 + len(gone), "", "priority", pod=raise_priority, victims=gone),), where, 1)


# -- a node more


def _new_nodes(snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo) -> Iterator[Remedy]:
    """One more of each kind of node that there is, empty and healthy."""
    seen: set[Any] = set()
    for like in snapshot.nodes:
        node = like.node
        taints = [t for t in node.spec.taints if not t.key.startswith(CONDITIONS)]
        own = {k: v for k, v in node.metadata.labels.items() if v != like.name}
        kind = (tuple(sorted(own.items())), tuple(taints), tuple(sorted(node.status.allocatable.items())))
        if kind in seen:
            continue
        seen.add(kind)
        if len(seen) > GROUPS:
            return
        name = "a-new-node"
        renamed = {k: name if v == like.name else v for k, v in node.metadata.labels.items()}
        tree = tree_of(node)
        tree["metadata"] = {"name": name, "labels": renamed}
        tree["spec"] = {"taints": [tree_of(t) for t in taints]}
        snapshot.set_node(made(Node, tree))
        try:
            added = snapshot.by_name[name]
            if not _against(snapshot, plugins, PodInfo(info.pod), added):
                has = node.status.allocatable
                size = ", ".join(f"{_short(r, has[r])} {r}" for r in ("cpu", "memory") if r in has)
                yield Remedy((Edit(f"add a node like {like.name} ({size})", 9, sort="a node"),), name, 1)
        finally:
            snapshot.remove_node(name)


def _short(resource: str, quantity: Any) -> str:
    amount = parse(str(quantity)).nano
    return shown(resource, amount // MILLI if resource == "cpu" else amount // 1_000_000_000)
