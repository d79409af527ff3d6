"""Quantities and versions, for CEL (see values)."""

from __future__ import annotations

import re
from typing import Any

from pelamis.base import quantity
from pelamis.base.cel.values import Made, Wrong, of_kind

_INT = (-(1 << 63), (1 << 63) - 1)
NANO = 10**9


def from_nano(nano: int) -> Made:
    return {"$": "quantity", "nano": str(nano)}


def nano_of(value: Any) -> int:
    return int(of_kind("quantity", value)["nano"])


def make_quantity(text: str) -> Made:
    return from_nano(quantity.parse(text).nano)


def is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except ValueError:
        return False
    return True


def is_integer(value: Made) -> bool:
    nano = nano_of(value)
    return nano % NANO == 0 and _INT[0] <= nano // NANO <= _INT[1]


def as_integer(value: Made) -> int:
    if not is_integer(value):
        raise Wrong("cannot convert value to integer")
    return nano_of(value) // NANO


def sign(value: Made) -> int:
    nano = nano_of(value)
    return (nano > 0) - (nano < 0)


def added(a: Made, b: Any, factor: int) -> Made:
    other = b * NANO if isinstance(b, int) else nano_of(b)
    return from_nano(nano_of(a) + factor * other)


_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?\Z"
)


def make_semver(text: str, normalize: bool = False) -> Made:
    if normalize:
        text = text.removeprefix("v")
        core, sep, rest = re.match(r"([^-+]*)([-+]?)(.*)", text, re.S).groups()  # type: ignore[union-attr]
        parts = [p.lstrip("0") or "0" for p in core.split(".")]
        text = ".".join((parts + ["0", "0"])[: max(3, len(parts))]) + sep + rest
    match = _SEMVER.match(text)
    if match is None:
        raise Wrong(f'Invalid character(s) found in version "{text}"' if text else "Version string empty")
    major, minor, patch, pre, build = match.groups()
    return {
        "$": "semver",
        "major": int(major),
        "minor": int(minor),
        "patch": int(patch),
        "pre": pre or "",
        "build": build or "",
    }


def is_semver(text: str, normalize: bool = False) -> bool:
    try:
        make_semver(text, normalize)
    except ValueError:
        return False
    return True


def _version_key(value: Made) -> tuple[Any, ...]:
    pre = value["pre"]
    parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split(".")) if pre else ()
    return value["major"], value["minor"], value["patch"], not pre, parts


def compare(a: Made, b: Made) -> int:
    """Quantities or versions."""
    if isinstance(a, dict) and a.get("$") == "semver":
        x, y = _version_key(a), _version_key(of_kind("semver", b))
        return (x > y) - (x < y)
    p, q = nano_of(a), nano_of(b)
    return (p > q) - (p < q)
