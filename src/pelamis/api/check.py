"""Building blocks of the kinds' validation: each gives the field errors of one value, none when it is fine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pelamis.base import intstr
from pelamis.base.errors import FieldError, invalid, not_supported, required

IMMUTABLE = "field is immutable"
NONNEGATIVE = "must be greater than or equal to 0"
PERCENT_MESSAGE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)

Errors = list[FieldError]


def as_go(value: Any) -> Any:
    """What upstream's internal types, which have no JSON names, print in messages: every field, capitalised."""
    if isinstance(value, msgspec.Struct):
        return {
            (name[:1].upper() + name[1:]).rstrip("_"): as_go(getattr(value, name))
            for name in value.__struct_fields__
            if name not in ("kind", "apiVersion")
        }
    if isinstance(value, tuple):
        return [as_go(v) for v in value] or None
    if isinstance(value, dict):
        return {k: as_go(v) for k, v in value.items()} or None
    return None if value is msgspec.UNSET else value


def check_nonnegative(value: int | None, path: str) -> Errors:
    """Absent values are fine."""
    return [] if value is None or value >= 0 else [invalid(path, value, NONNEGATIVE)]


def check_immutable(new: Any, old: Any, path: str) -> Errors:
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def check_text(check: Callable[[str], Sequence[str]], value: str, path: str) -> Errors:
    """The messages that ``check`` (one of base.names) has about a value."""
    return [invalid(path, value, message) for message in check(value)]


def check_required_text(check: Callable[[str], Sequence[str]], value: str, path: str, detail: str = "") -> Errors:
    return check_text(check, value, path) if value else [required(path, detail)]


def check_choice(value: str, path: str, choices: Sequence[str]) -> Errors:
    return [] if value in choices else [not_supported(path, value, choices)]


def check_required_choice(value: str, path: str, choices: Sequence[str], detail: str = "") -> Errors:
    return check_choice(value, path, choices) if value else [required(path, detail)]


def amount(value: int | str | None) -> int:
    """The number, be it absolute or a percentage; 0 when there is none."""
    if isinstance(value, str):
        return intstr.percent(value) if intstr.is_percent(value) else 0
    return value or 0


def check_int_or_percent(value: int | str | None, path: str) -> Errors:
    """A number of at least 0, or a percentage; absent counts as 0."""
    if isinstance(value, str):
        return [] if intstr.is_percent(value) else [invalid(path, value, PERCENT_MESSAGE)]
    return check_nonnegative(value, path)


def check_at_most_100_percent(value: int | str | None, path: str) -> Errors:
    if not isinstance(value, str) or not intstr.is_percent(value) or intstr.percent(value) <= 100:
        return []
    return [invalid(path, value, "must not be greater than 100%")]
