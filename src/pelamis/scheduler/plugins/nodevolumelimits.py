"""NodeVolumeLimits: a CSI driver can attach only so many volumes to a node; the node's CSINode says how many."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pelamis.scheduler.args import Args
from pelamis.scheduler.extension import (
    ATTACHMENT_DELETE,
    CLAIM_ADD,
    CLAIM_UPDATE,
    CSI_NODE_ADD,
    CSI_NODE_UPDATE,
    POD_DELETE,
    Plugin,
    Rejection,
    Rows,
    rows_of,
)
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import NodeInfo, Snapshot
from pelamis.scheduler.volumes import class_of

REASON = "node(s) exceed max volume count"


def _volumes(snapshot: Snapshot, namespace: str, names: Iterable[str]) -> set[tuple[str, str]]:
    """(driver, volume) of claims; a volume that is still to be made counts as one of its own."""
    out: set[tuple[str, str]] = set()
    storage = snapshot.storage
    for name in names:
        claim = storage.claims.get((namespace, name))
        if claim is None:
            continue
        volume = storage.volumes.get(claim.spec.volumeName) if claim.spec.volumeName else None
        if volume is None:
            made_by = storage.classes.get(class_of(claim))
            if made_by is not None:
                out.add((made_by.provisioner, f"{namespace}/{name}"))
        elif volume.spec.csi is not None:
            out.add((volume.spec.csi.driver, volume.spec.csi.volumeHandle))
    return out


def _limits(snapshot: Snapshot, node: NodeInfo) -> dict[str, int]:
    found = snapshot.storage.csi_nodes.get(node.name)
    if found is None:
        return {}
    return {
        d.name: d.allocatable.count
        for d in found.spec.drivers
        if d.allocatable is not None and d.allocatable.count is not None
    }


def _exceeds(snapshot: Snapshot, node: NodeInfo, wanted: set[tuple[str, str]]) -> bool:
    limits = {driver: n for driver, n in _limits(snapshot, node).items() if any(w[0] == driver for w in wanted)}
    if not limits:
        return False
    has: set[tuple[str, str]] = set()
    for namespace, name in node.claims:
        has |= _volumes(snapshot, namespace, (name,))
    has |= snapshot.storage.attached(node.name)
    more = wanted - has
    return any(
        any(w[0] == driver for w in more) and sum(1 for v in has | more if v[0] == driver) > limit
        for driver, limit in limits.items()
    )


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    if not info.claims:
        return ()
    wanted = _volumes(snapshot, info.namespace, info.claims)
    if not wanted:
        return ()
    mask = [_exceeds(snapshot, snapshot.nodes[row], wanted) for row in rows_of(snapshot, rows)]
    return (Rejection(np.array(mask, np.bool_), REASON),)


def plugin(args: Args = Args()) -> Plugin:
    return Plugin(
        name="NodeVolumeLimits",
        filter=_filter,
        helps={
            CSI_NODE_ADD: None,
            CSI_NODE_UPDATE: None,
            POD_DELETE: None,
            CLAIM_ADD: None,
            CLAIM_UPDATE: None,
            ATTACHMENT_DELETE: None,
        },
    )
