"""The two ends of an RBAC binding, subjects and role, with what RoleBinding and ClusterRoleBinding share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_choice, check_required_text, check_text
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid, required


class Subject(Struct, frozen=True):
    kind: Annotated[str, F(1, "User, Group or ServiceAccount.", required=True)] = always(str)
    apiGroup: Annotated[str, F(2, '"" for a ServiceAccount, else rbac.authorization.k8s.io.')] = ""
    name: Annotated[str, F(3, "Name of the subject.", required=True)] = always(str)
    namespace: Annotated[str, F(4, "Namespace of a ServiceAccount.")] = ""


class RoleRef(Struct, frozen=True):
    apiGroup: Annotated[str, F(1, "Always rbac.authorization.k8s.io.")] = always(str)
    kind: Annotated[str, F(2, "Role or ClusterRole.", required=True)] = always(str)
    name: Annotated[str, F(3, "Name of the role.", required=True)] = always(str)


GROUP = "rbac.authorization.k8s.io"


def default(tree: Tree) -> None:
    role = tree.setdefault("roleRef", {})
    if not role.get("apiGroup"):
        role["apiGroup"] = GROUP
    for subject in tree.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = GROUP


def _validate_subject(subject: Subject, path: str, namespaced: bool) -> Errors:
    errors: Errors = []
    if not subject.name:
        errors.append(required(f"{path}.name"))
    if subject.kind == "ServiceAccount":
        if subject.name:
            errors += check_text(names.name_is_dns_subdomain, subject.name, f"{path}.name")
        if subject.apiGroup:
            errors += check_choice(subject.apiGroup, f"{path}.apiGroup", ("",))
        if not namespaced and not subject.namespace:
            errors.append(required(f"{path}.namespace"))
    elif subject.kind in ("User", "Group"):
        errors += check_choice(subject.apiGroup, f"{path}.apiGroup", (GROUP,))
    else:
        errors += check_choice(subject.kind, f"{path}.kind", ("ServiceAccount", "User", "Group"))
    return errors


def validate_binding(obj: Any, *, namespaced: bool) -> Errors:
    """``obj`` is a RoleBinding (namespaced) or a ClusterRoleBinding."""
    role = obj.roleRef
    errors = check_choice(role.apiGroup, "roleRef.apiGroup", (GROUP,))
    errors += check_choice(role.kind, "roleRef.kind", ("Role", "ClusterRole") if namespaced else ("ClusterRole",))
    errors += check_required_text(names.is_path_segment, role.name, "roleRef.name")
    for i, subject in enumerate(obj.subjects):
        errors += _validate_subject(subject, f"subjects[{i}]", namespaced)
    return errors


def validate_binding_update(obj: Any, old: Any, *, namespaced: bool) -> Errors:
    errors = validate_binding(obj, namespaced=namespaced)
    if obj.roleRef != old.roleRef:
        errors.append(invalid("roleRef", obj.roleRef, "cannot change roleRef"))
    return errors


def cells(obj: Any, now: float) -> Sequence[Any]:
    users = [s.name for s in obj.subjects if s.kind == "User"]
    groups = [s.name for s in obj.subjects if s.kind == "Group"]
    accounts = [
        f"{s.namespace}/{s.name}" if s.namespace else s.name for s in obj.subjects if s.kind == "ServiceAccount"
    ]
    return (
        obj.metadata.name,
        f"{obj.roleRef.kind}/{obj.roleRef.name}",
        age(obj.metadata.creationTimestamp, now),
        ", ".join(users),
        ", ".join(groups),
        ", ".join(accounts),
    )
