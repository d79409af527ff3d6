"""What all devices of some requests of a claim must have in common, or must not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pelamis.api.resource.device import DeviceConstraint
from pelamis.api.resource.resourceslice import DeviceAttribute


def attribute_value(driver: str, attributes: Mapping[str, DeviceAttribute], name: str) -> Any:
    """(kind, value); None = the device has no such attribute. name: with its domain."""
    found = attributes.get(name)
    if found is None:
        domain, _, id = name.partition("/")
        found = attributes.get(id) if domain == driver else None
    if found is None:
        return None
    for kind in ("string", "int_", "bool_", "version"):
        value = getattr(found, kind)
        if value is not None:
            return kind, value
    return "", None


class Constraint:
    """values: of the devices that were added, latest last. same: they must be equal, else all different."""

    __slots__ = ("attribute", "requests", "same", "values")

    def __init__(self, given: DeviceConstraint) -> None:
        self.same = given.matchAttribute is not None
        self.attribute = (given.matchAttribute if self.same else given.distinctAttribute) or ""
        self.requests = frozenset(given.requests)
        self.values: list[Any] = []

    def covers(self, names: tuple[str, ...]) -> bool:
        """names: of the request, and of its alternative."""
        return not self.requests or any(name in self.requests for name in names)

    def add(self, value: Any) -> bool:
        """Whether a device with the value fits with those that are there; if so, it is with them."""
        values = self.values
        if value is None or (values and not value[0]):
            return False
        if values and ((value != values[0]) if self.same else (value in values)):
            return False
        values.append(value)
        return True
