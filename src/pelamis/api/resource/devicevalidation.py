"""Checks of what claims, classes and slices have in common: requests, selectors, configuration, taints, names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pelamis.api.check import Errors, check_choice, check_text
from pelamis.api.constraint import check_count, check_needed, check_qualified, check_unique, is_subdomain_caseless
from pelamis.api.field import RawJSON
from pelamis.api.resource.device import (
    DeviceClaim,
    DeviceDerivedAttribute,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    DeviceTaint,
    DeviceToleration,
    ExactDeviceRequest,
    OpaqueDeviceConfiguration,
    ResourceClaimSpec,
)
from pelamis.api.resource.expression import MOST_COST, check_expression
from pelamis.base import names, quantity
from pelamis.base.errors import duplicate, forbidden, invalid, required, too_long

MOST_REQUESTS = MOST_CONSTRAINTS = MOST_CONFIGS = MOST_SELECTORS = 32
_MOST_SUBREQUESTS, _MOST_TOLERATIONS, _MOST_BINDING_CONDITIONS = 8, 16, 4
_LARGEST_PARAMETERS = 10 * 1024
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_NOT_A_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_ONE_REQUEST = "exactly one of `exactly` or `firstAvailable` is required"
Known = dict[str, set[str]]
"""The names of a claim's requests, and of the alternatives of each."""


def check_driver(name: str, path: str) -> Errors:
    errors = check_needed(is_subdomain_caseless, name, path)
    return [too_long(path, 63), *errors] if len(name) > 63 else errors


def check_pool(name: str, path: str) -> Errors:
    if not name:
        return [required(path)]
    errors: Errors = [too_long(path, 253)] if len(name) > 253 else []
    return errors + [e for part in name.split("/") for e in check_text(names.is_dns1123_subdomain, part, path)]


def check_items(items: Sequence[Any], most: int, path: str, check: Callable[[Any, str], Errors]) -> Errors:
    """Each of them, unless there are too many."""
    errors = check_count(items, path, most)
    return errors or [e for i, item in enumerate(items) for e in check(item, f"{path}[{i}]")]


def check_raw(value: RawJSON, path: str, largest: int = _LARGEST_PARAMETERS) -> Errors:
    """A JSON object."""
    data = b"" if value is msgspec.UNSET else bytes(value)
    if not data or data.strip() == b"null":
        return [required(path)]
    if len(data) > largest:
        return [too_long(path, largest)]
    if not data.lstrip().startswith(b"{"):
        return [invalid(path, "<value omitted>", "must be a valid JSON object")]
    return []


def check_opaque(opaque: OpaqueDeviceConfiguration | None, path: str) -> Errors:
    path += ".opaque"
    if opaque is None:
        return [required(path)]
    return check_driver(opaque.driver, f"{path}.driver") + check_raw(opaque.parameters, f"{path}.parameters")


def check_selectors(selectors: Sequence[DeviceSelector], path: str) -> Errors:
    def check(selector: DeviceSelector, at: str) -> Errors:
        if selector.cel is None:
            return [required(f"{at}.cel")]
        return check_expression(selector.cel.expression, f"{at}.cel.expression")[0]

    return check_items(selectors, MOST_SELECTORS, path, check)


def check_taint(taint: DeviceTaint, path: str) -> Errors:
    errors = check_text(names.is_qualified_name, taint.key, f"{path}.key")
    errors += check_text(names.is_valid_label_value, taint.value, f"{path}.value")
    if not taint.effect:
        return [*errors, required(f"{path}.effect")]
    return errors + check_choice(taint.effect, f"{path}.effect", _EFFECTS)


def check_toleration(toleration: DeviceToleration, path: str) -> Errors:
    errors = check_text(names.is_qualified_name, toleration.key, f"{path}.key") if toleration.key else []
    if toleration.operator == "Exists":
        if toleration.value:
            errors.append(invalid(f"{path}.value", toleration.value, "must be empty for operator `Exists`"))
    elif toleration.operator == "Equal":
        errors += check_text(names.is_valid_label_value, toleration.value, f"{path}.value")
    elif not toleration.operator:
        errors.append(required(f"{path}.operator"))
    else:
        errors += check_choice(toleration.operator, f"{path}.operator", ("Equal", "Exists"))
    if toleration.effect:
        errors += check_choice(toleration.effect, f"{path}.effect", _EFFECTS)
    return errors


