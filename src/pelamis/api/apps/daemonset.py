"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta


class RollingUpdateDaemonSet(Struct, frozen=True):
    maxUnavailable: Annotated[IntOrString | None, F(1)] = None
    maxSurge: Annotated[IntOrString | None, F(2)] = None


class DaemonSetUpdateStrategy(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            enum=(
                "RollingUpdate",
                "OnDelete",
            ),
            default="RollingUpdate",
        ),
    ] = ""
    rollingUpdate: Annotated[RollingUpdateDaemonSet | None, F(2)] = None


class DaemonSetSpec(Struct, frozen=True):
    selector: Annotated[LabelSelector | None, F(1, required=True)] = None
    template: Annotated[PodTemplateSpec, F(2, required=True)] = always(PodTemplateSpec)
    updateStrategy: Annotated[DaemonSetUpdateStrategy, F(3)] = always(DaemonSetUpdateStrategy)
    minReadySeconds: Annotated[Int32, F(4)] = 0
    revisionHistoryLimit: Annotated[Int32 | None, F(6, default=10)] = None


class DaemonSetCondition(Struct, frozen=True):
    type: Annotated[str, F(1)] = always(str)
    status: Annotated[str, F(2)] = always(str)
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class DaemonSetStatus(Struct, frozen=True):
    currentNumberScheduled: Annotated[Int32, F(1, required=True)] = always(int)
    numberMisscheduled: Annotated[Int32, F(2, required=True)] = always(int)
    desiredNumberScheduled: Annotated[Int32, F(3, required=True)] = always(int)
    numberReady: Annotated[Int32, F(4, required=True)] = always(int)
    observedGeneration: Annotated[Int64, F(5)] = 0
    updatedNumberScheduled: Annotated[Int32, F(6)] = 0
    numberAvailable: Annotated[Int32, F(7)] = 0
    numberUnavailable: Annotated[Int32, F(8)] = 0
    collisionCount: Annotated[Int32 | None, F(9)] = None
    conditions: Annotated[
        tuple[DaemonSetCondition, ...], F(10, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class DaemonSet(Struct, frozen=True):
    kind: str = always(lambda: "DaemonSet")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[DaemonSetSpec, F(2, required=True)] = always(DaemonSetSpec)
    status: Annotated[DaemonSetStatus, F(3)] = always(DaemonSetStatus)


KIND = Kind(
    group="apps",
    version="v1",
    type=DaemonSet,
    plural="daemonsets",
    singular="daemonset",
    short_names=("ds",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "apps", "v1", "DaemonSet", ("get", "patch", "update"), reset=("spec",)),),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        Column("Up-to-date", "integer"),
        Column("Available", "integer"),
        Column("Node Selector", "string"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="dd7pWHUlMKQ=",
)
