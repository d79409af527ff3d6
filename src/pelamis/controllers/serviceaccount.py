"""ServiceAccount: each namespace that is not going away has a ServiceAccount ``default``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.namespace import Namespace
from pelamis.api.core.serviceaccount import KIND as SERVICEACCOUNT
from pelamis.api.core.serviceaccount import ServiceAccount
from pelamis.api.meta import ObjectMeta
from pelamis.client.types import Create, Key, Outcome
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.podcontrol import is_namespace_terminating
from pelamis.reconcile.spec import Controller, Views, Watch

NAMES = ("default",)


@dataclass(frozen=True, slots=True)
class World:
    namespace: Namespace
    missing: Sequence[str]


def gather(views: Views, key: Key) -> World | None:
    namespace: Namespace | None = views(NAMESPACE).get(*key)
    if namespace is None or namespace.metadata.deletionTimestamp is not None:
        return None
    missing = [name for name in NAMES if views(SERVICEACCOUNT).get(key[1], name) is None]
    return World(namespace, missing) if missing else None


def reconcile(world: World, now: float) -> Plan:
    namespace = world.namespace.metadata.name
    actions = [
        Create(SERVICEACCOUNT, ServiceAccount(metadata=ObjectMeta(name=name, namespace=namespace)))
        for name in world.missing
    ]

    def done(outcomes: Sequence[Outcome]) -> Plan:
        for outcome in outcomes:
            error = outcome.error
            if error is not None and error.reason != "AlreadyExists" and not is_namespace_terminating(error):
                return Plan(error=error.message)
        return NOTHING

    return Plan(actions=actions, on_outcomes=done)


def _account_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    return (("", old.metadata.namespace),) if new is None and old.metadata.name in NAMES else ()


CONTROLLER = Controller(
    name="serviceaccount",
    identity="service-account-controller",
    component="service-account-controller",
    watches=(Watch(NAMESPACE), Watch(SERVICEACCOUNT, _account_keys)),
    gather=gather,
    reconcile=reconcile,
)
