"""ResourceClaim: asks for devices; the scheduler notes in the status which ones it got and which pods may use them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.check import Errors, check_immutable, check_required_choice, check_text
from pelamis.api.constraint import check_count, check_unique, is_uuid
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
    default_claim,
)
from pelamis.api.resource.devicevalidation import (
    MOST_CONFIGS,
    Known,
    check_binding,
    check_driver,
    check_items,
    check_opaque,
    check_pool,
    check_raw,
    check_reference,
    check_references,
    check_skipped,
    check_toleration,
    known_requests,
    validate_claim_spec,
)
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import forbidden, invalid, required, too_long


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


_MOST_CONSUMERS, _MOST_RESULTS, _MOST_CONDITIONS, _MOST_ADDRESSES = 256, 32, 8, 16
_LARGEST_DATA, _LONGEST_INTERFACE, _LONGEST_HARDWARE = 10 * 1024, 256, 128


def default(tree: Tree) -> None:
    default_claim(tree.setdefault("spec", {}))


def validate(obj: ResourceClaim) -> Errors:
    return validate_claim_spec(obj.spec, "spec")


def validate_update(obj: ResourceClaim, old: ResourceClaim) -> Errors:
    return check_immutable(obj.spec, old.spec, "spec")


def _marks(entries: Any) -> set[tuple[Any, ...]]:
    return {tuple(entry.get(name) for name in ("driver", "pool", "device", "shareID")) for entry in entries}


def prepare_status(tree: Tree, old: Tree) -> None:
    """What drivers said of devices goes with the devices."""
    status = tree.get("status") or {}
    devices = status.get("devices")
    if not devices:
        return
    before, after = (
        _marks((((of.get("status") or {}).get("allocation") or {}).get("devices") or {}).get("results") or ())
        for of in (old, tree)
    )
    gone = before - after
    left = [device for device in devices if not _marks((device,)) & gone]
    if left:
        status["devices"] = left
    else:
        del status["devices"]


def _check_result(result: DeviceRequestAllocationResult, path: str, known: Known) -> Errors:
    errors = check_reference(result.request, f"{path}.request", known)
    errors += check_driver(result.driver, f"{path}.driver")
    errors += check_pool(result.pool, f"{path}.pool")
    errors += check_text(names.is_dns1123_label, result.device, f"{path}.device")
    errors += check_binding(result.bindingConditions, result.bindingFailureConditions, path)
    for i, toleration in enumerate(result.tolerations):
        errors += check_toleration(toleration, f"{path}.tolerations[{i}]")
    if result.shareID is not None:
        errors += check_text(is_uuid, result.shareID, f"{path}.shareID")
    return errors + check_skipped(result.skipNodeOperations, f"{path}.skipNodeOperations")


def _check_config(config: DeviceAllocationConfiguration, path: str, known: Known) -> Errors:
    errors = check_required_choice(config.source, f"{path}.source", ("FromClaim", "FromClass"))
    errors += check_references(config.requests, f"{path}.requests", known)
    return errors + check_opaque(config.opaque, path)


def _validate_allocation(allocation: AllocationResult, known: Known, path: str) -> Errors:
    at = f"{path}.devices"
    check = lambda result, where: _check_result(result, where, known)  # noqa: E731
    errors = check_items(allocation.devices.results, _MOST_RESULTS, f"{at}.results", check)
    check_own = lambda config, where: _check_config(config, where, known)  # noqa: E731
    errors += check_items(allocation.devices.config, 2 * MOST_CONFIGS, f"{at}.config", check_own)
    if allocation.nodeSelector is not None:
        check_node_selector(allocation.nodeSelector, f"{path}.nodeSelector", errors)
    return errors


def _check_consumer(consumer: ResourceClaimConsumerReference, path: str) -> Errors:
    return [required(f"{path}.{name}") for name in ("resource", "name", "uid") if not getattr(consumer, name)]


def _validate_consumers(obj: ResourceClaim, old: ResourceClaim) -> Errors:
    consumers, path = obj.status.reservedFor, "status.reservedFor"
    errors = check_items(consumers, _MOST_CONSUMERS, path, _check_consumer)
    if len(consumers) <= _MOST_CONSUMERS:
        errors += check_unique(consumers, path, key=lambda consumer: consumer.uid)
    if consumers and obj.status.allocation is None:
        errors.append(forbidden(path, "may not be specified when `allocated` is not set"))
    elif obj.metadata.deletionTimestamp and any(c not in old.status.reservedFor for c in consumers):
        detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.append(forbidden(path, detail))
    return errors


def _check_address(text: str, path: str) -> Errors:
    """An address with the length of its network's prefix."""
    try:
        found = ipaddress.ip_interface(text) if "/" in text else None
    except ValueError:
        found = None
    if found is None:
        detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        return [invalid(path, text, detail)]
    proper = found.with_prefixlen
    return [] if proper == text else [invalid(path, text, f'must be in canonical form ("{proper}")')]


