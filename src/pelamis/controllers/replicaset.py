"""ReplicaSet: as many pods as ``spec.replicas`` asks for, adopting orphans that the selector matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.replicaset import ReplicaSetCondition
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Key
from pelamis.reconcile import changes, replicas
from pelamis.reconcile.ownership import controller_of, owner_keys, selection, selects
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch


def _matches(owner: Any, labels: Mapping[str, str]) -> bool:
    return selects(owner.spec.selector, labels)


def _matching(owner: Any) -> Callable[[Mapping[str, str]], bool]:
    return selection(owner.spec.selector)


SHAPE = replicas.Shape(REPLICASET, _matching, ReplicaSetCondition, counts_terminating=True)


def gather(views: Views, key: Key) -> replicas.World | None:
    owner = views(REPLICASET).get(*key)
    if owner is None:
        return None

    def related() -> list[Any]:
        """Pods of all ReplicaSets of the Deployment count when a crowded node gives pods up first."""
        above = controller_of(owner)
        siblings = views(REPLICASET).by_index("owner", above.uid) if above is not None else ()
        return [pod for one in siblings for pod in views(POD).by_index("owner", one.metadata.uid)]

    return replicas.gather(views, owner, _matching(owner), related)


def reconcile(world: replicas.World, now: float) -> Plan:
    return replicas.reconcile(SHAPE, world, now)


CONTROLLER = Controller(
    name="replicaset",
    identity="replicaset-controller",
    component="replicaset-controller",
    watches=(
        Watch(REPLICASET),
        Watch(POD, owner_keys(REPLICASET, _matches), (changes.COUNTED, changes.OF_REPLICASET | changes.ORPHAN)),
    ),
    gather=gather,
    reconcile=reconcile,
)
