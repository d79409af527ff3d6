"""ResourceSlice: some of the devices that one driver offers in one pool, on one node or reachable from several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.check import Errors
from pelamis.api.core.nodeselector import NodeSelector
from pelamis.api.field import F, Int64, Quantity, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.resource.device import DeviceTaint
from pelamis.api.resource.slicevalidation import validate_slice
from pelamis.api.table import age


class ResourcePool(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the pool.", required=True)] = always(str)
    generation: Annotated[Int64, F(2, "Grows when the pool changes; older slices do not count.", required=True)] = (
        always(int)
    )
    resourceSliceCount: Annotated[Int64, F(3, "Slices that the pool consists of.", required=True)] = always(int)


class DeviceAttribute(Struct, frozen=True):
    int_: Annotated[Int64 | None, F(2, "A number.")] = msgspec.field(default=None, name="int")
    bool_: Annotated[bool | None, F(3, "Yes or no.")] = msgspec.field(default=None, name="bool")
    string: Annotated[str | None, F(4, "A text of at most 64 characters.")] = None
    version: Annotated[str | None, F(5, "A semantic version.")] = None
    ints: Annotated[tuple[Int64, ...], F(6, "Numbers.", list="atomic")] = ()
    bools: Annotated[tuple[bool, ...], F(7, "Yes or no, several.", list="atomic")] = ()
    strings: Annotated[tuple[str, ...], F(8, "Texts.", list="atomic")] = ()
    versions: Annotated[tuple[str, ...], F(9, "Semantic versions.", list="atomic")] = ()


class CapacityRequestPolicyRange(Struct, frozen=True):
    min: Annotated[Quantity | None, F(1, "Least amount.", required=True)] = None
    max: Annotated[Quantity | None, F(2, "Most.")] = None
    step: Annotated[Quantity | None, F(3, "Amounts are min plus a multiple of it.")] = None


class CapacityRequestPolicy(Struct, frozen=True):
    default: Annotated[Quantity | None, F(1, "Amount when none is asked for.")] = None
    validValues: Annotated[tuple[Quantity, ...], F(3, "The amounts that can be had.", list="atomic")] = ()
    validRange: Annotated[CapacityRequestPolicyRange | None, F(4, "The range of amounts that can be had.")] = None


class DeviceCapacity(Struct, frozen=True):
    value: Annotated[Quantity, F(1, "The amount in all.", required=True)] = always(lambda: "0")
    requestPolicy: Annotated[
        CapacityRequestPolicy | None, F(2, "What amounts can be asked for, of a shared device.")
    ] = None


class Counter(Struct, frozen=True):
    value: Annotated[Quantity, F(1, "The amount.", required=True)] = always(lambda: "0")


class DeviceCounterConsumption(Struct, frozen=True):
    counterSet: Annotated[str, F(1, "The set of counters.", required=True)] = always(str)
    counters: Annotated[dict[str, Counter], F(2, "How much of each.", required=True)] = {}
    compatibilityGroups: Annotated[
        tuple[str, ...], F(None, "Only devices with a group in common draw from the set together.", list="atomic")
    ] = ()


class NodeAllocatableMapping(Struct, frozen=True):
    capacityKey: Annotated[str | None, F(1, "Capacity of the device that is counted.")] = None
    capacityMultiplier: Annotated[Quantity | None, F(2, "Amount for each unit of it.")] = None
    deviceMultiplier: Annotated[Quantity | None, F(3, "Amount for each device.")] = None


class NodeAllocatableOverhead(Struct, frozen=True):
    perPod: Annotated[Quantity | None, F(1, "For each pod.")] = None
    perContainer: Annotated[Quantity | None, F(2, "For each container.")] = None


class NodeAllocatableResource(Struct, frozen=True):
    mapping: Annotated[NodeAllocatableMapping | None, F(3, "Resources of the node, by the device's amounts.")] = None
    overhead: Annotated[NodeAllocatableOverhead | None, F(4, "What comes on top.")] = None


class Device(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, unique in the pool.", required=True)] = always(str)
    attributes: Annotated[dict[str, DeviceAttribute], F(2, "What it is like, by name.")] = {}
    capacity: Annotated[dict[str, DeviceCapacity], F(3, "Amounts that it has, by name.")] = {}
    consumesCounters: Annotated[
        tuple[DeviceCounterConsumption, ...], F(4, "What it takes of the shared counters.", list="atomic")
    ] = ()
    nodeName: Annotated[str | None, F(5, "The only node that can use it.")] = None
    nodeSelector: Annotated[
        NodeSelector | None, F(6, "Nodes from which it can be used; unset where it is no matter.")
    ] = None
    allNodes: Annotated[bool | None, F(7, "All nodes can use it.")] = None
    taints: Annotated[tuple[DeviceTaint, ...], F(8, "Taints of the driver; at most 16.", list="atomic")] = ()
    bindsToNode: Annotated[bool | None, F(9, "An allocation fixes the pod's node.")] = None
    bindingConditions: Annotated[
        tuple[str, ...], F(10, "Conditions that must be true before the pod is bound.", list="atomic")
    ] = ()
    bindingFailureConditions: Annotated[
        tuple[str, ...], F(11, "Conditions that end the wait for those.", list="atomic")
    ] = ()
    allowMultipleAllocations: Annotated[bool | None, F(12, "Several claims may share it.")] = None
    nodeAllocatableResources: Annotated[
        dict[str, NodeAllocatableResource], F(14, "Resources of the node that using it takes.")
    ] = {}


class CounterSet(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the set.", required=True)] = always(str)
    counters: Annotated[dict[str, Counter], F(2, "The counters, by name.", required=True)] = {}


class ResourceSliceSpec(Struct, frozen=True):
    driver: Annotated[str, F(1, "Name of the driver, a DNS subdomain.", required=True)] = always(str)
    pool: Annotated[ResourcePool, F(2, "The pool that the slice is part of.", required=True)] = always(ResourcePool)
    nodeName: Annotated[str | None, F(3, "The only node that can use the devices.")] = None
    nodeSelector: Annotated[
        NodeSelector | None, F(4, "Nodes from which it can be used; unset where it is no matter.")
    ] = None
    allNodes: Annotated[bool | None, F(5, "All nodes can use the devices.")] = None
    devices: Annotated[tuple[Device, ...], F(6, "The devices, at most 128.", list="atomic")] = ()
    perDeviceNodeSelection: Annotated[bool | None, F(7, "Each device says which nodes can use it.")] = None
    sharedCounters: Annotated[tuple[CounterSet, ...], F(8, "What several devices draw from.", list="atomic")] = ()
    partitionTypeAttribute: Annotated[str | None, F(9, "Attribute that names how a device is divided.")] = None
    skipNodeOperations: Annotated[
        tuple[str, ...],
        F(
            10,
            "Steps on the node that are left out.",
            list="set",
            enum=(
                "NodePrepareResources",
                "NodeUnprepareResources",
                "*",
            ),
        ),
    ] = ()


class ResourceSlice(Struct, frozen=True):
    """Some of the devices that one driver offers in one pool, on one node or reachable from several."""

    kind: str = always(lambda: "ResourceSlice")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceSliceSpec, F(2, required=True)] = always(ResourceSliceSpec)


def prepare_create(tree: Tree) -> None:
    """A taint without a time has the slice's own."""
    created = tree["metadata"].get("creationTimestamp")
    for device in tree["spec"].get("devices") or ():
        for taint in device.get("taints") or ():
            if not taint.get("timeAdded") and created:
                taint["timeAdded"] = created


def validate(obj: ResourceSlice) -> Errors:
    return validate_slice(obj.spec)


def validate_update(obj: ResourceSlice, old: ResourceSlice) -> Errors:
    return validate_slice(obj.spec, old.spec)


def cells(obj: ResourceSlice, now: float) -> Sequence[Any]:
    spec = obj.spec
    return (
        obj.metadata.name,
        "<unset>" if spec.nodeName is None else spec.nodeName,
        spec.driver,
        spec.pool.name,
        age(obj.metadata.creationTimestamp, now),
    )


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
    generation=True,
    cells=cells,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    selectable={
        "spec.nodeName": lambda obj: obj.spec.nodeName or "",
        "spec.driver": lambda obj: obj.spec.driver,
    },
    indexes={
        "node": lambda obj: (obj.spec.nodeName,) if obj.spec.nodeName else (),
        "pool": lambda obj: (f"{obj.spec.driver}/{obj.spec.pool.name}",),
    },
)
