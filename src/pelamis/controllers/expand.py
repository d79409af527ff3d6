"""Volume expansion: says on a claim that asks for more than it has who is to make its volume bigger.

All drivers that can grow volumes do so themselves; this controller's part is the event that explains the wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.base.quantity import compare
from pelamis.client.types import Key
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

CSI = "waiting for an external controller to expand this PVC"
NO_PLUGIN = (
    "Ignoring the PVC: didn't find a plugin capable of expanding the volume; "
    "waiting for an external controller to process this PVC."
)


@dataclass(frozen=True, slots=True)
class World:
    claim: PersistentVolumeClaim
    volume: PersistentVolume


def wants_more(claim: PersistentVolumeClaim) -> bool:
    asked, given = claim.spec.resources.requests.get("storage"), claim.status.capacity.get("storage")
    return claim.status.phase == "Bound" and bool(asked) and bool(given) and compare(asked or "0", given or "0") > 0


def gather(views: Views, key: Key) -> World | None:
    claim: PersistentVolumeClaim | None = views(CLAIM).get(*key)
    if claim is None or not wants_more(claim):
        return None
    volume = views(VOLUME).get("", claim.spec.volumeName)
    return World(claim, volume) if volume is not None else None


def reconcile(world: World, now: float) -> Plan:
    claim, volume = world.claim, world.volume
    ref = volume.spec.claimRef
    if ref is None or ref.uid != claim.metadata.uid:
        return NOTHING  # somebody else's volume
    if volume.spec.csi is not None:
        return Plan(events=(EventNote(claim, "Normal", "ExternalExpanding", CSI),))
    return Plan(events=(EventNote(claim, "Warning", "ExternalExpanding", NO_PLUGIN),))


def _keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """When more is asked for than before, or at the first sight of a claim that waits."""
    if new is None or not wants_more(new):
        return ()
    if old is not None and old.spec.resources == new.spec.resources and wants_more(old):
        return ()
    return ((new.metadata.namespace, new.metadata.name),)


CONTROLLER = Controller(
    name="expand",
    identity="expand-controller",
    component="volume_expand",
    watches=(Watch(CLAIM, _keys),),
    kinds=(VOLUME,),
    gather=gather,
    reconcile=reconcile,
)
