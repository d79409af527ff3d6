"""What an RBAC rule grants: verbs on resources of API groups, or on paths that are no resources."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.base.errors import invalid, required


class PolicyRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, "Verbs, such as get; * is all.", list="atomic", required=True)] = always(
        tuple
    )
    apiGroups: Annotated[
        tuple[str, ...], F(2, 'Groups of the resources; "" is the core group, * all.', list="atomic")
    ] = ()
    resources: Annotated[tuple[str, ...], F(3, "Resources, such as pods or pods/log; * is all.", list="atomic")] = ()
    resourceNames: Annotated[tuple[str, ...], F(4, "Narrows the rule to objects with these names.", list="atomic")] = ()
    nonResourceURLs: Annotated[
        tuple[str, ...], F(5, "Paths such as /metrics or /debug/*; ClusterRoles only.", list="atomic")
    ] = ()


def validate_rules(rules: tuple[PolicyRule, ...], path: str, *, namespaced: bool) -> Errors:
    errors: Errors = []
    for i, rule in enumerate(rules):
        errors += _validate_rule(rule, f"{path}[{i}]", namespaced)
    return errors


def _validate_rule(rule: PolicyRule, path: str, namespaced: bool) -> Errors:
    errors: Errors = []
    if not rule.verbs:
        errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    if rule.nonResourceURLs:
        where, value = f"{path}.nonResourceURLs", rule.nonResourceURLs
        if namespaced:
            errors.append(invalid(where, value, "namespaced rules cannot apply to non-resource URLs"))
        if rule.apiGroups or rule.resources or rule.resourceNames:
            errors.append(invalid(where, value, "rules cannot apply to both regular resources and non-resource URLs"))
        return errors
    if not rule.apiGroups:
        errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.resources:
        errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors
