"""DynamicResources: the pod's resource claims must be there, and the node must have devices for them.

Claims that have devices are used from where these can be reached; for the others devices are looked for on each node.
Nothing that an eviction could change is in the way: a device is given back when its claim is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from pelamis.scheduler.args import DynamicResourcesArgs
from pelamis.scheduler.config import seconds
from pelamis.scheduler.devices.ask import AllocationFailure
from pelamis.scheduler.devices.podclaims import claims_for, resolve
from pelamis.scheduler.devices.verdicts import verdicts
from pelamis.scheduler.extension import (
    DEVICE_CLAIM_ADD,
    DEVICE_CLAIM_DELETE,
    DEVICE_CLAIM_UPDATE,
    DEVICE_CLASS_ADD,
    DEVICE_CLASS_UPDATE,
    MAX_SCORE,
    NODE_ADD,
    NODE_ALLOCATABLE,
    NODE_LABEL,
    OWN_CLAIMS,
    SLICE_ADD,
    SLICE_UPDATE,
    Event,
    Plugin,
    PluginError,
    Rejection,
    Rows,
    Verdict,
    rows_of,
)
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Mask, Snapshot

NAME = "DynamicResources"


def _gate(snapshot: Snapshot, info: PodInfo) -> str:
    return resolve(snapshot.devices, info.pod)[1] if info.devices else ""


def _before(timeout_s: float, snapshot: Snapshot, info: PodInfo) -> Verdict | None:
    found = claims_for(snapshot.devices, info, timeout_s)
    return Verdict(found.problem, False) if found is not None and found.problem else None


def _filter(timeout_s: float, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    found = claims_for(snapshot.devices, info, timeout_s)
    if found is None or found.problem:
        return ()
    kept = verdicts(snapshot, found)
    if kept is not None:
        codes = kept.codes[rows]
        reasons = enumerate(kept.reasons[1:], 1) if codes.any() else ()
        return [Rejection(codes == code, why, False) for code, why in reasons]
    places = rows_of(snapshot, rows)
    masks: dict[str, Mask] = {}
    try:
        for i, row in enumerate(places):
            why, _ = found.judge(snapshot.nodes[row].node)
            if why:
                if why not in masks:
                    masks[why] = np.zeros(len(places), np.bool_)
                masks[why][i] = True
    except AllocationFailure as failure:
        raise PluginError(f'running "{NAME}" filter plugin: {failure}') from None
    return [Rejection(mask, why, False) for why, mask in masks.items()]


def _score(timeout_s: float, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """Earlier alternatives are better."""
    found = claims_for(snapshot.devices, info, timeout_s)
    if found is None or found.problem or not found.choosy:
        return None
    kept = verdicts(snapshot, found)
    if kept is not None:
        points = kept.points[rows]
    else:
        points = np.array([found.preference(snapshot.nodes[row].node) for row in rows_of(snapshot, rows)], np.int64)
    most = int(points.max()) if len(points) else 0
    return points * MAX_SCORE // most if most else points


def _idle(snapshot: Snapshot, info: PodInfo) -> bool:
    return not info.devices and not snapshot.devices.class_of


def _uses(info: PodInfo, event: Event) -> bool:
    claims, problem = resolve(event.snapshot.devices, info.pod)
    return not problem and any(claim.metadata.uid == event.new.metadata.uid for claim in claims)


def _claim_helps(info: PodInfo, event: Event) -> bool:
    """Its own claim is there, or has changed; or devices have been given back."""
    old, new = event.old, event.new
    if new is None:
        return old.status.allocation is not None
    if resolve(event.snapshot.devices, info.pod)[1]:
        return False
    if old is not None and old.status.allocation is not None and new.status.allocation is None:
        return True
    return _uses(info, event) and (old is None or old.status != new.status)


def _own_helps(info: PodInfo, event: Event) -> bool:
    return not resolve(event.snapshot.devices, event.new.pod)[1]


def plugin(args: DynamicResourcesArgs = DynamicResourcesArgs()) -> Plugin:
    timeout_s = seconds(args.bindingTimeout) or 0.0
    hints: dict[str, Any] = {
        NODE_ADD: None,
        NODE_LABEL: None,
        NODE_ALLOCATABLE: None,
        DEVICE_CLAIM_ADD: _claim_helps,
        DEVICE_CLAIM_UPDATE: _claim_helps,
        DEVICE_CLAIM_DELETE: _claim_helps,
        OWN_CLAIMS: _own_helps,
        DEVICE_CLASS_ADD: None,
        DEVICE_CLASS_UPDATE: None,
        SLICE_ADD: None,
        SLICE_UPDATE: None,
    }
    return Plugin(
        name=NAME,
        gate=_gate,
        before=partial(_before, timeout_s),
        filter=partial(_filter, timeout_s),
        score=partial(_score, timeout_s),
        weight=2,
        idle=_idle,
        silent=_idle,
        dear=True,
        helps=hints,
    )
