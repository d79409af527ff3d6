"""JSON values as Go prints them, for the error texts that clients compare."""

from __future__ import annotations

from typing import Any

from msgspec.json import encode


def plain(value: Any) -> str:
    """``%v``: ``map[a:1 b:[x y]]``."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{plain(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(plain(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def type_name(value: Any) -> str:
    """``%T``."""
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "<nil>" if value is None else "int64" if isinstance(value, int) else "float64"


def syntax(value: Any) -> str:
    """``%#v``: ``map[string]interface {}{"a":1}``."""
    if isinstance(value, dict):
        inner = ", ".join(f"{encode(k).decode()}:{syntax(v)}" for k, v in sorted(value.items()))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(syntax, value)) + "}"
    if value is None:
        return "interface {}(nil)"
    return encode(value).decode()
