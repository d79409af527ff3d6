"""Checks that all kinds share: ObjectMeta on create and update, labels, annotations, selectors.

Each function takes the path of what it checks and returns field errors with upstream's texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pelamis.api.meta import LabelSelector, ManagedFieldsEntry, ObjectMeta, OwnerReference
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, required, too_long

IMMUTABLE = "field is immutable"
ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes of all annotation keys and values of one object together."""
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_REASON = re.compile("[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_REASON_MESSAGE = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_'"
)
_REASON_EXAMPLES = ("my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB")
_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
NameCheck = Callable[[str], Sequence[str]]


def validate_create(
    metadata: ObjectMeta, namespaced: bool, name_check: NameCheck | None = None, field: str = "metadata"
) -> list[FieldError]:
    """metadata: with the generated name already in place. name_check: messages about a name; DNS subdomain if None."""
    check = name_check or names.is_dns1123_subdomain
    errors: list[FieldError] = []
    if metadata.generateName:
        # a generateName is only a prefix: checked as the name would be whose suffix has yet to come
        prefix = metadata.generateName
        masked = prefix[:-1] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix
        if wrong := check(masked):
            errors.extend(invalid(f"{field}.generateName", prefix, m) for m in wrong)
    if not metadata.name:
        errors.append(required(f"{field}.name", "name or generateName is required"))
    elif wrong := check(metadata.name):
        errors.extend(invalid(f"{field}.name", metadata.name, m) for m in wrong)
    if namespaced:
        if not metadata.namespace:
            errors.append(required(f"{field}.namespace"))
        elif wrong := names.is_dns1123_label(metadata.namespace):
            errors.extend(invalid(f"{field}.namespace", metadata.namespace, m) for m in wrong)
    elif metadata.namespace:
        errors.append(forbidden(f"{field}.namespace", "not allowed on this type"))
    if metadata.generation < 0:
        errors.append(invalid(f"{field}.generation", metadata.generation, "must be greater than or equal to 0"))
    errors += _common(metadata, field)
    if metadata.finalizers:
        errors += validate_finalizers(metadata.finalizers, f"{field}.finalizers")
    return errors


def validate_update(metadata: ObjectMeta, old: ObjectMeta, field: str = "metadata") -> list[FieldError]:
    """What may not change, and what must hold after any change. The resourceVersion is the server's to check."""
    errors: list[FieldError] = []
    if old.deletionTimestamp is not None:
        errors.extend(validate_no_new_finalizers(metadata.finalizers, old.finalizers, f"{field}.finalizers"))
    if metadata.generation < old.generation:
        errors.append(invalid(f"{field}.generation", metadata.generation, "must not be decremented"))
    for name in _FIXED:
        new = getattr(metadata, name)
        if new != getattr(old, name):
            errors.append(invalid(f"{field}.{name}", new, IMMUTABLE))
    return errors + _common(metadata, field)


