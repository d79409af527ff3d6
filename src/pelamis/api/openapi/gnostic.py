"""OpenAPI v2 as protobuf: gnostic's ``openapi.v2.Document``, which kubectl asks for.

A protobuf message is the concatenation of its fields, so each part of the document is encoded alone and appended.
Values of ``x-`` fields and enums travel as YAML text; JSON is that too.
"""

from __future__ import annotations

from typing import Any

import msgspec

_SECTION = {"paths": 8, "definitions": 9, "parameters": 10}


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(tag: int, body: bytes) -> bytes:
    return varint(tag << 3 | 2) + varint(len(body)) + body


def text(tag: int, value: str) -> bytes:
    return message(tag, value.encode()) if value else b""


def texts(tag: int, values: list[str]) -> bytes:
    return b"".join(message(tag, v.encode()) for v in values)


def flag(tag: int, value: bool) -> bytes:
    return varint(tag << 3) + b"\x01" if value else b""


def number(tag: int, value: int) -> bytes:
    return varint(tag << 3) + varint(value) if value else b""


def named(tag: int, name: str, value: bytes) -> bytes:
    """A Named… message: how maps are written."""
    return message(tag, text(1, name) + message(2, value))


def any_value(value: Any) -> bytes:
    return text(2, msgspec.json.encode(value).decode())


def extensions(tag: int, tree: dict[str, Any]) -> bytes:
    return b"".join(named(tag, k, any_value(v)) for k, v in tree.items() if k.startswith("x-"))


def schema(s: dict[str, Any]) -> bytes:
    out = text(1, s.get("$ref", "")) + text(2, s.get("format", "")) + text(3, s.get("title", ""))
    out += text(4, s.get("description", ""))
    if "default" in s:
        out += message(5, any_value(s["default"]))
    out += text(13, s.get("pattern", ""))
    for tag, name in ((11, "maxLength"), (12, "minLength"), (14, "maxItems"), (15, "minItems")):
        out += number(tag, int(s.get(name) or 0))
    out += flag(16, bool(s.get("uniqueItems"))) + texts(19, s.get("required") or [])
    out += b"".join(message(20, any_value(v)) for v in s.get("enum") or ())
    extra = s.get("additionalProperties")
    if isinstance(extra, dict):
        out += message(21, message(1, schema(extra)))
    elif extra:
        out += message(21, flag(2, True))
    if s.get("type"):
        out += message(22, text(1, s["type"]))
    if isinstance(s.get("items"), dict):
        out += message(23, message(1, schema(s["items"])))
    properties = s.get("properties")
    if properties:
        out += message(25, b"".join(named(1, k, schema(v)) for k, v in properties.items()))
    return out + extensions(31, s)


def _parameter(p: dict[str, Any]) -> bytes:
    """A ``Parameter`` message."""
    if p["in"] == "body":
        body = (
            text(2, p["name"])
            + text(3, "body")
            + flag(4, bool(p.get("required")))
            + message(5, schema(p.get("schema") or {}))
        )
        return message(1, body)
    common = (
        flag(1, bool(p.get("required"))) + text(2, p["in"]) + text(3, p.get("description", "")) + text(4, p["name"])
    )
    if p["in"] == "path":
        return message(2, message(4, common + text(5, p.get("type", "")) + flag(19, bool(p.get("uniqueItems")))))
    return message(2, message(3, common + text(6, p.get("type", "")) + flag(20, bool(p.get("uniqueItems")))))


def _parameters(tag: int, items: list[dict[str, Any]]) -> bytes:
    out = b""
    for item in items:
        if "$ref" in item:
            out += message(tag, message(2, text(1, item["$ref"])))
        else:
            out += message(tag, message(1, _parameter(item)))
    return out


def _operation(op: dict[str, Any]) -> bytes:
    out = texts(1, op.get("tags") or []) + text(3, op.get("description", "")) + text(5, op.get("operationId", ""))
    out += (
        texts(6, op.get("produces") or [])
        + texts(7, op.get("consumes") or [])
        + _parameters(8, op.get("parameters") or [])
    )
    answers = b""
    for code, answer in (op.get("responses") or {}).items():
        body = text(1, answer.get("description", ""))
        if "schema" in answer:
            body += message(2, message(1, schema(answer["schema"])))
        answers += named(1, code, message(1, body))
    return out + message(9, answers) + texts(10, op.get("schemes") or []) + extensions(13, op)


_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def _path(item: dict[str, Any]) -> bytes:
    out = b"".join(message(_METHODS[m], _operation(item[m])) for m in _METHODS if m in item)
    return out + _parameters(9, item.get("parameters") or [])


def head(title: str, version: str) -> bytes:
    return text(1, "2.0") + message(2, text(1, title) + text(2, version))


def part(section: str, name: str, value: dict[str, Any]) -> bytes:
    """One part of the document. Repeated occurrences of a section merge, as protobuf says."""
    if section == "definitions":
        body = named(1, name, schema(value))
    elif section == "parameters":
        body = named(1, name, _parameter(value))
    else:
        body = named(2, name, _path(value))
    return message(_SECTION[section], body)
