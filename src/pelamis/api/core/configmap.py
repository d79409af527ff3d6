"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class ConfigMap(Struct, frozen=True):
    kind: str = always(lambda: "ConfigMap")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    immutable: Annotated[bool | None, F(4)] = None
    data: Annotated[dict[str, str], F(2)] = {}
    binaryData: Annotated[dict[str, bytes], F(3)] = {}


KIND = Kind(
    group="",
    version="v1",
    type=ConfigMap,
    plural="configmaps",
    singular="configmap",
    short_names=("cm",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Data", "string"),
        Column("Age", "string"),
    ),
    storage_hash="qFsyl6wFWjQ=",
)
