"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pelamis.api.core.nodeselector import NodeSelector
from pelamis.api.field import F, Int64, Quantity, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.resource.device import DeviceTaint


class ResourcePool(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    generation: Annotated[Int64, F(2, required=True)] = always(int)
    resourceSliceCount: Annotated[Int64, F(3, required=True)] = always(int)


class DeviceAttribute(Struct, frozen=True):
    int_: Annotated[Int64 | None, F(2)] = msgspec.field(default=None, name="int")
    bool_: Annotated[bool | None, F(3)] = msgspec.field(default=None, name="bool")
    string: Annotated[str | None, F(4)] = None
    version: Annotated[str | None, F(5)] = None
    ints: Annotated[tuple[Int64, ...], F(6, list="atomic")] = ()
    bools: Annotated[tuple[bool, ...], F(7, list="atomic")] = ()
    strings: Annotated[tuple[str, ...], F(8, list="atomic")] = ()
    versions: Annotated[tuple[str, ...], F(9, list="atomic")] = ()


class CapacityRequestPolicyRange(Struct, frozen=True):
    min: Annotated[Quantity | None, F(1, required=True)] = None
    max: Annotated[Quantity | None, F(2)] = None
    step: Annotated[Quantity | None, F(3)] = None


class CapacityRequestPolicy(Struct, frozen=True):
    default: Annotated[Quantity | None, F(1)] = None
    validValues: Annotated[tuple[Quantity, ...], F(3, list="atomic")] = ()
    validRange: Annotated[CapacityRequestPolicyRange | None, F(4)] = None


class DeviceCapacity(Struct, frozen=True):
    value: Annotated[Quantity, F(1, required=True)] = always(lambda: "0")
    requestPolicy: Annotated[CapacityRequestPolicy | None, F(2)] = None


class Counter(Struct, frozen=True):
    value: Annotated[Quantity, F(1, required=True)] = always(lambda: "0")


class DeviceCounterConsumption(Struct, frozen=True):
    counterSet: Annotated[str, F(1, required=True)] = always(str)
    counters: Annotated[dict[str, Counter], F(2, required=True)] = {}
    compatibilityGroups: Annotated[tuple[str, ...], F(None, list="atomic")] = ()


class NodeAllocatableMapping(Struct, frozen=True):
    capacityKey: Annotated[str | None, F(1)] = None
    capacityMultiplier: Annotated[Quantity | None, F(2)] = None
    deviceMultiplier: Annotated[Quantity | None, F(3)] = None


class NodeAllocatableOverhead(Struct, frozen=True):
    perPod: Annotated[Quantity | None, F(1)] = None
    perContainer: Annotated[Quantity | None, F(2)] = None


class NodeAllocatableResource(Struct, frozen=True):
    mapping: Annotated[NodeAllocatableMapping | None, F(3)] = None
    overhead: Annotated[NodeAllocatableOverhead | None, F(4)] = None


class Device(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    attributes: Annotated[dict[str, DeviceAttribute], F(2)] = {}
    capacity: Annotated[dict[str, DeviceCapacity], F(3)] = {}
    consumesCounters: Annotated[tuple[DeviceCounterConsumption, ...], F(4, list="atomic")] = ()
    nodeName: Annotated[str | None, F(5)] = None
    nodeSelector: Annotated[NodeSelector | None, F(6)] = None
    allNodes: Annotated[bool | None, F(7)] = None
    taints: Annotated[tuple[DeviceTaint, ...], F(8, list="atomic")] = ()
    bindsToNode: Annotated[bool | None, F(9)] = None
    bindingConditions: Annotated[tuple[str, ...], F(10, list="atomic")] = ()
    bindingFailureConditions: Annotated[tuple[str, ...], F(11, list="atomic")] = ()
    allowMultipleAllocations: Annotated[bool | None, F(12)] = None
    nodeAllocatableResources: Annotated[dict[str, NodeAllocatableResource], F(14)] = {}


class CounterSet(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    counters: Annotated[dict[str, Counter], F(2, required=True)] = {}


class ResourceSliceSpec(Struct, frozen=True):
    driver: Annotated[str, F(1, required=True)] = always(str)
    pool: Annotated[ResourcePool, F(2, required=True)] = always(ResourcePool)
    nodeName: Annotated[str | None, F(3)] = None
    nodeSelector: Annotated[NodeSelector | None, F(4)] = None
    allNodes: Annotated[bool | None, F(5)] = None
    devices: Annotated[tuple[Device, ...], F(6, list="atomic")] = ()
    perDeviceNodeSelection: Annotated[bool | None, F(7)] = None
    sharedCounters: Annotated[tuple[CounterSet, ...], F(8, list="atomic")] = ()
    partitionTypeAttribute: Annotated[str | None, F(9)] = None
    skipNodeOperations: Annotated[
        tuple[str, ...],
        F(
            10,
            list="set",
            enum=(
                "NodePrepareResources",
                "NodeUnprepareResources",
                "*",
            ),
        ),
    ] = ()


class ResourceSlice(Struct, frozen=True):
    kind: str = always(lambda: "ResourceSlice")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceSliceSpec, F(2, required=True)] = always(ResourceSliceSpec)


KIND = Kind(
    group="resource.k8s.io",
    version="v1",
    type=ResourceSlice,
    plural="resourceslices",
    singular="resourceslice",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Node", "string"),
        Column("Driver", "string"),
        Column("Pool", "string"),
        Column("Age", "string"),
    ),
    storage_hash="7r9IQQZblMY=",
)
