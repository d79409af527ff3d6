"""Validation of CustomResourceDefinitions: names, versions, conversion, columns and subresources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pelamis.api.admissionregistration.webhook import check_service, check_url
from pelamis.api.apiextensions.schemavalidation import validate_schema
from pelamis.api.apiextensions.selector import schema_at, steps
from pelamis.api.check import Errors, as_go, check_immutable, check_required_choice, check_text
from pelamis.api.field import Tree
from pelamis.base import jsonpath, names
from pelamis.base.errors import (
    duplicate,
    forbidden,
    invalid,
    required,
    too_many,
)

if TYPE_CHECKING:
    from pelamis.api.apiextensions.customresourcedefinition import (
        CustomResourceColumnDefinition,
        CustomResourceConversion,
        CustomResourceDefinition,
        CustomResourceDefinitionNames,
        CustomResourceDefinitionSpec,
        CustomResourceDefinitionVersion,
        CustomResourceSubresources,
        SelectableField,
    )

APPROVED = "api-approved.kubernetes.io"
_APPROVAL = "see https://github.com/kubernetes/enhancements/pull/1111"
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_REVIEW_VERSIONS = ("v1", "v1beta1")
_MOST_SELECTABLE = 8


def _tree(obj: Any) -> Tree:
    tree: Tree = msgspec.json.decode(msgspec.json.encode(obj))
    return tree


def schema_tree(version: CustomResourceDefinitionVersion) -> Tree | None:
    """The JSON tree of the version's schema."""
    if version.schema is None or version.schema.openAPIV3Schema is None:
        return None
    return _tree(version.schema.openAPIV3Schema)


def is_established(obj: CustomResourceDefinition) -> bool:
    return any(c.type == "Established" and c.status == "True" for c in obj.status.conditions)


# -- the whole definition ---------------------------------------------------------------------------------------------


def validate(obj: CustomResourceDefinition) -> Errors:
    expected = f"{obj.spec.names.plural}.{obj.spec.group}"
    errors: Errors = []
    if obj.metadata.name and obj.metadata.name != expected:
        errors.append(invalid("metadata.name", obj.metadata.name, 'must be spec.names.plural+"."+spec.group'))
    errors += _validate_spec(obj.spec, None)
    errors += _validate_stored(obj)
    errors += _validate_approval(obj, None)
    if obj.spec.preserveUnknownFields:
        errors.append(_preserve(obj))
    return errors


def _preserve(obj: CustomResourceDefinition) -> Any:
    detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
    return invalid("spec.preserveUnknownFields", True, detail)


def validate_update(obj: CustomResourceDefinition, old: CustomResourceDefinition) -> Errors:
    new, was = obj.spec, old.spec
    errors = _validate_spec(new, was)
    if is_established(old):
        errors += check_immutable(new.scope, was.scope, "spec.scope")
        errors += check_immutable(new.names.kind, was.names.kind, "spec.names.kind")
    errors += check_immutable(new.group, was.group, "spec.group")
    errors += check_immutable(new.names.plural, was.names.plural, "spec.names.plural")
    errors += _validate_names(obj.status.acceptedNames, "status.acceptedNames")
    errors += _validate_stored(obj)
    errors += _validate_approval(obj, old)
    if new.preserveUnknownFields and not was.preserveUnknownFields:
        errors.append(_preserve(obj))
    return errors


def validate_status_update(obj: CustomResourceDefinition, old: CustomResourceDefinition) -> Errors:
    return _validate_names(obj.status.acceptedNames, "status.acceptedNames")


def _validate_stored(obj: CustomResourceDefinition) -> Errors:
    path, stored = "status.storedVersions", obj.status.storedVersions
    if not stored:
        return [invalid(path, stored or None, "must have at least one stored version")]
    errors: Errors = []
    known = {v.name for v in obj.spec.versions}
    for version in obj.spec.versions:
        if version.storage and version.name not in stored:
            errors.append(invalid(path, stored, f"must have the storage version {version.name}"))
    for i, name in enumerate(stored):
        if name not in known:
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            errors.append(invalid(f"{path}[{i}]", name, detail))
    return errors


