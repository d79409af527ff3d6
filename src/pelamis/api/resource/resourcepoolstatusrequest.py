"""ResourcePoolStatusRequest: asks how many devices of a driver's pools are free; answered once, in the status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable, check_text
from pelamis.api.constraint import (
    check_count,
    check_least,
    check_needed,
    check_pool_name,
    check_qualified,
    is_subdomain_caseless,
)
from pelamis.api.field import F, Int32, Int64, Quantity, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.base import names
from pelamis.base.errors import duplicate, invalid, required, too_long


class ResourcePoolStatusRequestSpec(Struct, frozen=True):
    driver: Annotated[str, F(1, "Name of the driver.", required=True)] = always(str)
    poolName: Annotated[str | None, F(2, "The pool; unset for all pools of the driver.")] = None
    limit: Annotated[Int32 | None, F(3, "Most pools in the answer, 1 to 1000.", default=100, shown=True)] = None
    defaultPartitionTypeAttribute: Annotated[
        str | None, F(4, "Attribute by which devices are counted where a slice names none.")
    ] = None


class PartitionTypeStatus(Struct, frozen=True):
    attribute: Annotated[str, F(4, "The attribute that tells the types apart.", required=True)] = ""
    type: Annotated[str, F(1, "Its value.", required=True)] = ""
    total: Annotated[Int32 | None, F(2, "Devices of the type.", required=True)] = None
    allocatable: Annotated[Int32 | None, F(3, "Of them, those that could be had now.", required=True)] = None


class ShareableCapacityStatus(Struct, frozen=True):
    name: Annotated[str, F(1, "The capacity.", required=True)] = ""
    total: Annotated[Quantity | None, F(2, "The amount in all.", required=True)] = None
    consumed: Annotated[Quantity | None, F(3, "What is taken.", required=True)] = None
    available: Annotated[Quantity | None, F(4, "What is left.", required=True)] = None


class ShareableSummaryStatus(Struct, frozen=True):
    fullyAvailableDevices: Annotated[Int32 | None, F(1, "Shared devices that nobody uses.", required=True)] = None
    partiallyAvailableDevices: Annotated[Int32 | None, F(2, "Shared devices that are used in part.", required=True)] = (
        None
    )
    capacity: Annotated[
        tuple[ShareableCapacityStatus, ...], F(3, "The capacities of all shared devices.", list="atomic")
    ] = ()


class PoolStatus(Struct, frozen=True):
    driver: Annotated[str, F(1, "Name of the driver.", required=True)] = ""
    poolName: Annotated[str, F(2, "Name of the pool.", required=True)] = ""
    generation: Annotated[Int64, F(9, "Generation of the pool that was counted.", required=True)] = always(int)
    resourceSliceCount: Annotated[Int32 | None, F(8, "Slices that the pool consists of.")] = None
    totalDevices: Annotated[Int32 | None, F(4, "Devices in all.")] = None
    allocatedDevices: Annotated[Int32 | None, F(5, "Devices in use.")] = None
    availableDevices: Annotated[Int32 | None, F(6, "Devices that are free.")] = None
    unavailableDevices: Annotated[Int32 | None, F(7, "Devices that cannot be used.")] = None
    nodeName: Annotated[str | None, F(3, "The node, of a pool that belongs to one.")] = None
    validationError: Annotated[str | None, F(10, "Why the pool could not be counted.")] = None
    partitionSummary: Annotated[tuple[PartitionTypeStatus, ...], F(11, "Counts by type.", list="atomic")] = ()
    shareableSummary: Annotated[ShareableSummaryStatus | None, F(13, "Counts of shared devices.")] = None


class ResourcePoolStatusRequestStatus(Struct, frozen=True):
    poolCount: Annotated[Int32 | None, F(6, "Pools that match, also those beyond the limit.", required=True)] = None
    pools: Annotated[tuple[PoolStatus, ...], F(2, "The pools, at most limit of them.", list="atomic")] = ()
    conditions: Annotated[
        tuple[Condition, ...],
        F(3, "Complete or Failed.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class ResourcePoolStatusRequest(Struct, frozen=True):
    """A question, how many devices of a driver's pools are free; answered once, in the status."""

    kind: str = always(lambda: "ResourcePoolStatusRequest")
    apiVersion: str = always(lambda: "resource.k8s.io/v1alpha3")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.", required=True)] = always(ObjectMeta)
    spec: Annotated[ResourcePoolStatusRequestSpec, F(2, "What is asked; fixed.", required=True)] = always(
        ResourcePoolStatusRequestSpec
    )
    status: Annotated[ResourcePoolStatusRequestStatus | None, F(3, "The answer; fixed once given.")] = None


_MOST_LIMIT = _MOST_POOLS = 1000
_MOST_CONDITIONS, _MOST_TYPES, _MOST_CAPACITIES = 10, 32, 32
_LONGEST_ERROR = 256


