"""Makes a Kind, as the server works with, out of one version of a CustomResourceDefinition.

    kind = kind_of(crd, "v1")

Objects of such a kind are ``Custom``; its schema prunes, defaults and validates them. The definition's storage version
is the hub: another served version differs from it in its apiVersion only, or is converted by a webhook, which is for
the server to call. ``declare`` in api.patchschema gives the kind its patch shape (``schema_of`` has the schema).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.apiextensions import embedded, structural
from pelamis.api.apiextensions.crdvalidation import schema_tree
from pelamis.api.apiextensions.customresourcedefinition import (
    CustomResourceColumnDefinition,
    CustomResourceDefinition,
    CustomResourceDefinitionVersion,
)
from pelamis.api.apiextensions.rules import Rules
from pelamis.api.apiextensions.selector import steps, text_at
from pelamis.api.check import Errors
from pelamis.api.custom import Custom
from pelamis.api.field import Tree
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.base import jsonpath
from pelamis.base.clock import human_duration, parse_rfc3339
from pelamis.base.errors import BadRequest

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_AGE = CustomResourceColumnDefinition(name="Age", type="date", jsonPath=".metadata.creationTimestamp")


def version_of(crd: CustomResourceDefinition, version: str) -> CustomResourceDefinitionVersion:
    """Raises KeyError."""
    for found in crd.spec.versions:
        if found.name == version:
            return found
    raise KeyError(version)


def schema_of(crd: CustomResourceDefinition, version: str) -> Tree | None:
    return schema_tree(version_of(crd, version))


def kind_of(crd: CustomResourceDefinition, version: str, hub: Kind | None = None) -> Kind:
    """hub: the kind of the storage version, when this is not it. Raises KeyError for an unknown version."""
    found = version_of(crd, version)
    schema = schema_tree(found)
    accepted = crd.status.acceptedNames if crd.status.acceptedNames.kind else crd.spec.names
    with_status = found.subresources is not None and found.subresources.status is not None
    shown = found.additionalPrinterColumns or (_AGE,)
    getters = {entry.jsonPath.lstrip("."): steps(entry.jsonPath) for entry in found.selectableFields}
    preserve = crd.spec.preserveUnknownFields
    validate_update = _validate_update(schema)
    return Kind(
        group=crd.spec.group,
        version=version,
        type=Custom,
        kind=accepted.kind,
        plural=accepted.plural,
        singular=accepted.singular or accepted.kind.lower(),
        short_names=accepted.shortNames,
        categories=accepted.categories,
        namespaced=crd.spec.scope == "Namespaced",
        verbs=VERBS,
        subresources=_subresources(crd, found, accepted.kind),
        reset=("status",) if with_status else (),
        generation=True,
        columns=(Column("Name", "string", format="name"), *map(_column, shown)),
        cells=_cells(shown),
        default=_default(schema),
        prepare_update=_keep if with_status else _bump_for_status,
        validate=_validate(schema),
        validate_update=validate_update,
        validate_status_update=validate_update,
        selectable={name: _getter(path) for name, path in getters.items() if path},
        storage=f"{crd.spec.group}/{accepted.plural}",
        storage_hash=_storage_hash(crd.spec.group, hub.version if hub is not None else version, accepted.kind),
        prune=None if schema is None or preserve else _prune(schema, accepted.kind, version),
        hub=hub,
        deprecated=_deprecation(crd, found, accepted.kind),
    )


def _storage_hash(group: str, version: str, kind: str) -> str:
    """Says in discovery whether two resources are stored alike, computed as for built-in kinds."""
    return base64.b64encode(hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()[:8]).decode()


def _deprecation(crd: CustomResourceDefinition, version: CustomResourceDefinitionVersion, kind: str) -> str:
    if not version.deprecated:
        return ""
    return version.deprecationWarning or f"{crd.spec.group}/{version.name} {kind} is deprecated"


def _subresources(
    crd: CustomResourceDefinition, version: CustomResourceDefinitionVersion, kind: str
) -> tuple[Subresource, ...]:
    out: list[Subresource] = []
    verbs = ("get", "patch", "update")
    given = version.subresources
    if given is not None and given.status is not None:
        out.append(Subresource("status", crd.spec.group, version.name, kind, verbs, reset=("spec",)))
    if given is not None and given.scale is not None:
        out.append(Subresource("scale", "autoscaling", "v1", "Scale", verbs))
    return tuple(out)


def _column(column: CustomResourceColumnDefinition) -> Column:
    description = column.description or f"Custom resource definition column (in JSONPath format): {column.jsonPath}"
    return Column(column.name, column.type, column.format, column.priority, description)


def _cells(columns: Sequence[CustomResourceColumnDefinition]) -> Callable[[Custom, float], Sequence[Any]]:
    compiled = [(c.type, _template(c.jsonPath)) for c in columns]

    def cells(obj: Custom, now: float) -> Sequence[Any]:
        values = (_cell(kind, template, obj, now) if template is not None else None for kind, template in compiled)
        return obj.metadata.name, *values

    return cells


def _template(path: str) -> jsonpath.Template | None:
    try:
        return jsonpath.compile_path(path)
    except jsonpath.JSONPathError:
        return None


def _cell(kind: str, template: jsonpath.Template, obj: Custom, now: float) -> Any:
    """Of what the path finds, the first counts. None where that is not of the column's type."""
    try:
        found = template.find(obj.tree)
    except jsonpath.JSONPathError:
        return None
    if not found or not found[0]:
        return None
    value = found[0][0]
    if kind == "string":
        return jsonpath.show(value)
    if kind == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "number":
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "date":
        return _age(value, now) if isinstance(value, str) else None
    return None


