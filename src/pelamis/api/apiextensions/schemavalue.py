"""Checks a JSON value against the OpenAPI v3 schema of a custom resource, with upstream's texts.

A schema is the JSON tree of JSONSchemaProps. Every keyword that a CustomResourceDefinition may use is checked, and the
list types (``set`` and ``map`` may hold no duplicates). Rules in CEL are not part of this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pelamis.api.apiextensions.format import FORMATS
from pelamis.api.apiextensions.kept import Kept
from pelamis.api.check import Errors
from pelamis.api.field import Tree
from pelamis.base import regexp
from pelamis.base.errors import FieldError, duplicate, invalid, not_supported, required, too_long, too_many

NO_FIELD = "<nil>"
"""What upstream prints as the field of an error about a combination of schemas."""


def validate(value: Any, schema: Tree, path: str = "") -> Errors:
    """``path`` is the field of the value, "" at the root of an object."""
    return _errors(value, schema, path) + _validate_lists(value, schema, path)


def validate_update(value: Any, old: Any, schema: Tree) -> Errors:
    """Of a whole object. Errors in what is as it was are forgiven; duplicates are, if there were some before."""
    errors = _errors(value, schema, "")
    if errors:
        errors = _validate(value, schema, "", Kept(value, old, schema))
    repeated = _validate_lists(value, schema, "")
    return errors if repeated and _validate_lists(old, schema, "") else errors + repeated


def type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


def _has_type(value: Any, wanted: str, schema: Tree) -> bool:
    actual = type_name(value)
    if actual == "null":
        return bool(schema.get("nullable"))
    if schema.get("x-kubernetes-int-or-string"):
        return actual in ("integer", "string")
    if wanted == "number":
        return actual in ("number", "integer")
    if wanted == "integer" and actual == "number":
        return bool(float(value).is_integer())
    return actual == wanted or not wanted


def _wrong_type(value: Any, wanted: str, path: str) -> FieldError:
    actual = type_name(value)
    return FieldError("FieldValueTypeInvalid", path, f'{path} in body must be of type {wanted}: "{actual}"', actual)


def _child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _validate(value: Any, schema: Tree, path: str, kept: Kept | None) -> Errors:
    errors = _errors(value, schema, path, kept)
    return [] if errors and kept is not None and kept.same() else errors


def _errors(value: Any, schema: Tree, path: str, kept: Kept | None = None) -> Errors:
    """kept: by which errors below are forgiven."""
    wanted = schema.get("type", "")
    if not _has_type(value, wanted, schema):
        shown = "integer,string" if schema.get("x-kubernetes-int-or-string") else wanted
        return [] if not shown else [_wrong_type(value, shown, path)]
    if value is None:
        return []
    errors = _validate_combinations(value, schema, path, kept)
    enum = schema.get("enum")
    if enum and not any(_same(value, choice) for choice in enum):
        errors.append(not_supported(path, value, [_plain(choice) for choice in enum]))
    if isinstance(value, str):
        errors += _validate_string(value, schema, path)
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int | float):
        errors += _validate_number(value, schema, path)
    elif isinstance(value, list | tuple):
        errors += _validate_array(value, schema, path, kept)
    elif isinstance(value, dict):
        errors += _validate_object(value, schema, path, kept)
    return errors


def _same(a: Any, b: Any) -> bool:
    return type_name(a) == type_name(b) and bool(a == b)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _validate_combinations(value: Any, schema: Tree, path: str, kept: Kept | None) -> Errors:
    errors: Errors = []

    def composite(detail: str) -> None:
        errors.append(invalid(NO_FIELD, "", f'"{path}" {detail}'))

    options = schema.get("anyOf")
    if options:
        results = [_errors(value, option, path, kept) for option in options]
        if all(results):
            composite("must validate at least one schema (anyOf)")
            errors.extend(results[0])
    options = schema.get("oneOf")
    if options:
        results = [_errors(value, option, path, kept) for option in options]
        valid = sum(not result for result in results)
        if valid != 1:
            why = "Found none valid" if not valid else f"Found {valid} valid alternatives"
            composite(f"must validate one and only one schema (oneOf). {why}")
            errors.extend(() if valid else results[0])
    options = schema.get("allOf")
    if options:
        results = [_errors(value, option, path, kept) for option in options]
        errors.extend(error for result in results for error in result)
        if any(results):
            composite("must validate all the schemas (allOf)" + (". None validated" if all(results) else ""))
    refused = schema.get("not")
    if refused is not None and not _errors(value, refused, path, kept):
        composite("must not validate the schema (not)")
    return errors


def _validate_string(value: str, schema: Tree, path: str) -> Errors:
    errors: Errors = []
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    if longest is not None and len(value) > longest:
        errors.append(too_long(path, longest))
    if shortest is not None and len(value) < shortest:
        errors.append(invalid(path, value, f"{path} in body should be at least {shortest} chars long"))
    pattern = schema.get("pattern")
    if pattern:
        try:
            found = regexp.compile_pattern(pattern).found_in(value)
        except regexp.PatternError:
            found = True  # refused where it was declared
        if not found:
            errors.append(invalid(path, value, f"{path} in body should match '{pattern}'"))
    known = FORMATS.get(schema.get("format", ""))
    if known is not None and not known(value):
        detail = f'{path} in body must be of type {schema["format"]}: "{value}"'
        errors.append(FieldError("FieldValueTypeInvalid", path, detail, value))
    return errors


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def _validate_number(value: float, schema: Tree, path: str) -> Errors:
    errors: Errors = []
    step = schema.get("multipleOf")
    if step and not float(value / step).is_integer():
        errors.append(invalid(path, value, f"{path} in body should be a multiple of {_number(step)}"))
    most, least = schema.get("maximum"), schema.get("minimum")
    if most is not None:
        open_end = bool(schema.get("exclusiveMaximum"))
        if value > most or (open_end and value == most):
            what = "less than" if open_end else "less than or equal to"
            errors.append(invalid(path, value, f"{path} in body should be {what} {_number(most)}"))
    if least is not None:
        open_end = bool(schema.get("exclusiveMinimum"))
        if value < least or (open_end and value == least):
            what = "greater than" if open_end else "greater than or equal to"
            errors.append(invalid(path, value, f"{path} in body should be {what} {_number(least)}"))
    return errors


def _validate_array(value: Sequence[Any], schema: Tree, path: str, kept: Kept | None) -> Errors:
    errors: Errors = []
    most, least = schema.get("maxItems"), schema.get("minItems")
    if most is not None and len(value) > most:
        errors.append(too_many(path, len(value), most))
    if least is not None and len(value) < least:
        errors.append(invalid(path, len(value), f"{path} in body should have at least {least} items"))
    if schema.get("uniqueItems") and any(_same(v, w) for i, v in enumerate(value) for w in value[:i]):
        errors.append(invalid(path, value, f"{path} in body shouldn't contain duplicates"))
    items = schema.get("items")
    if isinstance(items, dict):
        for i, item in enumerate(value):
            errors += _validate(item, items, f"{path}[{i}]", kept.item(i) if kept is not None else None)
    return errors


def _validate_object(value: Mapping[str, Any], schema: Tree, path: str, kept: Kept | None) -> Errors:
    errors: Errors = []
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        errors.append(too_many(path, len(value), most))
    if least is not None and len(value) < least:
        errors.append(invalid(path, len(value), f"{path} in body should have at least {least} properties"))
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, child in value.items():
        was = kept.member(name) if kept is not None else None
        if name in properties:
            errors += _validate(child, properties[name], _child(path, name), was)
        elif isinstance(more, dict):
            errors += _validate(child, more, _child(path, name), was)
        elif more is False:
            field = _child(path, name)
            errors.append(invalid(field, "", f"{field} in body is a forbidden property"))
    for name in schema.get("required") or ():
        if name not in value:
            errors.append(required(_child(path, name)))
    return errors


def _validate_lists(value: Any, schema: Tree, path: str) -> Errors:
    """Duplicates in lists that are declared as sets or maps."""
    errors: Errors = []
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, child in value.items():
            below = properties.get(name, more)
            if isinstance(below, dict):
                field = _child(path, name) if name in properties else f"{path}[{name}]"
                errors += _validate_lists(child, below, field)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            for i, item in enumerate(value):
                errors += _validate_lists(item, items, f"{path}[{i}]")
        errors += _validate_list_type(value, schema, path)
    return errors


def _validate_list_type(value: list[Any], schema: Tree, path: str) -> Errors:
    kind = schema.get("x-kubernetes-list-type")
    errors: Errors = []
    seen: set[bytes] = set()
    for i, item in enumerate(value) if kind in ("set", "map") else ():
        shown = item
        if kind == "map":
            if not isinstance(item, dict):
                continue
            fallback = (schema.get("items") or {}).get("properties") or {}
            keys = schema.get("x-kubernetes-list-map-keys") or ()
            shown = {k: item.get(k, (fallback.get(k) or {}).get("default")) for k in keys}
            shown = {k: v for k, v in shown.items() if v is not None}
        mark = msgspec.json.encode(shown, order="sorted")
        if mark in seen:
            errors.append(duplicate(f"{path}[{i}]", shown))
        seen.add(mark)
    return errors
