"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Quantity, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class LimitRangeItem(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    max: Annotated[dict[str, Quantity], F(2)] = {}
    min: Annotated[dict[str, Quantity], F(3)] = {}
    default: Annotated[dict[str, Quantity], F(4)] = {}
    defaultRequest: Annotated[dict[str, Quantity], F(5)] = {}
    maxLimitRequestRatio: Annotated[dict[str, Quantity], F(6)] = {}


class LimitRangeSpec(Struct, frozen=True):
    limits: Annotated[tuple[LimitRangeItem, ...], F(1, list="atomic", required=True)] = always(tuple)


class LimitRange(Struct, frozen=True):
    kind: str = always(lambda: "LimitRange")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[LimitRangeSpec, F(2)] = always(LimitRangeSpec)


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
)
