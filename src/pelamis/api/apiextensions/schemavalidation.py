"""Validation of the schemas of CustomResourceDefinitions.

They are checked as JSON trees: first whether they are structural, then the declared defaults, then the OpenAPI subset
and the Kubernetes extensions. Rules in CEL are compiled, and what they cost is estimated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from pelamis.api.apiextensions import rules, structural
from pelamis.api.apiextensions.declared import cardinality, declare
from pelamis.api.apiextensions.selector import schema_at, steps
from pelamis.api.check import Errors
from pelamis.api.field import Tree
from pelamis.base import tree as trees
from pelamis.base.errors import forbidden, invalid, not_supported, required

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_AT_ROOT = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern "
    "MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields "
    "XValidations"
)
_ROOT_NAMES = {name[:1].lower() + name[1:] for name in _AT_ROOT.split()} | {
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema we are. no_default: why a default may not stand here."""

    in_metadata: bool = False
    no_default: str = ""
    uncorrelatable: str | None = None
    """The list around us in which an old item cannot be found."""
    count: int | None = 1
    """How often a value can stand here; None = without limit."""
    costs: list[tuple[int, str]] = field(default_factory=list)
    """Of all rules of the schema. Grows."""
    free: bool = False
    """The schema did not change, so that no rule is refused for what it costs."""


def validate_schema(schema: Tree, with_status: bool, path: str, free: bool) -> Errors:
    path = f"{path}.openAPIV3Schema"
    errors: Errors = []
    if with_status:
        errors += _validate_root(schema, path)
    if schema.get("nullable"):
        errors.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    shape = structural.check_structural(schema, path)
    errors += shape or _validate_defaults(schema, path, root=True)
    place = _Place(free=free)
    errors += _validate_openapi(schema, path, place, root=True)
    return errors if free else errors + rules.check_costs(place.costs, path)


def _validate_root(schema: Tree, path: str) -> Errors:
    if schema.get("type", "") not in ("", "object"):
        detail = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        return [invalid(f"{path}.type", schema["type"], detail)]
    if set(schema) <= _ROOT_NAMES | {"nullable", "default"}:
        return []
    allowed = "[" + _AT_ROOT + "]"
    detail = f"only {allowed} fields are allowed at the root of the schema if the status subresource is enabled"
    return [invalid(path, schema, detail)]


def _validate_defaults(schema: Tree, path: str, *, root: bool = False) -> Errors:
    """Each declared default is complete, has no unknown field, and fits its schema."""
    errors: Errors = []
    if schema.get("default") is not None and not root:
        value = trees.copy({"value": schema["default"]})
        wrapped = {"properties": {"value": schema}}
        dropped = structural.prune({"spec": value}, {"properties": {"spec": wrapped}})
        if dropped:
            errors.append(invalid(f"{path}.default", schema["default"], "must not have unknown fields"))
        else:
            structural.default(value, {"properties": {"value": {k: v for k, v in schema.items() if k != "default"}}})
            errors += [
                replace(
                    e,
                    field=f"{path}.default{e.field.removeprefix('value')}",
                    detail=re.sub(r"^value(?: in body|\.)", lambda m: m[0][5:].removeprefix("."), e.detail),
                )
                for e in structural.validate(value["value"], schema, "value")
            ]
    for name, child in (schema.get("properties") or {}).items():
        errors += _validate_defaults(child, f"{path}.properties[{name}]")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            errors += _validate_defaults(schema[name], f"{path}.{name}")
    return errors


