"""MutatingAdmissionPolicy: changes in CEL that are made to a write; it acts where a binding says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.admissionregistration.expression import Scope, check_mutation
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
from pelamis.api.check import Errors, check_choice, check_required_choice
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import invalid, required


class ApplyConfiguration(Struct, frozen=True):
    expression: Annotated[str, F(1, "CEL, gives an Object{...} to merge.")] = ""


class JSONPatch(Struct, frozen=True):
    expression: Annotated[str, F(1, "CEL, gives a list of JSONPatch{...}.")] = ""


class Mutation(Struct, frozen=True):
    patchType: Annotated[
        str,
        F(
            2,
            "ApplyConfiguration or JSONPatch.",
            enum=(
                "ApplyConfiguration",
                "JSONPatch",
            ),
            required=True,
        ),
    ] = always(str)
    applyConfiguration: Annotated[
        ApplyConfiguration | None, F(3, "A change that is merged as server-side apply does.")
    ] = None
    jsonPatch: Annotated[JSONPatch | None, F(4, "A change given as a list of JSON patch operations.")] = None


class MutatingAdmissionPolicySpec(Struct, frozen=True):
    paramKind: Annotated[ParamKind | None, F(1, "Kind of the parameter objects; unset means none.")] = None
    matchConstraints: Annotated[MatchResources | None, F(2, "Which requests the policy looks at.")] = None
    variables: Annotated[
        tuple[Variable, ...], F(3, "Named expressions, usable as variables.name by those that follow.", list="atomic")
    ] = ()
    mutations: Annotated[
        tuple[Mutation, ...], F(4, "Changes, one after the other, each on the result of the last.", list="atomic")
    ] = ()
    failurePolicy: Annotated[
        str | None,
        F(
            5,
            "Fail or Ignore: what an error in the evaluation or the call means.",
            enum=(
                "Ignore",
                "Fail",
            ),
            default="Fail",
        ),
    ] = None
    matchConditions: Annotated[
        tuple[MatchCondition, ...],
        F(6, "CEL conditions that must all hold; at most 64.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
    reinvocationPolicy: Annotated[
        str,
        F(
            7,
            "Never, or IfNeeded: called again when a later step changed the object.",
            enum=(
                "Never",
                "IfNeeded",
            ),
        ),
    ] = ""


class MutatingAdmissionPolicy(Struct, frozen=True):
    """Changes in CEL that are made to a write; it acts where a binding says so."""

    kind: str = always(lambda: "MutatingAdmissionPolicy")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[MutatingAdmissionPolicySpec, F(2)] = always(MutatingAdmissionPolicySpec)


_EXPRESSIONS = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if spec.get("failurePolicy") is None:
        spec["failurePolicy"] = "Fail"
    default_match(spec.get("matchConstraints"))


_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")


_RESULTS = {"ApplyConfiguration": "Object", "JSONPatch": "list(JSONPatch)"}


def _validate_mutation(mutation: Mutation, path: str, scope: Scope) -> Errors:
    chosen = mutation.patchType
    errors = check_required_choice(chosen, f"{path}.patchType", tuple(sorted(_EXPRESSIONS)))
    for type, field in _EXPRESSIONS.items() if not errors else ():
        given, where = getattr(mutation, field), f"{path}.{field}"
        if type != chosen:
            if given is not None:
                errors.append(invalid(where, f"{{{field}}}", f"must not be specified when patchType is {chosen}"))
        elif given is None:
            errors.append(required(where, f"must be specified when patchType is {type}"))
        elif not given.expression.strip():
            errors.append(required(f"{where}.expression"))
        else:
            errors += check_mutation(given.expression, f"{where}.expression", scope, _RESULTS[type])
    return errors


def validate(obj: MutatingAdmissionPolicy) -> Errors:
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
        for rule in spec.matchConstraints.resourceRules:
            for operation in rule.operations:
                errors += check_choice(operation, "spec.matchConstraints.resourceRules.operations", _OPERATIONS)
    errors += validate_match_conditions(spec.matchConditions, "spec.matchConditions", params=spec.paramKind is not None)
    scope = Scope(spec.paramKind is not None)
    errors += validate_variables(spec.variables, "spec.variables", scope)
    if not spec.mutations:
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    for i, mutation in enumerate(spec.mutations):
        errors += _validate_mutation(mutation, f"spec.mutations[{i}]", scope)
    choices = ("IfNeeded", "Never")
    return errors + check_required_choice(spec.reinvocationPolicy, "spec.reinvocationPolicy", choices)


def validate_update(obj: MutatingAdmissionPolicy, old: MutatingAdmissionPolicy) -> Errors:
    return validate(obj) if obj.spec != old.spec else []


def cells(obj: MutatingAdmissionPolicy, now: float) -> Sequence[Any]:
    return (
        obj.metadata.name,
        len(obj.spec.mutations),
        param_kind_text(obj.spec.paramKind),
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    type=MutatingAdmissionPolicy,
    plural="mutatingadmissionpolicies",
    singular="mutatingadmissionpolicy",
    categories=("api-extensions",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Mutations", "integer"),
        Column("ParamKind", "string"),
        Column("Age", "string"),
    ),
    storage_hash="mHCkTKpUTrE=",
    generation=True,
    unconditional_update=False,
    cells=cells,
    default=default,
    validate=validate,
    warnings=static_suffix_warnings,
    validate_update=validate_update,
)
