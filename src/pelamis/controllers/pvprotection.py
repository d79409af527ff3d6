"""PV protection: a volume that is bound to a claim is not removed before the claim is gone."""

from __future__ import annotations

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.client.types import Key
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.protection import protect
from pelamis.reconcile.spec import Controller, Views, Watch

FINALIZER = "kubernetes.io/pv-protection"


def gather(views: Views, key: Key) -> PersistentVolume | None:
    volume: PersistentVolume | None = views(VOLUME).get(*key)
    return volume


def reconcile(volume: PersistentVolume, now: float) -> Plan:
    return protect(VOLUME, volume, FINALIZER, volume.status.phase == "Bound")


CONTROLLER = Controller(
    name="pvprotection",
    identity="pv-protection-controller",
    component="pv-protection-controller",
    watches=(Watch(VOLUME),),
    gather=gather,
    reconcile=reconcile,
)
