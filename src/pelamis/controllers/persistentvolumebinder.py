"""The PersistentVolume binder: joins claims and volumes, and says of each how it stands.

Two kinds of keys: (namespace, name) is a claim, ("", name) a volume.

*A claim* that is not bound gets the volume that it names, one that names it, or the best that is free; a class that
waits for its first consumer leaves the choice to the scheduler; without any volume its class's provisioner is asked
through an annotation. Binding writes the volume first (whoever loses a race for it gets a conflict there), then the
claim, then the claim's status. A bound claim whose volume is gone is Lost.

*A volume* is Available, Bound, or Released once its claim is gone. What happens then is its reclaim policy: Retain
leaves it, Delete is the provisioner's work. Volumes that nobody provisioned have nobody to delete or empty them: they
become Failed, with the reason in an event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolume import PROVISIONED_BY, PersistentVolume, volume_class
from pelamis.api.core.persistentvolumeclaim import (
    ASKED_PROVISIONER,
    BETA_ASKED_PROVISIONER,
    BETA_CLASS,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    SELECTED_NODE,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
    storage_class,
)
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.volume import claim_names
from pelamis.api.core.reference import ObjectReference
from pelamis.api.storage.storageclass import KIND as CLASS
from pelamis.api.storage.storageclass import StorageClass, default_class, is_default, waits_for_consumer
from pelamis.base.clock import rfc3339
from pelamis.client.types import Key, Outcome, Update
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.spec import Controller, Views, Watch
from pelamis.reconcile.volumematch import best, is_for, problem

IN_TREE = "kubernetes.io/"
LOST_REFERENCE = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
LOST_VOLUME = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly"
NO_VOLUME = "no persistent volumes available for this claim and no storage class is set"
EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)


@dataclass(frozen=True, slots=True)
class ClaimWorld:
    """volumes: the one that the claim names if it names one; else those that are free in its class or name it.

    pods: names of the pods that use it and have no node, where that matters. default: the class for a claim that says
    nothing about its class.
    """

    claim: PersistentVolumeClaim
    volumes: Sequence[PersistentVolume]
    of: StorageClass | None = None
    default: str = ""
    pods: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class VolumeWorld:
    """claim: the one with the name and id of ``claimRef``."""

    volume: PersistentVolume
    claim: PersistentVolumeClaim | None


# --- what there is ----------------------------------------------------------------------------------------------------


def _gather_claim(views: Views, key: Key) -> ClaimWorld | None:
    claim: PersistentVolumeClaim | None = views(CLAIM).get(*key)
    if claim is None:
        return None
    spec = claim.spec
    if spec.volumeName or BIND_COMPLETED in claim.metadata.annotations:
        volume = views(VOLUME).get("", spec.volumeName) if spec.volumeName else None
        return ClaimWorld(claim, () if volume is None else (volume,))
    name = storage_class(claim)
    volumes = [*views(VOLUME).by_index("claim", f"{key[0]}/{key[1]}"), *views(VOLUME).by_index("free", name)]
    if not name and spec.storageClassName is None and BETA_CLASS not in claim.metadata.annotations:
        return ClaimWorld(claim, volumes, default=default_class(views(CLASS).list()))
    of: StorageClass | None = views(CLASS).get("", name) if name else None
    pods: Sequence[str] = ()
    if waits_for_consumer(of) and SELECTED_NODE not in claim.metadata.annotations:
        pods = [p.metadata.name for p in views(POD).list(key[0]) if not p.spec.nodeName and key[1] in claim_names(p)]
    return ClaimWorld(claim, volumes, of, pods=pods)


def gather(views: Views, key: Key) -> ClaimWorld | VolumeWorld | None:
    if key[0]:
        return _gather_claim(views, key)
    volume: PersistentVolume | None = views(VOLUME).get("", key[1])
    if volume is None:
        return None
    ref = volume.spec.claimRef
    claim = views(CLAIM).get(ref.namespace, ref.name) if ref is not None else None
    if ref is not None and claim is not None and claim.metadata.uid != ref.uid:
        claim = None
    return VolumeWorld(volume, claim)


def reconcile(world: ClaimWorld | VolumeWorld, now: float) -> Plan:
    if isinstance(world, VolumeWorld):
        return _volume(world, now)
    claim = world.claim
    if BIND_COMPLETED in claim.metadata.annotations:
        return _bound_claim(world, now)
    return _named(world, now) if claim.spec.volumeName else _unbound_claim(world, now)


# --- claims -----------------------------------------------------------------------------------------------------------


def _unbound_claim(world: ClaimWorld, now: float) -> Plan:
    claim, of = world.claim, world.of
    if world.default:
        named = replace(claim, spec=replace(claim.spec, storageClassName=world.default))
        return Plan(actions=(Update(CLAIM, named),))
    waits = waits_for_consumer(of) and SELECTED_NODE not in claim.metadata.annotations
    volume = best(claim, world.volumes, kept_only=waits)
    if volume is not None:
        return _bind(volume, claim, now)
    if waits:
        reason, message = "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
        if world.pods:
            names = ",".join(world.pods)
            what = f"pods {names}" if len(world.pods) > 1 else f"pod {names}"
            reason, message = "WaitForPodScheduled", f"waiting for {what} to be scheduled"
        return _pending(claim, (EventNote(claim, "Normal", reason, message),))
    if storage_class(claim):
        return _ask_provisioner(claim, of)
    return _pending(claim, (EventNote(claim, "Normal", "FailedBinding", NO_VOLUME),))


def _ask_provisioner(claim: PersistentVolumeClaim, of: StorageClass | None) -> Plan:
    if of is None:
        message = f'storageclass.storage.k8s.io "{storage_class(claim)}" not found'
        return _pending(claim, (EventNote(claim, "Warning", "ProvisioningFailed", message),))
    who = of.provisioner
    if who.startswith(IN_TREE):
        message = f"no volume plugin matched name: {who}"
        return _pending(claim, (EventNote(claim, "Warning", "ProvisioningFailed", message),))
    annotations = claim.metadata.annotations
    asked = {**annotations, ASKED_PROVISIONER: who, BETA_ASKED_PROVISIONER: who}
    if asked != annotations:
        changed = replace(claim, metadata=replace(claim.metadata, annotations=asked))
        return Plan(actions=(Update(CLAIM, changed),))  # the change wakes the claim again, and then it waits
    return _pending(claim, (EventNote(claim, "Normal", "ExternalProvisioning", EXTERNAL.format(who)),))


def _named(world: ClaimWorld, now: float) -> Plan:
    """The claim says which volume it wants."""
    claim = world.claim
    if not world.volumes:
        return _pending(claim)
    volume = world.volumes[0]
    name = volume.metadata.name
    if volume.spec.claimRef is None:
        why = problem(volume, claim)
        if why:
            message = f'Cannot bind to requested volume "{name}": {why}'
            return _pending(claim, (EventNote(claim, "Warning", "VolumeMismatch", message),))
        return _bind(volume, claim, now)
    if is_for(volume, claim):
        return _bind(volume, claim, now)
    if BOUND_BY_CONTROLLER in claim.metadata.annotations:
        ref, meta = volume.spec.claimRef, claim.metadata
        return Plan(
            error=f'invalid binding of claim "{meta.namespace}/{meta.name}" to volume "{name}": '
            f'volume already claimed by "{ref.namespace}/{ref.name}"'
        )
    message = f'volume "{name}" already bound to a different claim.'
    return _pending(claim, (EventNote(claim, "Warning", "FailedBinding", message),))


def _bound_claim(world: ClaimWorld, now: float) -> Plan:
    claim = world.claim
    if not claim.spec.volumeName:
        return _lost(claim, "ClaimLost", LOST_REFERENCE)
    if not world.volumes:
        return _lost(claim, "ClaimLost", LOST_VOLUME)
    volume = world.volumes[0]
    ref = volume.spec.claimRef
    if ref is None or ref.uid == claim.metadata.uid:
        return _bind(volume, claim, now)
    return _lost(claim, "ClaimMisbound", MISBOUND)


def _status(claim: PersistentVolumeClaim, status: PersistentVolumeClaimStatus) -> Sequence[Update]:
    return (Update(CLAIM, replace(claim, status=status), "status"),) if status != claim.status else ()


def _pending(claim: PersistentVolumeClaim, events: Sequence[EventNote] = ()) -> Plan:
    status = replace(claim.status, phase="Pending", accessModes=(), capacity={})
    return Plan(actions=_status(claim, status), events=events)


def _lost(claim: PersistentVolumeClaim, reason: str, message: str) -> Plan:
    if claim.status.phase == "Lost":
        return NOTHING
    status = replace(claim.status, phase="Lost", accessModes=(), capacity={})
    return Plan(actions=_status(claim, status), events=(EventNote(claim, "Warning", reason, message),))


def _bind(volume: PersistentVolume, claim: PersistentVolumeClaim, now: float) -> Plan:
    """Volume; volume's status and claim; claim's status: each only if something changes, each after the one before."""
    bound = _volume_bound_to(volume, claim)
    if bound is volume:
        return _bind_claim(volume, claim, now)
    return _after(Update(VOLUME, bound), lambda written: _bind_claim(written, claim, now))


def _after(action: Update, then: Callable[[Any], Plan]) -> Plan:
    def judge(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        return Plan(error=error.message) if error is not None else then(outcomes[0].obj)

    return Plan(actions=(action,), on_outcomes=judge)


def _bind_claim(volume: PersistentVolume, claim: PersistentVolumeClaim, now: float) -> Plan:
    phase = _phase(volume, "Bound", now)
    bound = _claim_bound_to(claim, volume)
    if bound is claim:
        return Plan(actions=(*phase, *_status(claim, _bound_status(claim, volume))))

    def judge(outcomes: Sequence[Outcome]) -> Plan:
        error = next((o.error for o in outcomes if o.error is not None), None)
        if error is not None:
            return Plan(error=error.message)
        written = outcomes[-1].obj
        return Plan(actions=_status(written, _bound_status(written, volume)))

    return Plan(actions=(*phase, Update(CLAIM, bound)), on_outcomes=judge)


def _volume_bound_to(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
    """The same object when nothing changes."""
    meta, ref = claim.metadata, volume.spec.claimRef
    annotations = volume.metadata.annotations
    if not is_for(volume, claim):
        annotations = {**annotations, BOUND_BY_CONTROLLER: "yes"}
    elif ref is not None and ref.uid == meta.uid:
        return volume
    new = ObjectReference(
        kind="PersistentVolumeClaim",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        apiVersion="v1",
        resourceVersion=meta.resourceVersion,
    )
    return replace(
        volume,
        metadata=replace(volume.metadata, annotations=annotations),
        spec=replace(volume.spec, claimRef=new),
    )


def _claim_bound_to(claim: PersistentVolumeClaim, volume: PersistentVolume) -> PersistentVolumeClaim:
    annotations: Mapping[str, str] = claim.metadata.annotations
    wanted = {**annotations, BIND_COMPLETED: annotations.get(BIND_COMPLETED, "yes")}
    name = volume.metadata.name
    if claim.spec.volumeName != name:
        wanted.setdefault(BOUND_BY_CONTROLLER, "yes")
    elif wanted == annotations:
        return claim
    return replace(
        claim,
        metadata=replace(claim.metadata, annotations=wanted),
        spec=replace(claim.spec, volumeName=name),
    )


def _bound_status(claim: PersistentVolumeClaim, volume: PersistentVolume) -> PersistentVolumeClaimStatus:
    """The size is taken when the claim becomes bound: later it is the file system's, which may differ."""
    status = replace(claim.status, accessModes=volume.spec.accessModes)
    if status.phase == "Bound":
        return status
    return replace(
        status,
        phase="Bound",
        capacity=volume.spec.capacity,
        currentVolumeAttributesClassName=volume.spec.volumeAttributesClassName or None,
    )


