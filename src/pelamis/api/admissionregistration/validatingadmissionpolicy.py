"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.admissionregistration.match import MatchCondition, MatchResources, ParamKind, Variable
from pelamis.api.field import F, Int64, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta


class Validation(Struct, frozen=True):
    expression: Annotated[str, F(1, required=True)] = always(str)
    message: Annotated[str, F(2)] = ""
    reason: Annotated[str | None, F(3)] = None
    messageExpression: Annotated[str, F(4)] = ""


class AuditAnnotation(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)
    valueExpression: Annotated[str, F(2, required=True)] = always(str)


class ValidatingAdmissionPolicySpec(Struct, frozen=True):
    paramKind: Annotated[ParamKind | None, F(1)] = None
    matchConstraints: Annotated[MatchResources | None, F(2)] = None
    validations: Annotated[tuple[Validation, ...], F(3, list="atomic")] = ()
    failurePolicy: Annotated[
        str | None,
        F(
            4,
            enum=(
                "Ignore",
                "Fail",
            ),
            default="Fail",
        ),
    ] = None
    auditAnnotations: Annotated[tuple[AuditAnnotation, ...], F(5, list="atomic")] = ()
    matchConditions: Annotated[
        tuple[MatchCondition, ...], F(6, merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    variables: Annotated[tuple[Variable, ...], F(7, merge="merge", key="name", list="map", keys=("name",))] = ()


class ExpressionWarning(Struct, frozen=True):
    fieldRef: Annotated[str, F(2, required=True)] = always(str)
    warning: Annotated[str, F(3, required=True)] = always(str)


class TypeChecking(Struct, frozen=True):
    expressionWarnings: Annotated[tuple[ExpressionWarning, ...], F(1, list="atomic")] = ()


class ValidatingAdmissionPolicyStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(1)] = 0
    typeChecking: Annotated[TypeChecking | None, F(2)] = None
    conditions: Annotated[tuple[Condition, ...], F(3, list="map", keys=("type",))] = ()


class ValidatingAdmissionPolicy(Struct, frozen=True):
    kind: str = always(lambda: "ValidatingAdmissionPolicy")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ValidatingAdmissionPolicySpec, F(2)] = always(ValidatingAdmissionPolicySpec)
    status: Annotated[ValidatingAdmissionPolicyStatus, F(3)] = always(ValidatingAdmissionPolicyStatus)


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
)
