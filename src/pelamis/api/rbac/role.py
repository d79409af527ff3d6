"""Role: rules within one namespace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.rbac.rule import PolicyRule, validate_rules
from pelamis.base import names


class Role(Struct, frozen=True):
    """Rules within one namespace."""

    kind: str = always(lambda: "Role")
    apiVersion: str = always(lambda: "rbac.authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    rules: Annotated[tuple[PolicyRule, ...], F(2, "What is granted.", list="atomic")] = always(tuple)


def validate(obj: Role) -> Errors:
    errors = validate_rules(obj.rules, "rules", namespaced=True)
    return errors


def validate_update(obj: Role, old: Role) -> Errors:
    return validate(obj)


def cells(obj: Role, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


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
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_name=names.is_path_segment,
)
