"""OpenAPI v3 as protobuf: gnostic's ``openapi.v3.Document``. Built as ``gnostic`` builds v2: part after part."""

from __future__ import annotations

import struct
from typing import Any

from pelamis.api.openapi.gnostic import any_value, extensions, flag, message, named, number, text, texts, varint

_METHODS = {"get": 4, "put": 5, "post": 6, "delete": 7, "options": 8, "head": 9, "patch": 10}


def double(tag: int, value: float) -> bytes:
    return varint(tag << 3 | 1) + struct.pack("<d", value) if value else b""


def _reference(target: str) -> bytes:
    return message(2, text(1, target))


def schema_or_reference(s: dict[str, Any]) -> bytes:
    if "$ref" in s:
        return _reference(s["$ref"])
    return message(1, schema(s))


def _default(value: Any) -> bytes:
    """Only scalars can be said; an empty text is one."""
    if isinstance(value, bool):
        return message(33, varint(2 << 3) + bytes((value,)))
    if isinstance(value, (int, float)):
        return message(33, varint(1 << 3 | 1) + struct.pack("<d", value))
    if isinstance(value, str):
        return message(33, message(3, value.encode()))
    return b""


def schema(s: dict[str, Any]) -> bytes:
    out = flag(1, bool(s.get("nullable"))) + text(9, s.get("title", ""))
    if "example" in s:
        out += message(7, any_value(s["example"]))
    for tag, name in ((10, "multipleOf"), (11, "maximum"), (13, "minimum")):
        out += double(tag, s.get(name) or 0)
    out += flag(12, bool(s.get("exclusiveMaximum"))) + flag(14, bool(s.get("exclusiveMinimum")))
    out += text(17, s.get("pattern", ""))
    for tag, name in (
        (15, "maxLength"), (16, "minLength"), (18, "maxItems"), (19, "minItems"),
        (21, "maxProperties"), (22, "minProperties"),
    ):  # fmt: skip
        out += number(tag, int(s.get(name) or 0))
    out += flag(20, bool(s.get("uniqueItems"))) + texts(23, s.get("required") or [])
    out += b"".join(message(24, any_value(v)) for v in s.get("enum") or ())
    out += text(25, s.get("type", ""))
    for tag, name in ((26, "allOf"), (27, "oneOf"), (28, "anyOf")):
        out += b"".join(message(tag, schema_or_reference(v)) for v in s.get(name) or ())
    if isinstance(s.get("not"), dict):
        out += message(29, schema(s["not"]))
    if isinstance(s.get("items"), dict):
        out += message(30, message(1, schema_or_reference(s["items"])))
    if s.get("properties"):
        out += message(31, b"".join(named(1, k, schema_or_reference(v)) for k, v in s["properties"].items()))
    extra = s.get("additionalProperties")
    if isinstance(extra, dict):
        out += message(32, message(1, schema_or_reference(extra)))
    elif extra is not None:
        out += message(32, varint(2 << 3) + bytes((bool(extra),)))
    if "default" in s:
        out += _default(s["default"])
    return out + text(34, s.get("description", "")) + text(35, s.get("format", "")) + extensions(36, s)


def _parameter(p: dict[str, Any]) -> bytes:
    if "$ref" in p:
        return _reference(p["$ref"])
    out = text(1, p["name"]) + text(2, p["in"]) + text(3, p.get("description", "")) + flag(4, bool(p.get("required")))
    if "schema" in p:
        out += message(10, schema_or_reference(p["schema"]))
    return message(1, out)


def _content(tag: int, content: dict[str, Any]) -> bytes:
    if not content:
        return b""
    kinds = (
        named(1, m, message(1, schema_or_reference(c["schema"])) if "schema" in c else b"") for m, c in content.items()
    )
    return message(tag, b"".join(kinds))


def _operation(op: dict[str, Any]) -> bytes:
    out = texts(1, op.get("tags") or []) + text(3, op.get("description", "")) + text(5, op.get("operationId", ""))
    out += b"".join(message(6, _parameter(p)) for p in op.get("parameters") or ())
    body = op.get("requestBody")
    if body:
        said = text(1, body.get("description", "")) + _content(2, body.get("content") or {})
        out += message(7, message(1, said + flag(3, bool(body.get("required")))))
    answers = b""
    for code, answer in (op.get("responses") or {}).items():
        if "$ref" in answer:
            held = _reference(answer["$ref"])
        else:
            held = message(1, text(1, answer.get("description", "")) + _content(3, answer.get("content") or {}))
        answers += message(1, held) if code == "default" else named(2, code, held)
    return out + message(8, answers) + extensions(13, op)


def _path(item: dict[str, Any]) -> bytes:
    out = b"".join(message(tag, _operation(item[m])) for m, tag in _METHODS.items() if m in item)
    return out + b"".join(message(13, _parameter(p)) for p in item.get("parameters") or ())


def head(title: str, version: str) -> bytes:
    return text(1, "3.0.0") + message(2, text(1, title) + text(6, version))


def part(section: str, name: str, value: dict[str, Any]) -> bytes:
    """One part of the document, of ``schemas`` or ``paths``."""
    if section == "schemas":
        return message(5, message(1, named(1, name, schema_or_reference(value))))
    return message(4, named(1, name, _path(value)))


def document(tree: dict[str, Any]) -> bytes:
    """A whole document, as another server has made it."""
    info = tree.get("info") or {}
    out = text(1, tree.get("openapi", "")) + message(
        2, text(1, info.get("title", "")) + text(6, info.get("version", ""))
    )
    for name, value in ((tree.get("components") or {}).get("schemas") or {}).items():
        out += part("schemas", name, value)
    for name, value in (tree.get("paths") or {}).items():
        out += part("paths", name, value)
    return out
