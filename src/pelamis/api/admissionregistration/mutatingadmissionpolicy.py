"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.admissionregistration.match import MatchCondition, MatchResources, ParamKind, Variable
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class ApplyConfiguration(Struct, frozen=True):
    expression: Annotated[str, F(1)] = ""


class JSONPatch(Struct, frozen=True):
    expression: Annotated[str, F(1)] = ""


class Mutation(Struct, frozen=True):
    patchType: Annotated[
        str,
        F(
            2,
            enum=(
                "ApplyConfiguration",
                "JSONPatch",
            ),
            required=True,
        ),
    ] = always(str)
    applyConfiguration: Annotated[ApplyConfiguration | None, F(3)] = None
    jsonPatch: Annotated[JSONPatch | None, F(4)] = None


class MutatingAdmissionPolicySpec(Struct, frozen=True):
    paramKind: Annotated[ParamKind | None, F(1)] = None
    matchConstraints: Annotated[MatchResources | None, F(2)] = None
    variables: Annotated[tuple[Variable, ...], F(3, list="atomic")] = ()
    mutations: Annotated[tuple[Mutation, ...], F(4, list="atomic")] = ()
    failurePolicy: Annotated[
        str | None,
        F(
            5,
            enum=(
                "Ignore",
                "Fail",
            ),
            default="Fail",
        ),
    ] = None
    matchConditions: Annotated[
        tuple[MatchCondition, ...], F(6, merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    reinvocationPolicy: Annotated[
        str,
        F(
            7,
            enum=(
                "Never",
                "IfNeeded",
            ),
        ),
    ] = ""


class MutatingAdmissionPolicy(Struct, frozen=True):
    kind: str = always(lambda: "MutatingAdmissionPolicy")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[MutatingAdmissionPolicySpec, F(2)] = always(MutatingAdmissionPolicySpec)


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
)
