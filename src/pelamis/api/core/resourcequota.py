"""ResourceQuota: limits what the objects of a namespace may use together."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.core.amount import check_quota_amounts
from pelamis.api.core.resourcename import QUOTA_SCOPES, is_scope_valid_for, is_standard_quota
from pelamis.api.field import F, Quantity, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import FieldError, invalid, required


class ScopedResourceSelectorRequirement(Struct, frozen=True):
    """A condition on what is counted."""

    scopeName: Annotated[
        str,
        F(
            1,
            "Terminating, NotTerminating, BestEffort, NotBestEffort, PriorityClass, ...",
            enum=(
                "Terminating",
                "NotTerminating",
                "BestEffort",
                "NotBestEffort",
                "PriorityClass",
                "CrossNamespacePodAffinity",
                "VolumeAttributesClass",
            ),
            required=True,
        ),
    ] = always(str)
    operator: Annotated[
        str,
        F(
            2,
            "In, NotIn, Exists or DoesNotExist.",
            enum=(
                "In",
                "NotIn",
                "Exists",
                "DoesNotExist",
            ),
            required=True,
        ),
    ] = always(str)
    values: Annotated[tuple[str, ...], F(3, "Values for In and NotIn.", list="atomic")] = ()


class ScopeSelector(Struct, frozen=True):
    """Conditions that must all hold."""

    matchExpressions: Annotated[
        tuple[ScopedResourceSelectorRequirement, ...], F(1, "The conditions.", list="atomic")
    ] = ()


class ResourceQuotaSpec(Struct, frozen=True):
    """What a namespace may use."""

    hard: Annotated[dict[str, Quantity], F(1, "Limits by resource; count/<resource>.<group> counts objects.")] = {}
    scopes: Annotated[
        tuple[str, ...],
        F(
            2,
            "Scopes that what is counted must all be in; fixed.",
            list="atomic",
            enum=(
                "Terminating",
                "NotTerminating",
                "BestEffort",
                "NotBestEffort",
                "PriorityClass",
                "CrossNamespacePodAffinity",
                "VolumeAttributesClass",
            ),
        ),
    ] = ()
    scopeSelector: Annotated[ScopeSelector | None, F(3, "As scopes, with values.")] = None


class ResourceQuotaStatus(Struct, frozen=True):
    """What a namespace uses."""

    hard: Annotated[dict[str, Quantity], F(1, "Limits in effect.")] = {}
    used: Annotated[dict[str, Quantity], F(2, "Use by resource.")] = {}


class ResourceQuota(Struct, frozen=True):
    """Limits what a namespace may use."""

    kind: str = always(lambda: "ResourceQuota")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[ResourceQuotaSpec, F(2, "The limits.")] = always(ResourceQuotaSpec)
    status: Annotated[ResourceQuotaStatus, F(3, "The use.")] = always(ResourceQuotaStatus)


_PAIRS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_EXISTS_ONLY = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")


def _check_scope(scope: str, spec: ResourceQuotaSpec, path: str, shown: Any, errors: list[FieldError]) -> None:
    for name in sorted(spec.hard):
        if is_standard_quota(name) and not is_scope_valid_for(scope, name):
            errors.append(invalid(path, shown, "unsupported scope applied to resource"))


def _check_pairs(scopes: set[str], path: str, shown: Any, errors: list[FieldError]) -> None:
    for pair in _PAIRS:
        if scopes.issuperset(pair):
            errors.append(invalid(path, shown, "conflicting scopes"))


def _check_selector(spec: ResourceQuotaSpec, selector: ScopeSelector, path: str, errors: list[FieldError]) -> None:
    for rule in selector.matchExpressions:
        if rule.scopeName not in QUOTA_SCOPES:
            errors.append(invalid(f"{path}.scopeName", rule.scopeName, "unsupported scope"))
        else:
            _check_scope(rule.scopeName, spec, path, selector, errors)
        if rule.scopeName in _EXISTS_ONLY and rule.operator != "Exists":
            detail = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort "
                "or ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            errors.append(invalid(f"{path}.operator", rule.operator, detail))
        if rule.operator in ("In", "NotIn"):
            if not rule.values:
                detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(required(f"{path}.values", detail))
        elif rule.operator in ("Exists", "DoesNotExist"):
            if rule.values:
                detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.append(invalid(f"{path}.values", rule.values, detail))
        else:
            errors.append(invalid(f"{path}.operator", rule.operator, "not a valid selector operator"))
    _check_pairs({r.scopeName for r in selector.matchExpressions}, path, spec.scopes, errors)


def _check_spec(spec: ResourceQuotaSpec, errors: list[FieldError]) -> None:
    check_quota_amounts(spec.hard, "spec.hard", errors)
    for scope in spec.scopes:
        if scope not in QUOTA_SCOPES:
            errors.append(invalid("spec.scopes", spec.scopes, "unsupported scope"))
        _check_scope(scope, spec, "spec.scopes", spec.scopes, errors)
    _check_pairs(set(spec.scopes), "spec.scopes", spec.scopes, errors)
    if spec.scopeSelector is not None:
        _check_selector(spec, spec.scopeSelector, "spec.scopeSelector.matchExpressions", errors)


def validate(obj: ResourceQuota) -> list[FieldError]:
    errors: list[FieldError] = []
    _check_spec(obj.spec, errors)
    check_quota_amounts(obj.status.hard, "status.hard", errors)
    check_quota_amounts(obj.status.used, "status.used", errors)
    return errors


def validate_update(obj: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
    errors: list[FieldError] = []
    _check_spec(obj.spec, errors)
    if set(obj.spec.scopes) != set(old.spec.scopes):
        errors.append(invalid("spec.scopes", obj.spec.scopes, "field is immutable"))
    return errors


def validate_status_update(obj: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
    errors: list[FieldError] = []
    check_quota_amounts(obj.status.hard, "status.hard", errors)
    check_quota_amounts(obj.status.used, "status.used", errors)
    return errors


def cells(obj: ResourceQuota, now: float) -> tuple[Any, ...]:
    requests: list[str] = []
    limits: list[str] = []
    status = obj.status
    for name in sorted(status.hard):
        text = f"{name}: {status.used.get(name, '0')}/{status.hard[name]}"
        (limits if name.startswith("limits.") else requests).append(text)
    return obj.metadata.name, age(obj.metadata.creationTimestamp, now), ", ".join(requests), ", ".join(limits)


KIND = Kind(
    group="",
    version="v1",
    type=ResourceQuota,
    plural="resourcequotas",
    singular="resourcequota",
    short_names=("quota",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "", "v1", "ResourceQuota", ("get", "patch", "update"), reset=("spec",)),),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Age", "string"),
        Column("Request", "string"),
        Column("Limit", "string"),
    ),
    storage_hash="8uhSgffRX6w=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
