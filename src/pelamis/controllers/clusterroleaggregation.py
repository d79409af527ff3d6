"""ClusterRole aggregation: the rules of a ClusterRole with an aggregation rule are those of the roles it selects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pelamis.api.rbac.clusterrole import KIND as CLUSTERROLE
from pelamis.api.rbac.clusterrole import ClusterRole
from pelamis.api.rbac.rule import PolicyRule
from pelamis.client.types import Key, Patch
from pelamis.reconcile.ownership import selects
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

World = tuple[ClusterRole, Sequence[ClusterRole]]


def gather(views: Views, key: Key) -> World | None:
    role: ClusterRole | None = views(CLUSTERROLE).get(*key)
    if role is None or role.aggregationRule is None:
        return None
    selectors = role.aggregationRule.clusterRoleSelectors
    parts = [
        r
        for r in views(CLUSTERROLE).list()
        if r.metadata.name != key[1] and any(selects(s, r.metadata.labels) for s in selectors)
    ]
    return role, parts


def reconcile(world: World, now: float) -> Plan:
    role, parts = world
    rules: list[PolicyRule] = []
    seen: set[bytes] = set()
    for part in sorted(parts, key=lambda r: r.metadata.name):
        for rule in part.rules:
            encoded = msgspec.json.encode(rule)
            if encoded not in seen:
                seen.add(encoded)
                rules.append(rule)
    if tuple(rules) == role.rules:
        return NOTHING
    body = {"rules": msgspec.json.decode(msgspec.json.encode(rules))}
    meta = role.metadata
    return Plan(actions=(Patch(CLUSTERROLE, "", meta.name, body, rev=meta.resourceVersion),))


def _keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """All aggregating roles: few, and a role may begin or stop to be selected."""
    return [("", r.metadata.name) for r in views(CLUSTERROLE).list() if r.aggregationRule is not None]


CONTROLLER = Controller(
    name="clusterroleaggregation",
    identity="clusterrole-aggregation-controller",
    component="clusterrole-aggregation-controller",
    watches=(Watch(CLUSTERROLE, _keys),),
    gather=gather,
    reconcile=reconcile,
)
