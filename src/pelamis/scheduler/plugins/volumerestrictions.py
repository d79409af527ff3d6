"""VolumeRestrictions: disks that only one node can write, and claims that only one pod can have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pelamis.scheduler.args import Args
from pelamis.scheduler.extension import CLAIM_ADD, NODE_ADD, POD_DELETE, Event, Plugin, Rejection, Rows, rows_of
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot

DISK = "node(s) had no available disk"
ONE_POD = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


def _disks(info: PodInfo) -> list[Any]:
    """Volumes of the kinds that one host at a time can write."""
    return [v for v in info.pod.spec.volumes if v.gcePersistentDisk or v.awsElasticBlockStore or v.iscsi or v.rbd]


def _clash(mine: Any, other: Any) -> bool:
    a, b = mine.gcePersistentDisk, other.gcePersistentDisk
    if a is not None and b is not None:
        return a.pdName == b.pdName and not (a.readOnly and b.readOnly)
    a, b = mine.awsElasticBlockStore, other.awsElasticBlockStore
    if a is not None and b is not None:
        return bool(a.volumeID == b.volumeID)
    a, b = mine.iscsi, other.iscsi
    if a is not None and b is not None:
        return a.iqn == b.iqn and not (a.readOnly and b.readOnly)
    a, b = mine.rbd, other.rbd
    if a is not None and b is not None:
        same = a.pool == b.pool and a.image == b.image and bool(set(a.monitors) & set(b.monitors))
        return same and not (a.readOnly and b.readOnly)
    return False


def _clashes(mine: Sequence[Any], info: PodInfo) -> bool:
    return any(_clash(a, b) for b in _disks(info) for a in mine)


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    out = []
    disks = _disks(info)
    if disks:
        numbers = rows_of(snapshot, rows)
        mask = [any(_clashes(disks, p) for p in snapshot.nodes[row].pods.values()) for row in numbers]
        out.append(Rejection(np.array(mask, np.bool_), DISK))
    for name in info.claims:
        key = (info.namespace, name)
        claim = snapshot.storage.claims.get(key)
        if claim is None or "ReadWriteOncePod" not in claim.spec.accessModes or not snapshot.claims.get(key):
            continue
        numbers = rows_of(snapshot, rows)
        out.append(Rejection(np.ones(len(numbers), np.bool_), ONE_POD))
        break
    return out


def _pod_gone(info: PodInfo, event: Event) -> bool:
    gone = event.old
    shared = gone.namespace == info.namespace and bool(set(gone.claims) & set(info.claims))
    return shared or _clashes(_disks(info), gone)


def _idle(snapshot: Snapshot, info: PodInfo) -> bool:
    return not info.claims and not _disks(info)


def plugin(args: Args = Args()) -> Plugin:
    return Plugin(
        name="VolumeRestrictions",
        filter=_filter,
        idle=_idle,
        helps={POD_DELETE: _pod_gone, CLAIM_ADD: None, NODE_ADD: None},
    )
