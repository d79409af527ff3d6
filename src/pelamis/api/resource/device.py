"""What a claim asks for: device requests, constraints and configuration, with their defaults and checks."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pelamis.api.check import Errors, check_choice, check_required_text, check_text
from pelamis.api.field import F, Int64, Quantity, RawJSON, Struct, Time, Tree, always
from pelamis.base import names, quantity
from pelamis.base.errors import duplicate, forbidden, invalid, required, too_long, too_many


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


MOST_REQUESTS = MOST_CONSTRAINTS = MOST_CONFIGS = MOST_SELECTORS = 32
MOST_SUBREQUESTS = 8
MOST_TOLERATIONS = 16
_LARGEST_PARAMETERS, _LONGEST_EXPRESSION = 10 * 1024, 10 * 1024
_EFFECTS = ("NoExecute", "NoSchedule", "None")


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


def check_driver(name: str, path: str) -> Errors:
    if not name:
        return [required(path)]
    if len(name) > 63:
        return [too_long(path, 63)]
    return check_text(names.is_dns1123_subdomain, name, path)


def check_pool(name: str, path: str) -> Errors:
    if not name:
        return [required(path)]
    if len(name) > 253:
        return [too_long(path, 253)]
    return [e for part in name.split("/") for e in check_text(names.is_dns1123_subdomain, part, path)]


def check_device_attribute(name: str, path: str) -> Errors:
    """``domain/identifier``."""
    domain, slash, identifier = name.rpartition("/")
    if not slash:
        return [invalid(path, name, "must include a domain")]
    errors = check_required_text(names.is_dns1123_subdomain, domain, path)
    return errors + check_required_text(names.is_c_identifier, identifier, path)


def check_opaque(opaque: OpaqueDeviceConfiguration | None, path: str) -> Errors:
    if opaque is None:
        return [required(path, "exactly one configuration must be specified")]
    path += ".opaque"
    errors = check_driver(opaque.driver, f"{path}.driver")
    data = b"" if opaque.parameters is msgspec.UNSET else bytes(opaque.parameters)
    if not data:
        errors.append(required(f"{path}.parameters"))
    elif len(data) > _LARGEST_PARAMETERS:
        errors.append(too_long(f"{path}.parameters", _LARGEST_PARAMETERS))
    elif not data.lstrip().startswith(b"{"):
        errors.append(invalid(f"{path}.parameters", "<value omitted>", "parameters must be a valid JSON object"))
    return errors


def check_selectors(selectors: tuple[DeviceSelector, ...], path: str) -> Errors:
    errors: Errors = []
    if len(selectors) > MOST_SELECTORS:
        errors.append(too_many(path, len(selectors), MOST_SELECTORS))
    for i, selector in enumerate(selectors):
        where = f"{path}[{i}].cel"
        if selector.cel is None:
            errors.append(required(where))
        elif not selector.cel.expression.strip():
            errors.append(required(f"{where}.expression"))
        elif len(selector.cel.expression) > _LONGEST_EXPRESSION:
            errors.append(too_long(f"{where}.expression", _LONGEST_EXPRESSION))
    return errors


def check_taint(taint: DeviceTaint, path: str) -> Errors:
    errors = check_required_text(names.is_qualified_name, taint.key, f"{path}.key")
    errors += check_text(names.is_valid_label_value, taint.value, f"{path}.value")
    if not taint.effect:
        errors.append(required(f"{path}.effect"))
    else:
        errors += check_choice(taint.effect, f"{path}.effect", _EFFECTS)
    return errors


def _check_tolerations(tolerations: tuple[DeviceToleration, ...], path: str) -> Errors:
    errors: Errors = []
    if len(tolerations) > MOST_TOLERATIONS:
        errors.append(too_many(path, len(tolerations), MOST_TOLERATIONS))
    for i, toleration in enumerate(tolerations):
        where = f"{path}[{i}]"
        if toleration.key:
            errors += check_text(names.is_qualified_name, toleration.key, f"{where}.key")
        elif toleration.operator != "Exists":
            errors.append(required(f"{where}.key", "operator must be `Exists` when `key` is empty"))
        if toleration.operator == "Exists":
            if toleration.value:
                detail = "must be empty for operator `Exists`"
                errors.append(invalid(f"{where}.value", toleration.value, detail))
        elif toleration.operator == "Equal":
            errors += check_text(names.is_valid_label_value, toleration.value, f"{where}.value")
        else:
            errors += check_choice(toleration.operator, f"{where}.operator", ("Equal", "Exists"))
        if toleration.effect:
            errors += check_choice(toleration.effect, f"{where}.effect", _EFFECTS)
        if toleration.tolerationSeconds is not None and toleration.effect not in ("", "NoExecute"):
            detail = "must be specified only when `effect` is `NoExecute`"
            errors.append(invalid(f"{where}.effect", toleration.effect, detail))
    return errors


def _check_asked(asked: ExactDeviceRequest | DeviceSubRequest, path: str) -> Errors:
    errors = check_required_text(names.is_dns1123_subdomain, asked.deviceClassName, f"{path}.deviceClassName")
    errors += check_selectors(asked.selectors, f"{path}.selectors")
    if asked.allocationMode == "All":
        if asked.count:
            detail = "must not be specified when allocationMode is 'All'"
            errors.append(invalid(f"{path}.count", asked.count, detail))
    elif asked.allocationMode == "ExactCount":
        if asked.count <= 0:
            errors.append(invalid(f"{path}.count", asked.count, "must be greater than zero"))
    else:
        errors += check_choice(asked.allocationMode, f"{path}.allocationMode", ("All", "ExactCount"))
    errors += _check_tolerations(asked.tolerations, f"{path}.tolerations")
    for name, amount in sorted(asked.capacity.requests.items()) if asked.capacity is not None else ():
        if quantity.sign(amount) < 0:
            errors.append(invalid(f"{path}.capacity.requests[{name}]", amount, "must be non-negative"))
    return errors


def _check_request(request: DeviceRequest, path: str) -> Errors:
    errors = check_required_text(names.is_dns1123_label, request.name, f"{path}.name")
    if request.exactly is None and not request.firstAvailable:
        errors.append(required(path, "exactly one of `exactly` or `firstAvailable` is required"))
    elif request.exactly is not None and request.firstAvailable:
        detail = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
        errors.append(invalid(path, request, detail))
    if request.exactly is not None:
        errors += _check_asked(request.exactly, f"{path}.exactly")
    where = f"{path}.firstAvailable"
    if len(request.firstAvailable) > MOST_SUBREQUESTS:
        errors.append(too_many(where, len(request.firstAvailable), MOST_SUBREQUESTS))
    seen: set[str] = set()
    for i, asked in enumerate(request.firstAvailable):
        errors += check_required_text(names.is_dns1123_label, asked.name, f"{where}[{i}].name")
        if asked.name in seen:
            errors.append(duplicate(f"{where}[{i}].name", asked.name))
        seen.add(asked.name)
        errors += _check_asked(asked, f"{where}[{i}]")
    return errors


def _check_names(requests: tuple[str, ...], known: set[str], path: str) -> Errors:
    errors: Errors = []
    if len(requests) > MOST_REQUESTS:
        errors.append(too_many(path, len(requests), MOST_REQUESTS))
    for i, name in enumerate(requests):
        if name in requests[:i]:
            errors.append(duplicate(f"{path}[{i}]", name))
        elif name not in known:
            detail = (
                "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
            )
            errors.append(invalid(f"{path}[{i}]", name, detail))
    return errors


def validate_claim_spec(spec: ResourceClaimSpec, path: str) -> Errors:
    claim, path = spec.devices, f"{path}.devices"
    errors: Errors = []
    known: set[str] = set()
    for name, items, most in (
        ("requests", claim.requests, MOST_REQUESTS),
        ("constraints", claim.constraints, MOST_CONSTRAINTS),
        ("config", claim.config, MOST_CONFIGS),
    ):
        if len(items) > most:
            errors.append(too_many(f"{path}.{name}", len(items), most))
    for i, request in enumerate(claim.requests):
        where = f"{path}.requests[{i}]"
        errors += _check_request(request, where)
        if request.name in known:
            errors.append(duplicate(f"{where}.name", request.name))
        known |= {request.name, *(f"{request.name}/{asked.name}" for asked in request.firstAvailable)}
    for i, constraint in enumerate(claim.constraints):
        where = f"{path}.constraints[{i}]"
        errors += _check_names(constraint.requests, known, f"{where}.requests")
        same, other = constraint.matchAttribute, constraint.distinctAttribute
        if same is not None:
            errors += check_device_attribute(same, f"{where}.matchAttribute")
            if other is not None:
                errors.append(forbidden(where, "exactly one of `matchAttribute` or `distinctAttribute` is required"))
        elif other is not None:
            errors += check_device_attribute(other, f"{where}.distinctAttribute")
        else:
            errors.append(required(where, "exactly one constraint is required"))
    for i, config in enumerate(claim.config):
        where = f"{path}.config[{i}]"
        errors += _check_names(config.requests, known, f"{where}.requests")
        errors += check_opaque(config.opaque, where)
    return errors
