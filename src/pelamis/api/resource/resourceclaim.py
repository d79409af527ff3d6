"""ResourceClaim: asks for devices; the scheduler notes in the status which ones it got and which pods may use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.check import Errors, check_choice, check_immutable, check_text
from pelamis.api.core.nodeselector import NodeSelector
from pelamis.api.core.pod.validate_affinity import check_node_selector
from pelamis.api.field import F, Quantity, RawJSON, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.api.resource.device import (
    DeviceToleration,
    OpaqueDeviceConfiguration,
    ResourceClaimSpec,
    check_driver,
    check_opaque,
    check_pool,
    default_claim,
    validate_claim_spec,
)
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate, forbidden, invalid, required, too_many


class DeviceRequestAllocationResult(Struct, frozen=True):
    request: Annotated[str, F(1, "The request, or request/subrequest, that it meets.", required=True)] = always(str)
    driver: Annotated[str, F(2, "Name of the driver, a DNS subdomain.", required=True)] = always(str)
    pool: Annotated[str, F(3, "Pool of the driver.", required=True)] = always(str)
    device: Annotated[str, F(4, "Device of the pool.", required=True)] = always(str)
    adminAccess: Annotated[bool | None, F(5, "Access for administration.")] = None
    tolerations: Annotated[tuple[DeviceToleration, ...], F(6, "Taints that are tolerated.", list="atomic")] = ()
    bindingConditions: Annotated[
        tuple[str, ...], F(7, "Conditions that must be true before the pod is bound.", list="atomic")
    ] = ()
    bindingFailureConditions: Annotated[
        tuple[str, ...], F(8, "Conditions that end the wait for those.", list="atomic")
    ] = ()
    shareID: Annotated[str | None, F(9, "Which share of a shared device.")] = None
    consumedCapacity: Annotated[dict[str, Quantity], F(10, "How much of a shared device is taken.")] = {}
    skipNodeOperations: Annotated[
        tuple[str, ...],
        F(
            11,
            "Steps on the node that are left out.",
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
            "FromClass or FromClaim.",
            enum=(
                "FromClass",
                "FromClaim",
            ),
            required=True,
        ),
    ] = always(str)
    requests: Annotated[tuple[str, ...], F(2, "The requests it is for; empty means all.", list="atomic")] = ()
    opaque: Annotated[OpaqueDeviceConfiguration | None, F(1, "Parameters for a driver.", within=(3,))] = None


class DeviceAllocationResult(Struct, frozen=True):
    results: Annotated[tuple[DeviceRequestAllocationResult, ...], F(1, "One for each device.", list="atomic")] = ()
    config: Annotated[
        tuple[DeviceAllocationConfiguration, ...], F(2, "Configuration of class and claim together.", list="atomic")
    ] = ()


class AllocationResult(Struct, frozen=True):
    devices: Annotated[DeviceAllocationResult, F(1, "The devices.")] = always(DeviceAllocationResult)
    nodeSelector: Annotated[
        NodeSelector | None, F(3, "Nodes from which it can be used; unset where it is no matter.")
    ] = None
    allocationTimestamp: Annotated[Time | None, F(5, "When they were allocated.")] = None


class ResourceClaimConsumerReference(Struct, frozen=True):
    apiGroup: Annotated[str, F(1, "API group of the user.")] = ""
    resource: Annotated[str, F(3, "Its resource, such as pods.", required=True)] = always(str)
    name: Annotated[str, F(4, "Its name.", required=True)] = always(str)
    uid: Annotated[str, F(5, "Unique id.", required=True)] = always(str)


class NetworkDeviceData(Struct, frozen=True):
    interfaceName: Annotated[str, F(1, "Name of the interface in the pod.")] = ""
    ips: Annotated[tuple[str, ...], F(2, "Addresses with prefix length.", list="atomic")] = ()
    hardwareAddress: Annotated[str, F(3, "MAC address.")] = ""


class AllocatedDeviceStatus(Struct, frozen=True):
    driver: Annotated[str, F(1, "Name of the driver, a DNS subdomain.", required=True)] = always(str)
    pool: Annotated[str, F(2, "Pool of the driver.", required=True)] = always(str)
    device: Annotated[str, F(3, "Device of the pool.", required=True)] = always(str)
    shareID: Annotated[str | None, F(7, "Which share of a shared device.")] = None
    conditions: Annotated[
        tuple[Condition, ...], F(4, "Observations of its state, one of each type.", list="map", keys=("type",))
    ] = always(tuple)
    data: Annotated[RawJSON, F(5, "Any object from the driver.")] = msgspec.UNSET
    networkData: Annotated[NetworkDeviceData | None, F(6, "Facts about a network device.")] = None


class ResourceClaimStatus(Struct, frozen=True):
    allocation: Annotated[AllocationResult | None, F(1, "The devices; unset until allocated.")] = None
    reservedFor: Annotated[
        tuple[ResourceClaimConsumerReference, ...],
        F(2, "Who may use the claim now; at most 256.", merge="merge", key="uid", list="map", keys=("uid",)),
    ] = ()
    devices: Annotated[
        tuple[AllocatedDeviceStatus, ...],
        F(
            4,
            "State of each device, from the drivers.",
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
    """Asks for devices; the scheduler notes in the status which ones it got and which pods may use them."""

    kind: str = always(lambda: "ResourceClaim")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceClaimSpec, F(2)] = always(ResourceClaimSpec)
    status: Annotated[ResourceClaimStatus, F(3)] = always(ResourceClaimStatus)


_MOST_CONSUMERS, _MOST_RESULTS = 256, 32


def default(tree: Tree) -> None:
    default_claim(tree.setdefault("spec", {}))


def validate(obj: ResourceClaim) -> Errors:
    return validate_claim_spec(obj.spec, "spec")


def validate_update(obj: ResourceClaim, old: ResourceClaim) -> Errors:
    return check_immutable(obj.spec, old.spec, "spec")


def _validate_allocation(allocation: AllocationResult, known: set[str], path: str) -> Errors:
    errors: Errors = []
    results, where = allocation.devices.results, f"{path}.devices.results"
    if len(results) > _MOST_RESULTS:
        errors.append(too_many(where, len(results), _MOST_RESULTS))
    for i, result in enumerate(results):
        if result.request not in known:
            detail = "must be the name of a request in the claim or the name of a request and a subrequest"
            errors.append(invalid(f"{where}[{i}].request", result.request, detail))
        errors += check_driver(result.driver, f"{where}[{i}].driver")
        errors += check_pool(result.pool, f"{where}[{i}].pool")
        errors += check_text(names.is_dns1123_label, result.device, f"{where}[{i}].device")
    for i, config in enumerate(allocation.devices.config):
        at = f"{path}.devices.config[{i}]"
        errors += check_choice(config.source, f"{at}.source", ("FromClaim", "FromClass"))
        errors += check_opaque(config.opaque, at)
    if allocation.nodeSelector is not None:
        check_node_selector(allocation.nodeSelector, f"{path}.nodeSelector", errors)
        if len(allocation.nodeSelector.nodeSelectorTerms) != 1:
            terms = allocation.nodeSelector.nodeSelectorTerms
            detail = "must have exactly one node selector term"
            errors.append(invalid(f"{path}.nodeSelector.nodeSelectorTerms", terms, detail))
    return errors


def _validate_consumers(obj: ResourceClaim, old: ResourceClaim) -> Errors:
    consumers, path = obj.status.reservedFor, "status.reservedFor"
    errors: Errors = []
    if len(consumers) > _MOST_CONSUMERS:
        errors.append(too_many(path, len(consumers), _MOST_CONSUMERS))
    seen: set[str] = set()
    for i, consumer in enumerate(consumers):
        where = f"{path}[{i}]"
        if consumer.apiGroup:
            errors += check_text(names.is_dns1123_subdomain, consumer.apiGroup, f"{where}.apiGroup")
        for name in ("resource", "name", "uid"):
            if not getattr(consumer, name):
                errors.append(required(f"{where}.{name}"))
        if consumer.uid in seen:
            errors.append(duplicate(f"{where}.uid", consumer.uid))
        seen.add(consumer.uid)
    if consumers and obj.status.allocation is None:
        errors.append(forbidden(path, "may not be specified when `allocated` is not set"))
    elif obj.metadata.deletionTimestamp and seen - {c.uid for c in old.status.reservedFor}:
        detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.append(forbidden(path, detail))
    return errors


def validate_status_update(obj: ResourceClaim, old: ResourceClaim) -> Errors:
    status, was = obj.status, old.status
    known = {r.name for r in obj.spec.devices.requests}
    known |= {f"{r.name}/{asked.name}" for r in obj.spec.devices.requests for asked in r.firstAvailable}
    errors = _validate_consumers(obj, old)
    if status.allocation is not None:
        errors += _validate_allocation(status.allocation, known, "status.allocation")
        if was.allocation is not None:
            errors += check_immutable(status.allocation, was.allocation, "status.allocation")
    results = status.allocation.devices.results if status.allocation is not None else ()
    allocated = {(r.driver, r.pool, r.device, r.shareID) for r in results}
    seen: set[tuple[str, str, str, str | None]] = set()
    for i, device in enumerate(status.devices):
        path, mark = f"status.devices[{i}]", (device.driver, device.pool, device.device, device.shareID)
        if mark in seen:
            errors.append(duplicate(path, {"driver": device.driver, "pool": device.pool, "device": device.device}))
        seen.add(mark)
        if mark not in allocated:
            detail = "must be an allocated device in the claim"
            shown = {"driver": device.driver, "pool": device.pool, "device": device.device}
            errors.append(invalid(path, shown, detail))
        errors += validate_conditions(device.conditions, f"{path}.conditions")
    return errors


def _state(obj: ResourceClaim) -> str:
    deleted = ["deleted"] if obj.metadata.deletionTimestamp else []
    if obj.status.allocation is None:
        return ",".join(deleted or ["pending"])
    return ",".join([*deleted, "allocated", *(["reserved"] if obj.status.reservedFor else [])])


def cells(obj: ResourceClaim, now: float) -> Sequence[Any]:
    return obj.metadata.name, _state(obj), age(obj.metadata.creationTimestamp, now)


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
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
