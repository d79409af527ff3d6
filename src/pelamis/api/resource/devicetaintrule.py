"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.resource.device import DeviceTaint


class DeviceTaintSelector(Struct, frozen=True):
    driver: Annotated[str | None, F(2)] = None
    pool: Annotated[str | None, F(3)] = None
    device: Annotated[str | None, F(4)] = None


class DeviceTaintRuleSpec(Struct, frozen=True):
    deviceSelector: Annotated[DeviceTaintSelector | None, F(1)] = None
    taint: Annotated[DeviceTaint, F(2, required=True)] = always(DeviceTaint)


class DeviceTaintRuleStatus(Struct, frozen=True):
    conditions: Annotated[tuple[Condition, ...], F(1, merge="merge", key="type", list="map", keys=("type",))] = ()


class DeviceTaintRule(Struct, frozen=True):
    kind: str = always(lambda: "DeviceTaintRule")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[DeviceTaintRuleSpec, F(2, required=True)] = always(DeviceTaintRuleSpec)
    status: Annotated[DeviceTaintRuleStatus, F(3)] = always(DeviceTaintRuleStatus)


KIND = Kind(
    group="resource.k8s.io",
    version="v1",
    type=DeviceTaintRule,
    plural="devicetaintrules",
    singular="devicetaintrule",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "resource.k8s.io", "v1", "DeviceTaintRule", ("get", "patch", "update")),),
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="DJ3UJ0fj8MI=",
)
