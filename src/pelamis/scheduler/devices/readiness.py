"""Devices that must be made ready before a pod is bound: the binding conditions of a claim's allocation."""

from __future__ import annotations

from typing import NamedTuple

from pelamis.api.meta import Condition
from pelamis.api.resource.resourceclaim import AllocatedDeviceStatus, DeviceRequestAllocationResult, ResourceClaim
from pelamis.base.clock import parse_rfc3339


class Readiness(NamedTuple):
    """failure: why it will never be ready, "" = it may."""

    ready: bool
    failure: str = ""


def _status(claim: ResourceClaim, result: DeviceRequestAllocationResult) -> AllocatedDeviceStatus | None:
    wanted = (result.driver, result.pool, result.device)
    return next((d for d in claim.status.devices if (d.driver, d.pool, d.device) == wanted), None)


def _true(status: AllocatedDeviceStatus, type: str) -> Condition | None:
    return next((c for c in status.conditions if c.type == type and c.status == "True"), None)


def has_conditions(claim: ResourceClaim) -> bool:
    allocation = claim.status.allocation
    return allocation is not None and any(r.bindingConditions for r in allocation.devices.results)


def readiness(claim: ResourceClaim) -> Readiness:
    """Of an allocated claim; without binding conditions it is ready."""
    allocation = claim.status.allocation
    if allocation is None:
        return Readiness(False)
    for result in allocation.devices.results:
        if not result.bindingConditions:
            continue
        status = _status(claim, result)
        if status is None:
            return Readiness(False)
        for type in result.bindingFailureConditions:
            failed = _true(status, type)
            if failed is not None:
                said = f'claim={claim.metadata.name}, reason={failed.reason}, message="{failed.message}"'
                return Readiness(False, f"device binding failed: {said}")
        if any(_true(status, type) is None for type in result.bindingConditions):
            return Readiness(False)
    return Readiness(True)


def times_out_at(claim: ResourceClaim, limit_s: float) -> float | None:
    """Seconds since the epoch; None = there is nothing to wait for."""
    allocation = claim.status.allocation
    if allocation is None or not allocation.allocationTimestamp or not has_conditions(claim):
        return None
    return parse_rfc3339(allocation.allocationTimestamp) + limit_s
