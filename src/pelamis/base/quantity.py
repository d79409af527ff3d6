"""Resource amounts: ``500m``, ``1Gi``, ``2e3``.

A quantity is a whole number of billionths (finer input is rounded away from zero) and the notation it was written in.
Its canonical form has no fraction and the largest suffix that keeps the number whole; the notation is kept. Amounts are
capped at 2**63-1 units. Parsing is cached: a cluster uses few different amounts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]
NANO = 1_000_000_000
_MAX = ((1 << 63) - 1) * NANO
FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_WRONG = "unable to parse quantity's suffix"
NUMBER_WRONG = "unable to parse numeric part of quantity"
_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_BINARY_SUFFIX = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


class QuantityError(ValueError):
    """Not a quantity; the text is upstream's."""


class Quantity(NamedTuple):
    """``nano`` billionths of the unit."""

    nano: int
    format: Format = "DecimalSI"

    def __str__(self) -> str:
        return format(self.nano, self.format)


@lru_cache(maxsize=4096)
def parse(text: str) -> Quantity:
    if not text:
        raise QuantityError(FORMAT_WRONG)
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise QuantityError(FORMAT_WRONG)
    sign, whole, part, suffix = match.groups(default="")
    style: Format
    if suffix in _DECIMAL:
        exponent, scale, style = _DECIMAL[suffix], 1, "DecimalSI"
    elif suffix in _BINARY:
        exponent, scale, style = 0, 1024 ** _BINARY[suffix], "BinarySI"
    elif found := _EXPONENT.fullmatch(suffix):
        exponent, scale, style = int(found[1]), 1, "DecimalExponent"
    else:
        raise QuantityError(SUFFIX_WRONG)
    if not whole and not part:
        raise QuantityError(NUMBER_WRONG)
    digits = int(whole + part or "0") * scale
    if digits == 0:
        return Quantity(0, style)
    shift = max(-4000, min(4000, exponent)) - len(part) + 9
    if shift >= 0:
        nano = digits * 10**shift
    else:
        nano = -(-digits // 10**-shift)  # away from zero: who asks for something gets something
    nano = min(nano, _MAX)
    if style == "BinarySI" and nano < NANO:
        style = "DecimalSI"  # a fraction of a unit has no binary notation
    return Quantity(-nano if sign == "-" else nano, style)


def format(nano: int, style: Format = "DecimalSI") -> str:
    """Canonical text."""
    if nano == 0:
        return "0"
    whole, rest = divmod(nano, NANO)
    if style == "BinarySI" and not rest and not -1024 < whole < 1024:
        power = 0
        while power < 6 and whole % 1024 == 0:
            whole //= 1024
            power += 1
        return f"{whole}{_BINARY_SUFFIX[power]}"
    exponent = -9
    while exponent < 18 and nano % 1000 == 0:
        nano //= 1000
        exponent += 3
    if style == "DecimalExponent":
        return f"{nano}e{exponent}" if exponent else str(nano)
    return f"{nano}{_DECIMAL_SUFFIX[exponent]}"


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """``0.5`` becomes ``500m``, ``1024Mi`` becomes ``1Gi``. Raises QuantityError."""
    return format(*parse(text))


def value(text: str) -> int:
    """Whole units, rounded up (``1500m`` is 2)."""
    return -(-parse(text).nano // NANO)


def milli(text: str) -> int:
    """Thousandths, rounded up."""
    return -(-parse(text).nano // 1_000_000)


def is_zero(text: str) -> bool:
    return parse(text).nano == 0


def sign(text: str) -> int:
    nano = parse(text).nano
    return (nano > 0) - (nano < 0)


def compare(a: str, b: str) -> int:
    """-1, 0 or 1."""
    x, y = parse(a).nano, parse(b).nano
    return (x > y) - (x < y)


def equal(a: str, b: str) -> bool:
    return parse(a).nano == parse(b).nano


def add(a: str, b: str) -> str:
    """The sum, in the notation of the first that is not zero."""
    x, y = parse(a), parse(b)
    return format(x.nano + y.nano, x.format if x.nano else y.format)


def sub(a: str, b: str) -> str:
    x, y = parse(a), parse(b)
    return format(x.nano - y.nano, x.format if x.nano else y.format)


def from_int(units: int, style: Format = "DecimalSI") -> str:
    return format(units * NANO, style)


def from_milli(thousandths: int, style: Format = "DecimalSI") -> str:
    return format(thousandths * 1_000_000, style)


def maximum(a: str, b: str) -> str:
    return a if parse(a).nano >= parse(b).nano else b