def _check_driver(name: str, path: str) -> Errors:
    errors = check_needed(is_subdomain_caseless, name, path)
    return [*errors, too_long(path, 63)] if len(name) > 63 else errors


def validate(obj: ResourcePoolStatusRequest) -> Errors:
    spec = obj.spec
    errors = _check_driver(spec.driver, "spec.driver")
    if spec.poolName:
        errors += check_pool_name(spec.poolName, "spec.poolName")
    errors += check_least(spec.limit, "spec.limit", 1)
    if spec.limit is not None and spec.limit > _MOST_LIMIT:
        errors.append(invalid("spec.limit", spec.limit, f"must be less than or equal to {_MOST_LIMIT}"))
    if spec.defaultPartitionTypeAttribute is not None:
        path = "spec.defaultPartitionTypeAttribute"
        errors += check_qualified(spec.defaultPartitionTypeAttribute, path, full=True)
    return errors


def validate_update(obj: ResourcePoolStatusRequest, old: ResourcePoolStatusRequest) -> Errors:
    return check_immutable(obj.spec, old.spec, "spec")


def _check_counted(obj: object, names_: Sequence[str], path: str, *, needed: bool = False) -> Errors:
    errors: Errors = []
    for name in names_:
        value = getattr(obj, name)
        errors += [required(f"{path}.{name}")] if needed and value is None else check_least(value, f"{path}.{name}", 0)
    return errors


def _validate_pool(pool: PoolStatus, path: str) -> Errors:
    errors = _check_driver(pool.driver, f"{path}.driver")
    errors += check_pool_name(pool.poolName, f"{path}.poolName") if pool.poolName else [required(f"{path}.poolName")]
    errors += check_least(pool.generation, f"{path}.generation", 0)
    errors += check_least(pool.resourceSliceCount, f"{path}.resourceSliceCount", 1)
    errors += _check_counted(pool, ("totalDevices", "allocatedDevices", "availableDevices", "unavailableDevices"), path)
    if pool.nodeName:
        errors += check_text(names.is_dns1123_subdomain, pool.nodeName, f"{path}.nodeName")
    if pool.validationError is not None and len(pool.validationError.encode()) > _LONGEST_ERROR:
        errors.append(too_long(f"{path}.validationError", _LONGEST_ERROR))
    at = f"{path}.partitionSummary"
    errors += check_count(pool.partitionSummary, at, _MOST_TYPES)
    seen: set[tuple[str, str]] = set()
    for i, one in enumerate(pool.partitionSummary):
        if (one.attribute, one.type) in seen:
            errors.append(duplicate(f"{at}[{i}]", one))
        seen.add((one.attribute, one.type))
        errors += [required(f"{at}[{i}].{name}") for name in ("attribute", "type") if not getattr(one, name)]
        errors += _check_counted(one, ("total", "allocatable"), f"{at}[{i}]", needed=True)
    return errors + _validate_shared(pool.shareableSummary, f"{path}.shareableSummary")


def _validate_shared(shared: ShareableSummaryStatus | None, path: str) -> Errors:
    if shared is None:
        return []
    errors = _check_counted(shared, ("fullyAvailableDevices", "partiallyAvailableDevices"), path, needed=True)
    errors += check_count(shared.capacity, f"{path}.capacity", _MOST_CAPACITIES)
    for i, one in enumerate(shared.capacity):
        at = f"{path}.capacity[{i}]"
        errors += [
            required(f"{at}.{name}") for name in ("name", "total", "consumed", "available") if not getattr(one, name)
        ]
    return errors


def validate_status_update(obj: ResourcePoolStatusRequest, old: ResourcePoolStatusRequest) -> Errors:
    status = obj.status
    if old.status is not None and old.status.poolCount is not None:
        return check_immutable(status, old.status, "status")
    if status is None:
        return []
    if status.poolCount is None:
        errors: Errors = [required("status.poolCount")]
    else:
        errors = check_least(status.poolCount, "status.poolCount", 0)
    errors += check_count(status.pools, "status.pools", _MOST_POOLS)
    for i, pool in enumerate(status.pools):
        errors += _validate_pool(pool, f"status.pools[{i}]")
    errors += check_count(status.conditions, "status.conditions", _MOST_CONDITIONS)
    return errors + list(validate_conditions(status.conditions, "status.conditions"))


def cells(obj: ResourcePoolStatusRequest, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="resource.k8s.io",
    version="v1alpha3",
    type=ResourcePoolStatusRequest,
    plural="resourcepoolstatusrequests",
    singular="resourcepoolstatusrequest",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "resource.k8s.io",
            "v1alpha3",
            "ResourcePoolStatusRequest",
            ("get", "patch", "update"),
            reset=("metadata", "spec"),
        ),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="iy583CtMwdY=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
