"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class VolumeNodeResources(Struct, frozen=True):
    count: Annotated[Int32 | None, F(1)] = None


class CSINodeDriver(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    nodeID: Annotated[str, F(2, required=True)] = always(str)
    topologyKeys: Annotated[tuple[str, ...], F(3, list="atomic")] = always(tuple)
    allocatable: Annotated[VolumeNodeResources | None, F(4)] = None


class CSINodeSpec(Struct, frozen=True):
    drivers: Annotated[
        tuple[CSINodeDriver, ...], F(1, merge="merge", key="name", list="map", keys=("name",), required=True)
    ] = always(tuple)


class StorageHealthCondition(Struct, frozen=True):
    status: Annotated[
        str,
        F(
            1,
            enum=(
                "StorageUnreachable",
                "StorageDegraded",
            ),
            required=True,
        ),
    ] = always(str)
    reason: Annotated[str, F(2, required=True)] = always(str)
    message: Annotated[str, F(3)] = ""
    accessMode: Annotated[
        str | None,
        F(
            4,
            enum=(
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ),
        ),
    ] = None
    volumeMode: Annotated[
        str | None,
        F(
            5,
            enum=(
                "Block",
                "Filesystem",
            ),
        ),
    ] = None
    lastTransitionTime: Annotated[Time, F(6)] = ""


class StorageHealth(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    healthConditions: Annotated[tuple[StorageHealthCondition, ...], F(2, list="atomic")] = ()


class CSINodeStatus(Struct, frozen=True):
    storageHealth: Annotated[
        tuple[StorageHealth, ...], F(1, merge="merge", key="name", list="map", keys=("name",))
    ] = ()


class CSINode(Struct, frozen=True):
    kind: str = always(lambda: "CSINode")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[CSINodeSpec, F(2, required=True)] = always(CSINodeSpec)
    status: Annotated[CSINodeStatus, F(3)] = always(CSINodeStatus)


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=CSINode,
    plural="csinodes",
    singular="csinode",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "storage.k8s.io", "v1", "CSINode", ("get", "patch", "update")),),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Drivers", "integer"),
        Column("Age", "string"),
    ),
    storage_hash="Pe62DkZtjuo=",
)
