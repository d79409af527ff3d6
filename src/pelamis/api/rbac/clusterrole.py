"""ClusterRole: rules for the whole cluster, for all namespaces, or for use by RoleBindings.

With an aggregationRule the rules are the union of the selected ClusterRoles, kept up by a controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.metavalidate import validate_label_selector
from pelamis.api.rbac.rule import PolicyRule, validate_rules
from pelamis.base import names
from pelamis.base.errors import invalid, required


class AggregationRule(Struct, frozen=True):
    clusterRoleSelectors: Annotated[
        tuple[LabelSelector, ...], F(1, "Labels of the ClusterRoles whose rules are united.", list="atomic")
    ] = ()


class ClusterRole(Struct, frozen=True):
    """Rules for the whole cluster, for all namespaces, or for use by RoleBindings."""

    kind: str = always(lambda: "ClusterRole")
    apiVersion: str = always(lambda: "rbac.authorization.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    rules: Annotated[tuple[PolicyRule, ...], F(2, "What is granted.", list="atomic")] = always(tuple)
    aggregationRule: Annotated[
        AggregationRule | None, F(3, "Fills the rules from other ClusterRoles; what is written to rules is lost.")
    ] = None


def _validate_aggregation(rule: AggregationRule, path: str) -> Errors:
    path = f"{path}.clusterRoleSelectors"
    if not rule.clusterRoleSelectors:
        return [required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")]
    errors: Errors = []
    for i, selector in enumerate(rule.clusterRoleSelectors):
        wrong = validate_label_selector(selector, f"{path}[{i}]")
        errors += wrong
        if wrong:
            errors.append(invalid(f"{path}[{i}]", selector, "invalid label selector."))
    return errors


def validate(obj: ClusterRole) -> Errors:
    errors = validate_rules(obj.rules, "rules", namespaced=False)
    if obj.aggregationRule is not None:
        errors += _validate_aggregation(obj.aggregationRule, "aggregationRule")
    return errors


def validate_update(obj: ClusterRole, old: ClusterRole) -> Errors:
    return validate(obj)


def cells(obj: ClusterRole, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


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
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_name=names.is_path_segment,
)
