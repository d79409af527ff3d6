"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.resource.device import DeviceSelector, OpaqueDeviceConfiguration


class DeviceClassConfiguration(Struct, frozen=True):
    opaque: Annotated[OpaqueDeviceConfiguration | None, F(1, within=(1,))] = None


class DeviceClassSpec(Struct, frozen=True):
    selectors: Annotated[tuple[DeviceSelector, ...], F(1, list="atomic")] = ()
    config: Annotated[tuple[DeviceClassConfiguration, ...], F(2, list="atomic")] = ()
    extendedResourceName: Annotated[str | None, F(4)] = None


class DeviceClass(Struct, frozen=True):
    kind: str = always(lambda: "DeviceClass")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[DeviceClassSpec, F(2)] = always(DeviceClassSpec)


KIND = Kind(
    group="resource.k8s.io",
    version="v1",
    type=DeviceClass,
    plural="deviceclasses",
    singular="deviceclass",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Age", "string"),
    ),
    storage_hash="OgEE055Fbnc=",
)