def _common(metadata: ObjectMeta, field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if metadata.labels:
        errors.extend(validate_labels(metadata.labels, f"{field}.labels"))
    if metadata.annotations:
        errors.extend(validate_annotations(metadata.annotations, f"{field}.annotations"))
    if metadata.ownerReferences:
        errors.extend(validate_owner_references(metadata.ownerReferences, f"{field}.ownerReferences"))
    if metadata.managedFields:
        errors.extend(validate_managed_fields(metadata.managedFields, f"{field}.managedFields"))
    return errors


def validate_labels(labels: Mapping[str, str], field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in labels.items():
        if wrong := names.is_qualified_name(key):
            errors.extend(invalid(field, key, m) for m in wrong)
        if wrong := names.is_valid_label_value(value):
            errors.extend(invalid(field, value, m) for m in wrong)
    return errors


def validate_label_name(key: str, field: str) -> list[FieldError]:
    return [invalid(field, key, m) for m in names.is_qualified_name(key)]


def validate_annotations(annotations: Mapping[str, str], field: str) -> list[FieldError]:
    """Keys are names in any case; all keys and values together are limited."""
    errors = [invalid(field, key, m) for key in annotations for m in names.is_qualified_name(key.lower())]
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > ANNOTATIONS_LIMIT:
        errors.append(too_long(field, ANNOTATIONS_LIMIT))
    return errors


def validate_finalizer_name(name: str, field: str) -> list[FieldError]:
    return [invalid(field, name, m) for m in names.is_qualified_name(name)]


def validate_finalizers(finalizers: Sequence[str], field: str) -> list[FieldError]:
    errors = [e for name in finalizers for e in validate_finalizer_name(name, field)]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(invalid(field, list(finalizers), text))
    return errors


_STANDARD_FINALIZERS = ("kubernetes", ORPHAN, FOREGROUND)


def validate_known_finalizers(finalizers: Sequence[str], field: str) -> list[FieldError]:
    why = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid(f"{field}[{i}]", name, why)
        for i, name in enumerate(finalizers)
        if "/" not in name and name not in _STANDARD_FINALIZERS
    ]


def validate_no_new_finalizers(new: Sequence[str], old: Sequence[str], field: str) -> list[FieldError]:
    extra = sorted(set(new) - set(old))
    if not extra:
        return []
    shown = ", ".join(f'"{name}"' for name in extra)
    text = "no new finalizers can be added if the object is being deleted, found new finalizers []string{" + shown + "}"
    return [forbidden(field, text)]


def validate_owner_references(references: Sequence[OwnerReference], field: str) -> list[FieldError]:
    """At most one reference is the controller's."""
    errors: list[FieldError] = []
    controller = ""
    for ref in references:
        if not ref.apiVersion or ref.apiVersion.endswith("/"):
            errors.append(invalid(f"{field}.apiVersion", ref.apiVersion, "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not getattr(ref, name):
                errors.append(invalid(f"{field}.{name}", "", "must not be empty"))
        if ref.apiVersion == "v1" and ref.kind == "Event":
            errors.append(invalid(field, ref, "/v1, Kind=Event is disallowed from being an owner"))
        if ref.controller:
            this = f"{ref.kind}/{ref.name}"
            if controller:
                text = 'Only one reference can have Controller set to true. Found "true" in references for'
                errors.append(invalid(field, list(references), f"{text} {controller} and {this}"))
            else:
                controller = this
    return errors


def validate_managed_fields(entries: Sequence[ManagedFieldsEntry], field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, entry in enumerate(entries):
        at = f"{field}[{i}]"
        if entry.operation not in ("Apply", "Update"):
            errors.append(invalid(f"{at}.operation", entry.operation, "must be `Apply` or `Update`"))
        if entry.fieldsType and entry.fieldsType != "FieldsV1":
            errors.append(invalid(f"{at}.fieldsType", entry.fieldsType, "must be `FieldsV1`"))
        errors.extend(validate_field_manager(entry.manager, f"{at}.manager"))
        if len(entry.subresource) > 256:
            errors.append(too_long(f"{at}.subresource", 256))
    return errors


def validate_field_manager(manager: str, field: str) -> list[FieldError]:
    """At most 128 bytes, all printable."""
    if len(manager) <= 128 and manager.isascii() and manager.isprintable():
        return []
    errors: list[FieldError] = []
    if len(manager.encode()) > 128:
        errors.append(too_long(field, 128))
    at = 0
    for c in manager:
        if not c.isprintable():
            errors.append(invalid(field, manager, f"invalid character U+{ord(c):04X} (at position {at})"))
        at += len(c.encode())
    return errors


def validate_label_selector(
    selector: LabelSelector | None, field: str, *, allow_invalid_values: bool = False
) -> list[FieldError]:
    """allow_invalid_values: values that cannot be a label's are let pass (old objects)."""
    if selector is None:
        return []
    errors = validate_labels(selector.matchLabels, f"{field}.matchLabels") if selector.matchLabels else []
    for i, expression in enumerate(selector.matchExpressions):
        at = f"{field}.matchExpressions[{i}]"
        errors.extend(validate_requirement(expression, at, allow_invalid_values=allow_invalid_values))
    return errors


def validate_requirement(expression: Any, field: str, *, allow_invalid_values: bool = False) -> list[FieldError]:
    """One LabelSelectorRequirement. Upstream checks values where a kind's selector is written, not in old objects."""
    errors: list[FieldError] = []
    if expression.operator in ("In", "NotIn"):
        if not expression.values:
            errors.append(required(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif expression.operator in ("Exists", "DoesNotExist"):
        if expression.values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{field}.values", text))
    else:
        errors.append(invalid(f"{field}.operator", expression.operator, "not a valid selector operator"))
    errors.extend(validate_label_name(expression.key, f"{field}.key"))
    if not allow_invalid_values:
        for i, value in enumerate(expression.values):
            errors.extend(invalid(f"{field}.values[{i}]", value, m) for m in names.is_valid_label_value(value))
    return errors


def validate_conditions(conditions: Sequence[Any], field: str) -> list[FieldError]:
    """metav1.Conditions: types are unique and names, status is one of three, times and reasons are set."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, c in enumerate(conditions):
        at = f"{field}[{i}]"
        if c.type in seen:
            errors.append(duplicate(f"{at}.type", c.type))
        seen.add(c.type)
        errors.extend(validate_label_name(c.type, f"{at}.type"))
        if c.status not in ("True", "False", "Unknown"):
            shown = 'supported values: "False", "True", "Unknown"'
            errors.append(FieldError("FieldValueNotSupported", f"{at}.status", shown, c.status))
        if c.observedGeneration < 0:
            errors.append(
                invalid(f"{at}.observedGeneration", c.observedGeneration, "must be greater than or equal to zero")
            )
        if not c.lastTransitionTime:
            errors.append(required(f"{at}.lastTransitionTime", "must be set"))
        if not c.reason:
            errors.append(required(f"{at}.reason", "must be set"))
        else:
            if not _REASON.fullmatch(c.reason):
                shown = names.regex_error(_REASON_MESSAGE, _REASON.pattern, *_REASON_EXAMPLES)
                errors.append(invalid(f"{at}.reason", c.reason, shown))
            if len(c.reason.encode()) > 1024:
                errors.append(too_long(f"{at}.reason", 1024))
        if len(c.message.encode()) > 32768:
            errors.append(too_long(f"{at}.message", 32768))
    return errors
