"""Checks that upstream declares on the fields of its newest types, with the messages of its generated validation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.check import Errors, check_text
from pelamis.base import names
from pelamis.base.errors import duplicate, forbidden, invalid, required, too_long, too_many

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


def check_least(value: int | None, path: str, least: int) -> Errors:
    """Absent values are fine."""
    fine = value is None or value >= least
    return [] if fine else [invalid(path, value, f"must be greater than or equal to {least}")]


def check_most(value: int | None, path: str, most: int) -> Errors:
    return [] if value is None or value <= most else [invalid(path, value, f"must be less than or equal to {most}")]


def check_union(obj: Any, path: str, members: Sequence[str]) -> Errors:
    """Exactly one of the members is set."""
    given = [m for m in members if getattr(obj, m) not in (None, ())]
    listed = ", ".join(f"`{m}`" for m in members)
    if not given:
        return [invalid(path, "", f"must specify one of: {listed}")]
    if len(given) > 1:
        return [invalid(path, "{" + ", ".join(given) + "}", f"must specify exactly one of: {listed}")]
    return []


def check_count(items: Sequence[Any], path: str, most: int) -> Errors:
    return [too_many(path, len(items), most)] if len(items) > most else []


def check_unique(items: Sequence[Any], path: str, key: Callable[[Any], Any] = lambda item: item.name) -> Errors:
    """Of a list that is a map: no two items have the same key."""
    errors: Errors = []
    seen: set[Any] = set()
    for i, item in enumerate(items):
        if key(item) in seen:
            errors.append(duplicate(f"{path}[{i}]", key(item)))
        seen.add(key(item))
    return errors


def check_optional_text(check: Callable[[str], Sequence[str]], value: str | None, path: str) -> Errors:
    """An empty string counts as absent."""
    return check_text(check, value, path) if value else []


def is_uuid(value: str) -> list[str]:
    return [] if _UUID.fullmatch(value) else ["must be a lowercase UUID in 8-4-4-4-12 format"]


def is_prefixed_label_key(value: str) -> list[str]:
    wrong = names.is_qualified_name(value)
    if wrong or "/" in value:
        return wrong
    return ["must include a prefix (e.g. 'example.com/key')"]


def is_subdomain_caseless(value: str) -> list[str]:
    return names.is_dns1123_subdomain(value.lower())


def check_pool_name(value: str, path: str) -> Errors:
    """DNS subdomains, separated by slashes."""
    errors: Errors = [too_long(path, 253)] if len(value) > 253 else []
    for i, part in enumerate(value.split("/")):
        if not part:
            errors.append(invalid(path, value, f"segment {i}: must not be empty"))
        else:
            errors += [invalid(path, part, f"segment {i}: {m}") for m in names.is_dns1123_subdomain(part)]
    return errors


def check_identifier(value: str, path: str, most: int = 32) -> Errors:
    errors: Errors = [too_long(path, most)] if len(value) > most else []
    return errors + check_text(names.is_c_identifier, value, path)


def check_qualified(value: str, path: str, *, full: bool = False) -> Errors:
    """The name of a device's attribute: an identifier, with an optional (``full``: required) domain before a slash."""
    parts = value.split("/")
    errors: Errors = []
    if len(parts) == 1:
        errors += check_identifier(value, path)
    elif len(parts) == 2:
        domain, name = parts
        if not domain:
            errors.append(invalid(path, "", "prefix must not be empty"))
        else:
            if len(domain) > 63:
                errors.append(too_long(path, 63))
            errors += [invalid(path, domain, f"prefix: {m}") for m in names.is_dns1123_subdomain(domain)]
        if not name:
            errors.append(invalid(path, "", "name must not be empty"))
        else:
            errors += check_identifier(name, path)
    else:
        errors.append(invalid(path, value, "must not contain more than one slash"))
    if full and len(parts) < 2:
        errors.append(invalid(path, value, "a fully qualified name must be a domain and a name separated by a slash"))
    return errors


def check_kept(new: Any, old: Any, path: str, *, modified: bool = True) -> Errors:
    """Once set it stays; modified: with the same value."""
    if old is None or new == old:
        return []
    if new is None:
        return [invalid(path, None, "field cannot be cleared once set")]
    return [invalid(path, None, "field cannot be modified once set")] if modified else []


def check_settled(new: Any, old: Any, path: str) -> Errors:
    """Whether it is set is decided at creation; what it holds may change."""
    if old is None and new is not None:
        return [invalid(path, None, "field cannot be set once created")]
    return check_kept(new, old, path, modified=False)


def check_same_items(
    new: Sequence[Any], old: Sequence[Any], path: str, key: Callable[[Any], Any] = lambda item: item.name
) -> Errors:
    """No item of a keyed list may come or go."""
    before, after = {key(o) for o in old}, {key(n) for n in new}
    errors: Errors = [
        forbidden(f"{path}[{i}]", "item may not be added") for i, n in enumerate(new) if key(n) not in before
    ]
    return errors + [forbidden(path, "item may not be removed") for o in old if key(o) not in after]


def check_needed(check: Callable[[str], Sequence[str]], value: str, path: str) -> Errors:
    return check_text(check, value, path) if value else [required(path)]
