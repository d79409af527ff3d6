"""VolumeZone: volumes labelled with a zone or region are used from nodes in it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pelamis.api.core.wellknown import BETA_REGION, BETA_ZONE, REGION, ZONE
from pelamis.scheduler.args import Args
from pelamis.scheduler.extension import (
    CLAIM_ADD,
    CLAIM_UPDATE,
    CLASS_ADD,
    NODE_ADD,
    NODE_LABEL,
    VOLUME_ADD,
    VOLUME_UPDATE,
    Plugin,
    Rejection,
    Rows,
    Verdict,
)
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot

REASON = "node(s) had no available volume zone"
_SEPARATOR = "__"
_GA = {BETA_ZONE: ZONE, BETA_REGION: REGION}
_KEYS = (*_GA, *_GA.values())


def _named(info: PodInfo) -> Iterable[str]:
    """The claims that the pod names; those of its ephemeral volumes are not looked at."""
    return (v.persistentVolumeClaim.claimName for v in info.pod.spec.volumes if v.persistentVolumeClaim is not None)


def _before(snapshot: Snapshot, info: PodInfo) -> Verdict | None:
    if not info.claims:
        return None
    storage = snapshot.storage
    for name in _named(info):
        claim = storage.claims.get((info.namespace, name))
        volume = claim.spec.volumeName if claim is not None else ""
        if volume and volume not in storage.volumes:
            return Verdict(f'persistentvolume "{volume}" not found', False)
    return None


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    if not info.claims:
        return ()
    wanted: list[tuple[str, set[str]]] = []
    storage = snapshot.storage
    for name in _named(info):
        claim = storage.claims.get((info.namespace, name))
        volume = storage.volumes.get(claim.spec.volumeName) if claim is not None else None
        if volume is None:
            continue
        own = volume.metadata.labels
        wanted += [(key, set(own[key].split(_SEPARATOR))) for key in _KEYS if key in own]
    if not wanted:
        return ()
    size = snapshot.size
    placed = np.zeros(size, np.bool_)  # a node that is nowhere in particular is everywhere
    for key in _KEYS:
        placed |= snapshot.labels(key).ids[:size] >= 0
    wrong = np.zeros(size, np.bool_)
    for key, values in wanted:
        column = snapshot.labels(key)
        right = column.rows(values.__contains__, False, size)
        if key in _GA:
            newer = snapshot.labels(_GA[key])
            right |= (column.ids[:size] < 0) & newer.rows(values.__contains__, False, size)
        wrong |= ~right
    return (Rejection((placed & wrong)[rows], REASON, False),)


def _without_claims(snapshot: Snapshot, info: PodInfo) -> bool:
    return not info.claims


def plugin(args: Args = Args()) -> Plugin:
    return Plugin(
        name="VolumeZone",
        filter=_filter,
        idle=_without_claims,
        before=_before,
        helps={
            CLAIM_ADD: None,
            CLAIM_UPDATE: None,
            VOLUME_ADD: None,
            VOLUME_UPDATE: None,
            CLASS_ADD: None,
            NODE_ADD: None,
            NODE_LABEL: None,
        },
    )
