"""How a pod's claims stand, and which volumes they could be bound to on a node.

A claim is *bound*, or it is to be bound *at once* by the volume controller (then the pod waits), or it *waits for its
first consumer*: then the scheduler chooses the node first, and with it a volume that exists or the place to make one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pelamis.api.core.node import Node
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import (
    SELECTED_NODE,
    PersistentVolumeClaim,
    asked_size,
    is_bound,
    storage_class,
)
from pelamis.api.core.pod.volume import ephemeral_claim
from pelamis.api.storage.csistoragecapacity import CSIStorageCapacity
from pelamis.api.storage.storageclass import NO_PROVISIONER, StorageClass, waits_for_consumer
from pelamis.base import labels
from pelamis.base.labels import Requirement, Selector, SelectorError
from pelamis.base.quantity import NANO, parse
from pelamis.scheduler.nodematch import requirement_rows, selector_rows
from pelamis.scheduler.nodeterm import selector_matches
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Mask, Snapshot
from pelamis.scheduler.storage import Pool, Shape, shape_of

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


def claims_of(snapshot: Snapshot, info: PodInfo) -> Claims:
    pod, storage = info.pod, snapshot.storage
    bound: list[BoundClaim] = []
    waiting: list[PersistentVolumeClaim] = []
    at_once = False
    ephemeral = {ephemeral_claim(v, pod.metadata.name) for v in pod.spec.volumes if v.ephemeral is not None}
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
        elif not claim.spec.volumeName and waits_for_consumer(storage.classes.get(storage_class(claim))):
            waiting.append(claim)
        else:
            at_once = True
    if at_once:
        return Claims("pod has unbound immediate PersistentVolumeClaims")
    return Claims("", tuple(bound), tuple(waiting))


def fits(volume: PersistentVolume, node: Node) -> bool:
    affinity = volume.spec.nodeAffinity
    return affinity is None or selector_matches(affinity.required, node)


def reach(snapshot: Snapshot, volume: PersistentVolume) -> Mask:
    """``fits`` for all rows."""
    affinity = volume.spec.nodeAffinity
    if affinity is None or affinity.required is None:
        return np.ones(snapshot.size, np.bool_)
    return selector_rows(snapshot, affinity.required)


def places_for(snapshot: Snapshot, waiting: Sequence[PersistentVolumeClaim]) -> tuple[Mask, Mask]:
    """The rows for which there is a plan, and those that lack nothing but space."""
    size = snapshot.size
    out, made = np.ones(size, np.bool_), np.ones(size, np.bool_)
    short = np.zeros(size, np.bool_)
    for claim in waiting:
        placed = _made(snapshot, claim)
        selected = claim.metadata.annotations.get(SELECTED_NODE)
        if selected:
            node = snapshot.by_name.get(selected)
            only = np.zeros(size, np.bool_)
            if node is not None:
                only[node.row] = placed[node.row]
            placed = only
        can_make = placed & _roomy(snapshot, claim)
        offered = can_make if selected else can_make | _offered(snapshot, claim)
        short |= placed & ~offered
        out &= offered
        made &= can_make
    short &= ~out
    if len(waiting) > 1:  # two claims may want the same volume; what is said is about the first that is in the way
        for row in np.flatnonzero(out & ~made).tolist():
            out[row] = plan(snapshot, waiting, snapshot.nodes[row].node) is not None
        for row in np.flatnonzero(~out).tolist() if snapshot.storage.capacities else ():
            short[row] = isinstance(_plan(snapshot, waiting, snapshot.nodes[row].node), bool)
    return out, short


def plan(snapshot: Snapshot, waiting: Sequence[PersistentVolumeClaim], node: Node) -> list[Binding] | None:
    """Volumes for the claims that wait, smallest claim first; None = the node has not what they need."""
    found = _plan(snapshot, waiting, node)
    return found if isinstance(found, list) else None


def _plan(snapshot: Snapshot, waiting: Sequence[PersistentVolumeClaim], node: Node) -> list[Binding] | bool | None:
    """True: it lacks space for a volume that could be made."""
    taken: set[str] = set()
    found: list[Binding] = []
    to_make = [c for c in waiting if c.metadata.annotations.get(SELECTED_NODE)]
    if any(c.metadata.annotations[SELECTED_NODE] != node.metadata.name for c in to_make):
        return None
    for claim in sorted((c for c in waiting if c not in to_make), key=asked_size):
        volume = _match(snapshot, claim, node, taken)
        if volume is None:
            to_make.append(claim)
        else:
            taken.add(volume.metadata.name)
            found.append(Binding(claim, volume))
    for claim in to_make:
        if not _can_make(snapshot.storage.classes.get(storage_class(claim)), node):
            return None
        if not _has_room(snapshot, claim, node):
            return True
    return found + [Binding(claim, None) for claim in to_make]


def _capacities(snapshot: Snapshot, claim: PersistentVolumeClaim) -> list[CSIStorageCapacity] | None:
    """Those with enough free space for the claim; None = the driver does not tell."""
    storage, of = snapshot.storage, storage_class(claim)
    made_by = storage.classes.get(of)
    driver = storage.drivers.get(made_by.provisioner) if made_by is not None else None
    if driver is None or not driver.spec.storageCapacity:
        return None
    size = -(-asked_size(claim) // NANO)
    return [c for c in storage.capacities.values() if c.storageClassName == of and _limit(c) >= size]


def _limit(capacity: CSIStorageCapacity) -> int:
    """Bytes of the largest volume; -1 when it is unknown."""
    text = capacity.maximumVolumeSize if capacity.maximumVolumeSize is not None else capacity.capacity
    return -1 if text is None else -(-parse(str(text)).nano // NANO)


def _has_room(snapshot: Snapshot, claim: PersistentVolumeClaim, node: Node) -> bool:
    found = _capacities(snapshot, claim)
    own = node.metadata.labels
    return found is None or any(c.nodeTopology is not None and _topology(c).matches(own) for c in found)


def _roomy(snapshot: Snapshot, claim: PersistentVolumeClaim) -> Mask:
    """``_has_room`` for all rows."""
    found = _capacities(snapshot, claim)
    if found is None:
        return np.ones(snapshot.size, np.bool_)
    out = np.zeros(snapshot.size, np.bool_)
    for capacity in found:
        selector = _topology(capacity)
        if capacity.nodeTopology is None or selector.nothing:
            continue
        rows = np.ones(snapshot.size, np.bool_)
        for wanted in selector.requirements:
            rows &= requirement_rows(snapshot, wanted)
        out |= rows
    return out


def _topology(capacity: CSIStorageCapacity) -> Selector:
    try:
        return labels.from_label_selector(capacity.nodeTopology)
    except SelectorError:
        return labels.NOTHING


def _selector(claim: PersistentVolumeClaim) -> Selector:
    if claim.spec.selector is None:
        return labels.EVERYTHING
    try:
        return labels.from_label_selector(claim.spec.selector)
    except SelectorError:
        return labels.NOTHING


def _promised(snapshot: Snapshot, claim: PersistentVolumeClaim) -> list[PersistentVolume]:
    """Volumes that were made for this claim, or given to it by a decision; they go before all others."""
    meta, storage = claim.metadata, snapshot.storage
    out = []
    for name in storage.promised.get((meta.namespace, meta.name), ()):
        volume = storage.volumes.get(name)
        if volume is None or volume.metadata.deletionTimestamp is not None:
            continue
        ref = volume.spec.claimRef
        if ref is not None and ref.uid not in ("", meta.uid):
            continue
        if ref is None and not _takes(claim, shape_of(volume)):
            continue
        if _suits(claim, shape_of(volume)):
            out.append(volume)
    return out


def _suits(claim: PersistentVolumeClaim, shape: Shape) -> bool:
    spec = claim.spec
    mode, attributes = spec.volumeMode or "Filesystem", spec.volumeAttributesClassName or ""
    return shape.size >= asked_size(claim) and shape.mode == mode and shape.attributes == attributes


def _takes(claim: PersistentVolumeClaim, shape: Shape) -> bool:
    return shape.class_name == storage_class(claim) and shape.modes.issuperset(claim.spec.accessModes)


def _pools(snapshot: Snapshot, claim: PersistentVolumeClaim) -> list[Pool]:
    """Those whose volumes would do, by size."""
    pools = snapshot.storage.pools.get(storage_class(claim), {})
    found = [(shape.size, pool) for shape, pool in pools.items() if _suits(claim, shape) and _takes(claim, shape)]
    return [pool for _, pool in sorted(found, key=lambda item: item[0])]


def _offered(snapshot: Snapshot, claim: PersistentVolumeClaim) -> Mask:
    """The rows that reach a volume for the claim."""
    out = np.zeros(snapshot.size, np.bool_)
    for volume in _promised(snapshot, claim):
        out |= reach(snapshot, volume)
    selector = _selector(claim)
    for pool in _pools(snapshot, claim):
        if selector.empty:
            out |= pool.supply(snapshot, reach) > 0
            continue
        for place in pool.places.values():
            if any(selector.matches(snapshot.storage.volumes[name].metadata.labels) for name in place.names):
                out |= reach(snapshot, place.volume)
    return out


def _match(snapshot: Snapshot, claim: PersistentVolumeClaim, node: Node, taken: set[str]) -> PersistentVolume | None:
    """The smallest that does; one that was made for this claim goes first."""
    for volume in _promised(snapshot, claim):
        if volume.metadata.name not in taken and fits(volume, node):
            return volume
    found = snapshot.by_name.get(node.metadata.name)
    if found is None:
        return None
    selector = _selector(claim)
    for pool in _pools(snapshot, claim):
        pool.supply(snapshot, reach)
        for name in pool.reached(found.row):
            volume = snapshot.storage.volumes[name]
            if name not in taken and selector.matches(volume.metadata.labels):
                return volume
    return None


def _made(snapshot: Snapshot, claim: PersistentVolumeClaim) -> Mask:
    """The rows for which a volume can be made."""
    of = snapshot.storage.classes.get(storage_class(claim))
    if of is None or not of.provisioner or of.provisioner == NO_PROVISIONER:
        return np.zeros(snapshot.size, np.bool_)
    if not of.allowedTopologies:
        return np.ones(snapshot.size, np.bool_)
    out = np.zeros(snapshot.size, np.bool_)
    for term in of.allowedTopologies:
        rows = np.ones(snapshot.size, np.bool_)
        for e in term.matchLabelExpressions:
            rows &= requirement_rows(snapshot, Requirement(e.key, labels.IN, tuple(e.values)))
        out |= rows
    return out


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