def _check_network(data: NetworkDeviceData, path: str) -> Errors:
    errors: Errors = []
    if len(data.interfaceName.encode()) > _LONGEST_INTERFACE:
        errors.append(too_long(f"{path}.interfaceName", _LONGEST_INTERFACE))
    if len(data.hardwareAddress.encode()) > _LONGEST_HARDWARE:
        errors.append(too_long(f"{path}.hardwareAddress", _LONGEST_HARDWARE))
    errors += check_items(data.ips, _MOST_ADDRESSES, f"{path}.ips", _check_address)
    return errors if len(data.ips) > _MOST_ADDRESSES else errors + check_unique(data.ips, f"{path}.ips", key=str)


Mark = tuple[str, str, str, str | None]


def _mark(device: DeviceRequestAllocationResult | AllocatedDeviceStatus) -> Mark:
    return device.driver, device.pool, device.device, device.shareID


def _check_device(device: AllocatedDeviceStatus, path: str, allocated: set[Mark]) -> Errors:
    errors = check_driver(device.driver, f"{path}.driver")
    errors += check_pool(device.pool, f"{path}.pool")
    errors += check_text(names.is_dns1123_label, device.device, f"{path}.device")
    if device.shareID is not None:
        errors += check_text(is_uuid, device.shareID, f"{path}.shareID")
    if _mark(device) not in allocated:
        shown = {"driver": device.driver, "pool": device.pool, "device": device.device}
        errors.append(invalid(path, shown, "must be an allocated device in the claim"))
    errors += check_count(device.conditions, f"{path}.conditions", _MOST_CONDITIONS)
    errors += validate_conditions(device.conditions, f"{path}.conditions")
    if device.data is not msgspec.UNSET:
        errors += check_raw(device.data, f"{path}.data", _LARGEST_DATA)
    if device.networkData is not None:
        errors += _check_network(device.networkData, f"{path}.networkData")
    return errors


def validate_status_update(obj: ResourceClaim, old: ResourceClaim) -> Errors:
    status, was = obj.status, old.status
    errors = _validate_consumers(obj, old)
    results = status.allocation.devices.results if status.allocation is not None else ()
    allocated = {_mark(result) for result in results}
    for i, device in enumerate(status.devices):
        errors += _check_device(device, f"status.devices[{i}]", allocated)
    errors += check_unique(status.devices, "status.devices", key=_mark)
    if status.allocation is not None and was.allocation is not None:
        errors += check_immutable(status.allocation, was.allocation, "status.allocation")
    elif status.allocation is not None:
        errors += _validate_allocation(status.allocation, known_requests(obj.spec.devices), "status.allocation")
    return errors


def _state(obj: ResourceClaim) -> str:
    deleted = ["deleted"] if obj.metadata.deletionTimestamp else []
    if obj.status.allocation is None:
        return ",".join(deleted or ["pending"])
    return ",".join([*deleted, "allocated", *(["reserved"] if obj.status.reservedFor else [])])


def cells(obj: ResourceClaim, now: float) -> Sequence[Any]:
    return obj.metadata.name, _state(obj), age(obj.metadata.creationTimestamp, now)


def _pools(obj: ResourceClaim) -> tuple[str, ...]:
    """``driver/pool`` of its devices."""
    allocation = obj.status.allocation
    results = allocation.devices.results if allocation is not None else ()
    return tuple(sorted({f"{r.driver}/{r.pool}" for r in results}))


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
    prepare_status=prepare_status,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    indexes={"pool": _pools},
)
