"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta


class RollingUpdateStatefulSetStrategy(Struct, frozen=True):
    partition: Annotated[Int32 | None, F(1)] = None
    maxUnavailable: Annotated[IntOrString | None, F(2)] = None


class StatefulSetUpdateStrategy(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            enum=(
                "RollingUpdate",
                "OnDelete",
                "Recreate",
            ),
            default="RollingUpdate",
        ),
    ] = ""
    rollingUpdate: Annotated[RollingUpdateStatefulSetStrategy | None, F(2)] = None


class StatefulSetPersistentVolumeClaimRetentionPolicy(Struct, frozen=True):
    whenDeleted: Annotated[str, F(1)] = ""
    whenScaled: Annotated[str, F(2)] = ""


class StatefulSetOrdinals(Struct, frozen=True):
    start: Annotated[Int32, F(1)] = always(int)


class StatefulSetSpec(Struct, frozen=True):
    replicas: Annotated[Int32 | None, F(1, default=1)] = None
    selector: Annotated[LabelSelector | None, F(2, required=True)] = None
    template: Annotated[PodTemplateSpec, F(3, required=True)] = always(PodTemplateSpec)
    volumeClaimTemplates: Annotated[tuple[PersistentVolumeClaim, ...], F(4, list="atomic")] = ()
    serviceName: Annotated[str, F(5)] = always(str)
    podManagementPolicy: Annotated[
        str,
        F(
            6,
            enum=(
                "OrderedReady",
                "Parallel",
            ),
            default="OrderedReady",
        ),
    ] = ""
    updateStrategy: Annotated[StatefulSetUpdateStrategy, F(7)] = always(StatefulSetUpdateStrategy)
    revisionHistoryLimit: Annotated[Int32 | None, F(8, default=10)] = None
    minReadySeconds: Annotated[Int32, F(9)] = 0
    persistentVolumeClaimRetentionPolicy: Annotated[StatefulSetPersistentVolumeClaimRetentionPolicy | None, F(10)] = (
        None
    )
    ordinals: Annotated[StatefulSetOrdinals | None, F(11)] = None


class StatefulSetCondition(Struct, frozen=True):
    type: Annotated[str, F(1)] = always(str)
    status: Annotated[str, F(2)] = always(str)
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class StatefulSetStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(1)] = 0
    replicas: Annotated[Int32, F(2, required=True)] = always(int)
    readyReplicas: Annotated[Int32, F(3)] = 0
    currentReplicas: Annotated[Int32, F(4)] = 0
    updatedReplicas: Annotated[Int32, F(5)] = 0
    currentRevision: Annotated[str, F(6)] = ""
    updateRevision: Annotated[str, F(7)] = ""
    collisionCount: Annotated[Int32 | None, F(9)] = None
    conditions: Annotated[
        tuple[StatefulSetCondition, ...], F(10, merge="merge", key="type", list="map", keys=("type",))
    ] = ()
    availableReplicas: Annotated[Int32, F(11)] = always(int)


class StatefulSet(Struct, frozen=True):
    kind: str = always(lambda: "StatefulSet")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[StatefulSetSpec, F(2, required=True)] = always(StatefulSetSpec)
    status: Annotated[StatefulSetStatus, F(3)] = always(StatefulSetStatus)


KIND = Kind(
    group="apps",
    version="v1",
    type=StatefulSet,
    plural="statefulsets",
    singular="statefulset",
    short_names=("sts",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update")),
        Subresource("status", "apps", "v1", "StatefulSet", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Ready", "string"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
    ),
    storage_hash="H+vl74LkKdo=",
)
