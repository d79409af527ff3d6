"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.field import F, Int32, Int64, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta


class ReplicaSetSpec(Struct, frozen=True):
    replicas: Annotated[Int32 | None, F(1, default=1)] = None
    minReadySeconds: Annotated[Int32, F(4)] = 0
    selector: Annotated[LabelSelector | None, F(2, required=True)] = None
    template: Annotated[PodTemplateSpec, F(3)] = always(PodTemplateSpec)


class ReplicaSetCondition(Struct, frozen=True):
    type: Annotated[str, F(1)] = always(str)
    status: Annotated[str, F(2)] = always(str)
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class ReplicaSetStatus(Struct, frozen=True):
    replicas: Annotated[Int32, F(1, required=True)] = always(int)
    fullyLabeledReplicas: Annotated[Int32, F(2)] = 0
    readyReplicas: Annotated[Int32, F(4)] = 0
    availableReplicas: Annotated[Int32, F(5)] = 0
    terminatingReplicas: Annotated[Int32 | None, F(7)] = None
    observedGeneration: Annotated[Int64, F(3)] = 0
    conditions: Annotated[
        tuple[ReplicaSetCondition, ...], F(6, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class ReplicaSet(Struct, frozen=True):
    kind: str = always(lambda: "ReplicaSet")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ReplicaSetSpec, F(2, required=True)] = always(ReplicaSetSpec)
    status: Annotated[ReplicaSetStatus, F(3)] = always(ReplicaSetStatus)


KIND = Kind(
    group="apps",
    version="v1",
    type=ReplicaSet,
    plural="replicasets",
    singular="replicaset",
    short_names=("rs",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update")),
        Subresource("status", "apps", "v1", "ReplicaSet", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
        Column("Selector", "string", priority=1),
    ),
    # selectable: status.replicas
    storage_hash="P1RzHs8/mWQ=",
)
