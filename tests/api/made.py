"""Objects as the server makes them from what a user wrote, and what validation says of them."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.api.kind import Kind

UID = "11111111-2222-3333-4444-555555555555"
CREATED = "2026-01-01T00:00:00Z"
NOW = 1767225900.0  # five minutes after CREATED
POD = {"containers": [{"name": "c", "image": "nginx:1.19"}]}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
SELECTOR = {"matchLabels": {"app": "web"}}


def of(cls: type[Any], tree: Tree | None = None, /, **members: Any) -> Any:
    """A struct as it is written here: nothing is added or checked but the types of its members."""
    return msgspec.json.decode(msgspec.json.encode({**(tree or {}), **members}), type=cls)


def edited(tree: Any, path: str, value: Any) -> Any:
    """A copy with the value at a dotted path (numbers index lists) replaced; ... takes the member away."""
    out = msgspec.json.decode(msgspec.json.encode(tree))
    at = out
    *names, last = path.split(".")
    for name in names:
        at = at[int(name)] if isinstance(at, list) else at.setdefault(name, {})
    key: Any = int(last) if isinstance(at, list) else last
    if value is ...:
        del at[key]
    else:
        at[key] = value
    return out


def completed(kind: Kind, tree: Tree) -> Tree:
    """Cleaned and defaulted."""
    tree = msgspec.json.decode(msgspec.json.encode(tree))
    tree.setdefault("metadata", {}).setdefault("name", "x")
    assert codec.clean(kind, tree) == []
    kind.default(tree)
    return tree


def made(kind: Kind, tree: Tree, *, prepared: bool = True) -> Any:
    tree = completed(kind, tree)
    if prepared:
        tree["metadata"].setdefault("uid", UID)
        tree["metadata"].setdefault("creationTimestamp", CREATED)
        kind.prepare_create(tree)
    return codec.from_tree(kind, tree)


def complaints(kind: Kind, tree: Tree) -> list[str]:
    return [str(e) for e in kind.validate(made(kind, tree))]


def update_complaints(kind: Kind, old: Tree, new: Tree) -> list[str]:
    return [str(e) for e in kind.validate_update(made(kind, new), made(kind, old))]


def status_complaints(kind: Kind, old: Tree, new: Tree) -> list[str]:
    """Status as given: creation would drop it."""
    return [
        str(e) for e in kind.validate_status_update(made(kind, new, prepared=False), made(kind, old, prepared=False))
    ]


def row(kind: Kind, tree: Tree) -> list[Any]:
    assert kind.cells is not None
    tree = {**tree, "metadata": {"name": "x", "creationTimestamp": CREATED, **tree.get("metadata", {})}}
    obj = made(kind, tree, prepared=False)
    cells = list(kind.cells(obj, NOW))
    assert len(cells) == len(kind.columns)
    return cells
