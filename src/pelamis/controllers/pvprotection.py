"""PV protection: a volume that is bound to a claim is not removed before the claim is gone."""

from __future__ import annotations

import msgspec

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.client.types import Key, Update
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

FINALIZER = "kubernetes.io/pv-protection"


def gather(views: Views, key: Key) -> PersistentVolume | None:
    volume: PersistentVolume | None = views(VOLUME).get(*key)
    return volume


def reconcile(volume: PersistentVolume, now: float) -> Plan:
    meta = volume.metadata
    if meta.deletionTimestamp is None:
        if FINALIZER in meta.finalizers:
            return NOTHING
        finalizers = (*meta.finalizers, FINALIZER)
    elif FINALIZER in meta.finalizers and volume.status.phase != "Bound":
        finalizers = tuple(f for f in meta.finalizers if f != FINALIZER)
    else:
        return NOTHING
    changed = msgspec.structs.replace(meta, finalizers=finalizers)
    return Plan(actions=(Update(VOLUME, msgspec.structs.replace(volume, metadata=changed)),))


CONTROLLER = Controller(
    name="pvprotection",
    identity="pv-protection-controller",
    component="pv-protection-controller",
    watches=(Watch(VOLUME),),
    gather=gather,
    reconcile=reconcile,
)
