"""ConfigMap: settings that pods read as files or environment variables."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.core.mapdata import check_size
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, forbidden, invalid


class ConfigMap(Struct, frozen=True):
    """Settings, as small files."""

    kind: str = always(lambda: "ConfigMap")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    immutable: Annotated[bool | None, F(4, "Whether the data can never change again.")] = None
    data: Annotated[dict[str, str], F(2, "Texts by key.")] = {}
    binaryData: Annotated[
        dict[str, bytes], F(3, "Bytes by key; keys differ from those in data. Both together hold at most 1 MiB.")
    ] = {}


def validate(obj: ConfigMap) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in obj.data:
        if wrong := names.is_config_map_key(key):
            errors.extend(invalid(f"data[{key}]", key, m) for m in wrong)
        if key in obj.binaryData:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    for key in obj.binaryData:
        errors.extend(invalid(f"binaryData[{key}]", key, m) for m in names.is_config_map_key(key))
    check_size((*obj.data.values(), *obj.binaryData.values()), "", errors)
    return errors


def validate_update(obj: ConfigMap, old: ConfigMap) -> list[FieldError]:
    """An immutable ConfigMap stays as it is, and stays immutable."""
    errors: list[FieldError] = []
    if old.immutable:
        detail = "field is immutable when `immutable` is set"
        if not obj.immutable:
            errors.append(forbidden("immutable", detail))
        if obj.data != old.data:
            errors.append(forbidden("data", detail))
        if obj.binaryData != old.binaryData:
            errors.append(forbidden("binaryData", detail))
    return errors + validate(obj)


def cells(obj: ConfigMap, now: float) -> tuple[Any, ...]:
    return obj.metadata.name, len(obj.data) + len(obj.binaryData), age(obj.metadata.creationTimestamp, now)


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
    cells=cells,
    validate=validate,
    validate_update=validate_update,
)
