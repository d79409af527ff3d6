"""FlowSchema: which requests belong to which priority level; the lowest matchingPrecedence that matches wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE
from pelamis.api.check import Errors, as_go, check_required_text, check_text
from pelamis.api.field import F, Int32, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate, forbidden, invalid, not_supported, required


class PriorityLevelConfigurationReference(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the level.", required=True)] = always(str)


class FlowDistinguisherMethod(Struct, frozen=True):
    type: Annotated[str, F(1, "ByUser or ByNamespace.", required=True)] = always(str)


class UserSubject(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the user; * for all.", required=True)] = always(str)


class GroupSubject(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the group; * for all.", required=True)] = always(str)


class ServiceAccountSubject(Struct, frozen=True):
    namespace: Annotated[str, F(1, "Its namespace.", required=True)] = always(str)
    name: Annotated[str, F(2, "Its name; * for all.", required=True)] = always(str)


class Subject(Struct, frozen=True):
    kind: Annotated[str, F(1, "User, Group or ServiceAccount.", required=True)] = always(str)
    user: Annotated[UserSubject | None, F(2, "The user.")] = None
    group: Annotated[GroupSubject | None, F(3, "The group.")] = None
    serviceAccount: Annotated[ServiceAccountSubject | None, F(4, "The service account.")] = None


class ResourcePolicyRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, "Verbs, such as get or list; * for all.", list="set", required=True)] = (
        always(tuple)
    )
    apiGroups: Annotated[tuple[str, ...], F(2, "API groups; * for all.", list="set", required=True)] = always(tuple)
    resources: Annotated[
        tuple[str, ...],
        F(
            3,
            "Resources, pods/log for a subresource; * for all resources, */* for all subresources too.",
            list="set",
            required=True,
        ),
    ] = always(tuple)
    clusterScope: Annotated[bool, F(4, "Also requests without a namespace.")] = False
    namespaces: Annotated[tuple[str, ...], F(5, "Namespaces; * for all.", list="set")] = always(tuple)


class NonResourcePolicyRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, "Verbs, such as get or list; * for all.", list="set", required=True)] = (
        always(tuple)
    )
    nonResourceURLs: Annotated[
        tuple[str, ...], F(6, "URL paths; a trailing * matches the rest.", list="set", required=True)
    ] = always(tuple)


class PolicyRulesWithSubjects(Struct, frozen=True):
    subjects: Annotated[tuple[Subject, ...], F(1, "Who; any one is enough.", list="atomic", required=True)] = always(
        tuple
    )
    resourceRules: Annotated[tuple[ResourcePolicyRule, ...], F(2, "Requests for resources.", list="atomic")] = ()
    nonResourceRules: Annotated[tuple[NonResourcePolicyRule, ...], F(3, "Requests for URL paths.", list="atomic")] = ()


class FlowSchemaSpec(Struct, frozen=True):
    priorityLevelConfiguration: Annotated[
        PriorityLevelConfigurationReference, F(1, "The level that its requests get.", required=True)
    ] = always(PriorityLevelConfigurationReference)
    matchingPrecedence: Annotated[Int32, F(2, "Order of the schemas: the smallest that matches wins; 1 to 10000.")] = (
        always(int)
    )
    distinguisherMethod: Annotated[
        FlowDistinguisherMethod | None, F(3, "How requests are told apart into flows; unset: one flow.")
    ] = None
    rules: Annotated[
        tuple[PolicyRulesWithSubjects, ...], F(4, "Which requests match; any one is enough.", list="atomic")
    ] = ()


class FlowSchemaCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Which condition this is.", required=True)] = ""
    status: Annotated[str, F(2, "True, False or Unknown.")] = ""
    lastTransitionTime: Annotated[Time, F(3, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase: why it is so.")] = ""
    message: Annotated[str, F(5, "The same for people.")] = ""


class FlowSchemaStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[FlowSchemaCondition, ...],
        F(1, "Observations of its state, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class FlowSchema(Struct, frozen=True):
    """Which requests belong to which priority level; the lowest matchingPrecedence that matches wins."""

    kind: str = always(lambda: "FlowSchema")
    apiVersion: str = always(lambda: "flowcontrol.apiserver.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[FlowSchemaSpec, F(2, required=True)] = always(FlowSchemaSpec)
    status: Annotated[FlowSchemaStatus, F(3)] = always(FlowSchemaStatus)


_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_MOST_PRECEDENCE = 10000
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def _validate_list(values: tuple[str, ...], path: str, absent: str, what: str) -> Errors:
    """Present, and a wildcard stands alone."""
    if not values:
        return [required(path, absent)]
    if "*" in values and len(values) > 1:
        return [invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _validate_verbs(verbs: tuple[str, ...], path: str) -> Errors:
    errors = _validate_list(verbs, path, "verbs must contain at least one value", "verbs")
    if not errors and "*" not in verbs and not set(verbs) <= set(_VERBS):
        errors.append(not_supported(path, verbs, _VERBS))
    return errors


def _validate_url(text: str, path: str) -> Errors:
    if not text:
        return [invalid(path, text, "must not be empty")]
    if text == "/":
        return []
    for wrong, detail in (
        (not text.startswith("/"), "must start with slash"),
        (" " in text, "must not contain white-space"),
        ("//" in text, "must not contain double slash"),
        ("*" in text and (text.count("*") > 1 or not text.endswith("/*")), "wildcard can only do suffix matching"),
    ):
        if wrong:
            return [invalid(path, text, detail)]
    return []


def _validate_subject(subject: Subject, path: str) -> Errors:
    mine = _SUBJECTS.get(subject.kind)
    if mine is None:
        return [not_supported(f"{path}.kind", subject.kind, tuple(_SUBJECTS))]
    errors: Errors = []
    chosen = getattr(subject, mine)
    if chosen is None:
        errors.append(required(f"{path}.{mine}", f"{mine} is required when subject kind is '{subject.kind}'"))
    elif isinstance(chosen, ServiceAccountSubject):
        errors += _validate_account(chosen, f"{path}.{mine}")
    elif not chosen.name:
        errors.append(required(f"{path}.{mine}.name"))
    for kind, field in _SUBJECTS.items():
        if field != mine and getattr(subject, field) is not None:
            errors.append(forbidden(f"{path}.{field}", f"{field} is forbidden when subject kind is not '{kind}'"))
    return errors


def _validate_account(account: ServiceAccountSubject, path: str) -> Errors:
    errors: Errors = []
    if account.name != "*":
        errors += check_required_text(names.is_dns1123_subdomain, account.name, f"{path}.name")
    detail = "must specify namespace for service account"
    errors += check_required_text(names.is_dns1123_label, account.namespace, f"{path}.namespace", detail)
    return errors


def _validate_resource_rule(rule: ResourcePolicyRule, path: str) -> Errors:
    errors = _validate_verbs(rule.verbs, f"{path}.verbs")
    detail = "resource rules must supply at least one api group"
    errors += _validate_list(rule.apiGroups, f"{path}.apiGroups", detail, "api groups")
    detail = "resource rules must supply at least one resource"
    errors += _validate_list(rule.resources, f"{path}.resources", detail, "resources")
    where = f"{path}.namespaces"
    if not rule.namespaces:
        if not rule.clusterScope:
            detail = "resource rules that are not cluster scoped must supply at least one namespace"
            errors.append(required(where, detail))
    elif "*" in rule.namespaces:
        errors += _validate_list(rule.namespaces, where, "", "namespaces")
    else:
        intro = "each member of this list must be '*' or a DNS-1123 label; "
        for i, name in enumerate(rule.namespaces):
            errors += [invalid(f"{where}[{i}]", name, intro + m) for m in names.is_dns1123_label(name)]
    return errors


def _validate_other_rule(rule: NonResourcePolicyRule, path: str) -> Errors:
    errors = _validate_verbs(rule.verbs, f"{path}.verbs")
    where, urls = f"{path}.nonResourceURLs", rule.nonResourceURLs
    wrong = _validate_list(urls, where, "nonResourceURLs must contain at least one value", "non-resource URLs")
    if wrong or "*" in urls:
        return errors + wrong
    return errors + [e for i, url in enumerate(urls) for e in _validate_url(url, f"{where}[{i}]")]


def _validate_rule(rule: PolicyRulesWithSubjects, path: str) -> Errors:
    errors: Errors = []
    if not rule.subjects:
        errors.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for i, subject in enumerate(rule.subjects):
        errors += _validate_subject(subject, f"{path}.subjects[{i}]")
    if not rule.resourceRules and not rule.nonResourceRules:
        errors.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for i, resource in enumerate(rule.resourceRules):
        errors += _validate_resource_rule(resource, f"{path}.resourceRules[{i}]")
    for i, other in enumerate(rule.nonResourceRules):
        errors += _validate_other_rule(other, f"{path}.nonResourceRules[{i}]")
    return errors


def validate_flow_conditions(conditions: Sequence[Any]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        path = f"status.conditions[{i}].type"
        if condition.type in seen:
            errors.append(duplicate(path, condition.type))
        seen.add(condition.type)
        if not condition.type:
            errors.append(required(path, "must not be empty"))
    return errors


def validate(obj: FlowSchema) -> Errors:
    spec, path = obj.spec, "spec.matchingPrecedence"
    errors: Errors = []
    precedence = spec.matchingPrecedence
    if precedence <= 0:
        errors.append(invalid(path, precedence, "must be a positive value"))
    if precedence > _MOST_PRECEDENCE:
        errors.append(invalid(path, precedence, f"must not be greater than {_MOST_PRECEDENCE}"))
    if precedence == 1 and obj.metadata.name != "exempt":
        detail = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.append(invalid(path, precedence, detail))
    method = spec.distinguisherMethod
    if method is not None and method.type not in ("ByNamespace", "ByUser"):
        errors.append(not_supported("spec.distinguisherMethod.type", as_go(method), ("ByNamespace", "ByUser")))
    level = spec.priorityLevelConfiguration.name
    if level:
        errors += check_text(names.is_dns1123_subdomain, level, "spec.priorityLevelConfiguration.name")
    else:
        errors.append(required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
    for i, rule in enumerate(spec.rules):
        errors += _validate_rule(rule, f"spec.rules[{i}]")
    return errors + validate_flow_conditions(obj.status.conditions)


def validate_update(obj: FlowSchema, old: FlowSchema) -> Errors:
    return validate(obj)


def validate_status_update(obj: FlowSchema, old: FlowSchema) -> Errors:
    return validate_flow_conditions(obj.status.conditions)


def cells(obj: FlowSchema, now: float) -> Sequence[Any]:
    method = obj.spec.distinguisherMethod
    dangling = next((c.status for c in obj.status.conditions if c.type == "Dangling"), "?")
    return (
        obj.metadata.name,
        obj.spec.priorityLevelConfiguration.name,
        obj.spec.matchingPrecedence,
        NONE if method is None else method.type,
        age(obj.metadata.creationTimestamp, now),
        dangling,
    )


KIND = Kind(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    type=FlowSchema,
    plural="flowschemas",
    singular="flowschema",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "FlowSchema",
            ("get", "patch", "update"),
            reset=("metadata", "spec"),
        ),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("PriorityLevel", "string"),
        Column("MatchingPrecedence", "string"),
        Column("DistinguisherMethod", "string"),
        Column("Age", "string"),
        Column("MissingPL", "string"),
    ),
    storage_hash="GJVAJZSZBIw=",
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
