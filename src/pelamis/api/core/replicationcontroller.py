"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.field import F, Int32, Int64, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class ReplicationControllerSpec(Struct, frozen=True):
    replicas: Annotated[Int32 | None, F(1, default=1)] = None
    minReadySeconds: Annotated[Int32, F(4, default=0, shown=True)] = 0
    selector: Annotated[dict[str, str], F(2, map="atomic")] = {}
    template: Annotated[PodTemplateSpec | None, F(3)] = None


class ReplicationControllerCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2, required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class ReplicationControllerStatus(Struct, frozen=True):
    replicas: Annotated[Int32, F(1, required=True)] = always(int)
    fullyLabeledReplicas: Annotated[Int32, F(2)] = 0
    readyReplicas: Annotated[Int32, F(4)] = 0
    availableReplicas: Annotated[Int32, F(5)] = 0
    observedGeneration: Annotated[Int64, F(3)] = 0
    conditions: Annotated[
        tuple[ReplicationControllerCondition, ...], F(6, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class ReplicationController(Struct, frozen=True):
    kind: str = always(lambda: "ReplicationController")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ReplicationControllerSpec, F(2)] = always(ReplicationControllerSpec)
    status: Annotated[ReplicationControllerStatus, F(3)] = always(ReplicationControllerStatus)


KIND = Kind(
    group="",
    version="v1",
    type=ReplicationController,
    plural="replicationcontrollers",
    singular="replicationcontroller",
    short_names=("rc",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update")),
        Subresource("status", "", "v1", "ReplicationController", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    gc_policy="OrphanDependents",
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
    storage_hash="Jond2If31h0=",
)
