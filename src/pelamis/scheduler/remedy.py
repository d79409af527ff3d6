"""The smallest change that would make a pod fit, found by trying.

``edits`` lists changes that are conceivable for a pod and a node: to the pod (tolerate a taint, request less, drop a
rule), to the node (uncordon, label), to what runs there (delete pods), to the cluster (a claim, a volume, a node more).
None of them knows the plugins: each is applied to the snapshot, every filter is asked again, and it is taken back. What
makes a plugin stop objecting is combined into plans, the plans are tried as a whole, and the cheapest of them are told.
Only some nodes of each kind are looked at: those where the least is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pelamis.api.core.node import Node, Taint
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.core.pod.pod import Pod
from pelamis.api.field import Tree
from pelamis.api.storage.storageclass import StorageClass
from pelamis.base import labels
from pelamis.base.labels import Selector
from pelamis.base.quantity import parse
from pelamis.scheduler.core import Decision, find
from pelamis.scheduler.explain import Objection, Report, objections
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.nodematch import requirement
from pelamis.scheduler.podinfo import MILLI, PodInfo, amounts_of
from pelamis.scheduler.preemption import search, settle
from pelamis.scheduler.snapshot import NodeInfo, Snapshot
from pelamis.scheduler.toleration import tolerates
from pelamis.scheduler.volumes import BIND_COMPLETED, class_of

GROUPS, PER_GROUP = 6, 2
"""How many kinds of nodes are looked at, and how many nodes of each."""
CHOICES = 4
NEIGHBOURS = 16
"""More pods than this elsewhere are not proposed for deletion."""
COMBINATIONS = 64
_SYSTEM = 2_000_000_000
"""Priorities from here on are the system's own."""
_CORDON = "node.kubernetes.io/unschedulable"
_CONDITIONS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")

Change = Callable[[Tree], None]


@dataclass(frozen=True, slots=True)
class Edit:
    """One change. text: an order to whom it concerns. command: that carries it out, where there is one.

    pod, node: change the tree of the object. victims: uids of pods to delete. world: changes the snapshot, and returns
    what takes it back. cost: the dearer, the less likely it is wanted. sort: of changes of one sort only the cheapest
    is told.
    """

    text: str
    cost: float
    command: str = ""
    sort: str = ""
    pod: Change | None = None
    node: Change | None = None
    victims: tuple[str, ...] = ()
    world: Callable[[Snapshot], Callable[[], None]] | None = None


class Remedy(NamedTuple):
    """edits: all of them together. node: where the pod then fits; nodes: how many would do, as far as it is the pod
    that changes."""

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


def _made(kind: Any, tree: Tree) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=kind)


def _tree(obj: Any) -> Tree:
    out: Tree = msgspec.json.decode(msgspec.json.encode(obj))
    return out


@contextmanager
def applied(snapshot: Snapshot, info: PodInfo, node: NodeInfo, edits: Sequence[Edit]) -> Iterator[PodInfo]:
    """The world as it would be; the PodInfo is the changed pod's."""
    with ExitStack() as undo:
        pod_changes = [e.pod for e in edits if e.pod is not None]
        node_changes = [e.node for e in edits if e.node is not None]
        if node_changes:
            before = node.node
            tree = _tree(before)
            for change in node_changes:
                change(tree)
            undo.callback(snapshot.set_node, before)
            snapshot.set_node(_made(Node, tree))
        for edit in edits:
            for uid in edit.victims:
                pod = snapshot.pods.get(uid)
                if pod is not None:
                    undo.callback(snapshot.add_pod, pod, pod.node.name)
                    snapshot.remove_pod(uid)
            if edit.world is not None:
                undo.callback(edit.world(snapshot))
        changed = info
        if pod_changes:
            tree = _tree(info.pod)
            for change in pod_changes:
                change(tree)
            changed = PodInfo(_made(Pod, tree))
        else:
            changed = PodInfo(info.pod)  # plugins keep things with it
        yield changed


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