def approval(obj: CustomResourceDefinition) -> tuple[str, str]:
    """(state, reason): state is ``""`` for unprotected groups, else bypassed, approved, missing or invalid."""
    group = obj.spec.group
    if group not in ("k8s.io", "kubernetes.io") and not group.endswith((".k8s.io", ".kubernetes.io")):
        return "", ""
    value = obj.metadata.annotations.get(APPROVED, "")
    if not value:
        return "missing", f'protected groups must have approval annotation "{APPROVED}", {_APPROVAL}'
    if value.startswith("unapproved"):
        return "bypassed", f'not approved: "{value}"'
    url = urlsplit(value)
    if url.scheme and url.netloc:
        return "approved", f"approved in {value}"
    how = 'with either a URL or a reason starting with "unapproved"'
    return "invalid", f'protected groups must have approval annotation "{APPROVED}" {how}, {_APPROVAL}'


def _validate_approval(obj: CustomResourceDefinition, old: CustomResourceDefinition | None) -> Errors:
    state, reason = approval(obj)
    if old is not None and state in ("missing", "invalid") and approval(old)[0] == state:
        return []
    path = f"metadata.annotations[{APPROVED}]"
    if state == "missing":
        return [required(path, reason)]
    if state == "invalid":
        return [invalid(path, obj.metadata.annotations[APPROVED], reason)]
    return []


def _validate_spec(spec: CustomResourceDefinitionSpec, was: CustomResourceDefinitionSpec | None) -> Errors:
    errors: Errors = []
    known = {v.name: v.schema for v in was.versions} if was is not None else {}
    wrong = names.is_dns1123_subdomain(spec.group)
    if not spec.group:
        errors.append(required("spec.group"))
    elif wrong:
        errors.append(invalid("spec.group", spec.group, ",".join(wrong)))
    elif "." not in spec.group:
        errors.append(invalid("spec.group", spec.group, "should be a domain with at least one dot"))
    errors += check_required_choice(spec.scope, "spec.scope", ("Cluster", "Namespaced"))
    for i, version in enumerate(spec.versions):
        if version.schema is None or version.schema.openAPIV3Schema is None:
            errors.append(required(f"spec.versions[{i}].schema.openAPIV3Schema"))
    shared = _shared(spec.versions)
    for i, version in enumerate(spec.versions):
        path = f"spec.versions[{i}]"
        wrong = names.is_dns1035_label(version.name)
        if wrong:
            errors.append(invalid(f"{path}.name", version.name, ",".join(wrong)))
        errors += _validate_warning(version, f"{path}.deprecationWarning")
        places = {name: f"{path}.{name}" for name in _HOISTED if name not in shared}
        errors += _validate_version(version, places, version.schema == known.get(version.name))
    if len({v.name for v in spec.versions}) != len(spec.versions):
        errors.append(invalid("spec.versions", _shown(spec, shared), "must contain unique version names"))
    if sum(v.storage for v in spec.versions) != 1:
        detail = "must have exactly one version marked as storage version"
        errors.append(invalid("spec.versions", _shown(spec, shared), detail))
    if spec.versions:
        wrong = names.is_dns1035_label(spec.versions[0].name) if spec.versions[0].name else []
        if wrong:
            errors.append(invalid("spec.version", spec.versions[0].name, ",".join(wrong)))
    for name in ("plural", "singular", "kind", "listKind"):
        if not getattr(spec.names, name):
            errors.append(required(f"spec.names.{name}"))
    errors += _validate_names(spec.names, "spec.names")
    if spec.versions:
        first = spec.versions[0]
        places = {name: f"spec.{_HOISTED[name]}" for name in shared}
        errors += _validate_version(first, places, first.schema == known.get(first.name))
    if spec.conversion is not None:
        if spec.conversion.strategy != "None" and spec.preserveUnknownFields:
            detail = "must be None if spec.preserveUnknownFields is true"
            errors.append(invalid("spec.conversion.strategy", spec.conversion.strategy, detail))
        errors += _validate_conversion(spec.conversion, "spec.conversion")
    return errors


