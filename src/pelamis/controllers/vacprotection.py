"""VAC protection: a volume attributes class that a claim or a volume names is not removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.storage.volumeattributesclass import KIND as CLASS
from pelamis.api.storage.volumeattributesclass import VolumeAttributesClass
from pelamis.client.types import Key
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.protection import protect
from pelamis.reconcile.spec import Controller, Views, Watch

FINALIZER = "kubernetes.io/vac-protection"


@dataclass(frozen=True, slots=True)
class World:
    cls: VolumeAttributesClass
    used: bool


def named(obj: Any) -> set[str]:
    """The classes that a claim or a volume has, wants, or is on its way to."""
    out = {obj.spec.volumeAttributesClassName or ""}
    if obj.kind == "PersistentVolumeClaim":
        out.add(obj.status.currentVolumeAttributesClassName or "")
        if obj.status.modifyVolumeStatus is not None:
            out.add(obj.status.modifyVolumeStatus.targetVolumeAttributesClassName)
    return out - {""}


def gather(views: Views, key: Key) -> World | None:
    cls: VolumeAttributesClass | None = views(CLASS).get(*key)
    if cls is None:
        return None
    used = False
    if cls.metadata.deletionTimestamp is not None:
        used = any(key[1] in named(o) for kind in (VOLUME, CLAIM) for o in views(kind).list())
    return World(cls, used)


def reconcile(world: World, now: float) -> Plan:
    return protect(CLASS, world.cls, FINALIZER, world.used)


def _released(views: Views, old: Any, new: Any) -> Sequence[Key]:
    if old is None:
        return ()
    return [("", name) for name in named(old) - (named(new) if new is not None else set())]


CONTROLLER = Controller(
    name="vacprotection",
    identity="volumeattributesclass-protection-controller",
    component="volumeattributesclass-protection-controller",
    watches=(Watch(CLASS), Watch(CLAIM, _released), Watch(VOLUME, _released)),
    gather=gather,
    reconcile=reconcile,
)
