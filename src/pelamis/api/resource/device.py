"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pelamis.api.field import F, Int64, Quantity, RawJSON, Struct, Time, always


class CELDeviceSelector(Struct, frozen=True):
    expression: Annotated[str, F(1, required=True)] = always(str)


class DeviceSelector(Struct, frozen=True):
    cel: Annotated[CELDeviceSelector | None, F(1)] = None


class OpaqueDeviceConfiguration(Struct, frozen=True):
    driver: Annotated[str, F(1, required=True)] = always(str)
    parameters: Annotated[RawJSON, F(2, required=True)] = msgspec.UNSET


class DeviceTaint(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)
    value: Annotated[str, F(2)] = ""
    effect: Annotated[
        str,
        F(
            3,
            enum=(
                "None",
                "NoSchedule",
                "NoExecute",
            ),
            required=True,
        ),
    ] = always(str)
    timeAdded: Annotated[Time | None, F(4)] = None


class DeviceToleration(Struct, frozen=True):
    key: Annotated[str, F(1)] = ""
    operator: Annotated[
        str,
        F(
            2,
            enum=(
                "Exists",
                "Equal",
            ),
            default="Equal",
            shown=True,
        ),
    ] = ""
    value: Annotated[str, F(3)] = ""
    effect: Annotated[
        str,
        F(
            4,
            enum=(
                "None",
                "NoSchedule",
                "NoExecute",
            ),
        ),
    ] = ""
    tolerationSeconds: Annotated[Int64 | None, F(5)] = None


class CapacityRequirements(Struct, frozen=True):
    requests: Annotated[dict[str, Quantity], F(1)] = {}


class DeviceDerivedAttribute(Struct, frozen=True):
    name: Annotated[str, F(None, required=True)] = always(str)
    expression: Annotated[str, F(None, required=True)] = always(str)


class ExactDeviceRequest(Struct, frozen=True):
    deviceClassName: Annotated[str, F(1, required=True)] = always(str)
    selectors: Annotated[tuple[DeviceSelector, ...], F(2, list="atomic")] = ()
    allocationMode: Annotated[
        str,
        F(
            3,
            enum=(
                "ExactCount",
                "All",
            ),
            default="ExactCount",
        ),
    ] = ""
    count: Annotated[Int64, F(4)] = 0
    adminAccess: Annotated[bool | None, F(5)] = None
    tolerations: Annotated[tuple[DeviceToleration, ...], F(6, list="atomic")] = ()
    capacity: Annotated[CapacityRequirements | None, F(7)] = None
    derivedAttributes: Annotated[tuple[DeviceDerivedAttribute, ...], F(None, list="atomic")] = ()


class DeviceSubRequest(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    deviceClassName: Annotated[str, F(2, required=True)] = always(str)
    selectors: Annotated[tuple[DeviceSelector, ...], F(3, list="atomic")] = ()
    allocationMode: Annotated[
        str,
        F(
            4,
            enum=(
                "ExactCount",
                "All",
            ),
            default="ExactCount",
        ),
    ] = ""
    count: Annotated[Int64, F(5)] = 0
    tolerations: Annotated[tuple[DeviceToleration, ...], F(6, list="atomic")] = ()
    capacity: Annotated[CapacityRequirements | None, F(7)] = None
    derivedAttributes: Annotated[tuple[DeviceDerivedAttribute, ...], F(None, list="atomic")] = ()


class DeviceRequest(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    exactly: Annotated[ExactDeviceRequest | None, F(2)] = None
    firstAvailable: Annotated[tuple[DeviceSubRequest, ...], F(3, list="atomic")] = ()


class DeviceConstraint(Struct, frozen=True):
    requests: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    matchAttribute: Annotated[str | None, F(2)] = None
    distinctAttribute: Annotated[str | None, F(3)] = None


class DeviceClaimConfiguration(Struct, frozen=True):
    requests: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    opaque: Annotated[OpaqueDeviceConfiguration | None, F(1, within=(2,))] = None


class DeviceClaim(Struct, frozen=True):
    requests: Annotated[tuple[DeviceRequest, ...], F(1, list="atomic")] = always(tuple)
    constraints: Annotated[tuple[DeviceConstraint, ...], F(2, list="atomic")] = ()
    config: Annotated[tuple[DeviceClaimConfiguration, ...], F(3, list="atomic")] = ()


class ResourceClaimSpec(Struct, frozen=True):
    devices: Annotated[DeviceClaim, F(1)] = always(DeviceClaim)