def _validate_names(given: CustomResourceDefinitionNames, path: str) -> Errors:
    errors: Errors = []
    for name in ("plural", "singular"):
        value = getattr(given, name)
        wrong = names.is_dns1035_label(value) if value else []
        if wrong:
            errors.append(invalid(f"{path}.{name}", value, ",".join(wrong)))
    for name in ("kind", "listKind"):
        value = getattr(given, name)
        wrong = names.is_dns1035_label(value.lower()) if value else []
        if wrong:
            detail = "may have mixed case, but should otherwise match: " + ",".join(wrong)
            errors.append(invalid(f"{path}.{name}", value, detail))
    for name, values in (("shortNames", given.shortNames), ("categories", given.categories)):
        for i, value in enumerate(values):
            wrong = names.is_dns1035_label(value)
            if wrong:
                errors.append(invalid(f"{path}.{name}[{i}]", value, ",".join(wrong)))
    if given.kind and given.kind == given.listKind:
        errors.append(invalid(f"{path}.listKind", given.listKind, "kind and listKind may not be the same"))
    return errors


def _validate_conversion(conversion: CustomResourceConversion, path: str) -> Errors:
    errors = check_required_choice(conversion.strategy, f"{path}.strategy", ("None", "Webhook"))
    webhook = conversion.webhook
    if conversion.strategy != "Webhook":
        detail = "should not be set when strategy is not set to Webhook"
        if webhook is not None and webhook.clientConfig is not None:
            errors.append(forbidden(f"{path}.webhookClientConfig", detail))
        if webhook is not None and webhook.conversionReviewVersions:
            errors.append(forbidden(f"{path}.conversionReviewVersions", detail))
        return errors
    where = f"{path}.webhookClientConfig"
    client = webhook.clientConfig if webhook is not None else None
    if client is None:
        errors.append(required(where, "required when strategy is set to Webhook"))
    elif (client.url is None) == (client.service is None):
        errors.append(required(where, "exactly one of url or service is required"))
    elif client.url is not None:
        errors += check_url(client.url, f"{where}.url", force_https=True)
    elif client.service is not None:
        errors += check_service(client.service, f"{where}.service")
    versions = webhook.conversionReviewVersions if webhook is not None else ()
    return errors + _validate_review_versions(versions, f"{path}.conversionReviewVersions")


def _validate_review_versions(versions: tuple[str, ...], path: str) -> Errors:
    if not versions:
        return [required(path)]
    errors: Errors = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errors.append(invalid(f"{path}[{i}]", version, "duplicate version"))
        else:
            errors += check_text(names.is_dns1035_label, version, f"{path}[{i}]")
    if not set(versions) & set(_REVIEW_VERSIONS):
        detail = "must include at least one of " + ", ".join(_REVIEW_VERSIONS)
        errors.append(invalid(path, versions, detail))
    return errors


# -- one version ------------------------------------------------------------------------------------------------------


_HOISTED = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}
"""What upstream holds once, in front of the versions, while they all have the same: its name there."""


def _shared(versions: tuple[CustomResourceDefinitionVersion, ...]) -> frozenset[str]:
    first = versions[0] if versions else None
    return frozenset(n for n in _HOISTED if all(getattr(v, n) == getattr(first, n) for v in versions))


def _shown(spec: CustomResourceDefinitionSpec, shared: frozenset[str]) -> Any:
    """The versions as messages show them, without what stands in front of them."""
    shown = as_go(spec.versions)
    for version in shown or ():
        for name in shared:
            version[name[:1].upper() + name[1:]] = None
    return shown


def _validate_version(version: CustomResourceDefinitionVersion, places: dict[str, str], unchanged: bool) -> Errors:
    """``places``: what of it is looked at, and the paths."""
    errors: Errors = []
    schema = schema_tree(version)
    if schema is not None and "schema" in places:
        with_status = version.subresources is not None and version.subresources.status is not None
        errors += validate_schema(schema, with_status, places["schema"], unchanged)
    if version.subresources is not None and "subresources" in places:
        errors += _validate_scale(version.subresources, f"{places['subresources']}.scale")
    if "additionalPrinterColumns" in places:
        for i, column in enumerate(version.additionalPrinterColumns):
            errors += _validate_column(column, f"{places['additionalPrinterColumns']}[{i}]")
    if version.selectableFields and "selectableFields" in places:
        where = places["selectableFields"]
        if schema is None and where == "spec.selectableFields":
            errors.append(invalid(where, "", "may only be set when validations.schema is included"))
        elif schema is None:
            detail = "selectableFields may only be set when version.schema.openAPIV3Schema is not included"
            errors.append(invalid(where, "", detail))
        else:
            errors += _validate_selectable(version.selectableFields, schema, where)
    return errors


