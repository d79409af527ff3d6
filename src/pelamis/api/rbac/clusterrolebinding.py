"""ClusterRoleBinding: gives a ClusterRole to subjects, everywhere."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.rbac.binding import RoleRef, Subject, cells, default, validate_binding, validate_binding_update
from pelamis.base import names


class ClusterRoleBinding(Struct, frozen=True):
    """Gives a ClusterRole to subjects, everywhere."""

    kind: str = always(lambda: "ClusterRoleBinding")
    apiVersion: str = always(lambda: "rbac.authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    subjects: Annotated[tuple[Subject, ...], F(2, "Who gets the role.", list="atomic")] = ()
    roleRef: Annotated[RoleRef, F(3, "The role; cannot change.", required=True)] = always(RoleRef)


def validate(obj: ClusterRoleBinding) -> Errors:
    return validate_binding(obj, namespaced=False)


def validate_update(obj: ClusterRoleBinding, old: ClusterRoleBinding) -> Errors:
    return validate_binding_update(obj, old, namespaced=False)


KIND = Kind(
    group="rbac.authorization.k8s.io",
    version="v1",
    type=ClusterRoleBinding,
    plural="clusterrolebindings",
    singular="clusterrolebinding",
    namespaced=False,
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
    storage_hash="48tpQ8gZHFc=",
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_name=names.is_path_segment,
)