def check_binding(conditions: Sequence[str], failures: Sequence[str], path: str) -> Errors:
    """The conditions that a pod waits for, and those that end the wait."""
    errors: Errors = []
    for name, items in (("bindingConditions", conditions), ("bindingFailureConditions", failures)):
        at = f"{path}.{name}"
        check = lambda text, where: check_text(names.is_qualified_name, text, where)  # noqa: E731
        errors += check_items(items, _MOST_BINDING_CONDITIONS, at, check)
    for name, items in (("bindingConditions", conditions), ("bindingFailureConditions", failures)):
        for i, text in enumerate(items):
            at = f"{path}.{name}[{i}]"
            if text in items[:i]:
                errors.append(duplicate(at, text))
            if items is failures and text in conditions:
                detail = "bindingFailureConditions must not overlap with bindingConditions"
                errors.append(invalid(at, text, detail))
    if failures and not conditions:
        detail = "bindingConditions are required to use bindingFailureConditions"
        errors.append(invalid(f"{path}.bindingConditions", None, detail))
    if conditions and not failures:
        detail = "bindingFailureConditions are required to use bindingConditions"
        errors.append(invalid(f"{path}.bindingFailureConditions", None, detail))
    return errors


def check_skipped(steps: Sequence[str], path: str) -> Errors:
    """Steps on the node that are left out."""
    choices = ("*", "NodePrepareResources", "NodeUnprepareResources")
    errors = [e for i, step in enumerate(steps) for e in check_choice(step, f"{path}[{i}]", choices)]
    errors += check_unique(steps, path, key=str)
    if "NodePrepareResources" in steps and not {"NodeUnprepareResources", "*"} & set(steps):
        detail = "NodePrepareResources cannot be skipped unless NodeUnprepareResources is also skipped"
        errors.append(invalid(path, list(steps), detail))
    return errors


# -- claims -----------------------------------------------------------------------------------------------------------


def known_requests(claim: DeviceClaim) -> Known:
    return {request.name: {asked.name for asked in request.firstAvailable} for request in claim.requests}


def check_reference(name: str, path: str, known: Known) -> Errors:
    """``request`` or ``request/subrequest``."""
    parts = name.split("/")
    if len(parts) > 2:
        return [invalid(path, name, _NOT_A_REQUEST)]
    errors = [e for part in parts for e in check_text(names.is_dns1123_label, part, path)]
    if parts[0] not in known or (len(parts) == 2 and parts[1] not in known[parts[0]]):
        errors.append(invalid(path, name, _NOT_A_REQUEST))
    return errors


def check_references(requests: Sequence[str], path: str, known: Known) -> Errors:
    errors = check_items(requests, MOST_REQUESTS, path, lambda name, at: check_reference(name, at, known))
    return errors if len(requests) > MOST_REQUESTS else errors + check_unique(requests, path, key=str)


