"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.rbac.rule import PolicyRule


class AggregationRule(Struct, frozen=True):
    clusterRoleSelectors: Annotated[tuple[LabelSelector, ...], F(1, list="atomic")] = ()


class ClusterRole(Struct, frozen=True):
    kind: str = always(lambda: "ClusterRole")
    apiVersion: str = always(lambda: "rbac.authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    rules: Annotated[tuple[PolicyRule, ...], F(2, list="atomic")] = always(tuple)
    aggregationRule: Annotated[AggregationRule | None, F(3)] = None


KIND = Kind(
    group="rbac.authorization.k8s.io",
    version="v1",
    type=ClusterRole,
    plural="clusterroles",
    singular="clusterrole",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="bYE5ZWDrJ44=",
)
