"""ValidatingAdmissionPolicyBinding: where a ValidatingAdmissionPolicy acts, its parameters, what a failure does."""

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
from pelamis.api.check import Errors, check_choice, check_required_text
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate, invalid, required


class ValidatingAdmissionPolicyBindingSpec(Struct, frozen=True):
    policyName: Annotated[str, F(1, "The policy that is bound.", required=True)] = ""
    paramRef: Annotated[ParamRef | None, F(2, "Which parameter objects to use.")] = None
    matchResources: Annotated[MatchResources | None, F(3, "Narrows the requests that the policy looks at.")] = None
    validationActions: Annotated[
        tuple[str, ...],
        F(
            4,
            "Deny, Warn, Audit: what a failed validation does.",
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
    """Where a ValidatingAdmissionPolicy acts, its parameters, what a failure does."""

    kind: str = always(lambda: "ValidatingAdmissionPolicyBinding")
    apiVersion: str = always(lambda: "admissionregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ValidatingAdmissionPolicyBindingSpec, F(2, required=True)] = always(
        ValidatingAdmissionPolicyBindingSpec
    )


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    default_match(spec.get("matchResources"))


def validate(obj: ValidatingAdmissionPolicyBinding) -> Errors:
    spec = obj.spec
    errors = check_required_text(names.is_dns1123_subdomain, spec.policyName, "spec.policyName")
    if spec.paramRef is not None:
        errors += validate_param_ref(spec.paramRef, "spec.paramRef")
    if spec.matchResources is not None:
        errors += validate_match(spec.matchResources, "spec.matchResources")
    actions, path = spec.validationActions, "spec.validationActions"
    if not actions:
        errors.append(required(path, "at least one validation action is required"))
    for i, action in enumerate(actions):
        errors += check_choice(action, f"{path}[{i}]", ("Audit", "Deny", "Warn"))
        if action in actions[:i]:
            errors.append(duplicate(f"{path}[{i}]", action))
    if {"Deny", "Warn"} <= set(actions):
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        errors.append(invalid(path, actions, detail))
    return errors


def validate_update(obj: ValidatingAdmissionPolicyBinding, old: ValidatingAdmissionPolicyBinding) -> Errors:
    return validate(obj) if obj.spec != old.spec else []


def cells(obj: ValidatingAdmissionPolicyBinding, now: float) -> Sequence[Any]:
    return (
        obj.metadata.name,
        obj.spec.policyName,
        param_ref_text(obj.spec.paramRef),
        age(obj.metadata.creationTimestamp, now),
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
    cells=cells,
    default=default,
    validate=validate,
    warnings=static_suffix_warnings,
    validate_update=validate_update,
)
