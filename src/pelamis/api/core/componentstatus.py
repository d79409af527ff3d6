"""ComponentStatus: the health of control plane components, computed on read. Deprecated since v1.19."""

from __future__ import annotations

from typing import Annotated, Any

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


DEPRECATION = "v1 ComponentStatus is deprecated in v1.19+"


def cells(obj: ComponentStatus, now: float) -> tuple[Any, ...]:
    """The Healthy condition says it all."""
    status, message, error = "Unknown", "", ""
    for condition in obj.conditions:
        if condition.type == "Healthy":
            status = "Healthy" if condition.status == "True" else "Unhealthy"
            message, error = condition.message, condition.error
            break
    return obj.metadata.name, status, message, error


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
    cells=cells,
)
