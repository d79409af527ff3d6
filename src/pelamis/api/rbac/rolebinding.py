"""RoleBinding: gives a Role or a ClusterRole to subjects, within one namespace."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.rbac.binding import RoleRef, Subject, cells, default, validate_binding, validate_binding_update
from pelamis.base import names


class RoleBinding(Struct, frozen=True):
    """Gives a Role or a ClusterRole to subjects, within one namespace."""

    kind: str = always(lambda: "RoleBinding")
    apiVersion: str = always(lambda: "rbac.authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    subjects: Annotated[tuple[Subject, ...], F(2, "Who gets the role.", list="atomic")] = ()
    roleRef: Annotated[RoleRef, F(3, "The role; cannot change.", required=True)] = always(RoleRef)


def validate(obj: RoleBinding) -> Errors:
    return validate_binding(obj, namespaced=True)


def validate_update(obj: RoleBinding, old: RoleBinding) -> Errors:
    return validate_binding_update(obj, old, namespaced=True)


KIND = Kind(
    group="rbac.authorization.k8s.io",
    version="v1",
    type=RoleBinding,
    plural="rolebindings",
    singular="rolebinding",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Role", "string"),
        Column("Age", "string"),
        Column("Users", "string", priority=1),
        Column("Groups", "string", priority=1),
        Column("ServiceAccounts", "string", priority=1),
    ),
    storage_hash="eGsCzGH6b1g=",
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_name=names.is_path_segment,
)
