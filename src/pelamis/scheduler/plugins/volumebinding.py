"""VolumeBinding: bound volumes must be reachable from the node; claims that wait for a consumer must find a place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pelamis.scheduler.args import VolumeBindingArgs
from pelamis.scheduler.extension import (
    CAPACITY_ADD,
    CAPACITY_UPDATE,
    CLAIM_ADD,
    CLAIM_UPDATE,
    CLASS_ADD,
    CLASS_UPDATE,
    CSI_NODE_ADD,
    CSI_NODE_UPDATE,
    DRIVER_UPDATE,
    NODE_ADD,
    NODE_LABEL,
    VOLUME_ADD,
    VOLUME_UPDATE,
    Event,
    Plugin,
    Rejection,
    Rows,
    Verdict,
    rows_of,
)
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.volumes import claims_of, places_for, reach

NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
NOTHING_TO_BIND = "node(s) didn't find available persistent volumes to bind"
NO_SPACE = "node(s) did not have enough free storage"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


def _before(snapshot: Snapshot, info: PodInfo) -> Verdict | None:
    if not info.claims:
        return None
    problem = claims_of(snapshot, info).problem
    return Verdict(problem, False) if problem else None


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    """A node may have several of these reasons at once."""
    if not info.claims:
        return ()
    claims = claims_of(snapshot, info)
    out = []
    if any(volume is None for _, volume in claims.bound):
        return (Rejection(np.ones(len(rows_of(snapshot, rows)), np.bool_), NO_VOLUME, False),)
    volumes = [v for _, v in claims.bound if v is not None and v.spec.nodeAffinity is not None]
    if volumes:
        reached = reach(snapshot, volumes[0])
        for volume in volumes[1:]:
            reached = reached & reach(snapshot, volume)
        out.append(Rejection(~reached[rows], NODE_CONFLICT, False))
    if claims.waiting:
        found, short = places_for(snapshot, claims.waiting)
        if not found.all():
            out.append(Rejection((~found & ~short)[rows], NOTHING_TO_BIND, False))
            out.append(Rejection(short[rows], NO_SPACE, False))
    return out


def _claim_helps(info: PodInfo, event: Event) -> bool:
    meta = event.new.metadata
    return meta.namespace == info.namespace and meta.name in info.claims


def _without_claims(snapshot: Snapshot, info: PodInfo) -> bool:
    return not info.claims


def plugin(args: VolumeBindingArgs = VolumeBindingArgs()) -> Plugin:
    return Plugin(
        name="VolumeBinding",
        before=_before,
        filter=_filter,
        idle=_without_claims,
        helps={
            CLAIM_ADD: _claim_helps,
            CLAIM_UPDATE: _claim_helps,
            VOLUME_ADD: None,
            VOLUME_UPDATE: None,
            CLASS_ADD: None,
            CLASS_UPDATE: None,
            CSI_NODE_ADD: None,
            CSI_NODE_UPDATE: None,
            DRIVER_UPDATE: None,
            CAPACITY_ADD: None,
            CAPACITY_UPDATE: None,
            NODE_ADD: None,
            NODE_LABEL: None,
        },
    )
