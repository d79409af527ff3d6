"""What a claim asks for: device requests, constraints and configuration, with their defaults."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pelamis.api.field import F, Int64, Quantity, RawJSON, Struct, Time, Tree, always


class CELDeviceSelector(Struct, frozen=True):
    expression: Annotated[str, F(1, "CEL over device (driver, attributes, capacity), gives a bool.", required=True)] = (
        always(str)
    )


class DeviceSelector(Struct, frozen=True):
    cel: Annotated[CELDeviceSelector | None, F(1, "A condition in CEL.")] = None


class OpaqueDeviceConfiguration(Struct, frozen=True):
    driver: Annotated[str, F(1, "Name of the driver, a DNS subdomain.", required=True)] = always(str)
    parameters: Annotated[RawJSON, F(2, "Any object that the driver understands.", required=True)] = msgspec.UNSET


class DeviceTaint(Struct, frozen=True):
    key: Annotated[str, F(1, "Key, as of a label.", required=True)] = always(str)
    value: Annotated[str, F(2, "Value.")] = ""
    effect: Annotated[
        str,
        F(
            3,
            "None, NoSchedule or NoExecute.",
            enum=(
                "None",
                "NoSchedule",
                "NoExecute",
            ),
            required=True,
        ),
    ] = always(str)
    timeAdded: Annotated[Time | None, F(4, "When it was added.")] = None


class DeviceToleration(Struct, frozen=True):
    key: Annotated[str, F(1, "Key of the taint; empty means all.")] = ""
    operator: Annotated[
        str,
        F(
            2,
            "Exists or Equal.",
            enum=(
                "Exists",
                "Equal",
            ),
            default="Equal",
            shown=True,
        ),
    ] = ""
    value: Annotated[str, F(3, "Value of the taint, for Equal.")] = ""
    effect: Annotated[
        str,
        F(
            4,
            "Effect of the taint; empty means all.",
            enum=(
                "None",
                "NoSchedule",
                "NoExecute",
            ),
        ),
    ] = ""
    tolerationSeconds: Annotated[
        Int64 | None, F(5, "Seconds until a NoExecute taint has its effect; unset means never.")
    ] = None


class CapacityRequirements(Struct, frozen=True):
    requests: Annotated[dict[str, Quantity], F(1, "Least amount of each capacity.")] = {}


class DeviceDerivedAttribute(Struct, frozen=True):
    name: Annotated[str, F(None, "Name of the attribute.", required=True)] = always(str)
    expression: Annotated[str, F(None, "CEL over device, gives its value.", required=True)] = always(str)


class ExactDeviceRequest(Struct, frozen=True):
    deviceClassName: Annotated[str, F(1, "Class of the devices.", required=True)] = always(str)
    selectors: Annotated[
        tuple[DeviceSelector, ...], F(2, "CEL conditions that a device must meet, all of them.", list="atomic")
    ] = ()
    allocationMode: Annotated[
        str,
        F(
            3,
            "ExactCount or All.",
            enum=(
                "ExactCount",
                "All",
            ),
            default="ExactCount",
        ),
    ] = ""
    count: Annotated[Int64, F(4, "How many, for ExactCount; 1 by default.")] = 0
    adminAccess: Annotated[bool | None, F(5, "Access for administration, also to devices in use.")] = None
    tolerations: Annotated[tuple[DeviceToleration, ...], F(6, "Taints that are tolerated.", list="atomic")] = ()
    capacity: Annotated[CapacityRequirements | None, F(7, "How much of a shared device.")] = None
    derivedAttributes: Annotated[
        tuple[DeviceDerivedAttribute, ...], F(None, "Attributes computed for constraints.", list="atomic")
    ] = ()


class DeviceSubRequest(Struct, frozen=True):
    name: Annotated[str, F(1, "Name within the request.", required=True)] = always(str)
    deviceClassName: Annotated[str, F(2, "Class of the devices.", required=True)] = always(str)
    selectors: Annotated[
        tuple[DeviceSelector, ...], F(3, "CEL conditions that a device must meet, all of them.", list="atomic")
    ] = ()
    allocationMode: Annotated[
        str,
        F(
            4,
            "ExactCount or All.",
            enum=(
                "ExactCount",
                "All",
            ),
            default="ExactCount",
        ),
    ] = ""
    count: Annotated[Int64, F(5, "How many, for ExactCount; 1 by default.")] = 0
    tolerations: Annotated[tuple[DeviceToleration, ...], F(6, "Taints that are tolerated.", list="atomic")] = ()
    capacity: Annotated[CapacityRequirements | None, F(7, "How much of a shared device.")] = None
    derivedAttributes: Annotated[
        tuple[DeviceDerivedAttribute, ...], F(None, "Attributes computed for constraints.", list="atomic")
    ] = ()


class DeviceRequest(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, to refer to it.", required=True)] = always(str)
    exactly: Annotated[ExactDeviceRequest | None, F(2, "One kind of request; excludes firstAvailable.")] = None
    firstAvailable: Annotated[
        tuple[DeviceSubRequest, ...],
        F(3, "Alternatives, the first that can be met is taken; at most 8.", list="atomic"),
    ] = ()


class DeviceConstraint(Struct, frozen=True):
    requests: Annotated[tuple[str, ...], F(1, "The requests it is about; empty means all.", list="atomic")] = ()
    matchAttribute: Annotated[str | None, F(2, "All devices have the same value of this attribute.")] = None
    distinctAttribute: Annotated[str | None, F(3, "All devices have different values of this attribute.")] = None


class DeviceClaimConfiguration(Struct, frozen=True):
    requests: Annotated[tuple[str, ...], F(1, "The requests it is for; empty means all.", list="atomic")] = ()
    opaque: Annotated[OpaqueDeviceConfiguration | None, F(1, "Parameters for a driver.", within=(2,))] = None


class DeviceClaim(Struct, frozen=True):
    requests: Annotated[
        tuple[DeviceRequest, ...], F(1, "The devices, request by request; at most 32.", list="atomic")
    ] = always(tuple)
    constraints: Annotated[
        tuple[DeviceConstraint, ...], F(2, "What all devices of some requests must have in common.", list="atomic")
    ] = ()
    config: Annotated[
        tuple[DeviceClaimConfiguration, ...], F(3, "Configuration that goes to the drivers.", list="atomic")
    ] = ()


class ResourceClaimSpec(Struct, frozen=True):
    devices: Annotated[DeviceClaim, F(1, "What devices are wanted.")] = always(DeviceClaim)


def default_claim(spec: Tree) -> None:
    """Of a ResourceClaimSpec tree."""
    for request in (spec.get("devices") or {}).get("requests") or ():
        for asked in (request.get("exactly"), *(request.get("firstAvailable") or ())):
            if asked is None:
                continue
            if not asked.get("allocationMode"):
                asked["allocationMode"] = "ExactCount"
            if asked["allocationMode"] == "ExactCount" and not asked.get("count"):
                asked["count"] = 1
            for toleration in asked.get("tolerations") or ():
                if not toleration.get("operator"):
                    toleration["operator"] = "Equal"