def _validate_warning(version: CustomResourceDefinitionVersion, path: str) -> Errors:
    warning = version.deprecationWarning
    if warning is None:
        return []
    if not version.deprecated:
        return [invalid(path, warning, "can only be set for deprecated versions")]
    details: list[str] = []
    if len(warning.encode()) > 256:
        details.append("must be <= 256 characters long")
    if not warning:
        details.append("must not be an empty string")
    bad = next((i for i, c in enumerate(warning) if not c.isprintable()), None)
    if bad is not None:
        shown = len(warning[:bad].encode())
        details.append(f"must only contain printable UTF-8 characters; non-printable character found at index {shown}")
    return [invalid(path, warning, detail) for detail in details]


def _check_path(path: str, where: str) -> Errors:
    """A path of a column or of the scale subresource."""
    if not path:
        return [invalid(where, path, "must not be empty")]
    if not path.startswith("."):
        return [invalid(where, path, "must be a simple json path starting with .")]
    try:
        jsonpath.compile_path(path)
    except jsonpath.JSONPathError as error:
        return [invalid(where, path, f"is an invalid path: {error}")]
    return []


def _validate_scale(subresources: CustomResourceSubresources, path: str) -> Errors:
    scale = subresources.scale
    if scale is None:
        return []
    errors: Errors = []
    for name, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        value, where = getattr(scale, name), f"{path}.{name}"
        if not value:
            errors.append(required(where))
        elif wrong := _check_path(value, where):
            errors += wrong
        elif not value.startswith(root + "."):
            errors.append(invalid(where, value, f"should be a json path under {root}"))
    selector = scale.labelSelectorPath
    if selector:
        where = f"{path}.labelSelectorPath"
        wrong = _check_path(selector, where)
        errors += wrong
        if not wrong and not selector.startswith((".spec.", ".status.")):
            errors.append(invalid(where, selector, "should be a json path under either .spec or .status"))
    return errors


def _validate_column(column: CustomResourceColumnDefinition, path: str) -> Errors:
    errors: Errors = [] if column.name else [required(f"{path}.name")]
    detail = "must be one of " + ",".join(_COLUMN_TYPES)
    if not column.type:
        errors.append(required(f"{path}.type", detail))
    elif column.type not in _COLUMN_TYPES:
        errors.append(invalid(f"{path}.type", column.type, detail))
    if column.format and column.format not in _COLUMN_FORMATS:
        errors.append(invalid(f"{path}.format", column.format, "must be one of " + ",".join(_COLUMN_FORMATS)))
    if not column.jsonPath:
        return [*errors, required(f"{path}.JSONPath")]
    return errors + _check_path(column.jsonPath, f"{path}.JSONPath")


def _validate_selectable(fields: tuple[SelectableField, ...], schema: Tree, path: str) -> Errors:
    errors: Errors = []
    seen: set[tuple[str, ...]] = set()
    for i, entry in enumerate(fields):
        where = f"{path}[{i}].jsonPath"
        if not entry.jsonPath:
            errors.append(required(where))
            continue
        if not entry.jsonPath.startswith((".", "[")):
            detail = f"is an invalid path: expected [ or . but got: {entry.jsonPath}"
            errors.append(invalid(where, entry.jsonPath, detail))
            continue
        found = steps(entry.jsonPath)
        target = schema_at(schema, found) if found is not None else None
        if found is None or target is None:
            errors.append(invalid(where, entry.jsonPath, "is an invalid path: does not refer to a valid field"))
            continue
        if found[0] == "metadata":
            errors.append(invalid(where, entry.jsonPath, "must not point to fields in metadata"))
        if target.get("type") not in ("string", "boolean", "integer"):
            detail = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with "
                "formats are allowed."
            )
            errors.append(invalid(where, entry.jsonPath, detail))
        if tuple(found) in seen:
            errors.append(duplicate(where, entry.jsonPath))
        seen.add(tuple(found))
    if len(seen) > _MOST_SELECTABLE:
        errors.append(too_many(path, len(seen), _MOST_SELECTABLE))
    return errors
