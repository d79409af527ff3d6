"""Structural schemas: what a custom resource's schema must be so that unknown fields can be pruned and defaults set.

A schema is structural when everything it says about the shape of a value (type, properties, items, nullable, default)
stands outside of allOf, anyOf, oneOf and not; those may only restrict values. Schemas are the JSON trees of
JSONSchemaProps. ``prune`` and ``default`` change an object in place; ``validate`` checks one.
"""

from __future__ import annotations

from typing import Any

from pelamis.api.apiextensions.schemavalue import validate, validate_update
from pelamis.api.check import Errors
from pelamis.api.field import Tree
from pelamis.base import regexp
from pelamis.base import tree as trees
from pelamis.base.errors import forbidden, invalid, required

__all__ = ["check_structural", "default", "prune", "validate", "validate_update"]

META_FIELDS = ("apiVersion", "kind", "metadata")
_PRESERVE, _EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_ANY_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_MISSING_TYPE = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_NESTED = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("externalDocs", "must be undefined to be structural"),
    (_PRESERVE, "must be false to be structural"),
    (_EMBEDDED, "must be false to be structural"),
    (_INT_OR_STRING, "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


# -- is the schema structural? ----------------------------------------------------------------------------------------


def check_structural(schema: Tree, path: str) -> Errors:
    """The rules that ``schema``, at ``path`` in the definition, breaks; sorted by their text."""
    errors = _check(schema, "root", path) + _check_complete(schema, schema, path, path)
    return sorted(errors, key=str)


def _check(schema: Tree, level: str, path: str) -> Errors:
    errors: Errors = []
    kind, items, more = schema.get("type", ""), schema.get("items"), schema.get("additionalProperties")
    if kind == "array" and not isinstance(items, dict):
        errors.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        errors += _check(items, "item", f"{path}.items")
    for name, child in (schema.get("properties") or {}).items():
        errors += _check(child, "field", f"{path}.properties[{name}]")
    if more is not None:
        if level == "root":
            errors.append(forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(more, dict):
            errors += _check(more, "field", f"{path}.additionalProperties")
    if schema.get(_INT_OR_STRING):
        for name in (_PRESERVE, _EMBEDDED):
            if schema.get(name):
                errors.append(invalid(f"{path}.{name}", True, f"must be false if {_INT_OR_STRING} is true"))
    errors += _check_values(schema, level, path, True)
    errors += _check_type(schema, level, path)
    return errors + _check_metadata(schema, level, path)


def _check_type(schema: Tree, level: str, path: str) -> Errors:
    kind = schema.get("type", "")
    errors: Errors = []
    if schema.get(_EMBEDDED):
        detail = f"must be object if {_EMBEDDED} is true"
        if not kind:
            errors.append(required(f"{path}.type", detail))
        elif kind != "object":
            errors.append(invalid(f"{path}.type", kind, detail))
        if schema.get("additionalProperties") is not None:
            detail = f"must not be used if {_EMBEDDED} is set"
            errors.append(forbidden(f"{path}.additionalProperties", detail))
        if not schema.get(_PRESERVE) and not schema.get("properties"):
            detail = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
            errors.append(required(f"{path}.properties", detail))
    elif not kind and not schema.get(_INT_OR_STRING) and not schema.get(_PRESERVE):
        errors.append(required(f"{path}.type", _MISSING_TYPE[level]))
    if level == "root" and kind not in ("", "object"):
        errors.append(invalid(f"{path}.type", kind, "must be object at the root"))
    return errors


def _check_metadata(schema: Tree, level: str, path: str) -> Errors:
    errors: Errors = []
    properties = schema.get("properties") or {}
    resource = level == "root" or schema.get(_EMBEDDED)
    for name in ("kind", "apiVersion"):
        if resource and name in properties and properties[name].get("type") != "string":
            where = f"{path}.properties[{name}].type"
            errors.append(invalid(where, properties[name].get("type", ""), "must be string"))
    metadata = properties.get("metadata")
    if metadata is None or not resource:
        return errors
    where = f"{path}.properties[metadata]"
    if metadata.get("type") != "object":
        errors.append(invalid(f"{where}.type", metadata.get("type", ""), "must be object"))
    if level == "root":
        rest = {k: v for k, v in metadata.items() if k not in ("type", "default", "properties")}
        if rest or not set(metadata.get("properties") or {}) <= {"name", "generateName"}:
            detail = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            errors.append(forbidden(where, detail))
    return errors


def _check_values(schema: Tree, level: str, path: str, int_or_string: bool) -> Errors:
    """The value restrictions of a schema; ``int_or_string``: the two well-known forms of that union are let pass."""
    errors: Errors = []
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    if not (int_or_string and any_of == _ANY_INT_OR_STRING):
        for i, child in enumerate(any_of):
            errors += _check_nested(child, level, f"{path}.anyOf[{i}]")
    for i, child in enumerate(all_of):
        union = int_or_string and i == 0 and child.get("anyOf") == _ANY_INT_OR_STRING
        errors += _check_nested(child, level, f"{path}.allOf[{i}]", union)
    for i, child in enumerate(schema.get("oneOf") or []):
        errors += _check_nested(child, level, f"{path}.oneOf[{i}]")
    if schema.get("not") is not None:
        errors += _check_nested(schema["not"], level, f"{path}.not")
    pattern = schema.get("pattern")
    if pattern:
        try:
            regexp.check(pattern)
        except regexp.PatternError as error:
            detail = f"must be a valid regular expression, but isn't: {error}"
            errors.append(invalid(f"{path}.pattern", pattern, detail))
    return errors


def _check_nested(schema: Tree, level: str, path: str, int_or_string: bool = False) -> Errors:
    errors = _check_values(schema, level, path, int_or_string)
    if isinstance(schema.get("items"), dict):
        errors += _check_nested(schema["items"], level, f"{path}.items")
    properties = schema.get("properties") or {}
    for name, child in properties.items():
        errors += _check_nested(child, "field", f"{path}.properties[{name}]")
    for name, detail in _NESTED:
        value = schema.get(name)
        if value or (name in ("default", "additionalProperties") and value is not None):
            errors.append(forbidden(f"{path}.{name}", detail))
    if "metadata" in properties:
        errors.append(forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context"))
    return errors


def _check_complete(outer: Tree | None, schema: Tree, path: str, here: str) -> Errors:
    """Whatever a restriction talks about (``schema`` at ``here``) is also part of the shape (``outer`` at ``path``)."""
    errors: Errors = []
    for name in ("allOf", "anyOf", "oneOf"):
        for i, child in enumerate(schema.get(name) or ()):
            errors += _complete(outer, child, path, f"{here}.{name}[{i}]")
    if schema.get("not") is not None:
        errors += _complete(outer, schema["not"], path, f"{here}.not")
    if schema is outer:
        for name, child in (schema.get("properties") or {}).items():
            errors += _check_complete(child, child, f"{path}.properties[{name}]", f"{here}.properties[{name}]")
        for name in ("items", "additionalProperties"):
            child = schema.get(name)
            if isinstance(child, dict):
                errors += _check_complete(child, child, f"{path}.{name}", f"{here}.{name}")
    return errors


def _complete(outer: Tree | None, nested: Tree, path: str, here: str) -> Errors:
    errors = _check_complete(outer, nested, path, here)
    shape = outer or {}
    for name, child in (nested.get("properties") or {}).items():
        found = (shape.get("properties") or {}).get(name)
        where = f"{path}.properties[{name}]"
        if found is None:
            errors.append(required(where, f"because it is defined in {here}.properties[{name}]"))
        else:
            errors += _complete(found, child, where, f"{here}.properties[{name}]")
    items = nested.get("items")
    if isinstance(items, dict):
        found = shape.get("items")
        if not isinstance(found, dict):
            errors.append(required(f"{path}.items", f"because it is defined in {here}.items"))
        else:
            errors += _complete(found, items, f"{path}.items", f"{here}.items")
    return errors


# -- unknown fields ---------------------------------------------------------------------------------------------------


def prune(tree: Tree, schema: Tree) -> list[str]:
    """Drops what the schema does not specify; returns the paths of what was dropped, in order."""
    dropped: list[str] = []
    _prune(tree, schema, "", True, dropped)
    return sorted(dropped)


def _prune(value: Any, schema: Tree | None, path: str, resource: bool, dropped: list[str]) -> None:
    if schema is not None:
        resource = resource or bool(schema.get(_EMBEDDED))
    if isinstance(value, list):
        items = schema.get("items") if schema is not None else None
        if schema is None or isinstance(items, dict) or not schema.get(_PRESERVE):
            for i, item in enumerate(value):
                _prune(item, items if isinstance(items, dict) else None, f"{path}[{i}]", False, dropped)
        return
    if not isinstance(value, dict):
        return
    properties = (schema.get("properties") or {}) if schema is not None else {}
    more = schema.get("additionalProperties") if schema is not None else None
    for name in list(value):
        where = f"{path}.{name}" if path else name
        if resource and name in META_FIELDS:
            continue
        if name in properties:
            _prune(value[name], properties[name], where, False, dropped)
        elif more is not None and more is not False:
            below = more if isinstance(more, dict) else None
            if below is not None or not (schema or {}).get(_PRESERVE):
                _prune(value[name], below, where, False, dropped)
        elif schema is None or not schema.get(_PRESERVE):
            del value[name]
            dropped.append(where)


# -- defaults ---------------------------------------------------------------------------------------------------------


def default(tree: Tree, schema: Tree) -> None:
    """Sets declared defaults where a field is absent, or null though it may not be; other such nulls are dropped."""
    _drop_nulls(tree, schema)
    _default(tree, schema)


def _not_null(schema: Any) -> bool:
    return isinstance(schema, dict) and not schema.get("nullable") and not schema.get(_PRESERVE)


def _drop_nulls(value: Any, schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for name in list(value):
            below = properties.get(name, more)
            if value[name] is None and isinstance(below, dict) and _not_null(below) and "default" not in below:
                del value[name]
            else:
                _drop_nulls(value[name], below)
    elif isinstance(value, list):
        for item in value:
            _drop_nulls(item, schema.get("items"))


def _default(value: Any, schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, child in properties.items():
            if "default" in child and (name not in value or (value[name] is None and _not_null(child))):
                value[name] = trees.copy(child["default"])
        for name in value:
            if name in properties:
                _default(value[name], properties[name])
            elif isinstance(more, dict):
                if value[name] is None and _not_null(more) and "default" in more:
                    value[name] = trees.copy(more["default"])
                _default(value[name], more)
    elif isinstance(value, list):
        items = schema.get("items")
        for i, item in enumerate(value):
            if item is None and isinstance(items, dict) and _not_null(items) and "default" in items:
                value[i] = trees.copy(items["default"])
            _default(value[i], items)
