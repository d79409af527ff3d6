"""Plain JSON trees: copy, and get, set and delete by a path of member names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_MISSING: Any = object()
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def copy(tree: T) -> T:
    """A deep copy of a JSON tree. Going through JSON is the fastest way there is (marshal takes a third longer)."""
    out: T = _decode(_encode(tree))
    return out


def _names(path: str | Sequence[str]) -> Sequence[str]:
    return path.split(".") if isinstance(path, str) else path


def get(tree: Any, path: str | Sequence[str], default: Any = None) -> Any:
    """The value at ``spec.replicas`` or ("spec", "replicas"); use the latter where a name contains a dot."""
    for name in _names(path):
        if not isinstance(tree, dict):
            return default
        tree = tree.get(name, _MISSING)
        if tree is _MISSING:
            return default
    return tree


def set(tree: dict[str, Any], path: str | Sequence[str], value: Any) -> None:
    """Sets the value, making the objects on the way; a non-object on the way is replaced."""
    names = _names(path)
    for name in names[:-1]:
        below = tree.get(name)
        if not isinstance(below, dict):
            below = tree[name] = {}
        tree = below
    tree[names[-1]] = value


def delete(tree: Any, path: str | Sequence[str]) -> bool:
    """Removes the member if it is there; tells whether it was."""
    names = _names(path)
    for name in names[:-1]:
        if not isinstance(tree, dict) or name not in tree:
            return False
        tree = tree[name]
    if not isinstance(tree, dict) or names[-1] not in tree:
        return False
    del tree[names[-1]]
    return True


def keep(tree: dict[str, Any], old: dict[str, Any], path: str | Sequence[str]) -> None:
    """Gives ``tree`` the value (or the absence) that ``old`` has at the path."""
    value = get(old, path, _MISSING)
    if value is _MISSING:
        delete(tree, path)
    else:
        set(tree, path, copy(value))
