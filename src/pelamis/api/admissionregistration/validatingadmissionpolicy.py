"""ValidatingAdmissionPolicy: rules in CEL that a write must fulfil; it acts where a binding says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.admissionregistration.expression import Scope, check_expression
from pelamis.api.admissionregistration.match import (
    MatchCondition,
    MatchResources,
    ParamKind,
    Variable,
    check_failure_policy,
    default_match,
    param_kind_text,
    static_suffix_warnings,
    validate_match,
    validate_match_conditions,
    validate_param_kind,
    validate_variables,
)
from pelamis.api.check import Errors, check_choice, check_text
from pelamis.api.field import F, Int64, Struct, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate, invalid, required, too_many


class Validation(Struct, frozen=True):
    expression: Annotated[str, F(1, "CEL, gives a bool: false refuses.", required=True)] = always(str)
    message: Annotated[str, F(2, "What a refusal says; one line.")] = ""
    reason: Annotated[
        str | None,
        F(3, "Machine-readable reason of a refusal: Invalid, Forbidden, Unauthorized, RequestEntityTooLarge."),
    ] = None
    messageExpression: Annotated[str, F(4, "CEL, gives the message; message is for when it fails.")] = ""


class AuditAnnotation(Struct, frozen=True):
    key: Annotated[str, F(1, "Last part of the annotation's key; the policy's name is the first.", required=True)] = (
        always(str)
    )
    valueExpression: Annotated[str, F(2, "CEL, gives a text; null or empty notes nothing.", required=True)] = always(
        str
    )


class ValidatingAdmissionPolicySpec(Struct, frozen=True):
    paramKind: Annotated[ParamKind | None, F(1, "Kind of the parameter objects; unset means none.")] = None
    matchConstraints: Annotated[MatchResources | None, F(2, "Which requests the policy looks at.")] = None
    validations: Annotated[tuple[Validation, ...], F(3, "What must hold, all of it.", list="atomic")] = ()
    failurePolicy: Annotated[
        str | None,
        F(
            4,
            "Fail or Ignore: what an error in the evaluation or the call means.",
            enum=(
                "Ignore",
                "Fail",
            ),
            default="Fail",
        ),
    ] = None
    auditAnnotations: Annotated[
        tuple[AuditAnnotation, ...], F(5, "What is noted in the audit log.", list="atomic")
    ] = ()
    matchConditions: Annotated[
        tuple[MatchCondition, ...],
        F(6, "CEL conditions that must all hold; at most 64.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
    variables: Annotated[
        tuple[Variable, ...],
        F(
            7,
            "Named expressions, usable as variables.name by those that follow.",
            merge="merge",
            key="name",
            list="map",
            keys=("name",),
        ),
    ] = ()


class ExpressionWarning(Struct, frozen=True):
    fieldRef: Annotated[str, F(2, "Path of the expression's field.", required=True)] = always(str)
    warning: Annotated[str, F(3, "What does not fit, for each type.", required=True)] = always(str)


class TypeChecking(Struct, frozen=True):
    expressionWarnings: Annotated[
        tuple[ExpressionWarning, ...], F(1, "One for each expression that does not fit.", list="atomic")
    ] = ()


class ValidatingAdmissionPolicyStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(1, "metadata.generation that the status is about.")] = 0
    typeChecking: Annotated[TypeChecking | None, F(2, "What a check of the expressions against the types found.")] = (
        None
    )
    conditions: Annotated[
        tuple[Condition, ...], F(3, "Observations of its state, one of each type.", list="map", keys=("type",))
    ] = ()


class ValidatingAdmissionPolicy(Struct, frozen=True):
    """Rules in CEL that a write must fulfil; it acts where a binding says so."""

    kind: str = always(lambda: "ValidatingAdmissionPolicy")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ValidatingAdmissionPolicySpec, F(2)] = always(ValidatingAdmissionPolicySpec)
    status: Annotated[ValidatingAdmissionPolicyStatus, F(3)] = always(ValidatingAdmissionPolicyStatus)


_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_MOST_ANNOTATIONS = 20


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if spec.get("failurePolicy") is None:
        spec["failurePolicy"] = "Fail"
    default_match(spec.get("matchConstraints"))


def _validate_validation(rule: Validation, path: str, scope: Scope) -> Errors:
    errors: Errors = []
    text, message = rule.expression.strip(), rule.message.strip()
    if not text:
        errors.append(required(f"{path}.expression", "expression is not specified"))
    if rule.messageExpression and not rule.messageExpression.strip():
        errors.append(invalid(f"{path}.messageExpression", rule.messageExpression, "must be non-empty if specified"))
    if rule.message and not message:
        errors.append(invalid(f"{path}.message", rule.message, "message must be non-empty if specified"))
    elif "\n" in message or "\r" in message:
        errors.append(invalid(f"{path}.message", rule.message, "message must not contain line breaks"))
    elif "\n" in text and not message:
        detail = "message must be specified if expression contains line breaks"
        errors.append(required(f"{path}.message", detail))
    errors += check_expression(rule.expression, f"{path}.expression", scope.checker, ("bool",))
    errors += check_expression(rule.messageExpression, f"{path}.messageExpression", scope.checker, ("string",))
    if rule.reason is not None:
        errors += check_choice(rule.reason, f"{path}.reason", _REASONS)
    return errors


def _validate_annotations(obj: ValidatingAdmissionPolicy, scope: Scope) -> Errors:
    annotations, path = obj.spec.auditAnnotations, "spec.auditAnnotations"
    errors: Errors = []
    if len(annotations) > _MOST_ANNOTATIONS:
        errors.append(too_many(path, len(annotations), _MOST_ANNOTATIONS))
    seen: set[str] = set()
    for i, annotation in enumerate(annotations):
        where = f"{path}[{i}]"
        name = obj.metadata.name
        if not name:
            errors.append(invalid(f"{where}.key", annotation.key, "requires metadata.name be non-empty"))
        else:
            errors += check_text(names.is_qualified_name, f"{name}/{annotation.key}", f"{where}.key")
        if not annotation.valueExpression.strip():
            errors.append(required(f"{where}.valueExpression", "valueExpression is not specified"))
        types = ("string", "null_type")
        errors += check_expression(annotation.valueExpression, f"{where}.valueExpression", scope.checker, types)
        if annotation.key in seen:
            errors.append(duplicate(f"{where}.key", annotation.key))
        seen.add(annotation.key)
    return errors


def validate(obj: ValidatingAdmissionPolicy) -> Errors:
    spec = obj.spec
    errors = check_failure_policy(spec.failurePolicy)
    if spec.paramKind is not None:
        errors += validate_param_kind(spec.paramKind, "spec.paramKind")
    if spec.matchConstraints is None:
        errors.append(required("spec.matchConstraints"))
    else:
        errors += validate_match(spec.matchConstraints, "spec.matchConstraints")
        if not spec.matchConstraints.resourceRules:
            errors.append(required("spec.matchConstraints.resourceRules"))
    errors += validate_match_conditions(spec.matchConditions, "spec.matchConditions", params=spec.paramKind is not None)
    scope = Scope(spec.paramKind is not None, variables=bool(spec.variables))
    errors += validate_variables(spec.variables, "spec.variables", scope)
    if not spec.validations and not spec.auditAnnotations:
        detail = "validations or auditAnnotations must contain at least one item"
        errors += [required("spec.validations", detail), required("spec.auditAnnotations", detail)]
    for i, rule in enumerate(spec.validations):
        errors += _validate_validation(rule, f"spec.validations[{i}]", scope)
    return errors + _validate_annotations(obj, scope)


def validate_update(obj: ValidatingAdmissionPolicy, old: ValidatingAdmissionPolicy) -> Errors:
    return validate(obj) if obj.spec != old.spec else []


def validate_status_update(obj: ValidatingAdmissionPolicy, old: ValidatingAdmissionPolicy) -> Errors:
    errors = list(validate_conditions(obj.status.conditions, "status.conditions"))
    checked = obj.status.typeChecking
    for i, warning in enumerate(checked.expressionWarnings if checked is not None else ()):
        path = f"status.typeChecking.expressionWarnings[{i}]"
        if not warning.warning:
            errors.append(required(f"{path}.warning"))
        if not warning.fieldRef:
            errors.append(required(f"{path}.fieldRef"))
    return errors


def cells(obj: ValidatingAdmissionPolicy, now: float) -> Sequence[Any]:
    return (
        obj.metadata.name,
        len(obj.spec.validations),
        param_kind_text(obj.spec.paramKind),
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    type=ValidatingAdmissionPolicy,
    plural="validatingadmissionpolicies",
    singular="validatingadmissionpolicy",
    categories=("api-extensions",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "admissionregistration.k8s.io",
            "v1",
            "ValidatingAdmissionPolicy",
            ("get", "patch", "update"),
            reset=("spec", "metadata"),
        ),
    ),
    reset=("status",),
    generation=True,
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Validations", "integer"),
        Column("ParamKind", "string"),
        Column("Age", "string"),
    ),
    storage_hash="6OxvlMmQ6is=",
    cells=cells,
    default=default,
    validate=validate,
    warnings=static_suffix_warnings,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
