"""DeviceClass: a name for devices that meet criteria, with configuration for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_text
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.resource.device import (
    MOST_CONFIGS,
    DeviceSelector,
    OpaqueDeviceConfiguration,
    check_opaque,
    check_selectors,
)
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid, too_many


class DeviceClassConfiguration(Struct, frozen=True):
    opaque: Annotated[OpaqueDeviceConfiguration | None, F(1, "Parameters for a driver.", within=(1,))] = None


class DeviceClassSpec(Struct, frozen=True):
    selectors: Annotated[
        tuple[DeviceSelector, ...], F(1, "CEL conditions that a device must meet, all of them.", list="atomic")
    ] = ()
    config: Annotated[
        tuple[DeviceClassConfiguration, ...], F(2, "Configuration of each device of the class.", list="atomic")
    ] = ()
    extendedResourceName: Annotated[str | None, F(4, "Extended resource of pods that devices of this class serve.")] = (
        None
    )


class DeviceClass(Struct, frozen=True):
    """A name for devices that meet criteria, with configuration for them."""

    kind: str = always(lambda: "DeviceClass")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[DeviceClassSpec, F(2)] = always(DeviceClassSpec)


def validate(obj: DeviceClass) -> Errors:
    spec = obj.spec
    errors = check_selectors(spec.selectors, "spec.selectors")
    if len(spec.config) > MOST_CONFIGS:
        errors.append(too_many("spec.config", len(spec.config), MOST_CONFIGS))
    for i, config in enumerate(spec.config):
        errors += check_opaque(config.opaque, f"spec.config[{i}]")
    extended = spec.extendedResourceName
    if extended is not None:
        path = "spec.extendedResourceName"
        errors += check_text(names.is_qualified_name, extended, path)
        if "/" not in extended or extended.startswith(("requests.", "kubernetes.io/")) or ".kubernetes.io/" in extended:
            errors.append(invalid(path, extended, "must be a valid extended resource name"))
    return errors


def validate_update(obj: DeviceClass, old: DeviceClass) -> Errors:
    return validate(obj)


def cells(obj: DeviceClass, now: float) -> Sequence[Any]:
    return obj.metadata.name, age(obj.metadata.creationTimestamp, now)


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
    generation=True,
    cells=cells,
    validate=validate,
    validate_update=validate_update,
)
