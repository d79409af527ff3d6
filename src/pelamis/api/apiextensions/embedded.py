"""Objects inside custom resources (``x-kubernetes-embedded-resource``): whole objects, whose metadata is real metadata.

Where a schema has such places is found once (``plan``). ``clean`` brings their metadata to normal form and names what
metadata does not know; ``validate`` checks apiVersion, kind and metadata as upstream does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pelamis.api import loosen
from pelamis.api.check import Errors
from pelamis.api.field import Tree
from pelamis.api.meta import ObjectMeta
from pelamis.api.metavalidate import validate_create
from pelamis.base import names
from pelamis.base import tree as trees
from pelamis.base.errors import invalid, required

_EMBEDDED = "x-kubernetes-embedded-resource"
_encode = msgspec.json.Encoder().encode
_metadata = msgspec.json.Decoder(ObjectMeta).decode


@dataclass(slots=True)
class Plan:
    """here: the value itself is an object. more: for members that are not named, items: for those of a list."""

    here: bool = False
    properties: Mapping[str, Plan] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    more: Plan | None = None
    items: Plan | None = None


def plan(schema: Any) -> Plan | None:
    """None: no object can be anywhere in it."""
    if not isinstance(schema, dict):
        return None
    properties = schema.get("properties") or {}
    found = {name: below for name, child in properties.items() if (below := plan(child)) is not None}
    out = Plan(
        bool(schema.get(_EMBEDDED)),
        found,
        frozenset(properties),
        plan(schema.get("additionalProperties")),
        plan(schema.get("items")),
    )
    return out if out.here or found or out.more is not None or out.items is not None else None


def _below(value: Any, at: Plan, path: str) -> list[tuple[Any, Plan, str]]:
    out: list[tuple[Any, Plan, str]] = []
    if isinstance(value, dict):
        for name, member in value.items():
            if name in at.properties:
                out.append((member, at.properties[name], f"{path}.{name}" if path else name))
            elif at.more is not None and name not in at.named:
                out.append((member, at.more, f"{path}[{name}]"))
    elif isinstance(value, list) and at.items is not None:
        out.extend((item, at.items, f"{path}[{i}]") for i, item in enumerate(value))
    return out


def clean(tree: Tree, at: Plan) -> list[str]:
    """In place; returns the paths of unknown fields, which are gone. Raises ValueError where a type does not fit."""
    problems: list[str] = []
    todo = [(tree, at, "")]
    while todo:
        value, here, path = todo.pop()
        if here.here and isinstance(value, dict):
            _clean_object(value, path, problems)
        todo += _below(value, here, path)
    return sorted(problems)


def _clean_object(tree: Tree, path: str, problems: list[str]) -> None:
    for name in ("apiVersion", "kind"):
        if name in tree and not isinstance(tree[name], str):
            raise ValueError(str(invalid(f"{path}.{name}", tree[name], "must be a string")))
    if "metadata" not in tree:
        return
    given, where = tree["metadata"], f"{path}.metadata"
    if given is None:
        tree["metadata"] = {}
        return
    unknown: list[str] = []
    try:
        if not isinstance(given, dict):
            raise ValueError(
                f"json: cannot unmarshal {loosen.json_name(given)} into Go value of type map[string]interface {{}}"
            )
        loose: Tree = trees.copy(given)
        loosen.struct(ObjectMeta, loose, where, unknown, "v1")
        tree["metadata"] = msgspec.json.decode(_encode(_metadata(_encode(loose))))
    except ValueError as error:
        raise ValueError(str(invalid(where, given, str(error)))) from None
    problems += unknown


def validate(tree: Tree, at: Plan) -> Errors:
    errors: Errors = []
    todo = [(tree, at, "")]
    while todo:
        value, here, path = todo.pop(0)
        if here.here and isinstance(value, dict):
            errors += _validate_object(value, path)
        todo += _below(value, here, path)
    return errors


def _validate_object(tree: Tree, path: str) -> Errors:
    errors: Errors = [required(f"{path}.{n}", "must not be empty") for n in ("apiVersion", "kind") if n not in tree]
    version, kind = tree.get("apiVersion"), tree.get("kind")
    if isinstance(version, str):
        if not version:
            errors.append(invalid(f"{path}.apiVersion", version, "must not be empty"))
        elif version.count("/") > 1:
            errors.append(invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    if isinstance(kind, str):
        wrong = names.is_dns1035_label(kind.lower()) if kind else []
        if not kind:
            errors.append(invalid(f"{path}.kind", kind, "must not be empty"))
        elif wrong:
            detail = f"may have mixed case, but should otherwise match: {','.join(wrong)}"
            errors.append(invalid(f"{path}.kind", kind, detail))
    metadata = tree.get("metadata")
    if isinstance(metadata, dict):
        try:
            meta = _metadata(_encode(metadata))
        except msgspec.ValidationError as error:
            return [*errors, invalid(f"{path}.metadata", metadata, str(error))]
        if not meta.name:
            meta = msgspec.structs.replace(meta, name="fakename")
        errors += validate_create(meta, bool(meta.namespace), names.is_path_segment, f"{path}.metadata")
    return errors
