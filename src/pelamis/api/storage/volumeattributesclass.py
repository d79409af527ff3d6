"""VolumeAttributesClass: parameters of a volume that may be changed while it is in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.storage.driver import check_parameters, check_provisioner
from pelamis.api.table import age
from pelamis.base.errors import forbidden


class VolumeAttributesClass(Struct, frozen=True):
    """Parameters of a volume that may be changed while it is in use."""

    kind: str = always(lambda: "VolumeAttributesClass")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    driverName: Annotated[str, F(2, "The driver; cannot change.", required=True)] = always(str)
    parameters: Annotated[dict[str, str], F(3, "Parameters for the driver; cannot change.")] = {}


def validate(obj: VolumeAttributesClass) -> Errors:
    errors = check_provisioner(obj.driverName, "driverName")
    return errors + check_parameters(obj.parameters, "parameters", may_be_empty=False)


def validate_update(obj: VolumeAttributesClass, old: VolumeAttributesClass) -> Errors:
    errors: Errors = []
    for name in ("driverName", "parameters"):
        if getattr(obj, name) != getattr(old, name):
            errors.append(forbidden(name, f"updates to {name} are forbidden."))
    return errors + validate(obj)


def cells(obj: VolumeAttributesClass, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.driverName, age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=VolumeAttributesClass,
    plural="volumeattributesclasses",
    singular="volumeattributesclass",
    short_names=("vac",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("DriverName", "string"),
        Column("Age", "string"),
    ),
    storage_hash="Bl3MtjZ/n/s=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
)
