"""The group's first beta version, where it differs from v1: a request is not wrapped in ``exactly``, a device is.

In v1beta1 the members of ``exactly`` are members of the request itself, and all that is said of a device, but for its
name, is in ``basic``. A slice's ``nodeName`` and ``allNodes`` are never told apart from absent ones when empty.
"""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.core.nodeselector import NodeSelector
from pelamis.api.field import F, Int64, Struct, Tree, always
from pelamis.api.resource import device, resourceslice
from pelamis.api.resource.device import (
    CapacityRequirements,
    DeviceDerivedAttribute,
    DeviceSelector,
    DeviceTaint,
    DeviceToleration,
)
from pelamis.api.resource.resourceslice import (
    CounterSet,
    DeviceAttribute,
    DeviceCapacity,
    DeviceCounterConsumption,
    NodeAllocatableResource,
    ResourcePool,
)


class DeviceSubRequest(Struct, frozen=True):
    name: Annotated[str, F(1, "Name within the request.", required=True)] = always(str)
    deviceClassName: Annotated[str, F(2, "Class of the devices.", required=True)] = always(str)
    selectors: Annotated[
        tuple[DeviceSelector, ...], F(3, "CEL conditions that a device must meet, all of them.", list="atomic")
    ] = ()
    allocationMode: Annotated[str, F(4, "ExactCount or All.", enum=("ExactCount", "All"), default="ExactCount")] = ""
    count: Annotated[Int64, F(5, "How many, for ExactCount; 1 by default.")] = 0
    tolerations: Annotated[tuple[DeviceToleration, ...], F(7, "Taints that are tolerated.", list="atomic")] = ()
    capacity: Annotated[CapacityRequirements | None, F(8, "How much of a shared device.")] = None
    derivedAttributes: Annotated[
        tuple[DeviceDerivedAttribute, ...], F(None, "Attributes computed for constraints.", list="atomic")
    ] = ()


class DeviceRequest(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, to refer to it.", required=True)] = always(str)
    deviceClassName: Annotated[str, F(2, "Class of the devices; excludes firstAvailable.")] = always(str)
    selectors: Annotated[
        tuple[DeviceSelector, ...], F(3, "CEL conditions that a device must meet, all of them.", list="atomic")
    ] = ()
    allocationMode: Annotated[str, F(4, "ExactCount or All.", enum=("ExactCount", "All"))] = ""
    count: Annotated[Int64, F(5, "How many, for ExactCount; 1 by default.")] = 0
    adminAccess: Annotated[bool | None, F(6, "Access for administration, also to devices in use.")] = None
    firstAvailable: Annotated[
        tuple[DeviceSubRequest, ...],
        F(7, "Alternatives, the first that can be met is taken; at most 8.", list="atomic"),
    ] = ()
    tolerations: Annotated[tuple[DeviceToleration, ...], F(8, "Taints that are tolerated.", list="atomic")] = ()
    capacity: Annotated[CapacityRequirements | None, F(9, "How much of a shared device.")] = None
    derivedAttributes: Annotated[
        tuple[DeviceDerivedAttribute, ...], F(None, "Attributes computed for constraints.", list="atomic")
    ] = ()


class BasicDevice(Struct, frozen=True):
    attributes: Annotated[dict[str, DeviceAttribute], F(1, "What it is like, by name.")] = {}
    capacity: Annotated[dict[str, DeviceCapacity], F(2, "Amounts that it has, by name.")] = {}
    consumesCounters: Annotated[
        tuple[DeviceCounterConsumption, ...], F(3, "What it takes of the shared counters.", list="atomic")
    ] = ()
    nodeName: Annotated[str | None, F(4, "The only node that can use it.")] = None
    nodeSelector: Annotated[
        NodeSelector | None, F(5, "Nodes from which it can be used; unset where it is no matter.")
    ] = None
    allNodes: Annotated[bool | None, F(6, "All nodes can use it.")] = None
    taints: Annotated[tuple[DeviceTaint, ...], F(7, "Taints of the driver; at most 16.", list="atomic")] = ()
    bindsToNode: Annotated[bool | None, F(8, "An allocation fixes the pod's node.")] = None
    bindingConditions: Annotated[
        tuple[str, ...], F(9, "Conditions that must be true before the pod is bound.", list="atomic")
    ] = ()
    bindingFailureConditions: Annotated[
        tuple[str, ...], F(10, "Conditions that end the wait for those.", list="atomic")
    ] = ()
    allowMultipleAllocations: Annotated[bool | None, F(11, "Several claims may share it.")] = None
    nodeAllocatableResources: Annotated[
        dict[str, NodeAllocatableResource], F(14, "Resources of the node that using it takes.")
    ] = {}


class Device(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, unique in the pool.", required=True)] = always(str)
    basic: Annotated[BasicDevice | None, F(2, "What it is like.")] = None


class ResourceSliceSpec(Struct, frozen=True):
    driver: Annotated[str, F(1, "Name of the driver, a DNS subdomain.", required=True)] = always(str)
    pool: Annotated[ResourcePool, F(2, "The pool that the slice is part of.", required=True)] = always(ResourcePool)
    nodeName: Annotated[str, F(3, "The only node that can use the devices.")] = ""
    nodeSelector: Annotated[
        NodeSelector | None, F(4, "Nodes from which it can be used; unset where it is no matter.")
    ] = None
    allNodes: Annotated[bool, F(5, "All nodes can use the devices.")] = False
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


_OWN = (
    "deviceClassName",
    "selectors",
    "allocationMode",
    "count",
    "adminAccess",
    "tolerations",
    "capacity",
    "derivedAttributes",
)
"""Members of a request that v1 has in ``exactly``."""

SWAP: dict[type[Struct], type[Struct]] = {
    device.DeviceRequest: DeviceRequest,
    device.DeviceSubRequest: DeviceSubRequest,
    resourceslice.Device: Device,
    resourceslice.ResourceSliceSpec: ResourceSliceSpec,
}


def _requests(spec: Any) -> list[Tree]:
    return (spec.get("devices") or {}).get("requests") or [] if isinstance(spec, dict) else []


def _claim_to_hub(spec: Any) -> None:
    """Of a ResourceClaimSpec tree."""
    for request in _requests(spec):
        own = {name: request.pop(name) for name in _OWN if name in request}
        if any(own.get(name) not in (None, "", 0, []) for name in own):
            request["exactly"] = {"deviceClassName": "", **own}


def _claim_from_hub(spec: Any) -> None:
    for request in _requests(spec):
        request.update(request.pop("exactly", None) or {})
        request.setdefault("deviceClassName", "")


def claim_to_hub(tree: Tree) -> None:
    _claim_to_hub(tree.get("spec"))


def claim_from_hub(tree: Tree) -> None:
    _claim_from_hub(tree.get("spec"))


def template_to_hub(tree: Tree) -> None:
    _claim_to_hub((tree.get("spec") or {}).get("spec"))


def template_from_hub(tree: Tree) -> None:
    _claim_from_hub((tree.get("spec") or {}).get("spec"))


def slice_to_hub(tree: Tree) -> None:
    spec = tree.get("spec") or {}
    for name in ("nodeName", "allNodes"):
        if not spec.get(name):
            spec.pop(name, None)
    for one in spec.get("devices") or []:
        one.update(one.pop("basic", None) or {})


def slice_from_hub(tree: Tree) -> None:
    spec = tree.get("spec") or {}
    for name in ("nodeName", "allNodes"):
        if not spec.get(name):
            spec.pop(name, None)
    for one in spec.get("devices") or []:
        one["basic"] = {name: one.pop(name) for name in [n for n in one if n != "name"]}
