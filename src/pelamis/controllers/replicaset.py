"""ReplicaSet: as many pods as ``spec.replicas`` asks for, adopting orphans that the selector matches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.replicaset import ReplicaSetCondition
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Key
from pelamis.reconcile import replicas
from pelamis.reconcile.ownership import candidates, controller_of, owner_keys, selects
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch


def _matches(owner: Any, labels: Mapping[str, str]) -> bool:
    return selects(owner.spec.selector, labels)


SHAPE = replicas.Shape(REPLICASET, _matches, ReplicaSetCondition, counts_terminating=True)


def gather(views: Views, key: Key) -> replicas.World | None:
    owner = views(REPLICASET).get(*key)
    if owner is None:
        return None
    pods = candidates(views, POD, owner, lambda labels: _matches(owner, labels))
    related: list[Any] = []
    above = controller_of(owner)
    if above is not None:
        # pods of all ReplicaSets of the Deployment count when a crowded node gives pods up first
        for sibling in views(REPLICASET).by_index("owner", above.uid):
            related.extend(views(POD).by_index("owner", sibling.metadata.uid))
    return replicas.World(owner, pods, related)


def reconcile(world: replicas.World, now: float) -> Plan:
    return replicas.reconcile(SHAPE, world, now)


CONTROLLER = Controller(
    name="replicaset",
    identity="replicaset-controller",
    component="replicaset-controller",
    watches=(Watch(REPLICASET), Watch(POD, owner_keys(REPLICASET, _matches))),
    gather=gather,
    reconcile=reconcile,
)
