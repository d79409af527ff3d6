"""NodeResourcesFit: a node must have what the pod requests; which fit is liked better is the strategy's.

LeastAllocated likes nodes with more left, MostAllocated those with less, RequestedToCapacityRatio what its shape says.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from pelamis.api.core.resourcename import is_hugepages, is_native
from pelamis.api.resource.podclaim import CLASS_RESOURCE
from pelamis.scheduler.args import NodeResourcesFitArgs
from pelamis.scheduler.extension import (
    DEVICE_CLASS_ADD,
    DEVICE_CLASS_UPDATE,
    MAX_SCORE,
    NODE_ADD,
    NODE_ALLOCATABLE,
    OWN_SCALE_DOWN,
    POD_DELETE,
    POD_SCALE_DOWN,
    PODS_OF_ROW,
    Event,
    Plugin,
    Rejection,
    Rows,
)
from pelamis.scheduler.podinfo import PodInfo, amounts_of, is_scalar
from pelamis.scheduler.snapshot import CPU, MEMORY, PODS, Ints, Snapshot

TOO_MANY = "Too many pods"
_SCORED = (CPU, MEMORY)
_SHAPE_SCALE = 10
_YES = np.ones(1, np.bool_)
_YES.setflags(write=False)
_DEFAULT = NodeResourcesFitArgs().scoringStrategy


def _filter(args: NodeResourcesFitArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    if not isinstance(rows, slice) and len(rows) == 1:
        return _filter_one(args, snapshot, info, int(rows[0]))
    size = snapshot.size
    out: list[Rejection] = []
    limits = snapshot.allocatable[PODS, :size][rows]
    full = snapshot.requested[PODS, :size][rows] >= limits
    if full.any():
        out.append(Rejection(full, TOO_MANY))
    vector = snapshot.vector(info)
    ignored = bool(args.ignoredResources or args.ignoredResourceGroups)
    for name, (column, amount) in zip((n for n in info.requests if n != "pods"), vector, strict=True):
        if amount <= 0 or (ignored and _is_ignored(args, name)):
            continue
        limit = snapshot.allocatable[column, :size][rows]
        short = snapshot.requested[column, :size][rows] + amount > limit
        if name in snapshot.devices.class_of:
            short &= limit > 0  # elsewhere devices serve it, see DynamicResources
        if short.any():
            # What asks for more than the whole node has, no eviction can help.
            never = short & (amount > limit)
            reason = f"Insufficient {name}"
            if never.any():
                out.append(Rejection(never, reason, False))
                short = short & ~never
                if not short.any():
                    continue
            out.append(Rejection(short, reason))
    return out


def _filter_one(args: NodeResourcesFitArgs, snapshot: Snapshot, info: PodInfo, row: int) -> list[Rejection]:
    """The same without arrays: one node is tried."""
    vector = snapshot.vector(info)  # makes the columns, so it comes first
    allocatable, requested = snapshot.allocatable, snapshot.requested
    out: list[Rejection] = []
    if requested[PODS, row] >= allocatable[PODS, row]:
        out.append(Rejection(_YES, TOO_MANY))
    ignored = bool(args.ignoredResources or args.ignoredResourceGroups)
    for name, (column, amount) in zip((n for n in info.requests if n != "pods"), vector, strict=True):
        if amount <= 0 or (ignored and _is_ignored(args, name)):
            continue
        limit = int(allocatable[column, row])
        if not limit and name in snapshot.devices.class_of:
            continue
        if int(requested[column, row]) + amount > limit:
            out.append(Rejection(_YES, f"Insufficient {name}", amount <= limit))
    return out


def _passes(args: NodeResourcesFitArgs, snapshot: Snapshot, info: PodInfo, row: int) -> bool:
    """Whether ``_filter_one`` has nothing to say."""
    vector = snapshot.vector(info)
    allocatable, requested = snapshot.allocatable, snapshot.requested
    if requested.item(PODS, row) >= allocatable.item(PODS, row):
        return False
    for column, amount in vector:
        if amount > 0 and requested.item(column, row) + amount > allocatable.item(column, row):
            break
    else:
        return True
    return not _filter_one(args, snapshot, info, row)  # what is short may not count


def _is_ignored(args: NodeResourcesFitArgs, name: str) -> bool:
    """Of extended resources only."""
    if is_native(name) or is_hugepages(name):
        return False
    return name in args.ignoredResources or name.partition("/")[0] in args.ignoredResourceGroups


def _amount(snapshot: Snapshot, info: PodInfo, name: str, rows: Rows) -> tuple[Ints, Ints] | None:
    """What each row can give, and what would be asked for with the pod; None = the resource does not matter for it."""
    column = snapshot.resource(name)
    limit = snapshot.allocatable[column, : snapshot.size][rows]
    if column in _SCORED:
        return limit, snapshot.nonzero[column, : snapshot.size][rows] + info.nonzero[column]
    wanted = info.requests.get(name, 0)
    if not wanted and is_scalar(name):
        return None
    return limit, snapshot.requested[column, : snapshot.size][rows] + wanted


def _least(args: NodeResourcesFitArgs, used: Ints, limit: Ints) -> Ints:
    out: Ints = np.maximum(limit - used, 0) * MAX_SCORE // np.maximum(limit, 1)
    return out


def _most(args: NodeResourcesFitArgs, used: Ints, limit: Ints) -> Ints:
    out: Ints = np.minimum(used, limit) * MAX_SCORE // np.maximum(limit, 1)
    return out


def _ratio(args: NodeResourcesFitArgs, used: Ints, limit: Ints) -> Ints:
    """Between the points of the shape the score is a straight line, as whole numbers are divided in Go."""
    param = args.scoringStrategy.requestedToCapacityRatio
    shape = [(p.utilization, p.score * _SHAPE_SCALE) for p in param.shape] if param is not None else [(0, 0)]
    table = np.zeros(MAX_SCORE + 1, np.int64)
    for percent in range(MAX_SCORE + 1):
        after = next((i for i, (at, _) in enumerate(shape) if percent <= at), None)
        if after is None:
            table[percent] = shape[-1][1]
        elif after == 0:
            table[percent] = shape[0][1]
        else:
            (x0, y0), (x1, y1) = shape[after - 1], shape[after]
            table[percent] = y0 + int((y1 - y0) * (percent - x0) / (x1 - x0))
    full = used > limit
    return table[np.where(full, MAX_SCORE, used * MAX_SCORE // np.maximum(limit, 1))]


_STRATEGIES = {"LeastAllocated": _least, "MostAllocated": _most, "RequestedToCapacityRatio": _ratio}


def _score_by(args: NodeResourcesFitArgs, snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """The weighted mean over the strategy's resources; what a node has not at all does not count for it."""
    strategy = args.scoringStrategy
    how = _STRATEGIES[strategy.type]
    number = snapshot.size if isinstance(rows, slice) else len(rows)
    total = np.zeros(number, np.int64)
    weights = np.zeros(number, np.int64)
    for resource in strategy.resources:
        amounts = _amount(snapshot, info, resource.name, rows)
        if amounts is None:
            continue
        limit, used = amounts
        points = how(args, used, limit)
        counted = limit > 0
        if how is _ratio:
            counted &= points > 0
        total += np.where(counted, points * resource.weight, 0)
        weights += np.where(counted, resource.weight, 0)
    if how is _ratio:
        return np.floor(total / np.maximum(weights, 1) + 0.5).astype(np.int64)
    return total // np.maximum(weights, 1)