class _Claim:
    """What the parts of a claim must know of the whole."""

    def __init__(self, claim: DeviceClaim) -> None:
        self.known = known_requests(claim)
        self.cost = 0
        """Of all expressions that compute attributes."""
        self._constrained: dict[str, set[str]] = {}
        for constraint in claim.constraints:
            attribute = constraint.matchAttribute or constraint.distinctAttribute
            for request in constraint.requests or ("",):
                self._constrained.setdefault(request, set()).add(attribute or "")

    def constrains(self, attribute: str, request: str) -> bool:
        return any(attribute in self._constrained.get(r, ()) for r in ("", request, request.partition("/")[0]))

    def check_derived(self, attributes: Sequence[DeviceDerivedAttribute], path: str, request: str) -> Errors:
        errors: Errors = []
        for i, attribute in enumerate(attributes):
            at = f"{path}[{i}]"
            if not attribute.name:
                errors.append(required(f"{at}.name"))
            elif not self.constrains(attribute.name, request):
                detail = (
                    "must be referenced by at least one matchAttribute or distinctAttribute constraint "
                    "targeting this request"
                )
                errors.append(invalid(f"{at}.name", attribute.name, detail))
            wrong, cost = check_expression(attribute.expression, f"{at}.expression", boolean=False)
            self.cost += cost
            errors += wrong
        return errors + check_unique(attributes, path)

    def check_asked(self, asked: ExactDeviceRequest | DeviceSubRequest, path: str, request: str) -> Errors:
        errors = check_needed(names.is_dns1123_subdomain, asked.deviceClassName, f"{path}.deviceClassName")
        errors += check_selectors(asked.selectors, f"{path}.selectors")
        errors += self.check_derived(asked.derivedAttributes, f"{path}.derivedAttributes", request)
        if asked.allocationMode == "All":
            if asked.count:
                detail = "must not be specified when allocationMode is 'All'"
                errors.append(invalid(f"{path}.count", asked.count, detail))
        elif asked.allocationMode == "ExactCount":
            if asked.count <= 0:
                errors.append(invalid(f"{path}.count", asked.count, "must be greater than zero"))
        else:
            errors += check_choice(asked.allocationMode, f"{path}.allocationMode", ("All", "ExactCount"))
        errors += check_items(asked.tolerations, _MOST_TOLERATIONS, f"{path}.tolerations", check_toleration)
        for name, amount in sorted(asked.capacity.requests.items()) if asked.capacity is not None else ():
            if quantity.sign(amount) < 0:
                errors.append(invalid(f"{path}.capacity.requests[{name}]", amount, "must be non-negative"))
        return errors

    def check_alternative(self, asked: DeviceSubRequest, path: str, request: str) -> Errors:
        errors = check_text(names.is_dns1123_label, asked.name, f"{path}.name")
        return errors + self.check_asked(asked, path, f"{request}/{asked.name}")

    def check_request(self, request: DeviceRequest, path: str) -> Errors:
        errors = check_text(names.is_dns1123_label, request.name, f"{path}.name")
        first = request.firstAvailable
        if request.exactly is None and not first:
            return [*errors, required(path, _ONE_REQUEST)]
        if request.exactly is not None and first:
            return [*errors, invalid(path, None, f"{_ONE_REQUEST}, but multiple fields are set")]
        if request.exactly is not None:
            return errors + self.check_asked(request.exactly, f"{path}.exactly", request.name)
        at = f"{path}.firstAvailable"
        check = lambda asked, where: self.check_alternative(asked, where, request.name)  # noqa: E731
        errors += check_items(first, _MOST_SUBREQUESTS, at, check)
        return errors if len(first) > _MOST_SUBREQUESTS else errors + check_unique(first, at)


def validate_claim_spec(spec: ResourceClaimSpec, path: str) -> Errors:
    claim, path = spec.devices, f"{path}.devices"
    whole = _Claim(claim)
    errors = check_items(claim.requests, MOST_REQUESTS, f"{path}.requests", whole.check_request)
    if len(claim.requests) <= MOST_REQUESTS:
        errors += check_unique(claim.requests, f"{path}.requests")

    def check_constraint(constraint: Any, at: str) -> Errors:
        out = check_references(constraint.requests, f"{at}.requests", whole.known)
        for name in ("matchAttribute", "distinctAttribute"):
            value = getattr(constraint, name)
            if value is not None:
                return out + check_qualified(value, f"{at}.{name}", full=True)
        detail = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
        return [*out, required(at, detail)]

    def check_config(config: Any, at: str) -> Errors:
        return check_references(config.requests, f"{at}.requests", whole.known) + check_opaque(config.opaque, at)

    errors += check_items(claim.constraints, MOST_CONSTRAINTS, f"{path}.constraints", check_constraint)
    errors += check_items(claim.config, MOST_CONFIGS, f"{path}.config", check_config)
    if whole.cost > MOST_COST:
        detail = "too complex, total cost of derived attribute CEL expressions in the claim exceeds cost limit"
        errors.append(forbidden(path, detail))
    return errors
