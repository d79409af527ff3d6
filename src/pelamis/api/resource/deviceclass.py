"""DeviceClass: a name for devices that meet criteria, with configuration for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.resource.device import DeviceSelector, OpaqueDeviceConfiguration
from pelamis.api.resource.devicevalidation import MOST_CONFIGS, check_items, check_opaque, check_selectors
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid


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


def _check_extended(name: str, path: str) -> Errors:
    """An extended resource that a quota can be set for."""
    errors: Errors = []
    if not name:
        return [invalid(path, name, "must be a valid extended resource name")]
    if "/" not in name:
        detail = "a name must be a domain-prefixed path, such as 'example.com/my-prop'"
        errors.append(invalid(path, name, detail))
    elif "kubernetes.io/" in name:
        errors.append(invalid(path, name, 'must not have "kubernetes.io/" domain'))
    if name.startswith("requests."):
        errors.append(invalid(path, name, 'must not have "requests." prefix'))
    return errors + [invalid(path, name, m) for m in names.is_qualified_name(f"requests.{name}")]


def validate(obj: DeviceClass) -> Errors:
    return _validate(obj.spec, None)


def _validate(spec: DeviceClassSpec, old: DeviceClassSpec | None) -> Errors:
    """Expressions that are stored were valid once."""
    errors: Errors = []
    if old is None or spec.selectors != old.selectors:
        errors += check_selectors(spec.selectors, "spec.selectors")
    if old is None or spec.config != old.config:
        check = lambda config, at: check_opaque(config.opaque, at)  # noqa: E731
        errors += check_items(spec.config, MOST_CONFIGS, "spec.config", check)
    if spec.extendedResourceName is not None:
        errors += _check_extended(spec.extendedResourceName, "spec.extendedResourceName")
    return errors


def validate_update(obj: DeviceClass, old: DeviceClass) -> Errors:
    return _validate(obj.spec, old.spec)


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