def _age(text: str, now: float) -> str:
    try:
        return human_duration(now - parse_rfc3339(text)) if text and text != "null" else "<unknown>"
    except ValueError:
        return "<invalid>"


def _getter(path: list[str]) -> Callable[[Custom], str]:
    return lambda obj: text_at(obj.tree, path)


def _default(schema: Tree | None) -> Callable[[Tree], None]:
    return lambda tree: structural.default(tree, schema) if schema is not None else None


def _prune(schema: Tree, kind: str, version: str) -> Callable[[Tree], Sequence[str]]:
    objects = embedded.plan(schema)

    def prune(tree: Tree) -> Sequence[str]:
        dropped = [f'unknown field "{path}"' for path in structural.prune(tree, schema)]
        if objects is None:
            return dropped
        try:
            return [*embedded.clean(tree, objects), *dropped]
        except ValueError as error:
            text = f'{kind} in version "{version}" cannot be handled as a {kind}: {error}'
            raise BadRequest(text) from None

    return prune


def _validate(schema: Tree | None) -> Callable[[Custom], Errors]:
    if schema is None:
        return lambda obj: []
    rules, objects = Rules(schema), embedded.plan(schema)

    def validate(obj: Custom) -> Errors:
        errors = structural.validate(obj.tree, schema)
        if objects is not None:
            errors += embedded.validate(obj.tree, objects)
        return errors + rules.check(obj.tree, None, errors) if rules else errors

    return validate


def _validate_update(schema: Tree | None) -> Callable[[Custom, Custom], Errors]:
    """An error in a value that did not change is let pass: a schema may have been tightened."""
    if schema is None:
        return lambda obj, old: []
    rules, objects = Rules(schema), embedded.plan(schema)

    def validate_update(obj: Custom, old: Custom) -> Errors:
        errors = structural.validate_update(obj.tree, old.tree, schema)
        if objects is not None:
            errors += embedded.validate(obj.tree, objects)
        return errors + rules.check(obj.tree, old.tree, errors) if rules else errors

    return validate_update


def _keep(tree: Tree, old: Tree) -> None:
    return None


def _bump_for_status(tree: Tree, old: Tree) -> None:
    """Without a status subresource ``status`` is a field like any other, whose change is a new generation."""
    was = old.get("metadata", {}).get("generation", 0)
    if tree.get("status") != old.get("status") and tree["metadata"].get("generation", 0) == was:
        tree["metadata"]["generation"] = was + 1
