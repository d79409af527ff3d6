"""Changes that are conceivable for a pod and a node, and how each is tried on the snapshot and taken back.

``edits`` lists them: to the pod (tolerate a taint, request less, drop a rule), to the node (uncordon, label), to what
runs there, to the cluster (a claim, a class, a volume). None of them knows the plugins; ``remedy`` finds out which
help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.node import Node, Taint
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import BIND_COMPLETED, PersistentVolumeClaim, storage_class
from pelamis.api.core.pod.pod import Pod
from pelamis.api.field import Tree
from pelamis.api.storage.storageclass import StorageClass
from pelamis.base import labels
from pelamis.base.labels import Selector
from pelamis.scheduler.nodeterm import requirement
from pelamis.scheduler.podinfo import PodInfo, amounts_of
from pelamis.scheduler.snapshot import NodeInfo, Snapshot
from pelamis.scheduler.toleration import tolerates

_CORDON = "node.kubernetes.io/unschedulable"
CONDITIONS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints of which the key begins so tell the node's condition."""

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


def made(kind: Any, tree: Tree) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=kind)


def tree_of(obj: Any) -> Tree:
    out: Tree = msgspec.json.decode(msgspec.json.encode(obj))
    return out


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


@contextmanager
def applied(snapshot: Snapshot, info: PodInfo, node: NodeInfo, edits: Sequence[Edit]) -> Iterator[PodInfo]:
    """The world as it would be; the PodInfo is the changed pod's."""
    with ExitStack() as undo:
        pod_changes = [e.pod for e in edits if e.pod is not None]
        node_changes = [e.node for e in edits if e.node is not None]
        if node_changes:
            before = node.node
            tree = tree_of(before)
            for change in node_changes:
                change(tree)
            undo.callback(snapshot.set_node, before)
            snapshot.set_node(made(Node, tree))
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
            tree = tree_of(info.pod)
            for change in pod_changes:
                change(tree)
            changed = PodInfo(made(Pod, tree))
        else:
            changed = PodInfo(info.pod)  # plugins keep things with it
        yield changed


# -- what is conceivable


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

        if taint.key.startswith(CONDITIONS):
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
        tree = tree_of(info.pod)
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
    companion: Pod = made(Pod, {"metadata": meta, "spec": {"containers": []}})
    return companion


def _about_volumes(snapshot: Snapshot, info: PodInfo, node: NodeInfo) -> Iterator[Edit]:
    storage = snapshot.storage
    for name in info.claims:
        key = (info.namespace, name)
        claim = storage.claims.get(key)
        if claim is None:
            yield Edit(f"create the PersistentVolumeClaim {name}", 1, world=_with_claim(key, {}))
            continue
        of = storage_class(claim)
        if not claim.spec.volumeName:
            size = claim.spec.resources.requests.get("storage", "0")
            if of and of not in storage.classes:
                yield Edit(f"create the StorageClass {of}", 1, world=_with_class(of))
            else:
                bound = f"get the PersistentVolumeClaim {name} bound"
                command = f"pelamis why pvc/{name} -n {info.namespace}"
                yield Edit(bound, 2, command, world=_with_claim(key, tree_of(claim)))
            volume = f"create a PersistentVolume of {size} with class {of or '(none)'} that {node.name} reaches"
            yield Edit(volume, 3, sort=f"volume {name}", world=_with_volume(claim))
        elif claim.spec.volumeName not in storage.volumes:
            text = f"bring back the PersistentVolume {claim.spec.volumeName}"
            yield Edit(text, 3, world=_with_claim(key, tree_of(claim)))


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
        claim = made(PersistentVolumeClaim, {"metadata": meta, "spec": spec, "status": {"phase": "Bound"}})
        volume = made(PersistentVolume, {"metadata": {"name": volume_name}, "spec": {"capacity": {}}})
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
        return _put_back(snapshot.storage.classes, name, made(StorageClass, tree))

    return change


def _with_volume(claim: PersistentVolumeClaim) -> Callable[[Snapshot], Callable[[], None]]:
    def change(snapshot: Snapshot) -> Callable[[], None]:
        spec = claim.spec
        tree = {
            "metadata": {"name": "a-new-volume"},
            "spec": {
                "capacity": {"storage": spec.resources.requests.get("storage", "0")},
                "accessModes": list(spec.accessModes),
                "storageClassName": storage_class(claim),
                "volumeMode": spec.volumeMode or "Filesystem",
            },
            "status": {"phase": "Available"},
        }
        return _put_back(snapshot.storage.volumes, "a-new-volume", made(PersistentVolume, tree))

    return change
