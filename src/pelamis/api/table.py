"""Cells of the Table form of objects, which ``kubectl get`` prints: ages, and the columns of custom resources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.custom import Custom
from pelamis.api.field import Tree
from pelamis.base import clock, jsonpath


def age(text: str | None, now: float) -> str:
    """How long ago an RFC 3339 time was, for an AGE column; ``<unknown>`` when unset."""
    if not text:
        return "<unknown>"
    try:
        return clock.human_duration(now - clock.parse_rfc3339(text))
    except ValueError:
        return "<unknown>"


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
