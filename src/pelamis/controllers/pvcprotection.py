"""PVC protection: a claim that pods use is not removed before they are gone.

The finalizer is put on every claim, and taken off one that is being deleted when no pod uses it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.volume import claim_names
from pelamis.client.types import Key
from pelamis.reconcile import changes
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.podstate import is_finished
from pelamis.reconcile.protection import protect
from pelamis.reconcile.spec import Controller, Views, Watch

FINALIZER = "kubernetes.io/pvc-protection"


@dataclass(frozen=True, slots=True)
class World:
    claim: PersistentVolumeClaim
    used: bool


def gather(views: Views, key: Key) -> World | None:
    claim: PersistentVolumeClaim | None = views(CLAIM).get(*key)
    if claim is None:
        return None
    used = False
    if claim.metadata.deletionTimestamp is not None and FINALIZER in claim.metadata.finalizers:
        used = any(p.spec.nodeName and not is_finished(p) and key[1] in claim_names(p) for p in views(POD).list(key[0]))
    return World(claim, used)


def reconcile(world: World, now: float) -> Plan:
    return protect(CLAIM, world.claim, FINALIZER, world.used)


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """A pod that has ended or is gone."""
    if old is None or (new is not None and (is_finished(old) or not is_finished(new))):
        return ()
    return [(old.metadata.namespace, name) for name in claim_names(old)]


CONTROLLER = Controller(
    name="pvcprotection",
    identity="pvc-protection-controller",
    component="pvc-protection-controller",
    watches=(Watch(CLAIM), Watch(POD, _pod_keys, (changes.DELETED | changes.ENDED, changes.VOLUMES))),
    gather=gather,
    reconcile=reconcile,
)
