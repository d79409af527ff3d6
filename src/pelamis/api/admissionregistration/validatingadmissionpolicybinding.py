"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.admissionregistration.match import MatchResources, ParamRef
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class ValidatingAdmissionPolicyBindingSpec(Struct, frozen=True):
    policyName: Annotated[str, F(1, required=True)] = ""
    paramRef: Annotated[ParamRef | None, F(2)] = None
    matchResources: Annotated[MatchResources | None, F(3)] = None
    validationActions: Annotated[
        tuple[str, ...],
        F(
            4,
            list="set",
            enum=(
                "Deny",
                "Warn",
                "Audit",
            ),
            required=True,
        ),
    ] = ()


class ValidatingAdmissionPolicyBinding(Struct, frozen=True):
    kind: str = always(lambda: "ValidatingAdmissionPolicyBinding")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ValidatingAdmissionPolicyBindingSpec, F(2, required=True)] = always(
        ValidatingAdmissionPolicyBindingSpec
    )


KIND = Kind(
    group="admissionregistration.k8s.io",
    version="v1",
    type=ValidatingAdmissionPolicyBinding,
    plural="validatingadmissionpolicybindings",
    singular="validatingadmissionpolicybinding",
    categories=("api-extensions",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("PolicyName", "string"),
        Column("ParamRef", "string"),
        Column("Age", "string"),
    ),
    storage_hash="v9715VZqakg=",
)
