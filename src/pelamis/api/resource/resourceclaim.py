"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pelamis.api.core.nodeselector import NodeSelector
from pelamis.api.field import F, Quantity, RawJSON, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.resource.device import DeviceToleration, OpaqueDeviceConfiguration, ResourceClaimSpec


class DeviceRequestAllocationResult(Struct, frozen=True):
    request: Annotated[str, F(1, required=True)] = always(str)
    driver: Annotated[str, F(2, required=True)] = always(str)
    pool: Annotated[str, F(3, required=True)] = always(str)
    device: Annotated[str, F(4, required=True)] = always(str)
    adminAccess: Annotated[bool | None, F(5)] = None
    tolerations: Annotated[tuple[DeviceToleration, ...], F(6, list="atomic")] = ()
    bindingConditions: Annotated[tuple[str, ...], F(7, list="atomic")] = ()
    bindingFailureConditions: Annotated[tuple[str, ...], F(8, list="atomic")] = ()
    shareID: Annotated[str | None, F(9)] = None
    consumedCapacity: Annotated[dict[str, Quantity], F(10)] = {}
    skipNodeOperations: Annotated[
        tuple[str, ...],
        F(
            11,
            list="set",
            enum=(
                "NodePrepareResources",
                "NodeUnprepareResources",
                "*",
            ),
        ),
    ] = ()


class DeviceAllocationConfiguration(Struct, frozen=True):
    source: Annotated[
        str,
        F(
            1,
            enum=(
                "FromClass",
                "FromClaim",
            ),
            required=True,
        ),
    ] = always(str)
    requests: Annotated[tuple[str, ...], F(2, list="atomic")] = ()
    opaque: Annotated[OpaqueDeviceConfiguration | None, F(1, within=(3,))] = None


class DeviceAllocationResult(Struct, frozen=True):
    results: Annotated[tuple[DeviceRequestAllocationResult, ...], F(1, list="atomic")] = ()
    config: Annotated[tuple[DeviceAllocationConfiguration, ...], F(2, list="atomic")] = ()


class AllocationResult(Struct, frozen=True):
    devices: Annotated[DeviceAllocationResult, F(1)] = always(DeviceAllocationResult)
    nodeSelector: Annotated[NodeSelector | None, F(3)] = None
    allocationTimestamp: Annotated[Time | None, F(5)] = None


class ResourceClaimConsumerReference(Struct, frozen=True):
    apiGroup: Annotated[str, F(1)] = ""
    resource: Annotated[str, F(3, required=True)] = always(str)
    name: Annotated[str, F(4, required=True)] = always(str)
    uid: Annotated[str, F(5, required=True)] = always(str)


class NetworkDeviceData(Struct, frozen=True):
    interfaceName: Annotated[str, F(1)] = ""
    ips: Annotated[tuple[str, ...], F(2, list="atomic")] = ()
    hardwareAddress: Annotated[str, F(3)] = ""


class AllocatedDeviceStatus(Struct, frozen=True):
    driver: Annotated[str, F(1, required=True)] = always(str)
    pool: Annotated[str, F(2, required=True)] = always(str)
    device: Annotated[str, F(3, required=True)] = always(str)
    shareID: Annotated[str | None, F(7)] = None
    conditions: Annotated[tuple[Condition, ...], F(4, list="map", keys=("type",))] = always(tuple)
    data: Annotated[RawJSON, F(5)] = msgspec.UNSET
    networkData: Annotated[NetworkDeviceData | None, F(6)] = None


class ResourceClaimStatus(Struct, frozen=True):
    allocation: Annotated[AllocationResult | None, F(1)] = None
    reservedFor: Annotated[
        tuple[ResourceClaimConsumerReference, ...], F(2, merge="merge", key="uid", list="map", keys=("uid",))
    ] = ()
    devices: Annotated[
        tuple[AllocatedDeviceStatus, ...],
        F(
            4,
            list="map",
            keys=(
                "driver",
                "device",
                "pool",
                "shareID",
            ),
        ),
    ] = ()


class ResourceClaim(Struct, frozen=True):
    kind: str = always(lambda: "ResourceClaim")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceClaimSpec, F(2)] = always(ResourceClaimSpec)
    status: Annotated[ResourceClaimStatus, F(3)] = always(ResourceClaimStatus)


KIND = Kind(
    group="resource.k8s.io",
    version="v1",
    type=ResourceClaim,
    plural="resourceclaims",
    singular="resourceclaim",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "resource.k8s.io", "v1", "ResourceClaim", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("State", "string"),
        Column("Age", "string"),
    ),
    storage_hash="RnQSwRxMnsw=",
)
