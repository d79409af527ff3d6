"""``==``, ``!=`` and ``+`` on lists that are sets or maps by their schema, where order does not count and ``+`` merges.

The runtime knows no such lists. The shapes of variables do: where the left side of one of those operators is such a
list, or holds one, the operator is exchanged in the compiled expression for a function that is told the types as text.
``unlike`` and ``joined`` are these functions; as upstream, it is the left side that says how the two are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from pelamis.base.cel.checked import Checked
from pelamis.base.cel.cost import Shape, operands
from pelamis.base.protobuf import BYTES, FIXED32, FIXED64, VARINT, length_delimited, read_varint, tag, varint

FUNCTIONS = {"_==_": "@like", "_!=_": "@unlike", "_+_": "@joined"}
"""The names cannot be written by users."""
Types = dict[str, Any] | None
"""l: ``set``, ``list`` or the keys of a map; e: elements; m: members; v: the values of a map. None: all is plain."""


def types_of(shape: Shape | None, above: tuple[int, ...] = ()) -> Types:
    if shape is None or id(shape) in above:
        return None
    above = (*above, id(shape))
    if shape.members is not None:
        members = {n: t for n, s in shape.members.items() if (t := types_of(s, above)) is not None}
        return {"m": members} if members else None
    below = types_of(shape.elem, above)
    if shape.kind == "list" and (shape.merge or below is not None):
        return {"l": shape.merge or "list", **({"e": below} if below is not None else {})}
    return {"v": below} if shape.kind == "map" and below is not None else None


@lru_cache(maxsize=512)
def _read(text: str) -> Types:
    found: Types = msgspec.json.decode(text)
    return found


# -- the functions ----------------------------------------------------------------------------------------------------


def unlike(a: Any, b: Any, text: str) -> bool:
    return not _like(a, b, _read(text))


def _like(a: Any, b: Any, types: Types) -> bool:
    if types is None or type(a) is not type(b):
        return bool(a == b)
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return False
        members = types.get("m", {})
        return all(_like(v, b[k], members.get(k) if "m" in types else types.get("v")) for k, v in a.items())
    if not isinstance(a, list) or len(a) != len(b):
        return bool(a == b)
    kind, below = types.get("l"), types.get("e")
    if kind == "list":
        return all(_like(x, y, below) for x, y in zip(a, b, strict=True))
    if kind == "set":
        return _texts(a) == _texts(b)
    known = {_key(item, kind): item for item in b}
    return all((k := _key(item, kind)) in known and _like(item, known[k], below) for item in a)


def _texts(items: list[Any]) -> set[str]:
    return {_text(item) for item in items}


def _text(item: Any) -> str:
    return msgspec.json.encode(item, order="sorted", enc_hook=repr).decode()


def _key(item: Any, keys: Any) -> tuple[str, ...]:
    return tuple(_text(item.get(k)) for k in keys) if isinstance(item, dict) else (_text(item),)


def joined(a: Any, b: Any, text: str) -> Any:
    """What is in both stays where it is in ``a``; of a map it is replaced by that of ``b``."""
    types = _read(text) or {}
    kind = types.get("l")
    if kind == "set":
        known = _texts(a)
        return [*a, *(item for item in b if _text(item) not in known)]
    given = {_key(item, kind): item for item in b}
    before = [given.pop(_key(item, kind), item) for item in a]
    return [*before, *given.values()]


# -- the exchange -----------------------------------------------------------------------------------------------------


def wanted(checked: Checked, variables: Mapping[str, Shape]) -> dict[int, str]:
    """The nodes whose operator is to be exchanged, and the types that its function is told."""
    out: dict[int, str] = {}
    for node, (name, shape) in operands(checked, variables).items():
        types = types_of(shape)
        if types is not None and (name != "_+_" or types.get("l", "list") != "list"):
            out[node] = msgspec.json.encode(types).decode()
    return out


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(number, wire type, payload: the content of a length-delimited field, else its bytes)."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        wire = key & 7
        start = at
        if wire == VARINT:
            at = read_varint(data, at)[1]
        elif wire == BYTES:
            size, start = read_varint(data, at)
            at = start + size
        else:
            at += {FIXED64: 8, FIXED32: 4}[wire]
        yield key >> 3, wire, data[start:at]


def _field(number: int, wire: int, payload: bytes) -> bytes:
    return length_delimited(number, payload) if wire == BYTES else tag(number, wire) + payload


_BELOW = {5: (1,), 6: (1, 3), 7: (1,), 8: (2,), 9: (2, 4, 5, 6, 7)}
"""Where an expression's alternatives have expressions; the entries of a map have them in turn."""


class _Exchange:
    def __init__(self, nodes: Mapping[int, str]) -> None:
        self._nodes = nodes
        self._id = 1 << 40

    def expression(self, data: bytes) -> bytes:
        parts = list(_fields(data))
        node = next((read_varint(p, 0)[0] for n, _, p in parts if n == 2), 0)
        types = self._nodes.get(node)
        out = b""
        for number, wire, payload in parts:
            if number in _BELOW:
                payload = self._body(number, payload, types if number == 6 else None)
            out += _field(number, wire, payload)
        return out

    def _body(self, kind: int, data: bytes, types: str | None) -> bytes:
        out = b""
        for number, wire, payload in _fields(data):
            if kind == 6 and number == 2 and types is not None:
                payload = FUNCTIONS[payload.decode()].encode()
            elif kind == 8 and number == 2:
                payload = b"".join(
                    _field(n, w, self.expression(p) if n in (3, 4) else p) for n, w, p in _fields(payload)
                )
            elif number in _BELOW[kind]:
                payload = self.expression(payload)
            out += _field(number, wire, payload)
        if types is not None:
            self._id += 1
            constant = length_delimited(3, length_delimited(6, types.encode()))
            out += length_delimited(3, tag(2, VARINT) + varint(self._id) + constant)
        return out


def exchange(serialized: bytes, nodes: Mapping[int, str]) -> bytes:
    """serialized: a ``google.protobuf.Any`` that holds the checked expression."""
    work = _Exchange(nodes)
    out = b""
    for number, wire, payload in _fields(serialized):
        if number == 2:
            checked = b""
            for n, w, p in _fields(payload):
                if n == 2 and next((read_varint(v, 0)[0] for f, _, v in _fields(p) if f == 1), 0) in nodes:
                    continue  # which overload was meant: the function has one only
                checked += _field(n, w, work.expression(p) if n == 4 else p)
            payload = checked
        out += _field(number, wire, payload)
    return out
