"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.admissionregistration.match import MatchResources, ParamRef
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class MutatingAdmissionPolicyBindingSpec(Struct, frozen=True):
    policyName: Annotated[str, F(1)] = ""
    paramRef: Annotated[ParamRef | None, F(2)] = None
    matchResources: Annotated[MatchResources | None, F(3)] = None


class MutatingAdmissionPolicyBinding(Struct, frozen=True):
    kind: str = always(lambda: "MutatingAdmissionPolicyBinding")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[MutatingAdmissionPolicyBindingSpec, F(2)] = always(MutatingAdmissionPolicyBindingSpec)


KIND = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    type=MutatingAdmissionPolicyBinding,
    plural="mutatingadmissionpolicybindings",
    singular="mutatingadmissionpolicybinding",
    categories=("api-extensions",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("PolicyName", "string"),
        Column("ParamRef", "string"),
        Column("Age", "string"),
    ),
    storage_hash="ZKgZT1uTmZ0=",
)