def _score(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    """LeastAllocated as it is by default: the mean over cpu and memory of the part that stays free.

    Containers without requests count at a minimum.
    """
    size = snapshot.size
    complete = snapshot.complete()
    if complete and not isinstance(rows, slice) and len(rows) == 1:
        return np.array([_points(snapshot, info, int(rows[0]))], np.int64)
    total: Ints | None = None
    for column, wanted in zip(_SCORED, info.nonzero, strict=True):
        limit = snapshot.allocatable[column, :size][rows]
        left = limit - snapshot.nonzero[column, :size][rows] - wanted
        np.maximum(left, 0, out=left)
        left *= MAX_SCORE
        left //= limit if complete else np.maximum(limit, 1)
        total = left if total is None else total + left
    assert total is not None
    if complete:
        return total // len(_SCORED)
    there = [snapshot.allocatable[column, :size][rows] > 0 for column in _SCORED]
    return total // np.maximum(sum(mask.astype(np.int64) for mask in there), 1)


def _points(snapshot: Snapshot, info: PodInfo, row: int) -> int:
    """``_score`` of one row."""
    if not snapshot.complete():
        own = _score(snapshot, info, np.array([row], np.int64))
        return 0 if own is None else int(own[0])
    allocatable, used, points = snapshot.allocatable, snapshot.nonzero, 0
    for column, wanted in zip(_SCORED, info.nonzero, strict=True):
        has = allocatable.item(column, row)
        left = has - used.item(column, row) - wanted
        if left > 0:
            points += left * MAX_SCORE // has
    return points // len(_SCORED)


def _points_by(args: NodeResourcesFitArgs, snapshot: Snapshot, info: PodInfo, row: int) -> int:
    own = _score_by(args, snapshot, info, np.array([row], np.int64))
    return 0 if own is None else int(own[0])


def _pod_gone(info: PodInfo, event: Event) -> bool:
    return True


def _node_fits(args: NodeResourcesFitArgs, info: PodInfo, event: Event) -> bool:
    have = amounts_of(event.new.status.allocatable)
    served = event.snapshot.devices.class_of if event.snapshot is not None else ()
    wanted = ((name, amount) for name, amount in info.requests.items() if name != "pods")
    for name, amount in wanted:
        if amount > have.get(name, 0) and not _is_ignored(args, name) and (name not in served or have.get(name, 0)):
            return False
    if event.old is None:
        return True
    had = amounts_of(event.old.status.allocatable)
    more = (name for name in info.requests if have.get(name, 0) > had.get(name, 0))
    return have.get("pods", 0) > had.get("pods", 0) or any(more)


def _class_serves(info: PodInfo, event: Event) -> bool:
    """The class is now for an extended resource of the pod."""
    old, new = event.old, event.new
    resource = new.spec.extendedResourceName
    if old is None and CLASS_RESOURCE + new.metadata.name in info.requests:
        return True
    if old is not None and old.spec.extendedResourceName == resource:
        return False
    return resource is not None and resource in info.requests


def plugin(args: NodeResourcesFitArgs = NodeResourcesFitArgs()) -> Plugin:
    node_fits = partial(_node_fits, args)
    default = args.scoringStrategy == _DEFAULT
    return Plugin(
        name="NodeResourcesFit",
        filter=partial(_filter, args),
        passes=partial(_passes, args),
        score=_score if default else partial(_score_by, args),
        points=_points if default else partial(_points_by, args),
        weight=1,
        reads=PODS_OF_ROW,
        demands_only=True,
        helps={
            POD_DELETE: _pod_gone,
            POD_SCALE_DOWN: _pod_gone,
            OWN_SCALE_DOWN: None,
            NODE_ADD: node_fits,
            NODE_ALLOCATABLE: node_fits,
            DEVICE_CLASS_ADD: _class_serves,
            DEVICE_CLASS_UPDATE: _class_serves,
        },
    )
