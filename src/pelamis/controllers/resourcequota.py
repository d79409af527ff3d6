"""ResourceQuota: the status of a quota, what it allows and what is used of it.

Admission keeps writes within the limits by totals of its own; this shows the use, at most once a second. Where servers
share a store, admission counts by the status and adds to it before objects are stored: there the status is lowered only
once the lower count has stood for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.resourcequota import KIND as QUOTA
from pelamis.api.core.resourcequota import ResourceQuota
from pelamis.api.kind import Kind
from pelamis.api.quota import CLAIMS, VARYING, Devices, Usage, in_scope, resources, usage_of
from pelamis.api.resource.deviceclass import KIND as CLASS
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.base import quantity
from pelamis.cache.sieve import Needs
from pelamis.client.types import Key, Update
from pelamis.reconcile import changes
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch

PERIOD_S = 1.0
LOWER_S = 2.0
"""Longer than a write takes from its reservation until it is seen."""


@dataclass(frozen=True, slots=True)
class World:
    """objects: (resource, objects of the namespace) that the quota counts. counted_at: when that was done last."""

    quota: ResourceQuota
    objects: Sequence[tuple[str, Sequence[Any]]]
    counted_at: float
    shared: bool = False
    lower: tuple[dict[str, str], float] | None = None
    """What was counted lower than the status says, and since when it is."""
    devices: Devices | None = None


def gather(views: Views, key: Key) -> World | None:
    quota: ResourceQuota | None = views(QUOTA).get(*key)
    if quota is None or quota.metadata.deletionTimestamp is not None:
        return None
    wanted = resources(quota)
    objects = [(k.resource, views(k).list(key[0])) for k in views.every() if k.resource in wanted]
    counted_at, lower = views.memo(key) or (0.0, None)
    return World(quota, objects, counted_at, lower=lower, devices=_devices(views) if CLAIMS in wanted else None)


def _devices(views: Views) -> Devices:
    return Devices(
        lambda name: views(CLASS).get("", name), views(POD).get, lambda uid: views(CLAIM).by_index("owner", uid)
    )


def reconcile(world: World, now: float) -> Plan:
    quota = world.quota
    if quota.status.hard == quota.spec.hard and now - world.counted_at < PERIOD_S:
        return Plan(requeue_at=world.counted_at + PERIOD_S)
    used = _used(quota, world.objects, world.devices)
    shown = {
        name: str(quantity.Quantity(used[name], quantity.parse(hard).format)) for name, hard in quota.spec.hard.items()
    }
    status = msgspec.structs.replace(quota.status, hard=quota.spec.hard, used=shown)
    if status == quota.status:
        return Plan(memo=(now, None))
    if world.shared and _is_lower(shown, quota.status.used):
        since = world.lower[1] if world.lower is not None and world.lower[0] == shown else now
        if now - since < LOWER_S:
            return Plan(requeue_at=since + LOWER_S, memo=(world.counted_at, (shown, since)))
    return Plan(actions=(Update(QUOTA, msgspec.structs.replace(quota, status=status), "status"),), memo=(now, None))


def _used(quota: ResourceQuota, objects: Sequence[tuple[str, Sequence[Any]]], devices: Devices | None = None) -> Usage:
    """Objects of equal usage share one Counter, so that thousands of them are added by counting."""
    scoped = bool(quota.spec.scopes) or quota.spec.scopeSelector is not None
    used: Usage = Counter()
    for resource, found in objects:
        times: dict[int, int] = {}
        usages: dict[int, Usage] = {}
        for obj in found:
            if scoped and not in_scope(quota, resource, obj):
                continue
            usage = usage_of(resource, obj, devices)
            number = id(usage)
            times[number] = times.get(number, 0) + 1
            usages[number] = usage  # kept, so that no other gets its id
        for number, usage in usages.items():
            for name, value in usage.items():
                used[name] += times[number] * value
    return used


def _is_lower(shown: Mapping[str, str], before: Mapping[str, str]) -> bool:
    return any(n in before and quantity.parse(v).nano < quantity.parse(before[n]).nano for n, v in shown.items())


def _every(views: Views, kind: Kind, old: Any, new: Any) -> Sequence[Key]:
    """The quotas of the namespace that count this kind, if what they count has changed."""
    if kind is CLASS:
        if old is not None and new is not None and old.spec.extendedResourceName == new.spec.extendedResourceName:
            return ()
        return [(q.metadata.namespace, q.metadata.name) for q in views(QUOTA).list() if CLAIMS in resources(q)]
    if not kind.namespaced or kind is QUOTA:
        return ()
    obj = new if new is not None else old
    namespace = obj.metadata.namespace
    view = views(QUOTA)
    quotas = [q for q in view.list(namespace) if kind.resource in resources(q)] if len(view) else ()
    if not quotas:
        return ()
    if old is not None and new is not None and usage_of(kind.resource, old) == usage_of(kind.resource, new):
        # A pod that gets a deadline leaves one quota for another with all that it uses.
        quotas = [q for q in quotas if in_scope(q, kind.resource, old) != in_scope(q, kind.resource, new)]
    return [(namespace, q.metadata.name) for q in quotas]


def _needs(kind: Kind) -> Needs:
    return () if kind.resource in VARYING or kind is CLASS else (changes.ADDED | changes.DELETED,)


def controller(shared: bool = False) -> Controller:
    """shared: several servers admit writes."""

    def gathered(views: Views, key: Key) -> World | None:
        world = gather(views, key)
        return replace(world, shared=shared) if world is not None else None

    return Controller(
        name="resourcequota",
        identity="resourcequota-controller",
        component="resourcequota-controller",
        watches=(Watch(QUOTA),),
        every=_every,
        every_needs=_needs,
        gather=gathered,
        reconcile=reconcile,
    )


CONTROLLER = controller()