def _validate_openapi(schema: Tree, path: str, place: _Place, *, root: bool = False) -> Errors:
    errors = _validate_node(schema, path, place)
    factor = cardinality(schema)
    inside = replace(place, count=None if place.count is None or factor is None else place.count * factor)
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    if more is not None and properties and (more is False or isinstance(more, dict)):
        detail = "additionalProperties and properties are mutual exclusive"
        errors.append(forbidden(f"{path}.additionalProperties", detail))
    if isinstance(more, dict):
        below = inside
        if place.in_metadata:
            below = replace(
                below, in_metadata=True, no_default="inside additionalProperties applying to object metadata"
            )
        errors += _validate_openapi(more, f"{path}.additionalProperties", below)
    resource = root or schema.get("x-kubernetes-embedded-resource")
    for name, child in properties.items():
        below = inside
        if resource and name in structural.META_FIELDS:
            below = replace(below, in_metadata=True, no_default=f"in top-level {name}" if root else place.no_default)
        errors += _validate_openapi(child, f"{path}.properties[{name}]", below)
    if schema.get("not") is not None:
        errors += _validate_openapi(schema["not"], f"{path}.not", place)
    for name in ("allOf", "oneOf", "anyOf"):
        for i, child in enumerate(schema.get(name) or ()):
            errors += _validate_openapi(child, f"{path}.{name}[{i}]", place)
    if isinstance(schema.get("items"), dict):
        below = inside
        if schema.get("x-kubernetes-list-type") != "map" and place.uncorrelatable is None:
            below = replace(below, uncorrelatable=path)
        errors += _validate_openapi(schema["items"], f"{path}.items", below)
    return errors + _validate_extensions(schema, path) + _validate_rules(schema, path, place, bool(resource))


