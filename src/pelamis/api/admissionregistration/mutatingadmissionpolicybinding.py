"""MutatingAdmissionPolicyBinding: where a MutatingAdmissionPolicy acts, and with which parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.admissionregistration.match import (
    MatchResources,
    ParamRef,
    default_match,
    param_ref_text,
    static_suffix_warnings,
    validate_match,
    validate_param_ref,
)
from pelamis.api.check import Errors, check_required_text
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names


class MutatingAdmissionPolicyBindingSpec(Struct, frozen=True):
    policyName: Annotated[str, F(1, "The policy that is bound.")] = ""
    paramRef: Annotated[ParamRef | None, F(2, "Which parameter objects to use.")] = None
    matchResources: Annotated[MatchResources | None, F(3, "Narrows the requests that the policy looks at.")] = None


class MutatingAdmissionPolicyBinding(Struct, frozen=True):
    """Where a MutatingAdmissionPolicy acts, and with which parameters."""

    kind: str = always(lambda: "MutatingAdmissionPolicyBinding")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[MutatingAdmissionPolicyBindingSpec, F(2)] = always(MutatingAdmissionPolicyBindingSpec)


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    default_match(spec.get("matchResources"))


def validate(obj: MutatingAdmissionPolicyBinding) -> Errors:
    spec = obj.spec
    errors = check_required_text(names.is_dns1123_subdomain, spec.policyName, "spec.policyName")
    if spec.paramRef is not None:
        errors += validate_param_ref(spec.paramRef, "spec.paramRef")
    if spec.matchResources is not None:
        errors += validate_match(spec.matchResources, "spec.matchResources")
    return errors


def validate_update(obj: MutatingAdmissionPolicyBinding, old: MutatingAdmissionPolicyBinding) -> Errors:
    return validate(obj) if obj.spec != old.spec else []


def cells(obj: MutatingAdmissionPolicyBinding, now: float) -> Sequence[Any]:
    return (
        obj.metadata.name,
        obj.spec.policyName,
        param_ref_text(obj.spec.paramRef),
        age(obj.metadata.creationTimestamp, now),
    )


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
    generation=True,
    unconditional_update=False,
    cells=cells,
    default=default,
    validate=validate,
    warnings=static_suffix_warnings,
    validate_update=validate_update,
)
