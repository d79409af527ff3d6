"""The checked syntax tree of an expression, read from the runtime's ``cel.expr.CheckedExpr``.

Only what the estimate of costs asks for is kept: the nodes, the primitive types that the checker found, and where a
node stands in the text.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pelamis.base import protobuf

CONST, IDENT, SELECT, CALL, LIST, MAP, LOOP = range(3, 10)
"""Kinds of nodes; they are the numbers of the alternatives in ``cel.expr.Expr``."""

_CONSTANTS = ("", "null", "bool", "int", "uint", "double", "string", "bytes", "duration", "timestamp")
_PRIMITIVES = ("", "bool", "int", "uint", "double", "string", "bytes")
_WELL_KNOWN = ("", "", "timestamp", "duration")


@dataclass(slots=True)
class Node:
    kind: int
    id: int
    name: str = ""
    """Of an identifier, a member, a function; the type of a constant; the first variable of a loop."""
    target: Node | None = None
    """What a member is selected from or a function is called on; the range of a loop."""
    args: list[Node] = field(default_factory=list)
    """Arguments; elements; keys and values in turn; of a loop the accumulator's start, condition, step, result."""
    size: int = 1
    """Of a constant: characters, bytes, 1."""
    value: Any = None
    test: bool = False
    """Of a selection: it is what ``has`` asks for."""
    second: str = ""
    """The second variable of a loop."""
    gathered: str = ""
    """The accumulator of a loop."""


class Type(NamedTuple):
    """name: ``int``, ``list``, …, a message's name. parts: of lists, maps, optionals."""

    name: str
    parts: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parts))})" if self.parts else self.name


@dataclass(slots=True)
class Checked:
    root: Node
    types: dict[int, str]
    """The primitive type of a node, where it has one."""
    positions: dict[int, int]
    lines: list[int]
    """Where lines begin, but for the first."""
    full: dict[int, Type] = field(default_factory=dict)
    """The type of each node, with those of its parts."""

    def place(self, node: int) -> tuple[int, int]:
        """(line, column) of a node, from 1 and from 0."""
        at = self.positions.get(node, 0)
        line = bisect.bisect_right(self.lines, at)
        return line + 1, at - (self.lines[line - 1] if line else 0)


def _members(data: Any) -> dict[int, Any]:
    """The last value of each field."""
    return dict(protobuf.fields(data))


def _text(data: Any) -> str:
    return bytes(data).decode()


def read(data: bytes) -> Checked:
    """data: a ``google.protobuf.Any`` that holds the checked expression."""
    root = Node(CONST, 0)
    types: dict[int, str] = {}
    positions: dict[int, int] = {}
    lines: list[int] = []
    full: dict[int, Type] = {}
    for number, value in protobuf.fields(_members(data)[2]):
        if number == 3:
            entry = _members(value)
            found = _members(entry.get(2, b""))
            full[entry.get(1, 0)] = _full(found)
            name = _type(found)
            if name:
                types[entry.get(1, 0)] = name
        elif number == 4:
            root = _node(value)
        elif number == 5:
            for part, held in protobuf.fields(value):  # type: ignore[arg-type]
                if part == 4:
                    entry = _members(held)
                    positions[entry.get(1, 0)] = entry.get(2, 0)
                elif part == 3:
                    lines += [held] if isinstance(held, int) else _packed(held)
    # The last offset is the text's end.
    return Checked(root, types, positions, lines[:-1], full)


def _packed(data: bytes) -> list[int]:
    out, at = [], 0
    while at < len(data):
        value, at = protobuf.read_varint(data, at)
        out.append(value)
    return out


def _type(found: dict[int, Any]) -> str:
    if 3 in found:
        return _PRIMITIVES[found[3]] if found[3] < len(_PRIMITIVES) else ""
    if 5 in found:
        return _WELL_KNOWN[found[5]] if found[5] < len(_WELL_KNOWN) else ""
    return "list" if 6 in found else "map" if 7 in found else ""


def _full(found: dict[int, Any]) -> Type:
    if 6 in found:
        return Type("list", (_full(_members(_members(found[6]).get(1, b""))),))
    if 7 in found:
        below = _members(found[7])
        return Type("map", tuple(_full(_members(below.get(n, b""))) for n in (1, 2)))
    if 9 in found:
        return Type(_text(found[9]))
    if 14 in found:
        name, parts = "", []
        for number, value in protobuf.fields(found[14]):
            if number == 1:
                name = _text(value)
            else:
                parts.append(_full(_members(value)))
        return Type(name, tuple(parts))
    if 2 in found:
        return Type("null_type")
    return Type("dyn" if 1 in found else _type(found) or "dyn")


def _node(data: Any) -> Node:
    found = _members(data)
    id_ = found.pop(2, 0)
    kind, body = next(iter(found.items()), (CONST, b""))
    node = Node(kind, id_)
    parts = list(protobuf.fields(body))
    if kind == CONST:
        _constant(node, parts)
    elif kind == IDENT:
        node.name = _text(parts[0][1])
    elif kind == SELECT:
        for number, value in parts:
            if number == 1:
                node.target = _node(value)
            elif number == 2:
                node.name = _text(value)
            else:
                node.test = bool(value)
    elif kind == CALL:
        for number, value in parts:
            if number == 1:
                node.target = _node(value)
            elif number == 2:
                node.name = _text(value)
            else:
                node.args.append(_node(value))
    elif kind == LIST:
        node.args = [_node(value) for number, value in parts if number == 1]
    elif kind == MAP:
        for number, value in parts:
            if number == 2:
                entry = _members(value)
                node.args += [_node(entry[3]) if 3 in entry else Node(CONST, 0, "string"), _node(entry[4])]
    elif kind == LOOP:
        _loop(node, dict(parts))
    return node


def _constant(node: Node, parts: list[tuple[int, Any]]) -> None:
    if not parts:
        return
    number, value = parts[0]
    node.name = _CONSTANTS[number]
    if node.name == "string":
        node.value = _text(value)
        node.size = len(node.value)
    elif node.name == "bytes":
        node.size = len(value)
    else:
        node.value = protobuf.signed(value) if node.name == "int" else value


def _loop(node: Node, parts: dict[int, Any]) -> None:
    node.name, node.gathered = _text(parts[1]), _text(parts[3])
    node.second = _text(parts[8]) if 8 in parts else ""
    node.target = _node(parts[2])
    node.args = [_node(parts[n]) for n in (4, 5, 6, 7)]
