"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Int64, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class CrossVersionObjectReference(Struct, frozen=True):
    kind: Annotated[str, F(1, required=True)] = always(str)
    name: Annotated[str, F(2, required=True)] = always(str)
    apiVersion: Annotated[str, F(3)] = ""


class HorizontalPodAutoscalerSpec(Struct, frozen=True):
    scaleTargetRef: Annotated[CrossVersionObjectReference, F(1, required=True)] = always(CrossVersionObjectReference)
    minReplicas: Annotated[Int32 | None, F(2, default=1)] = None
    maxReplicas: Annotated[Int32, F(3, required=True)] = always(int)
    targetCPUUtilizationPercentage: Annotated[Int32 | None, F(4)] = None


class HorizontalPodAutoscalerStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64 | None, F(1)] = None
    lastScaleTime: Annotated[Time | None, F(2)] = None
    currentReplicas: Annotated[Int32, F(3, required=True)] = always(int)
    desiredReplicas: Annotated[Int32, F(4, required=True)] = always(int)
    currentCPUUtilizationPercentage: Annotated[Int32 | None, F(5)] = None


class HorizontalPodAutoscaler(Struct, frozen=True):
    kind: str = always(lambda: "HorizontalPodAutoscaler")
    apiVersion: str = always(lambda: "autoscaling/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[HorizontalPodAutoscalerSpec, F(2, required=True)] = always(HorizontalPodAutoscalerSpec)
    status: Annotated[HorizontalPodAutoscalerStatus, F(3)] = always(HorizontalPodAutoscalerStatus)


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
)
