"""How a pod's claims stand, and which volumes they could be bound to on a node.

A claim is *bound*, or it is to be bound *at once* by the volume controller (then the pod waits), or it *waits for its
first consumer*: then the scheduler chooses the node first, and with it a volume that exists or the place to make one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pelamis.api.core.node import Node
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.storage.storageclass import StorageClass
from pelamis.base import labels
from pelamis.base.labels import SelectorError
from pelamis.base.quantity import parse
from pelamis.scheduler.nodematch import selector_matches
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"

BoundClaim = tuple[PersistentVolumeClaim, PersistentVolume | None]


class Claims(NamedTuple):
    """problem: why the pod cannot be scheduled anywhere at present."""

    problem: str = ""
    bound: tuple[BoundClaim, ...] = ()
    waiting: tuple[PersistentVolumeClaim, ...] = ()


class Binding(NamedTuple):
    """volume None: one is to be made for the node."""

    claim: PersistentVolumeClaim
    volume: PersistentVolume | None


def class_of(claim: PersistentVolumeClaim) -> str:
    return claim.metadata.annotations.get(_BETA_CLASS) or claim.spec.storageClassName or ""


def class_of_volume(volume: PersistentVolume) -> str:
    return volume.metadata.annotations.get(_BETA_CLASS) or volume.spec.storageClassName


def is_bound(claim: PersistentVolumeClaim) -> bool:
    return bool(claim.spec.volumeName) and BIND_COMPLETED in claim.metadata.annotations


def claims_of(snapshot: Snapshot, info: PodInfo) -> Claims:
    pod, storage = info.pod, snapshot.storage
    bound: list[BoundClaim] = []
    waiting: list[PersistentVolumeClaim] = []
    at_once = False
    ephemeral = {f"{pod.metadata.name}-{v.name}" for v in pod.spec.volumes if v.ephemeral is not None}
    for name in info.claims:
        claim = storage.claims.get((info.namespace, name))
        if claim is None:
            if name in ephemeral:
                why = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
            else:
                why = f'persistentvolumeclaim "{name}" not found'
            return Claims(why)
        if claim.status.phase == "Lost":
            volume = claim.spec.volumeName
            return Claims(f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"')
        if claim.metadata.deletionTimestamp is not None:
            return Claims(f'persistentvolumeclaim "{name}" is being deleted')
        owned = any(r.controller and r.uid == info.uid for r in claim.metadata.ownerReferences)
        if name in ephemeral and not owned:
            whose = f"{info.namespace}/{name} was not created for pod {info.namespace}/{info.key[1]}"
            return Claims(f"PVC {whose} (pod is not owner)")
        if is_bound(claim):
            bound.append((claim, storage.volumes.get(claim.spec.volumeName)))
        elif not claim.spec.volumeName and _waits(storage.classes.get(class_of(claim))):
            waiting.append(claim)
        else:
            at_once = True
    if at_once:
        return Claims("pod has unbound immediate PersistentVolumeClaims")
    return Claims("", tuple(bound), tuple(waiting))


def _waits(of: StorageClass | None) -> bool:
    return of is not None and of.volumeBindingMode == "WaitForFirstConsumer"


def fits(volume: PersistentVolume, node: Node) -> bool:
    affinity = volume.spec.nodeAffinity
    return affinity is None or selector_matches(affinity.required, node)


def plan(snapshot: Snapshot, waiting: Sequence[PersistentVolumeClaim], node: Node) -> list[Binding] | None:
    """Volumes for the claims that wait, smallest claim first; None = the node has not what they need."""
    out: list[Binding] = []
    taken: set[str] = set()
    for claim in sorted(waiting, key=_size):
        selected = claim.metadata.annotations.get(SELECTED_NODE)
        if selected:
            if selected != node.metadata.name or not _can_make(snapshot.storage.classes.get(class_of(claim)), node):
                return None
            out.append(Binding(claim, None))
            continue
        volume = _match(snapshot, claim, node, taken)
        if volume is not None:
            taken.add(volume.metadata.name)
            out.append(Binding(claim, volume))
        elif _can_make(snapshot.storage.classes.get(class_of(claim)), node):
            out.append(Binding(claim, None))
        else:
            return None
    return out


def _size(claim: PersistentVolumeClaim) -> int:
    return parse(claim.spec.resources.requests.get("storage", "0")).nano


def _match(snapshot: Snapshot, claim: PersistentVolumeClaim, node: Node, taken: set[str]) -> PersistentVolume | None:
    """The smallest that does; one that was made for this claim goes first."""
    storage = snapshot.storage
    meta, spec = claim.metadata, claim.spec
    best: PersistentVolume | None = None
    best_size = 0
    try:
        selector = labels.from_label_selector(spec.selector) if spec.selector is not None else labels.EVERYTHING
    except SelectorError:
        return None
    for volume in storage.volumes.values():
        name = volume.metadata.name
        if name in taken or storage.assumed.get(name, (meta.namespace, meta.name)) != (meta.namespace, meta.name):
            continue
        if volume.metadata.deletionTimestamp is not None:
            continue
        own = volume.spec
        size = parse(own.capacity.get("storage", "0")).nano
        if size < _size(claim) or (own.volumeMode or "Filesystem") != (spec.volumeMode or "Filesystem"):
            continue
        if (own.volumeAttributesClassName or "") != (spec.volumeAttributesClassName or ""):
            continue
        if not fits(volume, node):
            continue
        ref = own.claimRef
        if ref is not None:
            mine = ref.name == meta.name and ref.namespace == meta.namespace and ref.uid in ("", meta.uid)
            if mine:
                return volume
            continue
        if volume.status.phase != "Available" or class_of_volume(volume) != class_of(claim):
            continue
        if not selector.matches(volume.metadata.labels) or not set(spec.accessModes) <= set(own.accessModes):
            continue
        if best is None or size < best_size:
            best, best_size = volume, size
    return best


def _can_make(of: StorageClass | None, node: Node) -> bool:
    if of is None or not of.provisioner or of.provisioner == NO_PROVISIONER:
        return False
    if not of.allowedTopologies:
        return True
    own = node.metadata.labels
    return any(
        all(e.key in own and own[e.key] in e.values for e in term.matchLabelExpressions)
        for term in of.allowedTopologies
    )