# --- volumes ----------------------------------------------------------------------------------------------------------


def _phase(volume: PersistentVolume, phase: str, now: float, message: str = "") -> Sequence[Update]:
    if volume.status.phase == phase:
        return ()
    status = replace(volume.status, phase=phase, message=message, lastPhaseTransitionTime=rfc3339(now))
    return (Update(VOLUME, replace(volume, status=status), "status"),)


def _volume(world: VolumeWorld, now: float) -> Plan:
    volume, claim = world.volume, world.claim
    ref = volume.spec.claimRef
    if ref is None or not ref.uid:
        return Plan(actions=_phase(volume, "Available", now))
    if claim is None:
        return _released(volume, now)
    if not claim.spec.volumeName:
        return NOTHING  # the claim's own key binds it
    if claim.spec.volumeName == volume.metadata.name:
        return Plan(actions=_phase(volume, "Bound", now))
    if PROVISIONED_BY in volume.metadata.annotations and volume.spec.persistentVolumeReclaimPolicy == "Delete":
        return _released(volume, now)  # it was made for a claim that found another
    return _unbind(volume, now)


def _unbind(volume: PersistentVolume, now: float) -> Plan:
    annotations = dict(volume.metadata.annotations)
    ref = volume.spec.claimRef
    assert ref is not None
    left = None if annotations.pop(BOUND_BY_CONTROLLER, None) else replace(ref, uid="")
    changed = replace(
        volume,
        metadata=replace(volume.metadata, annotations=annotations),
        spec=replace(volume.spec, claimRef=left),
    )
    return _after(Update(VOLUME, changed), lambda written: Plan(actions=_phase(written, "Available", now)))


