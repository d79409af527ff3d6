"""What the volume plugins look up: claims, volumes, classes, drivers. Tables that the executor keeps up to date.

Volumes that are free are kept in *pools* of those that differ in nothing but where they are reached from, so that a
claim that waits for a node is compared with few pools instead of all volumes; a pool knows per row how many of its
places are reached from there. Whatever writes to a table is noted by its index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from pelamis.api.core.persistentvolume import PersistentVolume, size, volume_class
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.storage.csidriver import CSIDriver
from pelamis.api.storage.csinode import CSINode
from pelamis.api.storage.csistoragecapacity import CSIStorageCapacity
from pelamis.api.storage.storageclass import StorageClass
from pelamis.api.storage.volumeattachment import VolumeAttachment
from pelamis.scheduler.changelog import ChangeLog

K = TypeVar("K")
V = TypeVar("V")
ClaimKey = tuple[str, str]
_REMEMBERED = 4096


class Table(dict[K, V]):
    """A dict that tells of each change: (key, old, new)."""

    def __init__(self, changed: Callable[[K, V | None, V | None], None]) -> None:
        super().__init__()
        self._changed = changed

    def __setitem__(self, key: K, value: V) -> None:
        old = self.get(key)
        super().__setitem__(key, value)
        self._changed(key, old, value)

    def __delitem__(self, key: K) -> None:
        self.pop(key)

    def pop(self, key: K, *default: Any) -> Any:
        there = key in self
        value = super().pop(key, *default)
        if there:
            self._changed(key, value, None)
        return value

    def update(self, other: Any = (), **more: V) -> None:
        for key, value in dict(other, **more).items():
            self[key] = value


class Shape(NamedTuple):
    """All that a claim asks of a volume, but for labels and where it is."""

    class_name: str
    mode: str
    attributes: str
    modes: frozenset[str]
    size: int


def shape_of(volume: PersistentVolume) -> Shape:
    spec = volume.spec
    mode, attributes = spec.volumeMode or "Filesystem", spec.volumeAttributesClassName or ""
    return Shape(volume_class(volume), mode, attributes, frozenset(spec.accessModes), size(volume))


class Place:
    """Free volumes that the same nodes reach. rows None: not worked out for the present nodes."""

    __slots__ = ("names", "narrow", "rows", "volume")

    def __init__(self, volume: PersistentVolume) -> None:
        self.volume = volume
        self.names: dict[str, None] = {}
        self.rows: Any = None
        self.narrow = False


class Pool:
    """Free volumes of one shape. supply: per row, the places reached from there that have a volume."""

    NARROW = 16

    def __init__(self) -> None:
        self.places: dict[bytes, Place] = {}
        self._new: dict[bytes, Place] = {}
        self._at: dict[int, list[Place]] = {}
        self._wide: list[Place] = []
        self._supply: Any = None
        self._generation = -1

    @staticmethod
    def _key(volume: PersistentVolume) -> bytes:
        affinity = volume.spec.nodeAffinity
        return msgspec.json.encode(affinity.required) if affinity is not None else b""

    def add(self, volume: PersistentVolume) -> None:
        key = self._key(volume)
        place = self.places.get(key)
        if place is None:
            place = self.places[key] = self._new[key] = Place(volume)
        place.names[volume.metadata.name] = None

    def remove(self, volume: PersistentVolume) -> None:
        key = self._key(volume)
        place = self.places.get(key)
        if place is None or place.names.pop(volume.metadata.name, 0) is not None or place.names:
            return
        del self.places[key]
        if self._new.pop(key, None) is None and place.rows is not None:
            self._supply[place.rows] -= 1
            if place.narrow:
                for row in place.rows:
                    self._at[int(row)].remove(place)
            else:
                self._wide.remove(place)

    def supply(self, snapshot: Any, reach: Callable[[Any, PersistentVolume], Any]) -> Any:
        """reach: the rows from which a volume is reached, as a mask."""
        if self._generation != snapshot.generation:
            self._generation = snapshot.generation
            self._supply = np.zeros(snapshot.size, np.int64)
            self._at, self._wide = {}, []
            self._new = dict(self.places)
        for place in self._new.values():
            place.rows = np.flatnonzero(reach(snapshot, place.volume))
            self._supply[place.rows] += 1
            place.narrow = len(place.rows) <= self.NARROW
            if place.narrow:
                for row in place.rows:
                    self._at.setdefault(int(row), []).append(place)
            else:
                self._wide.append(place)
        self._new.clear()
        return self._supply

    def reached(self, row: int) -> Iterable[str]:
        """Names of the free volumes that the row reaches; ``supply`` has been asked before."""
        for place in self._at.get(row, ()):
            yield from place.names
        for place in self._wide:
            index = np.searchsorted(place.rows, row)
            if index < len(place.rows) and place.rows[index] == row:
                yield from place.names


class Storage:
    """assumed: volume name to the claim that a decision has promised it to, until the view shows it.

    promised: volumes by the claim that they are promised to, in writing or as assumed.
    """

    def __init__(self) -> None:
        self.claims: Table[ClaimKey, PersistentVolumeClaim] = Table(self._claim)
        self.volumes: Table[str, PersistentVolume] = Table(self._volume)
        self.classes: dict[str, StorageClass] = {}
        self.csi_nodes: Table[str, CSINode] = Table(self._csi_node)
        self.assumed: Table[str, ClaimKey] = Table(self._assumed)
        self.attachments: Table[str, VolumeAttachment] = Table(self._attachment)
        self.drivers: dict[str, CSIDriver] = {}
        self.capacities: dict[tuple[str, str], CSIStorageCapacity] = {}
        self.promised: dict[ClaimKey, dict[str, None]] = {}
        self.pools: dict[str, dict[Shape, Pool]] = {}
        self.csi_version = 0
        self.users: dict[str, ClaimKey] = {}
        """Which claim says that it is bound to a volume."""
        self._at_node: dict[str, dict[str, None]] = {}
        self._of_volume: dict[str, dict[str, None]] = {}
        self.changes: ChangeLog[tuple[str, Any]] = ChangeLog(_REMEMBERED)
        """("claim", key) and ("node", name of the node of an attachment)."""

    def _claim(self, key: ClaimKey, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> None:
        for claim in (old, new):
            if claim is not None and claim.spec.volumeName:
                if claim is old and self.users.get(claim.spec.volumeName) == key:
                    del self.users[claim.spec.volumeName]
                elif claim is new:
                    self.users[claim.spec.volumeName] = key
        self.changes.note(("claim", key))

    def _csi_node(self, key: str, old: CSINode | None, new: CSINode | None) -> None:
        self.csi_version += 1

    def _attachment(self, key: str, old: VolumeAttachment | None, new: VolumeAttachment | None) -> None:
        for attachment in (old, new):
            if attachment is None:
                continue
            node, volume = attachment.spec.nodeName, attachment.spec.source.persistentVolumeName or ""
            self.changes.note(("node", node))
            for index, place in ((self._at_node, node), (self._of_volume, volume)):
                if attachment is new:
                    index.setdefault(place, {})[key] = None
                elif place in index:
                    index[place].pop(key, None)
                    if not index[place]:
                        del index[place]

    def _volume(self, key: str, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        if old is not None:
            self._withdraw(old)
        if new is not None:
            self._offer(new)
        if (old is None) is not (new is None) or (old and new and old.spec.csi != new.spec.csi):
            user = self.users.get(key)
            if user is not None:
                self.changes.note(("claim", user))
            for name in self._of_volume.get(key, ()):
                self.changes.note(("node", self.attachments[name].spec.nodeName))

    def _assumed(self, key: str, old: ClaimKey | None, new: ClaimKey | None) -> None:
        volume = self.volumes.get(key)
        if old is not None:
            self._break(old, key)
        if new is not None:
            self.promised.setdefault(new, {})[key] = None
        if volume is not None:
            self._withdraw(volume)
            self._offer(volume)

    def settle(self, key: ClaimKey) -> None:
        """The claim says which volume it has, or is gone: nothing is assumed for it any more."""
        for name in [n for n in self.promised.get(key, ()) if self.assumed.get(n) == key]:
            del self.assumed[name]

    def _break(self, claim: ClaimKey, volume: str) -> None:
        names = self.promised.get(claim)
        if names is not None:
            names.pop(volume, None)
            if not names:
                del self.promised[claim]

    def _offer(self, volume: PersistentVolume) -> None:
        name, ref = volume.metadata.name, volume.spec.claimRef
        if volume.metadata.deletionTimestamp is not None:
            return
        if ref is not None:
            self.promised.setdefault((ref.namespace, ref.name), {})[name] = None
        elif name in self.assumed:
            self.promised.setdefault(self.assumed[name], {})[name] = None
        elif volume.status.phase == "Available":
            shape = shape_of(volume)
            pools = self.pools.setdefault(shape.class_name, {})
            pool = pools.get(shape)
            if pool is None:
                pool = pools[shape] = Pool()
            pool.add(volume)

    def _withdraw(self, volume: PersistentVolume) -> None:
        name, ref = volume.metadata.name, volume.spec.claimRef
        if ref is not None and self.assumed.get(name) != (ref.namespace, ref.name):
            self._break((ref.namespace, ref.name), name)
        shape = shape_of(volume)
        pools = self.pools.get(shape.class_name, {})
        pool = pools.get(shape)
        if pool is not None:
            pool.remove(volume)
            if not pool.places:
                del pools[shape]

    def attached(self, node: str) -> set[tuple[str, str]]:
        """(driver, handle) of the volumes that are attached to the node, whether or not a pod there still uses them."""
        out: set[tuple[str, str]] = set()
        for attachment in self._at_node.get(node, ()):
            name = self.attachments[attachment].spec.source.persistentVolumeName
            volume = self.volumes.get(name) if name else None
            if volume is not None and volume.spec.csi is not None:
                out.add((volume.spec.csi.driver, volume.spec.csi.volumeHandle))
        return out
