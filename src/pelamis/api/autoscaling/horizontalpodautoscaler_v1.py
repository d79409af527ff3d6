"""HorizontalPodAutoscaler v1: CPU utilization only; stored as v2 (see ``hpaconversion``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.autoscaling import horizontalpodautoscaler as v2
from pelamis.api.autoscaling import hpavalidation
from pelamis.api.autoscaling.hpaconversion import from_hub, to_hub
from pelamis.api.check import Errors
from pelamis.api.field import F, Int32, Int64, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class CrossVersionObjectReference(Struct, frozen=True):
    kind: Annotated[str, F(1, "Kind of the object referred to.", required=True)] = always(str)
    name: Annotated[str, F(2, "Name of the object referred to.", required=True)] = always(str)
    apiVersion: Annotated[str, F(3, "Group and version of the object referred to.")] = ""


class HorizontalPodAutoscalerSpec(Struct, frozen=True):
    scaleTargetRef: Annotated[CrossVersionObjectReference, F(1, "What is scaled.", required=True)] = always(
        CrossVersionObjectReference
    )
    minReplicas: Annotated[Int32 | None, F(2, "Fewest replicas; 1 if unset.", default=1)] = None
    maxReplicas: Annotated[Int32, F(3, "Most replicas.", required=True)] = always(int)
    targetCPUUtilizationPercentage: Annotated[
        Int32 | None, F(4, "Target for CPU, in percent of what the pods request.")
    ] = None


class HorizontalPodAutoscalerStatus(Struct, frozen=True):
    observedGeneration: Annotated[
        Int64 | None, F(1, "The generation of the object that the status was computed from.")
    ] = None
    lastScaleTime: Annotated[Time | None, F(2, "When the number of replicas was last changed.")] = None
    currentReplicas: Annotated[Int32, F(3, "Replicas as last seen.", required=True)] = always(int)
    desiredReplicas: Annotated[Int32, F(4, "Replicas as last computed.", required=True)] = always(int)
    currentCPUUtilizationPercentage: Annotated[
        Int32 | None, F(5, "CPU use as last read, in percent of what the pods request.")
    ] = None


class HorizontalPodAutoscaler(Struct, frozen=True):
    """CPU utilization only; stored as v2 (see ``hpaconversion``)."""

    kind: str = always(lambda: "HorizontalPodAutoscaler")
    apiVersion: str = always(lambda: "autoscaling/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[HorizontalPodAutoscalerSpec, F(2, "What is wanted.", required=True)] = always(
        HorizontalPodAutoscalerSpec
    )
    status: Annotated[HorizontalPodAutoscalerStatus, F(3, "What was observed; written by the system.")] = always(
        HorizontalPodAutoscalerStatus
    )


def _as_v2(obj: HorizontalPodAutoscaler) -> v2.HorizontalPodAutoscaler:
    tree = msgspec.json.decode(msgspec.json.encode(obj))
    to_hub(tree)
    tree.update(apiVersion=v2.KIND.api_version)
    return msgspec.json.decode(msgspec.json.encode(tree), type=v2.HorizontalPodAutoscaler)


def validate(obj: HorizontalPodAutoscaler) -> Errors:
    return hpavalidation.validate(_as_v2(obj))


def validate_update(obj: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> Errors:
    return validate(obj)


def cells(obj: HorizontalPodAutoscaler, now: float) -> Sequence[Any]:
    return v2.cells(_as_v2(obj), now)


KIND = Kind(
    group="autoscaling",
    version="v1",
    type=HorizontalPodAutoscaler,
    plural="horizontalpodautoscalers",
    singular="horizontalpodautoscaler",
    short_names=("hpa",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status", "autoscaling", "v1", "HorizontalPodAutoscaler", ("get", "patch", "update"), reset=("spec",)
        ),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Reference", "string"),
        Column("Targets", "string"),
        Column("MinPods", "string"),
        Column("MaxPods", "string"),
        Column("Replicas", "string"),
        Column("Age", "string"),
    ),
    storage_hash="qwQve8ut294=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    hub=v2.KIND,
    to_hub=to_hub,
    from_hub=from_hub,
)
