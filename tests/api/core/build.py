"""Objects for the tests of the core kinds, made the way the server makes them."""

from __future__ import annotations

from typing import Any

from pelamis.api import codec
from pelamis.api.kind import Kind
from pelamis.base.tree import copy

Tree = dict[str, Any]


def merge(tree: Any, changes: Any) -> Any:
    """``changes`` laid over a copy of ``tree``: objects are merged, None removes, everything else replaces."""
    if not isinstance(tree, dict) or not isinstance(changes, dict):
        return copy(changes)
    out = copy(tree)
    for key, value in changes.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(tree.get(key), value)
    return out


def tree_of(kind: Kind, tree: Tree, *, create: bool = True) -> Tree:
    """Normalised and defaulted; ``create``: through the create strategy too."""
    out: Tree = copy(tree)
    out.setdefault("metadata", {}).setdefault("name", "x")
    if kind.namespaced:
        out["metadata"].setdefault("namespace", "default")
    problems = codec.clean(kind, out)
    assert not problems
    kind.default(out)
    if create:
        kind.prepare_create(out)
    return out


def make(kind: Kind, tree: Tree, *, create: bool = True) -> Any:
    return codec.from_tree(kind, tree_of(kind, tree, create=create))


def errors(kind: Kind, tree: Tree) -> list[str]:
    return [str(e) for e in kind.validate(make(kind, tree))]


def update_errors(kind: Kind, old: Tree, changes: Tree, *, status: bool = False) -> list[str]:
    """Errors of an update that lays ``changes`` over ``old``."""
    before = tree_of(kind, old, create=False)
    after = tree_of(kind, merge(old, changes), create=False)
    if not status:
        kind.prepare_update(after, before)
    check = kind.validate_status_update if status else kind.validate_update
    found = check(codec.from_tree(kind, after), codec.from_tree(kind, before))
    return [str(e) for e in found]