def shown(resource: str, amount: int) -> str:
    """An amount of the columns as people write it."""
    if resource == "cpu":
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    if resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-"):
        for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
            if amount >= size and not amount % size:
                return f"{amount // size}{unit}"
        return f"{amount // 2**20}Mi" if amount >= 2**20 else str(amount)
    return str(amount)


# -- conceivable edits


def edits(snapshot: Snapshot, info: PodInfo, node: NodeInfo) -> Iterator[Edit]:
    yield from _about_taints(info, node)
    yield from _about_labels(snapshot, info, node)
    yield from _about_requests(snapshot, info, node)
    yield from _about_ports(info)
    yield from _about_spreading(snapshot, info, node)
    yield from _about_other_pods(snapshot, info, node)
    yield from _about_volumes(snapshot, info, node)


def _about_taints(info: PodInfo, node: NodeInfo) -> Iterator[Edit]:
    tolerations = info.pod.spec.tolerations
    if node.node.spec.unschedulable:

        def uncordon(tree: Tree) -> None:
            tree["spec"].pop("unschedulable", None)
            tree["spec"]["taints"] = [t for t in tree["spec"].get("taints", ()) if t["key"] != _CORDON]

        yield Edit(f"uncordon {node.name}", 1, f"kubectl uncordon {node.name}", "uncordon", node=uncordon)
        yield _toleration(Taint(key=_CORDON, effect="NoSchedule"), 8)
    for taint in node.node.spec.taints:
        if taint.effect not in ("NoSchedule", "NoExecute") or tolerates(tolerations, taint) or taint.key == _CORDON:
            continue
        shown_taint = f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"

        def untaint(tree: Tree, taint: Taint = taint) -> None:
            spec = tree["spec"]
            spec["taints"] = [t for t in spec["taints"] if (t["key"], t["effect"]) != (taint.key, taint.effect)]

        if taint.key.startswith(_CONDITIONS):
            state = taint.key.partition("/")[2]
            yield Edit(
                f"make {node.name} healthy: it is {state}", 2, f"pelamis why node/{node.name}", "health", node=untaint
            )
            yield _toleration(taint, 12)
        else:
            yield _toleration(taint, 2)
            command = f"kubectl taint nodes {node.name} {taint.key}:{taint.effect}-"
            yield Edit(
                f"remove the taint {shown_taint} from {node.name}", 3, command, f"untaint {shown_taint}", node=untaint
            )


def _toleration(taint: Taint, cost: int) -> Edit:
    entry: Tree = {"key": taint.key, "effect": taint.effect}
    entry |= {"operator": "Equal", "value": taint.value} if taint.value else {"operator": "Exists"}
    what = f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"

    def tolerate(tree: Tree) -> None:
        tree["spec"].setdefault("tolerations", []).append(entry)

    return Edit(f"add a toleration of {what} to the pod", cost, pod=tolerate)


def _label_edit(node: NodeInfo, wanted: dict[str, str | None], cost: int = 2) -> Edit:
    """None = the label has to go."""

    def label(tree: Tree) -> None:
        own = tree["metadata"].setdefault("labels", {})
        for key, value in wanted.items():
            if value is None:
                own.pop(key, None)
            else:
                own[key] = value

    text = " ".join(f"{k}-" if v is None else f"{k}={v}" for k, v in wanted.items())
    over = " --overwrite" if any(v is not None and k in node.node.metadata.labels for k, v in wanted.items()) else ""
    command = f"kubectl label node {node.name} {text}{over}"
    return Edit(f"label {node.name} {text}", cost, command, f"label {' '.join(wanted)}", node=label)


