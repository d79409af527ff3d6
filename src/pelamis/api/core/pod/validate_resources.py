"""Validation of requests, limits and claims of containers and of the pod as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from pelamis.api.core.amount import check_amount, check_container_resource_name, check_resource_name
from pelamis.api.core.pod.container import ResourceClaim, ResourceRequirements
from pelamis.api.core.pod.resources import container_requests, is_supported_pod_level, write_amount
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.resourcename import is_hugepages, is_multiple_of_page, is_overcommit_allowed
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from pelamis.base.quantity import canonical, parse

Errors = list[FieldError]
# amounts that need no look at the name: what nearly every container states
_PLAIN = frozenset({"cpu", "memory", "ephemeral-storage"})
_POD_LEVEL = ("cpu", "hugepages-", "memory")


def check_requirements(
    resources: ResourceRequirements, claims: Sequence[str], path: str, errors: Errors, *, pod_level: bool = False
) -> None:
    """``claims``: names that ``spec.resourceClaims`` defines. pod_level: the requirements are the pod's."""
    limits, requests = resources.limits, resources.requests
    huge = compute = False
    for name, text in limits.items():
        if name in _PLAIN:
            compute = compute or name != "ephemeral-storage"
            if parse(text).nano < 0 or (pod_level and name == "ephemeral-storage"):
                _check_one(name, text, f"{path}.limits[{name}]", errors, pod_level)
        else:
            huge = huge or is_hugepages(name)
            _check_one(name, text, f"{path}.limits[{name}]", errors, pod_level)
    for name, text in requests.items():
        nano = parse(text).nano
        if name in _PLAIN:
            compute = compute or name != "ephemeral-storage"
            if nano < 0 or (pod_level and name == "ephemeral-storage"):
                _check_one(name, text, f"{path}.requests[{name}]", errors, pod_level)
        else:
            huge = huge or is_hugepages(name)
            _check_one(name, text, f"{path}.requests[{name}]", errors, pod_level, huge_later=True)
        limit = limits.get(name)
        if limit is None:
            if name not in _PLAIN and not is_overcommit_allowed(name):
                errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        elif limit != text:
            most = parse(limit).nano
            if nano != most and not is_overcommit_allowed(name):
                detail = f"must be equal to {name} limit of {canonical(limit)}"
                errors.append(invalid(f"{path}.requests", canonical(text), detail))
            elif nano > most:
                detail = f"must be less than or equal to {name} limit of {canonical(limit)}"
                errors.append(invalid(f"{path}.requests", canonical(text), detail))
        if is_hugepages(name):
            _check_page(name, text, f"{path}.requests[{name}]", errors)
    if huge and not compute:
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    if resources.claims:
        _check_claims(resources.claims, claims, f"{path}.claims", errors)


def _check_one(name: str, text: str, at: str, errors: Errors, pod_level: bool, *, huge_later: bool = False) -> None:
    if not pod_level:
        check_container_resource_name(name, at, errors)
    elif check_resource_name(name, at, errors) and not is_supported_pod_level(name):
        errors.append(not_supported(at, name, _POD_LEVEL))
    check_amount(name, text, at, errors)
    if not huge_later and is_hugepages(name):
        _check_page(name, text, at, errors)


def _check_page(name: str, text: str, at: str, errors: Errors) -> None:
    if not is_multiple_of_page(name, parse(text).nano):
        shown = canonical(text)
        errors.append(invalid(at, shown, f"{shown} is not positive integer multiple of {name}"))


def _check_claims(claims: Sequence[ResourceClaim], known: Sequence[str], path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        at, name = f"{path}[{i}]", claim.name
        if not name:
            errors.append(required(at))
            continue
        if name in seen:
            errors.append(duplicate(at, name))
        else:
            key = name
            if claim.request:
                messages = names.is_dns1123_label(claim.request)
                errors.extend(invalid(f"{at}.request", claim.request, m) for m in messages)
                key = f"{name}/{claim.request}"
            if key in seen:
                errors.append(duplicate(at, key))
            elif not claim.request:
                errors.extend(duplicate(at, name) for other in seen if other.startswith(f"{name}/"))
            seen.add(key)
        if name not in known:
            detail = "must be one of the names in pod.spec.resourceClaims"
            detail += f": {', '.join(sorted(known))}" if known else " which is empty"
            errors.append(FieldError("FieldValueNotFound", at, detail, name))


def check_pod_resources(spec: PodSpec, claims: Sequence[str], path: str, errors: Errors) -> None:
    """``spec.resources``: valid in itself, and neither less than the containers request nor limit beyond it."""
    resources = spec.resources
    if resources is None:
        return
    if resources.claims:
        errors.append(forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level"))
    check_requirements(resources, claims, path, errors, pod_level=True)
    for name, wanted in container_requests(spec).items():
        if not is_supported_pod_level(name):
            continue
        text = resources.requests.get(name, "0")
        if wanted.nano > parse(text).nano:
            detail = f"must be greater than or equal to aggregate container requests of {write_amount(name, wanted)}"
            errors.append(invalid(f"{path}.requests[{name}]", canonical(text), detail))
    for i, container in enumerate(spec.containers):
        for name, limit in container.resources.limits.items():
            most = resources.limits.get(name)
            if most is not None and parse(limit).nano > parse(most).nano:
                at = f"{path}.containers[{i}][{name}].limits"
                detail = f"must be less than or equal to pod limits of {canonical(most)}"
                errors.append(invalid(at, canonical(limit), detail))
