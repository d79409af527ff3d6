"""NodeVolumeLimits: a CSI driver can attach only so many volumes to a node; the node's CSINode says how many."""

from __future__ import annotations

from collections.abc import Iterable

from pelamis.scheduler.args import Args
from pelamis.scheduler.attached import Attached, volumes_of
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
)
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Mask, Snapshot

REASON = "node(s) exceed max volume count"


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    if not info.claims or not snapshot.storage.csi_nodes:
        return ()
    wanted = volumes_of(snapshot, info.namespace, info.claims)
    if not wanted:
        return ()
    if snapshot.attached is None:
        snapshot.attached = Attached()
    attached: Attached = snapshot.attached
    attached.update(snapshot)
    limits = attached.limits(snapshot)
    over: Mask | None = None
    for driver in {driver for driver, _ in wanted} & limits.keys():
        new = [v for v in wanted if v[0] == driver]
        counts, limit = attached.counts.get(driver), limits[driver]
        here = len(new) > limit if counts is None else counts + len(new) > limit
        for row in {row for v in new for row in attached.where.get(v, ())}:  # what is there is not new
            more = sum(1 for v in new if row not in attached.where.get(v, ()))
            here[row] = bool(more) and counts is not None and int(counts[row]) + more > int(limit[row])
        over = here if over is None else over | here
    if over is None or not over.any():
        return ()
    return (Rejection(over[rows], REASON),)


def _without_claims(snapshot: Snapshot, info: PodInfo) -> bool:
    return not info.claims


def plugin(args: Args = Args()) -> Plugin:
    return Plugin(
        name="NodeVolumeLimits",
        filter=_filter,
        idle=_without_claims,
        helps={
            CSI_NODE_ADD: None,
            CSI_NODE_UPDATE: None,
            POD_DELETE: None,
            CLAIM_ADD: None,
            CLAIM_UPDATE: None,
            ATTACHMENT_DELETE: None,
        },
    )