def _about_labels(snapshot: Snapshot, info: PodInfo, node: NodeInfo) -> Iterator[Edit]:
    spec, own = info.pod.spec, node.node.metadata.labels
    unmet: dict[str, str | None] = {k: v for k, v in spec.nodeSelector.items() if own.get(k) != v}
    if unmet:
        if "kubernetes.io/hostname" not in unmet:
            yield _label_edit(node, unmet)
        for key, value in unmet.items():

            def drop(tree: Tree, key: str = key) -> None:
                tree["spec"]["nodeSelector"].pop(key)

            yield Edit(f"drop the pod's nodeSelector {key}={value}", 4, pod=drop)
    near = spec.affinity.nodeAffinity if spec.affinity is not None else None
    needed = near.requiredDuringSchedulingIgnoredDuringExecution if near is not None else None
    if needed is None:
        return
    for term in needed.nodeSelectorTerms:
        missing: dict[str, str | None] = {}
        for expression in term.matchExpressions:
            wanted = requirement(expression)
            if wanted is None or wanted.matches(own):
                continue
            missing[expression.key] = _value_for(expression.operator, expression.values)
        if missing and "kubernetes.io/hostname" not in missing:
            yield _label_edit(node, missing)

    def drop_affinity(tree: Tree) -> None:
        del tree["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    yield Edit("drop the pod's required node affinity", 5, pod=drop_affinity)


def _value_for(operator: str, values: Sequence[str]) -> str | None:
    """Of a label that meets a node selector's requirement."""
    if operator == "In":
        return values[0] if values else None
    if operator == "Exists":
        return "true"
    if operator in ("Gt", "Lt") and values and values[0].lstrip("+-").isdigit():
        return str(int(values[0]) + (1 if operator == "Gt" else -1))
    return None


def _about_requests(snapshot: Snapshot, info: PodInfo, node: NodeInfo) -> Iterator[Edit]:
    """Lower what one container requests by what is missing."""
    for name, (column, amount) in zip((n for n in info.requests if n != "pods"), snapshot.vector(info), strict=True):
        free = int(snapshot.allocatable[column, node.row] - snapshot.requested[column, node.row])
        short = amount - free
        if short <= 0:
            continue
        tree = _tree(info.pod)
        for place in ("containers", "initContainers"):
            for i, container in enumerate(tree["spec"].get(place, ())):
                has = amounts_of({name: container.get("resources", {}).get("requests", {}).get(name, "0")}).get(name, 0)
                left = has - short
                if has <= 0 or left <= 0:
                    continue
                value = _rounded(name, left)

                def lower(tree: Tree, place: str = place, i: int = i, name: str = name, value: str = value) -> None:
                    tree["spec"][place][i]["resources"]["requests"][name] = value

                text = f"lower requests.{name} of container {container['name']} from {shown(name, has)} to {value}"
                yield Edit(text, 3 + short / has, sort=f"{name} of {place}[{i}]", pod=lower)


def _rounded(resource: str, amount: int) -> str:
    """Down to what people would write."""
    if resource in ("memory", "ephemeral-storage") and amount >= 2**20:
        return shown(resource, amount - amount % 2**20)
    return shown(resource, amount)


def _about_ports(info: PodInfo) -> Iterator[Edit]:
    for port in dict.fromkeys(p.port for p in info.ports):

        def drop(tree: Tree, port: int = port) -> None:
            for place in ("containers", "initContainers"):
                for container in tree["spec"].get(place, ()):
                    for each in container.get("ports", ()):
                        if each.get("hostPort") == port:
                            del each["hostPort"]

        yield Edit(f"drop hostPort {port} of the pod (a Service reaches it without)", 4, pod=drop)


def _about_spreading(snapshot: Snapshot, info: PodInfo, node: NodeInfo) -> Iterator[Edit]:
    for i, constraint in enumerate(info.pod.spec.topologySpreadConstraints):
        if constraint.whenUnsatisfiable != "DoNotSchedule":
            continue
        key = constraint.topologyKey
        for skew in range(constraint.maxSkew + 1, constraint.maxSkew + 4):

            def widen(tree: Tree, i: int = i, skew: int = skew) -> None:
                tree["spec"]["topologySpreadConstraints"][i]["maxSkew"] = skew

            text = f"raise maxSkew of the spread over {key} from {constraint.maxSkew} to {skew}"
            yield Edit(text, 3 + skew - constraint.maxSkew, sort=f"skew {key}", pod=widen)

        def soften(tree: Tree, i: int = i) -> None:
            tree["spec"]["topologySpreadConstraints"][i]["whenUnsatisfiable"] = "ScheduleAnyway"

        yield Edit(f"set whenUnsatisfiable of the spread over {key} to ScheduleAnyway", 6, pod=soften)
        if key not in node.node.metadata.labels:
            yield from _label_like_others(snapshot, node, key)


def _label_like_others(snapshot: Snapshot, node: NodeInfo, key: str) -> Iterator[Edit]:
    if key == "kubernetes.io/hostname":
        yield _label_edit(node, {key: node.name})
        return
    for value in snapshot.labels(key).values[:3] or [node.name]:
        yield _label_edit(node, {key: value})


def _about_other_pods(snapshot: Snapshot, info: PodInfo, node: NodeInfo) -> Iterator[Edit]:
    for name, said, terms in (
        ("podAffinity", "affinity to", info.affinity),
        ("podAntiAffinity", "anti-affinity to", info.anti_affinity),
    ):
        for i, term in enumerate(terms):

            def drop(tree: Tree, name: str = name, i: int = i) -> None:
                del tree["spec"]["affinity"][name]["requiredDuringSchedulingIgnoredDuringExecution"][i]

            whom = f"{said} pods {term.selector}" if str(term.selector) else f"{said} all pods"
            yield Edit(f"drop the pod's required {whom} per {term.topology_key}", 6, pod=drop)
            if name == "podAntiAffinity":
                continue
            if term.topology_key not in node.node.metadata.labels:
                yield from _label_like_others(snapshot, node, term.topology_key)
            companion = _companion(term.selector, min(term.namespaces) if term.namespaces else info.namespace)
            if companion is not None:
                where = f"{term.topology_key}={node.node.metadata.labels.get(term.topology_key, '')}"

                def start(snapshot: Snapshot, companion: Pod = companion) -> Callable[[], None]:
                    snapshot.add_pod(PodInfo(companion), node.name)

                    def stop() -> None:
                        snapshot.remove_pod(companion.metadata.uid)

                    return stop

                yield Edit(f"run a pod that {term.selector} selects on a node with {where}", 5, sort="run", world=start)


def _companion(selector: Selector, namespace: str) -> Pod | None:
    """A pod that the selector selects; None = that is not easily told."""
    own: dict[str, str] = {}
    for wanted in selector.requirements:
        if wanted.operator in (labels.IN, labels.EQUAL):
            own[wanted.key] = next(iter(wanted.values))
        elif wanted.operator == labels.EXISTS:
            own.setdefault(wanted.key, "true")
    if selector.nothing or not selector.matches(own):
        return None
    meta = {"name": "companion", "namespace": namespace, "uid": "companion", "labels": own}
    made: Pod = _made(Pod, {"metadata": meta, "spec": {"containers": []}})
    return made


def _about_volumes(snapshot: Snapshot, info: PodInfo, node: NodeInfo) -> Iterator[Edit]:
    storage = snapshot.storage
    for name in info.claims:
        key = (info.namespace, name)
        claim = storage.claims.get(key)
        if claim is None:
            yield Edit(f"create the PersistentVolumeClaim {name}", 1, world=_with_claim(key, {}))
            continue
        of = class_of(claim)
        if not claim.spec.volumeName:
            size = claim.spec.resources.requests.get("storage", "0")
            if of and of not in storage.classes:
                yield Edit(f"create the StorageClass {of}", 1, world=_with_class(of))
            else:
                bound = f"get the PersistentVolumeClaim {name} bound"
                command = f"pelamis why pvc/{name} -n {info.namespace}"
                yield Edit(bound, 2, command, world=_with_claim(key, _tree(claim)))
            volume = f"create a PersistentVolume of {size} with class {of or '(none)'} that {node.name} reaches"
            yield Edit(volume, 3, sort=f"volume {name}", world=_with_volume(claim))
        elif claim.spec.volumeName not in storage.volumes:
            text = f"bring back the PersistentVolume {claim.spec.volumeName}"
            yield Edit(text, 3, world=_with_claim(key, _tree(claim)))


def _put_back(table: dict[Any, Any], key: Any, value: Any) -> Callable[[], None]:
    before = table.get(key)
    table[key] = value

    def undo() -> None:
        if before is None:
            table.pop(key, None)
        else:
            table[key] = before

    return undo


def _with_claim(key: tuple[str, str], tree: Tree) -> Callable[[Snapshot], Callable[[], None]]:
    """The claim as it would be, bound to a volume that every node reaches."""

    def change(snapshot: Snapshot) -> Callable[[], None]:
        volume_name = f"volume-of-{key[1]}"
        meta = {**tree.get("metadata", {}), "name": key[1], "namespace": key[0]}
        meta["annotations"] = {**meta.get("annotations", {}), BIND_COMPLETED: "yes"}
        spec = {**tree.get("spec", {"resources": {}}), "volumeName": volume_name}
        claim = _made(PersistentVolumeClaim, {"metadata": meta, "spec": spec, "status": {"phase": "Bound"}})
        volume = _made(PersistentVolume, {"metadata": {"name": volume_name}, "spec": {"capacity": {}}})
        undo_claim = _put_back(snapshot.storage.claims, key, claim)
        undo_volume = _put_back(snapshot.storage.volumes, volume_name, volume)

        def undo() -> None:
            undo_volume()
            undo_claim()

        return undo

    return change


def _with_class(name: str) -> Callable[[Snapshot], Callable[[], None]]:
    def change(snapshot: Snapshot) -> Callable[[], None]:
        tree = {"metadata": {"name": name}, "provisioner": "any", "volumeBindingMode": "WaitForFirstConsumer"}
        return _put_back(snapshot.storage.classes, name, _made(StorageClass, tree))

    return change


def _with_volume(claim: PersistentVolumeClaim) -> Callable[[Snapshot], Callable[[], None]]:
    def change(snapshot: Snapshot) -> Callable[[], None]:
        spec = claim.spec
        tree = {
            "metadata": {"name": "a-new-volume"},
            "spec": {
                "capacity": {"storage": spec.resources.requests.get("storage", "0")},
                "accessModes": list(spec.accessModes),
                "storageClassName": class_of(claim),
                "volumeMode": spec.volumeMode or "Filesystem",
            },
            "status": {"phase": "Available"},
        }
        return _put_back(snapshot.storage.volumes, "a-new-volume", _made(PersistentVolume, tree))

    return change


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

    tree = _tree(info.pod)
    raise_priority(tree)
    raised = PodInfo(_made(Pod, tree))
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
        taints = [t for t in node.spec.taints if not t.key.startswith(_CONDITIONS)]
        own = {k: v for k, v in node.metadata.labels.items() if v != like.name}
        kind = (tuple(sorted(own.items())), tuple(taints), tuple(sorted(node.status.allocatable.items())))
        if kind in seen:
            continue
        seen.add(kind)
        if len(seen) > GROUPS:
            return
        name = "a-new-node"
        renamed = {k: name if v == like.name else v for k, v in node.metadata.labels.items()}
        tree = _tree(node)
        tree["metadata"] = {"name": name, "labels": renamed}
        tree["spec"] = {"taints": [_tree(t) for t in taints]}
        snapshot.set_node(_made(Node, tree))
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
