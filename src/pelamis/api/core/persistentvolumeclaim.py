"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.reference import TypedLocalObjectReference, TypedObjectReference
from pelamis.api.field import F, Quantity, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta


class VolumeResourceRequirements(Struct, frozen=True):
    limits: Annotated[dict[str, Quantity], F(1)] = {}
    requests: Annotated[dict[str, Quantity], F(2)] = {}


class PersistentVolumeClaimSpec(Struct, frozen=True):
    accessModes: Annotated[
        tuple[str, ...],
        F(
            1,
            list="atomic",
            enum=(
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ),
        ),
    ] = ()
    selector: Annotated[LabelSelector | None, F(4)] = None
    resources: Annotated[VolumeResourceRequirements, F(2)] = always(VolumeResourceRequirements)
    volumeName: Annotated[str, F(3)] = ""
    storageClassName: Annotated[str | None, F(5)] = None
    volumeMode: Annotated[
        str | None,
        F(
            6,
            enum=(
                "Block",
                "Filesystem",
            ),
            default="Filesystem",
        ),
    ] = None
    dataSource: Annotated[TypedLocalObjectReference | None, F(7)] = None
    dataSourceRef: Annotated[TypedObjectReference | None, F(8)] = None
    volumeAttributesClassName: Annotated[str | None, F(9)] = None


class PersistentVolumeClaimCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2, required=True)] = always(str)
    lastProbeTime: Annotated[Time, F(3)] = ""
    lastTransitionTime: Annotated[Time, F(4)] = ""
    reason: Annotated[str, F(5)] = ""
    message: Annotated[str, F(6)] = ""


class ModifyVolumeStatus(Struct, frozen=True):
    targetVolumeAttributesClassName: Annotated[str, F(1)] = ""
    status: Annotated[
        str,
        F(
            2,
            enum=(
                "Pending",
                "InProgress",
                "Infeasible",
            ),
            required=True,
        ),
    ] = always(str)


class VolumeHealthCondition(Struct, frozen=True):
    status: Annotated[
        str,
        F(
            1,
            enum=(
                "Inaccessible",
                "DataLoss",
                "Degraded",
            ),
            required=True,
        ),
    ] = always(str)
    reason: Annotated[str, F(2, required=True)] = always(str)
    message: Annotated[str, F(3)] = ""


class VolumeHealthStatus(Struct, frozen=True):
    healthConditions: Annotated[
        tuple[VolumeHealthCondition, ...],
        F(
            1,
            merge="merge",
            key="status",
            list="map",
            keys=(
                "status",
                "reason",
            ),
        ),
    ] = ()
    lastTransitionTime: Annotated[Time, F(2)] = ""


class PersistentVolumeClaimStatus(Struct, frozen=True):
    phase: Annotated[
        str,
        F(
            1,
            enum=(
                "Pending",
                "Bound",
                "Lost",
            ),
        ),
    ] = ""
    accessModes: Annotated[
        tuple[str, ...],
        F(
            2,
            list="atomic",
            enum=(
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ),
        ),
    ] = ()
    capacity: Annotated[dict[str, Quantity], F(3)] = {}
    conditions: Annotated[
        tuple[PersistentVolumeClaimCondition, ...], F(4, merge="merge", key="type", list="map", keys=("type",))
    ] = ()
    allocatedResources: Annotated[dict[str, Quantity], F(5)] = {}
    allocatedResourceStatuses: Annotated[
        dict[str, str],
        F(
            7,
            map="granular",
            enum=(
                "ControllerResizeInProgress",
                "ControllerResizeInfeasible",
                "NodeResizePending",
                "NodeResizeInProgress",
                "NodeResizeInfeasible",
            ),
        ),
    ] = {}
    currentVolumeAttributesClassName: Annotated[str | None, F(8)] = None
    modifyVolumeStatus: Annotated[ModifyVolumeStatus | None, F(9)] = None
    healthStatus: Annotated[VolumeHealthStatus | None, F(10)] = None


class PersistentVolumeClaim(Struct, frozen=True):
    kind: str = always(lambda: "PersistentVolumeClaim")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PersistentVolumeClaimSpec, F(2)] = always(PersistentVolumeClaimSpec)
    status: Annotated[PersistentVolumeClaimStatus, F(3)] = always(PersistentVolumeClaimStatus)


KIND = Kind(
    group="",
    version="v1",
    type=PersistentVolumeClaim,
    plural="persistentvolumeclaims",
    singular="persistentvolumeclaim",
    short_names=("pvc",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "", "v1", "PersistentVolumeClaim", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Status", "string"),
        Column("Volume", "string"),
        Column("Capacity", "string"),
        Column("Access Modes", "string"),
        Column("StorageClass", "string"),
        Column("VolumeAttributesClass", "string"),
        Column("Age", "string"),
        Column("VolumeMode", "string", priority=1),
    ),
    storage_hash="QWTyNDq0dC4=",
)
