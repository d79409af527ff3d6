"""Where a custom resource's simple paths lead: ``.spec.replicas`` in its schema and in its objects."""

from __future__ import annotations

import re
from typing import Any

from pelamis.api.field import Tree

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\['((?:[^'\\]|\\.)+)'\]")


def steps(path: str) -> list[str] | None:
    """The member names of a path without indexes and wildcards; None when it is not one."""
    out: list[str] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        out.append(match[1] or match[2].replace("\\'", "'"))
        at = match.end()
    return out or None


def schema_at(schema: Tree, names: list[str]) -> Tree | None:
    """The schema of the member that the names lead to."""
    for name in names:
        below = (schema.get("properties") or {}).get(name, schema.get("additionalProperties"))
        if not isinstance(below, dict):
            return None
        schema = below
    return schema


def value_at(tree: Any, names: list[str]) -> Any:
    """None when there is no such member."""
    for name in names:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(name)
    return tree


def text_at(tree: Any, names: list[str]) -> str:
    """A scalar as a field selector compares it; "" when absent."""
    value = value_at(tree, names)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
