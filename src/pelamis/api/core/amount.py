"""Validation of resource lists: names that a container, a pod or a quota may state, and their amounts."""

from __future__ import annotations

from collections.abc import Mapping

from pelamis.api.core.resourcename import (
    is_extended,
    is_native,
    is_standard,
    is_standard_container,
    is_standard_quota,
    is_whole_numbered,
)
from pelamis.base.errors import FieldError, invalid
from pelamis.base.names import is_qualified_name
from pelamis.base.quantity import NANO, canonical, parse, value

Errors = list[FieldError]
NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
NOT_WHOLE = "must be an integer"


def check_resource_name(name: str, path: str, errors: Errors) -> bool:
    """True if the name is valid anywhere."""
    messages = is_qualified_name(name)
    if messages:
        errors.extend(invalid(path, name, m) for m in messages)
        return False
    if "/" not in name and not is_standard(name):
        errors.append(invalid(path, name, "must be a standard resource type or fully qualified"))
        return False
    return True


def check_container_resource_name(name: str, path: str, errors: Errors) -> None:
    check_resource_name(name, path, errors)
    if "/" not in name:
        if not is_standard_container(name):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))


def check_quota_resource_name(name: str, path: str, errors: Errors) -> None:
    check_resource_name(name, path, errors)
    if "/" not in name and not is_standard_quota(name):
        errors.append(invalid(path, name, "must be a standard resource for quota"))


def check_amount(name: str, text: str, path: str, errors: Errors) -> None:
    """An amount of the named resource: not negative, and whole where the resource is counted."""
    nano = parse(text).nano
    if nano < 0:
        errors.append(invalid(path, canonical(text), NEGATIVE))
    if nano % NANO and is_whole_numbered(name) and -(-nano // 1_000_000) % 1000:
        errors.append(invalid(path, canonical(text), NOT_WHOLE))


def check_positive(text: str, path: str, errors: Errors) -> None:
    if parse(text).nano <= 0:
        errors.append(invalid(path, canonical(text), NOT_POSITIVE))


def check_not_negative_whole(text: str, path: str, errors: Errors) -> None:
    units = value(text)
    if units < 0:
        errors.append(invalid(path, units, "must be a valid resource quantity"))


def check_quota_amounts(amounts: Mapping[str, str], path: str, errors: Errors) -> None:
    for name, text in amounts.items():
        at = f"{path}[{name}]"
        check_quota_resource_name(name, at, errors)
        check_amount(name, text, at, errors)
