"""Makes a PersistentVolume for each claim of the local class, on the node that the scheduler has chosen. Pure.

The class waits for its first consumer, so a claim names its node when its turn comes. The volume is a directory below
``root`` on that node, pinned to it by node affinity. The claim's size is not enforced: the directory shares the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolume import PROVISIONED_BY, PersistentVolume
from pelamis.api.core.persistentvolumeclaim import (
    ASKED_PROVISIONER,
    SELECTED_NODE,
    PersistentVolumeClaim,
    storage_class,
)
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.wellknown import HOSTNAME
from pelamis.api.storage.storageclass import DEFAULT_ANNOTATION, StorageClass, waits_for_consumer
from pelamis.api.storage.storageclass import KIND as CLASS
from pelamis.client.types import Create, Delete, Key, Outcome
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

PROVISIONER = "pelamis.io/local"
CLASS_NAME = "local"
IDENTITY = "persistent-volume-binder"
"""Of the provisioner where it runs in the control plane; in an agent the client has one of its own."""


def default_class() -> dict[str, Any]:
    """The StorageClass of a new cluster."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS_NAME, "annotations": {DEFAULT_ANNOTATION: "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


@dataclass(frozen=True, slots=True)
class World:
    """volume: what was made for the claim already."""

    claim: PersistentVolumeClaim
    of: StorageClass
    volume: PersistentVolume | None
    node: str
    root: str


def volume_name(claim: PersistentVolumeClaim) -> str:
    return f"pvc-{claim.metadata.uid}"


def path_of(root: str, claim: PersistentVolumeClaim) -> str:
    """Told apart by id, found by people by name."""
    return f"{root}/{volume_name(claim)}_{claim.metadata.namespace}_{claim.metadata.name}"


def is_ours(volume: PersistentVolume) -> bool:
    return volume.metadata.annotations.get(PROVISIONED_BY) == PROVISIONER and volume.spec.local is not None


def node_of(volume: PersistentVolume) -> str:
    """The host name that a volume of ours is pinned to."""
    affinity = volume.spec.nodeAffinity
    for term in affinity.required.nodeSelectorTerms if affinity is not None and affinity.required is not None else ():
        for r in term.matchExpressions:
            if r.key == HOSTNAME and r.operator == "In" and len(r.values) == 1:
                return r.values[0]
    return ""


def problem(world: World) -> str:
    """Why there can be no such volume; empty = there can."""
    spec = world.claim.spec
    if spec.volumeMode == "Block":
        return "volumes of the local class are file systems: volumeMode Block is not supported"
    if spec.dataSource is not None or spec.dataSourceRef is not None:
        return "volumes of the local class start empty: data sources are not supported"
    if not world.node:
        name = world.of.metadata.name
        return f'StorageClass "{name}" must have volumeBindingMode WaitForFirstConsumer: a local volume is on one node'
    return ""


def reconcile(world: World, now: float) -> Plan:
    claim = world.claim
    where = f"{claim.metadata.namespace}/{claim.metadata.name}"
    why = problem(world)
    if why:
        message = f'failed to provision volume with StorageClass "{world.of.metadata.name}": {why}'
        return Plan(events=(EventNote(claim, "Warning", "ProvisioningFailed", message),))
    name = volume_name(claim)

    def made(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        if error is None:
            text = f"Successfully provisioned volume {name}"
            return Plan(events=(EventNote(claim, "Normal", "ProvisioningSucceeded", text),))
        return Plan() if error.reason == "AlreadyExists" else Plan(error=error.message)

    begin = EventNote(
        claim, "Normal", "Provisioning", f'External provisioner is provisioning volume for claim "{where}"'
    )
    return Plan(actions=(Create(VOLUME, _volume(world)),), on_outcomes=made, events=(begin,))


def _volume(world: World) -> dict[str, Any]:
    claim, of = world.claim, world.of
    meta = claim.metadata
    here = {"key": HOSTNAME, "operator": "In", "values": [world.node]}
    spec: dict[str, Any] = {
        "capacity": {"storage": claim.spec.resources.requests.get("storage", "0")},
        "accessModes": list(claim.spec.accessModes),
        "volumeMode": "Filesystem",
        "persistentVolumeReclaimPolicy": of.reclaimPolicy or "Delete",
        "storageClassName": of.metadata.name,
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
            "resourceVersion": meta.resourceVersion,
        },
        "local": {"path": path_of(world.root, claim)},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
    }
    return {"metadata": {"name": volume_name(claim), "annotations": {PROVISIONED_BY: PROVISIONER}}, "spec": spec}


def _wanted(claim: PersistentVolumeClaim) -> bool:
    return (
        not claim.spec.volumeName
        and claim.metadata.deletionTimestamp is None
        and claim.metadata.annotations.get(ASKED_PROVISIONER) == PROVISIONER
    )


def controller(root: str, serves: Callable[[str], bool]) -> Controller:
    """root: absolute directory of the volumes. serves(node): whose claims are taken care of here."""

    def gather(views: Views, key: Key) -> World | None:
        claim: PersistentVolumeClaim | None = views(CLAIM).get(*key)
        if claim is None or not _wanted(claim):
            return None
        node = claim.metadata.annotations.get(SELECTED_NODE, "")
        of: StorageClass | None = views(CLASS).get("", storage_class(claim))
        if of is None or (node and not serves(node)):
            return None
        if not node and waits_for_consumer(of):
            return None
        volume = views(VOLUME).get("", volume_name(claim))
        return World(claim, of, volume, node, root) if volume is None else None

    def keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
        return ((new.metadata.namespace, new.metadata.name),) if new is not None and _wanted(new) else ()

    return Controller(
        name="localstorage",
        identity=IDENTITY,
        component=PROVISIONER,
        watches=(Watch(CLAIM, keys),),
        kinds=(VOLUME, CLASS),
        gather=gather,
        reconcile=reconcile,
    )


def reclaimer(serves: Callable[[str], bool]) -> Controller:
    """For nodes without directories: a released volume just goes."""

    def gather(views: Views, key: Key) -> PersistentVolume | None:
        volume: PersistentVolume | None = views(VOLUME).get(*key)
        return volume if volume is not None and is_ours(volume) and serves(node_of(volume)) else None

    def reclaim(volume: PersistentVolume, now: float) -> Plan:
        if volume.status.phase != "Released" or volume.spec.persistentVolumeReclaimPolicy != "Delete":
            return NOTHING
        if volume.metadata.deletionTimestamp is not None:
            return NOTHING
        return Plan(actions=(Delete(VOLUME, "", volume.metadata.name, uid=volume.metadata.uid),))

    return Controller(
        name="localstorage-reclaim",
        identity=IDENTITY,
        component=PROVISIONER,
        watches=(Watch(VOLUME),),
        gather=gather,
        reconcile=reclaim,
    )
