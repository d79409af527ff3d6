"""Which requests an admission webhook or policy is about, with the defaults and checks that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.admissionregistration import expression
from pelamis.api.check import Errors, check_choice, check_required_choice, check_required_text, check_text
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.meta import LabelSelector
from pelamis.api.metavalidate import validate_label_selector
from pelamis.base import names
from pelamis.base.errors import duplicate, invalid, required, too_many


class ParamKind(Struct, frozen=True):
    apiVersion: Annotated[str, F(1, "group/version of the parameter kind.")] = ""
    kind: Annotated[str, F(2, "The parameter kind.")] = ""


class RuleWithOperations(Struct, frozen=True):
    operations: Annotated[
        tuple[str, ...],
        F(
            1,
            "CREATE, UPDATE, DELETE, CONNECT, or * for all.",
            list="atomic",
            enum=(
                "*",
                "CREATE",
                "UPDATE",
                "DELETE",
                "CONNECT",
            ),
        ),
    ] = ()
    apiGroups: Annotated[tuple[str, ...], F(1, "API groups; * for all.", within=(2,), list="atomic")] = ()
    apiVersions: Annotated[tuple[str, ...], F(2, "API versions; * for all.", within=(2,), list="atomic")] = ()
    resources: Annotated[
        tuple[str, ...],
        F(
            3,
            "Resources, pods/log for a subresource; * for all resources, */* for all subresources too.",
            within=(2,),
            list="atomic",
        ),
    ] = ()
    scope: Annotated[
        str | None,
        F(
            4,
            "Cluster, Namespaced, or * for both.",
            within=(2,),
            enum=(
                "Cluster",
                "Namespaced",
                "*",
            ),
            default="*",
        ),
    ] = None


class NamedRuleWithOperations(Struct, frozen=True):
    resourceNames: Annotated[
        tuple[str, ...], F(1, "Only objects with these names; empty means all.", list="atomic")
    ] = ()
    operations: Annotated[
        tuple[str, ...],
        F(
            1,
            "CREATE, UPDATE, DELETE, CONNECT, or * for all.",
            within=(2,),
            list="atomic",
            enum=(
                "*",
                "CREATE",
                "UPDATE",
                "DELETE",
                "CONNECT",
            ),
        ),
    ] = ()
    apiGroups: Annotated[tuple[str, ...], F(1, "API groups; * for all.", within=(2, 2), list="atomic")] = ()
    apiVersions: Annotated[tuple[str, ...], F(2, "API versions; * for all.", within=(2, 2), list="atomic")] = ()
    resources: Annotated[
        tuple[str, ...],
        F(
            3,
            "Resources, pods/log for a subresource; * for all resources, */* for all subresources too.",
            within=(2, 2),
            list="atomic",
        ),
    ] = ()
    scope: Annotated[
        str | None,
        F(
            4,
            "Cluster, Namespaced, or * for both.",
            within=(2, 2),
            enum=(
                "Cluster",
                "Namespaced",
                "*",
            ),
            default="*",
        ),
    ] = None


class MatchResources(Struct, frozen=True):
    namespaceSelector: Annotated[
        LabelSelector | None, F(1, "Namespaces by their labels; empty means all.", default={})
    ] = None
    objectSelector: Annotated[
        LabelSelector | None, F(2, "Objects by their labels, before or after the change; empty means all.", default={})
    ] = None
    resourceRules: Annotated[
        tuple[NamedRuleWithOperations, ...],
        F(3, "Which operations on which resources match; any one is enough.", list="atomic"),
    ] = ()
    excludeResourceRules: Annotated[
        tuple[NamedRuleWithOperations, ...], F(4, "What is left out of resourceRules.", list="atomic")
    ] = ()
    matchPolicy: Annotated[
        str | None,
        F(
            7,
            "Exact, or Equivalent: requests for another version of the same resource match too.",
            enum=(
                "Exact",
                "Equivalent",
            ),
            default="Equivalent",
        ),
    ] = None


class Variable(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, a CEL identifier.", required=True)] = always(str)
    expression: Annotated[str, F(2, "A CEL expression.", required=True)] = always(str)


class MatchCondition(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, for messages; unique in the list.", required=True)] = always(str)
    expression: Annotated[str, F(2, "CEL, gives a bool: object, oldObject, request, authorizer.", required=True)] = (
        always(str)
    )


class ParamRef(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the parameter object; excludes selector.")] = ""
    namespace: Annotated[str, F(2, "Its namespace; unset means that of the request's object.")] = ""
    selector: Annotated[LabelSelector | None, F(3, "All parameter objects with these labels.")] = None
    parameterNotFoundAction: Annotated[str | None, F(4, "Allow or Deny, when there is no parameter object.")] = None


_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_MOST_CONDITIONS = 64


def default_match(match: Tree | None) -> None:
    """Of a MatchResources tree."""
    if match is None:
        return
    for name in ("namespaceSelector", "objectSelector"):
        if match.get(name) is None:
            match[name] = {}
    if match.get("matchPolicy") is None:
        match["matchPolicy"] = "Equivalent"
    for rule in (*(match.get("resourceRules") or ()), *(match.get("excludeResourceRules") or ())):
        if rule.get("scope") is None:
            rule["scope"] = "*"


def _check_alone(values: Sequence[str], path: str, what: str) -> Errors:
    if not values:
        return [required(path)]
    if len(values) > 1 and "*" in values:
        return [invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _check_resources(resources: Sequence[str], path: str) -> Errors:
    if not resources:
        return [required(path)]
    errors: Errors = []
    any_below: set[str] = set()
    any_above: set[str] = set()
    for i, text in enumerate(resources):
        where = f"{path}[{i}]"
        if not text:
            errors.append(required(where))
            continue
        above, slash, below = text.partition("/")
        if not slash:
            continue
        if above in any_below:
            errors.append(invalid(where, text, f"if '{above}/*' is present, must not specify {text}"))
        if below in any_above:
            errors.append(invalid(where, text, f"if '*/{below}' is present, must not specify {text}"))
        if below == "*":
            any_below.add(above)
        if above == "*":
            any_above.add(below)
    if len(resources) > 1 and "*/*" in resources:
        errors.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and any("/" not in r and r not in ("", "*") for r in resources):
        detail = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, resources, detail))
    return errors


def validate_rule(rule: RuleWithOperations | NamedRuleWithOperations, path: str) -> Errors:
    errors = _check_alone(rule.operations, f"{path}.operations", "operations")
    for i, operation in enumerate(rule.operations):
        errors += check_choice(operation, f"{path}.operations[{i}]", _OPERATIONS)
    errors += _check_alone(rule.apiGroups, f"{path}.apiGroups", "API groups")
    errors += _check_alone(rule.apiVersions, f"{path}.apiVersions", "API versions")
    errors += [required(f"{path}.apiVersions[{i}]") for i, v in enumerate(rule.apiVersions) if not v]
    errors += _check_resources(rule.resources, f"{path}.resources")
    if rule.scope is not None:
        errors += check_choice(rule.scope, f"{path}.scope", ("*", "Cluster", "Namespaced"))
    if isinstance(rule, NamedRuleWithOperations):
        for i, name in enumerate(rule.resourceNames):
            errors += check_text(names.is_path_segment, name, f"{path}.resourceNames[{i}]")
            if name in rule.resourceNames[:i]:
                errors.append(duplicate(f"{path}.resourceNames[{i}]", name))
    return errors


def validate_match(match: MatchResources, path: str) -> Errors:
    errors: Errors = []
    for name in ("namespaceSelector", "objectSelector"):
        selector = getattr(match, name)
        if selector is None:
            errors.append(required(f"{path}.{name}"))
        errors += validate_label_selector(selector, f"{path}.{name}")
    policies = ("Equivalent", "Exact")
    errors += check_required_choice(match.matchPolicy or "", f"{path}.matchPolicy", policies)
    for i, rule in enumerate(match.resourceRules):
        errors += validate_rule(rule, f"{path}.resourceRules[{i}]")
    for i, rule in enumerate(match.excludeResourceRules):
        errors += validate_rule(rule, f"{path}.excludeResourceRules[{i}]")
    return errors


def validate_match_conditions(conditions: Sequence[MatchCondition], path: str, *, params: bool = False) -> Errors:
    """params: whether the expressions may name parameters."""
    errors: Errors = []
    if len(conditions) > _MOST_CONDITIONS:
        errors.append(too_many(path, len(conditions), _MOST_CONDITIONS))
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        where = f"{path}[{i}]"
        if not condition.expression.strip():
            errors.append(required(f"{where}.expression"))
        checker = expression.condition_checker(params)
        errors += expression.check_expression(condition.expression, f"{where}.expression", checker, ("bool",))
        errors += check_required_text(names.is_qualified_name, condition.name, f"{where}.name")
        if condition.name and condition.name in seen:
            errors.append(duplicate(f"{where}.name", condition.name))
        seen.add(condition.name)
    return errors


_STATIC = ".static.k8s.io"


def static_suffix_warnings(obj: Any) -> list[str]:
    """Of a policy, a binding or a configuration of webhooks."""
    if not obj.metadata.name.endswith(_STATIC):
        return []
    return [
        f'metadata.name: names ending with "{_STATIC}" are reserved for static manifest-based configurations and '
        "cannot be managed via the API"
    ]


def check_failure_policy(policy: str | None) -> Errors:
    """Of a policy."""
    if policy is None:
        return [required("spec.failurePolicy")]
    return check_choice(policy, "spec.failurePolicy", ("Fail", "Ignore"))


def validate_variables(variables: Sequence[Variable], path: str, scope: expression.Scope) -> Errors:
    """scope: what they may name; grows by them."""
    errors: Errors = []
    for i, variable in enumerate(variables):
        where = f"{path}[{i}]"
        if not variable.name.strip():
            errors.append(required(f"{where}.name", "name is not specified"))
        elif names.is_c_identifier(variable.name) or variable.name in expression.RESERVED:
            errors.append(invalid(f"{where}.name", variable.name, "must be a valid CEL identifier"))
        if not variable.expression.strip():
            errors.append(required(f"{where}.expression", "expression is not specified"))
        elif wrong := scope.add(variable):
            errors.append(invalid(f"{where}.expression", variable.expression.strip(), f"compilation failed: {wrong}"))
    return errors


def validate_param_kind(kind: ParamKind, path: str) -> Errors:
    errors: Errors = []
    group, slash, version = kind.apiVersion.rpartition("/")
    if not kind.apiVersion:
        errors.append(required(f"{path}.apiVersion"))
    elif kind.apiVersion.count("/") > 1:
        detail = f"unexpected GroupVersion string: {kind.apiVersion}"
        errors.append(invalid(f"{path}.apiVersion", kind.apiVersion, detail))
    else:
        if slash:
            errors += check_text(names.is_dns1123_subdomain, group, f"{path}.apiVersion")
        errors += check_text(names.is_dns1035_label, version, f"{path}.apiVersion")
    if not kind.kind:
        errors.append(required(f"{path}.kind"))
    elif wrong := names.is_dns1035_label(kind.kind.lower()):
        detail = "may have mixed case, but should otherwise match: " + ",".join(wrong)
        errors.append(invalid(f"{path}.kind", kind.kind, detail))
    return errors


def validate_param_ref(ref: ParamRef, path: str) -> Errors:
    errors: Errors = []
    if ref.name:
        errors += check_text(names.is_path_segment, ref.name, f"{path}.name")
        if ref.selector is not None:
            errors.append(invalid(f"{path}.name", ref.name, "name and selector are mutually exclusive"))
    if ref.selector is not None:
        errors += validate_label_selector(ref.selector, f"{path}.selector")
    elif not ref.name:
        errors.append(required(path, "one of name or selector must be specified"))
    if ref.parameterNotFoundAction is None:
        errors.append(required(f"{path}.parameterNotFoundAction"))
    else:
        where = f"{path}.parameterNotFoundAction"
        errors += check_choice(ref.parameterNotFoundAction, where, ("Allow", "Deny"))
    return errors


def param_kind_text(kind: ParamKind | None) -> str:
    return "<unset>" if kind is None else f"{kind.apiVersion}/{kind.kind}"


def param_ref_text(ref: ParamRef | None) -> str:
    if ref is None:
        return "<unset>"
    if ref.name:
        return f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name
    labels = "".join(f"{k}: {v}," for k, v in sorted(ref.selector.matchLabels.items())) if ref.selector else ""
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}"
    )
