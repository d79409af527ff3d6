"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta


class RollingUpdateDeployment(Struct, frozen=True):
    maxUnavailable: Annotated[IntOrString | None, F(1)] = None
    maxSurge: Annotated[IntOrString | None, F(2)] = None


class DeploymentStrategy(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            enum=(
                "Recreate",
                "RollingUpdate",
            ),
            default="RollingUpdate",
        ),
    ] = ""
    rollingUpdate: Annotated[RollingUpdateDeployment | None, F(2)] = None


class DeploymentSpec(Struct, frozen=True):
    replicas: Annotated[Int32 | None, F(1, default=1)] = None
    selector: Annotated[LabelSelector | None, F(2, required=True)] = None
    template: Annotated[PodTemplateSpec, F(3, required=True)] = always(PodTemplateSpec)
    strategy: Annotated[DeploymentStrategy, F(4, merge="retainKeys")] = always(DeploymentStrategy)
    minReadySeconds: Annotated[Int32, F(5)] = 0
    revisionHistoryLimit: Annotated[Int32 | None, F(6, default=10)] = None
    paused: Annotated[bool, F(7)] = False
    progressDeadlineSeconds: Annotated[Int32 | None, F(9, default=600)] = None


class DeploymentCondition(Struct, frozen=True):
    type: Annotated[str, F(1)] = always(str)
    status: Annotated[str, F(2)] = always(str)
    lastUpdateTime: Annotated[Time, F(6)] = ""
    lastTransitionTime: Annotated[Time, F(7)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class DeploymentStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(1)] = 0
    replicas: Annotated[Int32, F(2)] = 0
    updatedReplicas: Annotated[Int32, F(3)] = 0
    readyReplicas: Annotated[Int32, F(7)] = 0
    availableReplicas: Annotated[Int32, F(4)] = 0
    unavailableReplicas: Annotated[Int32, F(5)] = 0
    terminatingReplicas: Annotated[Int32 | None, F(9)] = None
    conditions: Annotated[
        tuple[DeploymentCondition, ...], F(6, merge="merge", key="type", list="map", keys=("type",))
    ] = ()
    collisionCount: Annotated[Int32 | None, F(8)] = None


class Deployment(Struct, frozen=True):
    kind: str = always(lambda: "Deployment")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[DeploymentSpec, F(2, required=True)] = always(DeploymentSpec)
    status: Annotated[DeploymentStatus, F(3)] = always(DeploymentStatus)


KIND = Kind(
    group="apps",
    version="v1",
    type=Deployment,
    plural="deployments",
    singular="deployment",
    short_names=("deploy",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update")),
        Subresource(
            "status", "apps", "v1", "Deployment", ("get", "patch", "update"), reset=("spec", "metadata.labels")
        ),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Ready", "string"),
        Column("Up-to-date", "string"),
        Column("Available", "string"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="8aSe+NMegvE=",
)
