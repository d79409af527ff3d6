"""JSON merge patch (RFC 7386) on trees.

The target is shared and never changed: what the patch touches is copied along its path, the rest is the target's own.
"""

from __future__ import annotations

from typing import Any


def apply(target: Any, patch: Any) -> Any:
    """``target`` with ``patch`` applied. A null removes the member; lists and scalars replace as a whole."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict):
            out[key] = apply(out.get(key), value)
        else:
            out[key] = value
    return out


def diff(old: Any, new: Any) -> Any:
    """A merge patch that turns ``old`` into ``new``; {} when both are equal objects."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    patch: dict[str, Any] = {}
    for key in old:
        if key not in new:
            patch[key] = None
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif old[key] != value:
            patch[key] = diff(old[key], value)
    return patch