def _validate_node(schema: Tree, path: str, place: _Place) -> Errors:
    errors: Errors = []
    if "default" in schema and place.no_default:
        errors.append(forbidden(f"{path}.default", f"must not be set {place.no_default}"))
    for name in _UNSUPPORTED:
        if schema.get(name) not in (None, "", {}):
            errors.append(forbidden(f"{path}.{name}", f"{name} is not supported"))
    kind = schema.get("type", "")
    if kind == "null":
        errors.append(forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    elif kind and kind not in _TYPES:
        errors.append(not_supported(f"{path}.type", kind, _TYPES))
    if isinstance(schema.get("items"), list):
        errors.append(forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if place.in_metadata and schema.get("x-kubernetes-embedded-resource"):
        where = f"{path}.x-kubernetes-embedded-resource"
        errors.append(forbidden(where, "must not be used inside of resource meta"))
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(forbidden(f"{path}.uniqueItems", detail))
    return errors


def _validate_extensions(schema: Tree, path: str) -> Errors:
    errors: Errors = []
    kind = schema.get("type", "")
    preserve, map_type = schema.get("x-kubernetes-preserve-unknown-fields"), schema.get("x-kubernetes-map-type")
    if preserve is False:
        where = f"{path}.x-kubernetes-preserve-unknown-fields"
        errors.append(invalid(where, preserve, "must be true or undefined"))
    list_type = schema.get("x-kubernetes-list-type")
    for name, value, wanted in (("map", map_type, "object"), ("list", list_type, "array")):
        if value is not None and kind != wanted:
            detail = f"must be {wanted} if x-kubernetes-{name}-type is specified"
            errors.append(invalid(f"{path}.type", kind, detail) if kind else required(f"{path}.type", detail))
    if map_type is not None and map_type not in ("atomic", "granular"):
        errors.append(not_supported(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular")))
    items = schema.get("items") if isinstance(schema.get("items"), dict) else None
    if list_type == "set" and kind == "array" and items is not None:
        detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
        if items.get("type") == "array" and items.get("x-kubernetes-list-type", "atomic") != "atomic":
            where = f"{path}.items.x-kubernetes-list-type"
            errors.append(invalid(where, items["x-kubernetes-list-type"], detail))
        if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
            errors.append(invalid(f"{path}.items.x-kubernetes-map-type", items.get("x-kubernetes-map-type"), detail))
    where = f"{path}.x-kubernetes-list-type"
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        errors.append(not_supported(where, list_type, ("atomic", "set", "map")))
    if schema.get("x-kubernetes-list-map-keys") and list_type != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        errors.append(required(where, detail) if list_type is None else invalid(where, list_type, detail))
    if list_type == "map":
        errors += _validate_map_list(schema, items, path)
    if list_type in ("set", "map") and items is not None and items.get("nullable"):
        detail = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
        errors.append(forbidden(f"{path}.items.nullable", detail))
    return errors


def _validate_map_list(schema: Tree, items: Tree | None, path: str) -> Errors:
    errors: Errors = []
    keys, where = schema.get("x-kubernetes-list-map-keys") or [], f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        errors.append(required(where, "must not be empty if x-kubernetes-list-type is map"))
    if schema.get("items") is None:
        errors.append(required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
    if items is None:
        return errors
    if items.get("type", "") != "object":
        detail = "must be object if parent array's x-kubernetes-list-type is map"
        return [*errors, invalid(f"{path}.items.type", items.get("type", ""), detail)]
    properties, wanted = items.get("properties") or {}, items.get("required") or ()
    for i, key in enumerate(keys):
        found = properties.get(key)
        if found is None:
            errors.append(invalid(where, keys, "entries must all be names of item properties"))
        elif found.get("type") in ("array", "object"):
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            errors.append(invalid(f"{path}.items.properties[{key}].type", items["type"], detail))
        if key in keys[:i]:
            errors.append(invalid(where, keys, "must not contain duplicate entries"))
    for key in keys:
        found = properties.get(key)
        if found is None:
            continue
        below = f"{path}.items.properties[{key}]"
        if key not in wanted and "default" not in found:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            errors.append(required(f"{below}.default", detail))
        if found.get("nullable"):
            detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            errors.append(forbidden(f"{below}.nullable", detail))
    return errors


def _validate_rules(schema: Tree, path: str, place: _Place, resource: bool) -> Errors:
    """The rules in CEL: their form, whether they compile, and what they cost."""
    declared_rules = schema.get("x-kubernetes-validations")
    if not declared_rules:
        return []
    errors: Errors = []
    declared = declare(schema, resource=resource)
    where_declared = rules.Place(declared, place.count, place.uncorrelatable, place.costs, place.free)
    reasons = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
    for i, rule in enumerate(declared_rules):
        where = f"{path}.x-kubernetes-validations[{i}]"
        text, message = rule.get("rule", "").strip(), rule.get("message", "")
        if not text:
            errors.append(required(f"{where}.rule", "rule is not specified"))
        elif message and not message.strip():
            errors.append(invalid(f"{where}.message", message, "message must be non-empty if specified"))
        elif _has_break(message.strip()):
            errors.append(invalid(f"{where}.message", message, "message must not contain line breaks"))
        elif _has_break(text) and not message:
            detail = "message must be specified if rule contains line breaks"
            errors.append(required(f"{where}.message", detail))
        expression = rule.get("messageExpression", "")
        if expression and not expression.strip():
            detail = "messageExpression must be non-empty if specified"
            errors.append(required(f"{where}.messageExpression", detail))
        if rule.get("reason") is not None and rule["reason"] not in reasons:
            errors.append(not_supported(f"{where}.reason", rule["reason"], reasons))
        errors += _validate_rule_path(schema, rule.get("fieldPath", ""), f"{where}.fieldPath")
        if text:
            errors += rules.check_rule(rule, where, where_declared)
    return errors


def _has_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def _validate_rule_path(schema: Tree, target: str, where: str) -> Errors:
    if not target:
        return []
    errors: Errors = []
    if not target.strip():
        errors.append(invalid(where, target, "fieldPath must be non-empty if specified"))
    if _has_break(target):
        errors.append(invalid(where, target, "fieldPath must not contain line breaks"))
    found = steps(target)
    if found is None or schema_at(schema, found) is None:
        errors.append(invalid(where, target, "fieldPath must be a valid path"))
    return errors
