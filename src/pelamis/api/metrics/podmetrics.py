"""PodMetrics: what the containers of a pod use, over a short window of time. Computed when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.field import Duration, F, Quantity, Struct, Time, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.metrics.nodemetrics import COLUMNS
from pelamis.base import quantity


class ContainerMetrics(Struct, frozen=True):
    """What a container uses."""

    name: Annotated[str, F(1, "Name of the container.", required=True)] = always(str)
    usage: Annotated[dict[str, Quantity], F(2, "Average CPU and current working set.", required=True)] = always(dict)


class PodMetrics(Struct, frozen=True):
    """What the containers of a pod use."""

    kind: str = always(lambda: "PodMetrics")
    apiVersion: str = always(lambda: "metrics.k8s.io/v1beta1")
    metadata: Annotated[ObjectMeta, F(1, "Name, namespace and labels of the pod.")] = always(ObjectMeta)
    timestamp: Annotated[Time, F(2, "End of the window.", required=True)] = always(str)
    window: Annotated[Duration, F(3, "Length of the window.", required=True)] = always(lambda: "0s")
    containers: Annotated[
        tuple[ContainerMetrics, ...], F(4, "The running containers.", list="atomic", required=True)
    ] = always(tuple)


def _total(obj: PodMetrics, resource: str) -> str:
    total = "0"
    for container in obj.containers:
        total = quantity.add(total, container.usage.get(resource, "0"))
    return total


def cells(obj: PodMetrics, now: float) -> Sequence[Any]:
    return obj.metadata.name, _total(obj, "cpu"), _total(obj, "memory"), obj.window


KIND = Kind(
    group="metrics.k8s.io",
    version="v1beta1",
    type=PodMetrics,
    plural="pods",
    singular="",
    namespaced=True,
    verbs=("get", "list"),
    columns=COLUMNS,
    cells=cells,
    computed=True,
    storage="metrics.k8s.io/pods",
)
