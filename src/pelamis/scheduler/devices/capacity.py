"""How much of a device's capacity a request takes: what is asked for, rounded up as the device's policy says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pelamis.api.resource.resourceslice import CapacityRequestPolicy, CapacityRequestPolicyRange, DeviceCapacity
from pelamis.base.quantity import NANO, Format, Quantity, parse

_MILLI = 1_000_000
_MOST = (1 << 63) - 1
_LOST = "capacity request cannot be represented in the device's range arithmetic"


class CapacityFailure(ValueError):
    """A request cannot be reckoned with at all."""


class Range(NamedTuple):
    """In billionths; step 0 = none. unit: what amounts are counted in when they are rounded."""

    min: int
    max: int | None
    step: int
    unit: int
    format: Format


class Limit(NamedTuple):
    """A capacity of a device. default: taken by those that do not ask. values: rising, empty = any."""

    total: int
    default: Quantity
    named: bool
    """Whether the policy names the default."""
    values: tuple[Quantity, ...]
    range: Range | None


def limit_of(capacity: DeviceCapacity) -> Limit:
    total = parse(str(capacity.value))
    policy: CapacityRequestPolicy | None = capacity.requestPolicy
    if policy is None:
        return Limit(total.nano, total, False, (), None)
    default = parse(str(policy.default)) if policy.default is not None else total
    values = tuple(parse(str(v)) for v in policy.validValues)
    span = _range(policy.validRange) if policy.validRange is not None else None
    return Limit(total.nano, default, policy.default is not None, values, span)


def _range(given: CapacityRequestPolicyRange) -> Range:
    least = parse(str(given.min)) if given.min is not None else Quantity(0)
    most = parse(str(given.max)).nano if given.max is not None else None
    step = parse(str(given.step)) if given.step is not None else None
    amounts = [least.nano, *([most] if most is not None else []), *([step.nano] if step is not None else [])]
    unit = _MILLI if all(nano % _MILLI == 0 for nano in amounts) else NANO
    return Range(least.nano, most, step.nano if step is not None else 0, unit, step.format if step else least.format)


def taken(name: str, asked: Quantity | None, limit: Limit) -> Quantity:
    """Raises CapacityFailure."""
    if asked is None:
        found = limit.default
    elif limit.range is not None:
        found = _rounded(name, asked, limit.range)
    else:
        found = next((v for v in limit.values if asked.nano <= v.nano), asked)
    if found.nano < 0:
        raise CapacityFailure(f'capacity "{name}": capacity value is negative')
    return found


def _rounded(name: str, asked: Quantity, span: Range) -> Quantity:
    if asked.nano < span.min:
        return Quantity(span.min, span.format)
    if not span.step:
        return asked
    unit = span.unit
    if unit == _MILLI and asked.nano % _MILLI:
        raise CapacityFailure(f'capacity "{name}": {_LOST}: request {asked} is not a representable milli value')
    least, step = span.min // unit, max(span.step // unit, 1)
    steps = -(-(-(-asked.nano // unit) - least) // step)
    found = least + steps * step
    if found > _MOST:
        raise CapacityFailure(f'capacity "{name}": {_LOST}: rounding request {asked} up to the next step')
    return Quantity(found * unit, span.format)


def _allowed(amount: Quantity, limit: Limit) -> bool:
    if limit.named and amount.nano == limit.default.nano:
        return True
    span = limit.range
    if span is not None:
        if span.max is not None and amount.nano > span.max:
            return False
        return not span.step or (amount.nano - span.min) % span.step == 0
    return not limit.values or any(amount.nano == v.nano for v in limit.values)


Amounts = Mapping[str, int]
"""Capacity to billionths."""
_NOTHING: Amounts = {}


def amounts_taken(asked: Mapping[str, Quantity], limits: Mapping[str, Limit]) -> dict[str, Quantity] | None:
    """Of each of the device's capacities; None = it has not what is asked, or not in such amounts.

    Raises CapacityFailure.
    """
    if any(name not in limits for name in asked):
        return None
    out = {name: taken(name, asked.get(name), limit) for name, limit in limits.items()}
    return out if all(_allowed(amount, limits[name]) for name, amount in out.items()) else None


def has_room(
    wanted: Mapping[str, Quantity], limits: Mapping[str, Limit], used: Amounts = _NOTHING, more: Amounts = _NOTHING
) -> bool:
    """used, more: what others have of it."""
    return all(
        amount.nano + used.get(name, 0) + more.get(name, 0) <= limits[name].total for name, amount in wanted.items()
    )
