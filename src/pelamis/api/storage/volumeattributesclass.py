"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class VolumeAttributesClass(Struct, frozen=True):
    kind: str = always(lambda: "VolumeAttributesClass")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    driverName: Annotated[str, F(2, required=True)] = always(str)
    parameters: Annotated[dict[str, str], F(3)] = {}


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
)
