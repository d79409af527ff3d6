"""DeviceTaintRule: puts a taint on all devices that a selector matches. ``timeAdded`` is set when absent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_text
from pelamis.api.constraint import check_count
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.api.resource.device import DeviceTaint
from pelamis.api.resource.devicevalidation import check_driver, check_pool, check_taint
from pelamis.base import names


class DeviceTaintSelector(Struct, frozen=True):
    driver: Annotated[str | None, F(2, "Only devices of this driver.")] = None
    pool: Annotated[str | None, F(3, "Only devices of this pool.")] = None
    device: Annotated[str | None, F(4, "Only devices of this name.")] = None


class DeviceTaintRuleSpec(Struct, frozen=True):
    deviceSelector: Annotated[DeviceTaintSelector | None, F(1, "Which devices.")] = None
    taint: Annotated[DeviceTaint, F(2, "The taint that they get.", required=True)] = always(DeviceTaint)


class DeviceTaintRuleStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[Condition, ...],
        F(1, "Observations of its state, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class DeviceTaintRule(Struct, frozen=True):
    """Puts a taint on all devices that a selector matches. ``timeAdded`` is set when absent."""

    kind: str = always(lambda: "DeviceTaintRule")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[DeviceTaintRuleSpec, F(2, required=True)] = always(DeviceTaintRuleSpec)
    status: Annotated[DeviceTaintRuleStatus, F(3)] = always(DeviceTaintRuleStatus)


_MOST_CONDITIONS = 8


def prepare_create(tree: Tree) -> None:
    taint = tree["spec"].setdefault("taint", {})
    created = tree["metadata"].get("creationTimestamp")
    if not taint.get("timeAdded") and created:
        taint["timeAdded"] = created


def validate(obj: DeviceTaintRule) -> Errors:
    errors: Errors = []
    selector = obj.spec.deviceSelector
    if selector is not None:
        path = "spec.deviceSelector"
        if selector.driver is not None:
            errors += check_driver(selector.driver, f"{path}.driver")
        if selector.pool is not None:
            errors += check_pool(selector.pool, f"{path}.pool")
        if selector.device is not None:
            errors += check_text(names.is_dns1123_label, selector.device, f"{path}.device")
    return errors + check_taint(obj.spec.taint, "spec.taint")


def validate_update(obj: DeviceTaintRule, old: DeviceTaintRule) -> Errors:
    return validate(obj)


def validate_status_update(obj: DeviceTaintRule, old: DeviceTaintRule) -> Errors:
    errors: Errors = list(validate_conditions(obj.status.conditions, "status.conditions"))
    return errors + check_count(obj.status.conditions, "status.conditions", _MOST_CONDITIONS)


def cells(obj: DeviceTaintRule, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="resource.k8s.io",
    version="v1",
    type=DeviceTaintRule,
    plural="devicetaintrules",
    singular="devicetaintrule",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status", "resource.k8s.io", "v1", "DeviceTaintRule", ("get", "patch", "update"), reset=("spec", "metadata")
        ),
    ),
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="DJ3UJ0fj8MI=",
    reset=("status",),
    generation=True,
    cells=cells,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
