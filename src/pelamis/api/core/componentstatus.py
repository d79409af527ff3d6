"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class ComponentCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2, required=True)] = always(str)
    message: Annotated[str, F(3)] = ""
    error: Annotated[str, F(4)] = ""


class ComponentStatus(Struct, frozen=True):
    kind: str = always(lambda: "ComponentStatus")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    conditions: Annotated[
        tuple[ComponentCondition, ...], F(2, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


KIND = Kind(
    group="",
    version="v1",
    type=ComponentStatus,
    plural="componentstatuses",
    singular="componentstatus",
    short_names=("cs",),
    namespaced=False,
    verbs=("get", "list"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Status", "string"),
        Column("Message", "string"),
        Column("Error", "string"),
    ),
)
