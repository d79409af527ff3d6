"""How many volumes of each CSI driver are attached to each node, or will be: a column per driver, kept up to date.

A row's volumes are those of the claims of its pods, each once however many pods share it, and those that
VolumeAttachments say are still there. Rows are looked at again when pods come or go, or a claim of theirs changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pelamis.api.core.persistentvolumeclaim import storage_class
from pelamis.scheduler.snapshot import Ints, Snapshot

Volume = tuple[str, str]
"""Driver and handle; a volume that is still to be made has the name of its claim."""
UNLIMITED = 2**62


def volumes_of(snapshot: Snapshot, namespace: str, names: Iterable[str]) -> set[Volume]:
    """Of claims."""
    out: set[Volume] = set()
    storage = snapshot.storage
    for name in names:
        claim = storage.claims.get((namespace, name))
        if claim is None:
            continue
        volume = storage.volumes.get(claim.spec.volumeName) if claim.spec.volumeName else None
        if volume is None:
            made_by = storage.classes.get(storage_class(claim))
            if made_by is not None:
                out.add((made_by.provisioner, f"{namespace}/{name}"))
        elif volume.spec.csi is not None:
            out.add((volume.spec.csi.driver, volume.spec.csi.volumeHandle))
    return out


class Attached:
    """counts: by driver. where: the rows that have a volume."""

    def __init__(self) -> None:
        self.counts: dict[str, Ints] = {}
        self.where: dict[Volume, set[int]] = {}
        self._rows: dict[int, set[Volume]] = {}
        self._limits: dict[str, Ints] = {}
        self._limits_of: Any = None
        self._generation = -1
        self._position = -1
        self._noted = -1

    def update(self, snapshot: Snapshot) -> None:
        storage = snapshot.storage
        rows = snapshot.changed_since(self._position)
        noted = storage.changes.since(self._noted)
        self._position, self._noted = snapshot.position, storage.changes.position
        if self._generation != snapshot.generation or rows is None or noted is None:
            self._generation = snapshot.generation
            self.counts, self.where, self._rows = {}, {}, {}
            nodes = {a.spec.nodeName for a in storage.attachments.values()}
            rows = {n.row for n in snapshot.nodes if n.claims or n.name in nodes}
        else:
            for kind, key in noted:
                names = snapshot.claim_nodes.get(key, ()) if kind == "claim" else (key,)
                rows.update(snapshot.by_name[name].row for name in names if name in snapshot.by_name)
        for row in rows:
            self._look(snapshot, row)

    def _look(self, snapshot: Snapshot, row: int) -> None:
        node = snapshot.nodes[row]
        has: set[Volume] = set()
        for namespace, name in node.claims:
            has |= volumes_of(snapshot, namespace, (name,))
        if snapshot.storage.attachments:
            has |= snapshot.storage.attached(node.name)
        had = self._rows.get(row)
        if had is None:
            if not has:
                return
            had = set()
        for volume in had - has:
            self.counts[volume[0]][row] -= 1
            self.where[volume].discard(row)
            if not self.where[volume]:
                del self.where[volume]
        for volume in has - had:
            counts = self.counts.get(volume[0])
            if counts is None:
                counts = self.counts[volume[0]] = np.zeros(snapshot.size, np.int64)
            counts[row] += 1
            self.where.setdefault(volume, set()).add(row)
        if has:
            self._rows[row] = has
        else:
            self._rows.pop(row, None)

    def limits(self, snapshot: Snapshot) -> dict[str, Ints]:
        """By driver, how many a row can have."""
        version = (snapshot.generation, snapshot.storage.csi_version)
        if self._limits_of != version:
            self._limits_of = version
            self._limits = {}
            for name, found in snapshot.storage.csi_nodes.items():
                node = snapshot.by_name.get(name)
                for driver in found.spec.drivers if node is not None else ():
                    if driver.allocatable is None or driver.allocatable.count is None:
                        continue
                    column = self._limits.get(driver.name)
                    if column is None:
                        column = self._limits[driver.name] = np.full(snapshot.size, UNLIMITED, np.int64)
                    assert node is not None
                    column[node.row] = driver.allocatable.count
        return self._limits
