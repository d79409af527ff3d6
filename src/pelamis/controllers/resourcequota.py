"""ResourceQuota: the status of a quota, what it allows and what is used of it.

Admission keeps writes within the limits by totals of its own; this shows the use, at most once a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.resourcequota import KIND as QUOTA
from pelamis.api.core.resourcequota import ResourceQuota
from pelamis.api.kind import Kind
from pelamis.api.quota import Usage, in_scope, resources, usage_of
from pelamis.base import quantity
from pelamis.client.types import Key, Update
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch

PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class World:
    """objects: (resource, objects of the namespace) that the quota counts. counted_at: when that was done last."""

    quota: ResourceQuota
    objects: Sequence[tuple[str, Sequence[Any]]]
    counted_at: float


def gather(views: Views, key: Key) -> World | None:
    quota: ResourceQuota | None = views(QUOTA).get(*key)
    if quota is None or quota.metadata.deletionTimestamp is not None:
        return None
    wanted = resources(quota)
    objects = [(k.resource, views(k).list(key[0])) for k in views.every() if k.resource in wanted]
    return World(quota, objects, views.memo(key) or 0.0)


def reconcile(world: World, now: float) -> Plan:
    quota = world.quota
    if quota.status.hard == quota.spec.hard and now - world.counted_at < PERIOD_S:
        return Plan(requeue_at=world.counted_at + PERIOD_S)
    used: Usage = Counter()
    for resource, objects in world.objects:
        for obj in objects:
            if in_scope(quota, resource, obj):
                used.update(usage_of(resource, obj))
    shown = {
        name: str(quantity.Quantity(used[name], quantity.parse(hard).format)) for name, hard in quota.spec.hard.items()
    }
    status = msgspec.structs.replace(quota.status, hard=quota.spec.hard, used=shown)
    if status == quota.status:
        return Plan(memo=now)
    return Plan(actions=(Update(QUOTA, msgspec.structs.replace(quota, status=status), "status"),), memo=now)


def _every(views: Views, kind: Kind, old: Any, new: Any) -> Sequence[Key]:
    """The quotas of the namespace that count this kind, if what they count has changed."""
    if not kind.namespaced or kind is QUOTA:
        return ()
    obj = new if new is not None else old
    namespace = obj.metadata.namespace
    quotas = [q for q in views(QUOTA).list(namespace) if kind.resource in resources(q)]
    if not quotas:
        return ()
    if old is not None and new is not None and usage_of(kind.resource, old) == usage_of(kind.resource, new):
        return ()
    return [(namespace, q.metadata.name) for q in quotas]


CONTROLLER = Controller(
    name="resourcequota",
    identity="resourcequota-controller",
    component="resourcequota-controller",
    watches=(Watch(QUOTA),),
    every=_every,
    gather=gather,
    reconcile=reconcile,
)
