"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.rbac.rule import PolicyRule


class Role(Struct, frozen=True):
    kind: str = always(lambda: "Role")
    apiVersion: str = always(lambda: "rbac.authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    rules: Annotated[tuple[PolicyRule, ...], F(2, list="atomic")] = always(tuple)


KIND = Kind(
    group="rbac.authorization.k8s.io",
    version="v1",
    type=Role,
    plural="roles",
    singular="role",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="7FuwZcIIItM=",
)
