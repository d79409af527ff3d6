"""The Table form of objects, which ``kubectl get`` prints.

Columns and cells are the kind's; the object of a row is its metadata unless asked otherwise. The result is a tree whose
row objects are ready JSON, so encoding it costs little more than joining bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec

from pelamis.api import codec
from pelamis.api.custom import Custom
from pelamis.api.field import Tree
from pelamis.api.kind import Column, Kind
from pelamis.base import clock, jsonpath

Include = Literal["Metadata", "Object", "None"]
_PARTIAL = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%b}'
_CONDITIONS = {
    "Succeeded": [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Succeeded",
            "message": "The pod has completed successfully.",
        }
    ],
    "Failed": [{"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}],
}


def age(text: str | None, now: float) -> str:
    """How long ago an RFC 3339 time was, for an AGE column; ``<unknown>`` when unset."""
    if not text:
        return "<unknown>"
    try:
        return clock.human_duration(now - clock.parse_rfc3339(text))
    except ValueError:
        return "<unknown>"


def cells(kind: Kind, obj: Any, now: float) -> Sequence[Any]:
    """One value for each column of the kind."""
    if kind.cells is not None:
        return kind.cells(obj, now)
    metadata = obj.metadata
    known = {"Name": metadata.name, "Created At": metadata.creationTimestamp}
    return [
        age(metadata.creationTimestamp, now) if c.name == "Age" else known.get(c.name, "<unknown>")
        for c in kind.columns
    ]


def table(
    kind: Kind,
    objs: Iterable[Any],
    now: float,
    *,
    include: Include = "Metadata",
    headers: bool = True,
    rev: str = "",
    continue_: str = "",
    remaining: int | None = None,
) -> Tree:
    """A metav1.Table. headers False: no column definitions (all events of a watch but the first).

    ``rev``, ``continue_`` and ``remaining`` go to the list metadata.
    """
    metadata: Tree = {}
    if rev:
        metadata["resourceVersion"] = rev
    if continue_:
        metadata["continue"] = continue_
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [_definition(c) for c in kind.columns] if headers else None,
        "rows": [row(kind, obj, now, include) for obj in objs],
    }


def row(kind: Kind, obj: Any, now: float, include: Include = "Metadata") -> Tree:
    out: Tree = {"cells": cells(kind, obj, now)}
    if kind.kind == "Pod" and not kind.group:
        conditions = _CONDITIONS.get(obj.status.phase)
        if conditions:  # kubectl leaves finished pods out where it is asked to
            out["conditions"] = conditions
    if include == "Object":
        out["object"] = msgspec.Raw(codec.encode(obj))
    elif include == "Metadata":
        out["object"] = msgspec.Raw(_PARTIAL % codec.encode(obj.metadata))
    else:
        out["object"] = None
    return out


def _definition(column: Column) -> Tree:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def custom_cells(columns: Sequence[tuple[str, str]]) -> Callable[[Custom, float], Sequence[Any]]:
    """The cells function of a custom resource: the name, then (type, JSONPath) for each additional column."""
    paths = [(kind, jsonpath.compile_path(path)) for kind, path in columns]

    def make(obj: Custom, now: float) -> Sequence[Any]:
        tree = obj.tree
        return [obj.metadata.name, *(_custom_cell(kind, path, tree, now) for kind, path in paths)]

    return make


def _custom_cell(kind: str, path: jsonpath.Template, tree: Tree, now: float) -> Any:
    """None where nothing is found or the value is not of the column's type."""
    try:
        found = path.find(tree)
    except jsonpath.JSONPathError:
        return None
    values = found[0] if found else []
    if not values:
        return None
    value = values[0]
    if kind == "string":
        return " ".join(map(jsonpath.show, values))
    if kind == "date":
        if not isinstance(value, str):
            return None
        try:
            return clock.human_duration(now - clock.parse_rfc3339(value))
        except ValueError:
            return "<invalid>"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer":
        return int(value) if number else None
    if kind == "number":
        return value if number else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return None
