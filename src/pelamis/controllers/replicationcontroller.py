"""ReplicationController: the older form of ReplicaSet, with a plain map as selector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.replicationcontroller import KIND as CONTROLLER_KIND
from pelamis.api.core.replicationcontroller import ReplicationControllerCondition
from pelamis.client.types import Key
from pelamis.reconcile import changes, replicas
from pelamis.reconcile.ownership import owner_keys, subset
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch


def _matches(owner: Any, labels: Mapping[str, str]) -> bool:
    return bool(owner.spec.selector) and subset(owner.spec.selector, labels)


def _matching(owner: Any) -> Callable[[Mapping[str, str]], bool]:
    return partial(_matches, owner)


SHAPE = replicas.Shape(CONTROLLER_KIND, _matching, ReplicationControllerCondition, counts_terminating=False)


def gather(views: Views, key: Key) -> replicas.World | None:
    owner = views(CONTROLLER_KIND).get(*key)
    if owner is None:
        return None
    return replicas.gather(views, owner, _matching(owner))


def reconcile(world: replicas.World, now: float) -> Plan:
    return replicas.reconcile(SHAPE, world, now)


CONTROLLER = Controller(
    name="replicationcontroller",
    identity="replication-controller",
    component="replication-controller",
    watches=(
        Watch(CONTROLLER_KIND),
        Watch(
            POD,
            owner_keys(CONTROLLER_KIND, _matches),
            (changes.COUNTED, changes.OF_REPLICATIONCONTROLLER | changes.ORPHAN),
        ),
    ),
    gather=gather,
    reconcile=reconcile,
)
