"""Which PersistentVolume serves a claim, by upstream's rules. Pure; used by the binder.

A volume that names the claim in ``claimRef`` is the claim's. Otherwise it must be Available, of the claim's class,
mode, attributes class and labels, have its access modes, and be as big; of those that do, the one with the fewest
access modes and then the smallest is taken. Among equals the claim's id picks, so that claims that come together
seldom want the same volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from pelamis.api.core.persistentvolume import PersistentVolume, size, volume_class
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim, asked_size, storage_class
from pelamis.base import labels
from pelamis.base.labels import SelectorError


def is_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Bound to the claim, or kept for it by name."""
    ref, meta = volume.spec.claimRef, claim.metadata
    if ref is None or ref.name != meta.name or ref.namespace != meta.namespace:
        return False
    return ref.uid in ("", meta.uid)


def _same_mode(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    return (volume.spec.volumeMode or "Filesystem") == (claim.spec.volumeMode or "Filesystem")


def _same_attributes(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    return (volume.spec.volumeAttributesClassName or "") == (claim.spec.volumeAttributesClassName or "")


def problem(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Why a volume that the claim names cannot be bound to it; empty = it can."""
    if size(volume) < asked_size(claim):
        return "requested PV is too small"
    if volume_class(volume) != storage_class(claim):
        return "storageClassName does not match"
    if not _same_attributes(volume, claim):
        return "volumeAttributesClassName does not match"
    if not _same_mode(volume, claim):
        return "incompatible volumeMode"
    if not set(claim.spec.accessModes) <= set(volume.spec.accessModes):
        return "incompatible accessMode"
    return ""


def best(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], *, kept_only: bool = False
) -> PersistentVolume | None:
    """kept_only: none but those that name the claim already, as while it waits for its first consumer."""
    try:
        selector = labels.from_label_selector(claim.spec.selector) if claim.spec.selector else labels.EVERYTHING
    except SelectorError:
        return None
    need, modes, own_class = asked_size(claim), set(claim.spec.accessModes), storage_class(claim)
    found: list[PersistentVolume] = []
    least: tuple[int, int] | None = None
    for volume in volumes:
        if volume.metadata.deletionTimestamp is not None:
            continue
        kept = volume.spec.claimRef is not None
        if kept and not is_for(volume, claim):
            continue
        capacity = size(volume)
        if capacity < need or not _same_mode(volume, claim) or not _same_attributes(volume, claim):
            continue
        if kept:
            return volume
        if kept_only or volume.status.phase != "Available" or volume_class(volume) != own_class:
            continue
        if not modes <= set(volume.spec.accessModes) or not selector.matches(volume.metadata.labels):
            continue
        rank = (len(volume.spec.accessModes), capacity)
        if least is None or rank < least:
            least, found = rank, [volume]
        elif rank == least:
            found.append(volume)
    return found[crc32(claim.metadata.uid.encode()) % len(found)] if found else None
