"""Checks that the storage kinds share: driver names and the parameters of classes."""

from __future__ import annotations

from collections.abc import Mapping

from pelamis.api.check import Errors, check_text
from pelamis.base import names
from pelamis.base.errors import invalid, required, too_long

_MOST_PARAMETERS, _LARGEST_PARAMETERS, _LONGEST_DRIVER = 512, 256 * 1024, 63


def check_driver_name(name: str, path: str) -> Errors:
    """The name of a CSI driver."""
    if not name:
        return [required(path)]
    errors: Errors = []
    if len(name.encode()) > _LONGEST_DRIVER:
        errors.append(too_long(path, _LONGEST_DRIVER))
    return errors + [invalid(path, name, m) for m in names.is_dns1123_subdomain(name.lower())]


def check_provisioner(name: str, path: str) -> Errors:
    if not name:
        return [required(path)]
    return check_text(names.is_qualified_name, name.lower(), path)


def check_parameters(parameters: Mapping[str, str], path: str, *, may_be_empty: bool) -> Errors:
    if len(parameters) > _MOST_PARAMETERS:
        return [too_long(path, _MOST_PARAMETERS)]
    errors = [invalid(path, k, "field can not be empty.") for k in parameters if not k]
    if sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items()) > _LARGEST_PARAMETERS:
        errors.append(too_long(path, _LARGEST_PARAMETERS))
    if not parameters and not may_be_empty:
        errors.append(required(path, "must contain at least one key/value pair"))
    return errors
