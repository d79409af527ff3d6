"""A short text that says in which fields two objects differ, for "may not change" errors."""

from __future__ import annotations

from typing import Any

import msgspec

_LIMIT = 20


def difference(old: Any, new: Any) -> str:
    """Lines ``- path: old`` and ``+ path: new``, at most twenty fields; structs, trees and scalars alike."""
    lines: list[str] = []
    _walk(msgspec.json.decode(msgspec.json.encode(old)), msgspec.json.decode(msgspec.json.encode(new)), "", lines)
    if len(lines) > 2 * _LIMIT:
        lines = [*lines[: 2 * _LIMIT], "  ..."]
    return "\n".join(lines)


def _walk(old: Any, new: Any, path: str, lines: list[str]) -> None:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            _walk(old.get(key), new.get(key), f"{path}.{key}" if path else key, lines)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            _walk(a, b, f"{path}[{i}]", lines)
    else:
        for mark, value in (("-", old), ("+", new)):
            if value is not None:
                lines.append(f"{mark} {path}: {msgspec.json.encode(value).decode()}")
