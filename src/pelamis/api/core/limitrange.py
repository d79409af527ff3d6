"""LimitRange: defaults and bounds for the resources of single pods, containers and claims in a namespace."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.core.amount import check_container_resource_name, check_resource_name
from pelamis.api.core.resourcename import is_overcommit_allowed
from pelamis.api.field import F, Quantity, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, required
from pelamis.base.names import is_qualified_name
from pelamis.base.quantity import NANO, canonical, parse


class LimitRangeItem(Struct, frozen=True):
    """Defaults and bounds for one type of thing."""

    type: Annotated[str, F(1, "Pod, Container or PersistentVolumeClaim.", required=True)] = always(str)
    max: Annotated[dict[str, Quantity], F(2, "Upper bounds.")] = {}
    min: Annotated[dict[str, Quantity], F(3, "Lower bounds.")] = {}
    default: Annotated[dict[str, Quantity], F(4, "Limits of containers that state none.")] = {}
    defaultRequest: Annotated[dict[str, Quantity], F(5, "Requests of containers that state none.")] = {}
    maxLimitRequestRatio: Annotated[dict[str, Quantity], F(6, "How many times the request a limit may be.")] = {}


class LimitRangeSpec(Struct, frozen=True):
    """The rules."""

    limits: Annotated[tuple[LimitRangeItem, ...], F(1, "One for each type.", list="atomic", required=True)] = always(
        tuple
    )


class LimitRange(Struct, frozen=True):
    """Defaults and bounds for single objects."""

    kind: str = always(lambda: "LimitRange")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[LimitRangeSpec, F(2, "The rules.")] = always(LimitRangeSpec)


_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_LISTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def default(tree: Tree) -> None:
    """For containers: the limit defaults to the maximum, the request to the limit, else to the minimum."""
    for item in (tree.get("spec") or {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        limits = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests


def validate(obj: LimitRange) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, item in enumerate(obj.spec.limits):
        path = f"spec.limits[{i}]"
        messages = is_qualified_name(item.type)
        errors.extend(invalid(f"{path}.type", item.type, m) for m in messages)
        if not messages and "/" not in item.type and item.type not in _TYPES:
            errors.append(invalid(f"{path}.type", item.type, "must be a standard limit type or fully qualified"))
        if item.type in seen:
            errors.append(duplicate(f"{path}.type", item.type))
        seen.add(item.type)
        _check_item(item, path, errors)
    return errors


def _check_item(item: LimitRangeItem, path: str, errors: list[FieldError]) -> None:
    keys: set[str] = set()
    for name in _LISTS:
        amounts: dict[str, str] = getattr(item, name)
        if item.type == "Pod" and name in ("default", "defaultRequest"):
            if amounts:
                errors.append(forbidden(f"{path}.{name}", "may not be specified when `type` is 'Pod'"))
            continue
        for resource in amounts:
            at = f"{path}.{name}[{resource}]"
            if item.type in ("Pod", "Container"):
                check_container_resource_name(resource, at, errors)
            else:
                check_resource_name(resource, at, errors)
            keys.add(resource)
    if item.type == "PersistentVolumeClaim" and "storage" not in item.min and "storage" not in item.max:
        detail = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", detail))
    for resource in sorted(keys):
        _check_bounds(item, resource, path, errors)


def _check_bounds(item: LimitRangeItem, resource: str, path: str, errors: list[FieldError]) -> None:
    pod = item.type == "Pod"
    low, high = item.min.get(resource), item.max.get(resource)
    limit = None if pod else item.default.get(resource)
    request = None if pod else item.defaultRequest.get(resource)

    def ordered(small: str | None, large: str | None, field: str, shown: str | None, words: tuple[str, str]) -> None:
        if small is not None and large is not None and parse(small).nano > parse(large).nano:
            detail = f"{words[0]} value {canonical(small)} is greater than {words[1]} value {canonical(large)}"
            errors.append(invalid(f"{path}.{field}[{resource}]", canonical(shown or "0"), detail))

    ordered(low, high, "min", low, ("min", "max"))
    ordered(low, request, "defaultRequest", request, ("min", "default request"))
    ordered(request, high, "defaultRequest", request, ("default request", "max"))
    ordered(request, limit, "defaultRequest", request, ("default request", "default limit"))
    ordered(low, limit, "default", low, ("min", "default"))
    ordered(limit, high, "default", high, ("default", "max"))
    ratio = item.maxLimitRequestRatio.get(resource)
    at = f"{path}.maxLimitRequestRatio[{resource}]"
    if ratio is not None:
        shown = canonical(ratio)
        if parse(ratio).nano < NANO:
            errors.append(invalid(at, shown, f"ratio {shown} is less than 1"))
        if low is not None and high is not None and parse(low).nano > 0:
            most = parse(high).nano / parse(low).nano
            if parse(ratio).nano / NANO > most:
                errors.append(invalid(at, shown, f"ratio {shown} is greater than max/min = {most:f}"))
    if limit is None or request is None or is_overcommit_allowed(resource):
        return
    if parse(limit).nano != parse(request).nano:
        shown = canonical(request)
        detail = f"default value {canonical(limit)} must equal to defaultRequest value {shown} in {resource}"
        errors.append(invalid(f"{path}.defaultRequest[{resource}]", shown, detail))


def validate_update(obj: LimitRange, old: LimitRange) -> list[FieldError]:
    return validate(obj)


def cells(obj: LimitRange, now: float) -> tuple[Any, ...]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="",
    version="v1",
    type=LimitRange,
    plural="limitranges",
    singular="limitrange",
    short_names=("limits",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="EBKMFVe6cwo=",
    cells=cells,
    default=default,
    names_itself=True,
    validate=validate,
    validate_update=validate_update,
)
