"""NodeMetrics: what a node uses, over a short window of time. Computed when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.field import Duration, F, Quantity, Struct, Time, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta

_NAME = "Name of the resource"


class NodeMetrics(Struct, frozen=True):
    """What a node uses."""

    kind: str = always(lambda: "NodeMetrics")
    apiVersion: str = always(lambda: "metrics.k8s.io/v1beta1")
    metadata: Annotated[ObjectMeta, F(1, "Name and labels of the node.")] = always(ObjectMeta)
    timestamp: Annotated[Time, F(2, "End of the window.", required=True)] = always(str)
    window: Annotated[Duration, F(3, "Length of the window.", required=True)] = always(lambda: "0s")
    usage: Annotated[dict[str, Quantity], F(4, "Average CPU and current working set.", required=True)] = always(dict)


def cells(obj: NodeMetrics, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.usage.get("cpu", "0"), obj.usage.get("memory", "0"), obj.window


COLUMNS = (
    Column("Name", "string", format="name", description=_NAME),
    Column("cpu", "string", format="quantity"),
    Column("memory", "string", format="quantity"),
    Column("Window", "string", format="duration"),
)
KIND = Kind(
    group="metrics.k8s.io",
    version="v1beta1",
    type=NodeMetrics,
    plural="nodes",
    singular="",
    namespaced=False,
    verbs=("get", "list"),
    columns=COLUMNS,
    cells=cells,
    computed=True,
    storage="metrics.k8s.io/nodes",
)