def _released(volume: PersistentVolume, now: float) -> Plan:
    policy = volume.spec.persistentVolumeReclaimPolicy
    name = volume.metadata.name
    if volume.status.phase not in ("Released", "Failed"):
        return Plan(actions=_phase(volume, "Released", now))  # what becomes of it follows, when the view shows that
    if policy == "Delete" and PROVISIONED_BY not in volume.metadata.annotations:
        message = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
        return _failed(volume, "VolumeFailedDelete", message, now)
    if policy == "Recycle":
        return _failed(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!", now)
    return NOTHING


def _failed(volume: PersistentVolume, reason: str, message: str, now: float) -> Plan:
    actions = _phase(volume, "Failed", now, message)
    return Plan(actions=actions, events=(EventNote(volume, "Warning", reason, message),)) if actions else NOTHING


# --- what wakes what --------------------------------------------------------------------------------------------------


def _claim_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """The claim, the volume that it names, and those that name it."""
    claim = new if new is not None else old
    meta = claim.metadata
    keys = [("", v.metadata.name) for v in views(VOLUME).by_index("claim", f"{meta.namespace}/{meta.name}")]
    if claim.spec.volumeName:
        keys.append(("", claim.spec.volumeName))
    return (*keys, (meta.namespace, meta.name))


def _volume_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """The volume, the claims that name it, the one that it names, and the claims that might take it now."""
    volume = new if new is not None else old
    name, ref = volume.metadata.name, volume.spec.claimRef
    keys = [(c.metadata.namespace, c.metadata.name) for c in views(CLAIM).by_index("volume", name)]
    if ref is not None:
        keys.append((ref.namespace, ref.name))
    elif new is not None and new.status.phase == "Available":
        for claim in views(CLAIM).by_index("unbound", volume_class(new)):
            if not problem(new, claim):
                keys.append((claim.metadata.namespace, claim.metadata.name))
    return (*keys, ("", name))


def _class_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    if new is None:
        return ()
    names = {new.metadata.name}
    if is_default(new):
        names.add("")
    claims = [c for name in names for c in views(CLAIM).by_index("unbound", name)]
    return [(c.metadata.namespace, c.metadata.name) for c in claims]


CONTROLLER = Controller(
    name="persistentvolumebinder",
    identity="persistent-volume-binder",
    component="persistentvolume-controller",
    watches=(Watch(CLAIM, _claim_keys), Watch(VOLUME, _volume_keys), Watch(CLASS, _class_keys)),
    kinds=(POD,),
    gather=gather,
    reconcile=reconcile,
)
