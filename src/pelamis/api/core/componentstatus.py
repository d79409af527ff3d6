"""ComponentStatus: the health of control plane components, computed on read. Deprecated since v1.19."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class ComponentCondition(Struct, frozen=True):
    """Health of a component."""

    type: Annotated[str, F(1, "Healthy.", required=True)] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    message: Annotated[str, F(3, "What it answered.")] = ""
    error: Annotated[str, F(4, "What went wrong.")] = ""


class ComponentStatus(Struct, frozen=True):
    """Health of one control plane component."""

    kind: str = always(lambda: "ComponentStatus")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    conditions: Annotated[
        tuple[ComponentCondition, ...], F(2, "Its health.", merge="merge", key="type", list="map", keys=("type",))
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
    computed=True,
    deprecated=DEPRECATION,
)
