"""Which devices an expression selects; that is worked out once for devices that are alike.

``device.attributes["domain"]`` of a domain that the device knows nothing of is an empty map, not an error. The runtime
has no such maps: where an expression fails for want of a domain, it is tried again with the domain there and empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pelamis.api.resource.resourceslice import Device, DeviceAttribute
from pelamis.base import quantity
from pelamis.base.cel import CompileError, EvaluationError, compile_text
from pelamis.base.cel.amounts import make_quantity, make_semver

_MISSING = "no such key: "
_HINT = (
    "consider using CEL optional chaining (.? followed by orValue()) or guarding the check with has()"
    " for optional fields"
)


class SelectorFailure(ValueError):
    """An expression does not compile, or fails on a device; worded as upstream, without saying whose it is."""


def value_of(attribute: DeviceAttribute) -> Any:
    """As CEL sees it. Raises SelectorFailure."""
    if attribute.int_ is not None:
        return attribute.int_
    if attribute.bool_ is not None:
        return attribute.bool_
    if attribute.string is not None:
        return attribute.string
    if attribute.version is not None:
        try:
            return make_semver(attribute.version)
        except ValueError as error:
            raise SelectorFailure(f"parse semantic version: {error}") from None
    raise SelectorFailure("unsupported attribute value")


class Model:
    """All that expressions see of a device. Devices that are alike share one."""

    __slots__ = ("_capacity", "_driver", "_shared", "_value", "_verdicts", "attributes")

    def __init__(self, driver: str, device: Device) -> None:
        self.attributes: Mapping[str, DeviceAttribute] = device.attributes
        self._driver = driver
        self._capacity = device.capacity
        self._shared = bool(device.allowMultipleAllocations)
        self._value: dict[str, Any] | None = None
        self._verdicts: dict[str, bool | str] = {}

    def _domains(self, names: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        out: dict[str, dict[str, Any]] = {}
        for name, value in names.items():
            domain, slash, id = name.partition("/")
            if not slash:
                domain, id = self._driver, name
            out.setdefault(domain, {})[id] = value
        return out

    @property
    def value(self) -> dict[str, Any]:
        if self._value is None:
            attributes = {}
            for name, attribute in self.attributes.items():
                try:
                    attributes[name] = value_of(attribute)
                except SelectorFailure as failure:
                    raise SelectorFailure(f"attribute {name}: {failure}") from None
            self._value = {
                "driver": self._driver,
                "allowMultipleAllocations": self._shared,
                "attributes": self._domains(attributes),
                "capacity": self._domains({n: make_quantity(str(c.value)) for n, c in self._capacity.items()}),
            }
        return self._value

    def matches(self, expression: str) -> bool:
        """Raises SelectorFailure."""
        verdict = self._verdicts.get(expression)
        if verdict is None:
            try:
                verdict = self._judge(expression)
            except SelectorFailure as failure:
                verdict = str(failure)
            self._verdicts[expression] = verdict
        if isinstance(verdict, str):
            raise SelectorFailure(verdict)
        return verdict

    def _judge(self, expression: str) -> bool:
        try:
            program = compile_text(expression, ("device",))
        except CompileError as error:
            raise SelectorFailure(f"CEL compile error: compilation failed: {error}") from None
        try:
            device = self.value
        except SelectorFailure as failure:
            raise SelectorFailure(f"CEL runtime error: {failure}") from None
        while True:
            try:
                found = program.evaluate({"device": device})
                break
            except EvaluationError as error:
                text = str(error)
                domain = text.removeprefix(_MISSING) if text.startswith(_MISSING) else ""
                attributes, capacity = device["attributes"], device["capacity"]
                if domain and (domain not in attributes or domain not in capacity):
                    empty: dict[str, Any] = {domain: {}}
                    device = {**device, "attributes": empty | attributes, "capacity": empty | capacity}
                    continue
                if _MISSING in text:
                    text = f"{text}. {_HINT}"
                raise SelectorFailure(f"CEL runtime error: {text}") from None
        if not isinstance(found, bool):
            kind = {int: "int", str: "string", float: "double"}.get(type(found), "map")
            text = f"CEL result of type {kind} could not be converted to bool: type conversion error from '{kind}'"
            raise SelectorFailure(f"CEL runtime error: {text} to 'bool'")
        return found


def model_key(driver: str, device: Device) -> Any:
    """Equal for devices that no expression can tell apart."""
    attributes = tuple(sorted((name, a.int_, a.bool_, a.string, a.version) for name, a in device.attributes.items()))
    capacity = tuple(sorted((name, quantity.parse(str(c.value)).nano) for name, c in device.capacity.items()))
    return driver, bool(device.allowMultipleAllocations), attributes, capacity
