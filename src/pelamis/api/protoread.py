"""From protobuf messages to trees: a reader for each type, compiled once from the declared field numbers.

Unknown numbers are skipped and zero values left out; the tree then goes through ``codec.clean`` like any other input.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from pelamis.api.field import Tree
from pelamis.api.protowrite import NUMBERS
from pelamis.api.shape import Field, Value, shape_of
from pelamis.base import clock, duration
from pelamis.base.protobuf import BYTES, FIXED64, VARINT, WireError, fields, read_double, read_varint, varint

Read = Callable[[Tree, Any], None]
Table = dict[int, Read]
_READERS: dict[type[Any], Callable[[bytes], Tree]] = {}
_parse = msgspec.json.Decoder().decode


def reader(cls: type[Any]) -> Callable[[bytes], Tree]:
    """The function from a bare message of this type to its tree. It raises WireError."""
    found = _READERS.get(cls)
    if found is None:
        _READERS[cls] = lambda data: _READERS[cls](data)
        found = _READERS[cls] = _struct_reader(cls)
    return found


def _struct_reader(cls: type[Any]) -> Callable[[bytes], Tree]:
    table = _table([(f, (*f.facts.get("within", ()), f.tag)) for f in shape_of(cls) if f.tag is not None])

    def read(data: bytes) -> Tree:
        out: Tree = {}
        _read_into(out, table, data)
        return out

    return read


def _read_into(out: Tree, table: Table, data: Any) -> None:
    """As base.protobuf.fields, inlined: this loop is most of the cost of reading."""
    if type(data) is not bytes:
        raise WireError("proto: wrong wireType for an embedded message")
    at, end = 0, len(data)
    find = table.get
    while at < end:
        key = data[at]
        at += 1
        if key > 127:
            key, at = read_varint(data, at - 1)
        wire = key & 7
        if wire == BYTES:
            size = data[at] if at < end else 128
            at += 1
            if size > 127:
                size, at = read_varint(data, at - 1)
            stop = at + size
            if stop > end:
                raise WireError("unexpected EOF")
            read = find(key >> 3)
            if read is not None:
                read(out, data[at:stop])
            at = stop
        elif wire == VARINT:
            value = data[at] if at < end else 128
            at += 1
            if value > 127:
                value, at = read_varint(data, at - 1)
            read = find(key >> 3)
            if read is not None:
                read(out, value)
        else:  # rare: let the general reader do one field
            start = at - len(varint(key))
            width = 8 if wire == FIXED64 else 4
            for number, fixed in fields(data[start : at + width]):
                read = find(number)
                if read is not None:
                    read(out, fixed)
            at += width


def _table(members: list[tuple[Field, tuple[Any, ...]]]) -> Table:
    by_number: dict[int, list[tuple[Field, tuple[Any, ...]]]] = {}
    for f, path in members:
        by_number.setdefault(path[0], []).append((f, path[1:]))
    out: Table = {}
    for number, group in by_number.items():
        if len(group) == 1 and not group[0][1]:
            out[number] = _field_read(group[0][0])
        else:
            out[number] = _embedded_read(_table(group))
    return out


def _embedded_read(table: Table) -> Read:
    return lambda tree, data: _read_into(tree, table, data)


def _field_read(f: Field) -> Read:
    name, value = f.name, f.value
    if value.what == "list":
        assert value.of is not None
        return _list_read(name, value.of)
    if value.what == "map":
        assert value.of is not None
        return _map_read(name, value.of)
    conv = _decode_value(value)
    keep_zero = f.pointer or value.what in ("struct", "raw", "fieldsV1", "intOrString", "quantity", "union")

    def read(tree: Tree, raw: Any) -> None:
        v = conv(raw)
        if v is not None and (keep_zero or v):
            tree[name] = v

    return read


def _list_read(name: str, of: Value) -> Read:
    conv = _decode_value(of)
    packed = of.what in NUMBERS or of.what == "bool"

    def read(tree: Tree, raw: Any) -> None:
        items = tree.setdefault(name, [])
        if packed and isinstance(raw, bytes):
            at = 0
            while at < len(raw):
                number, at = read_varint(raw, at)
                items.append(conv(number))
        else:
            items.append(conv(raw))

    return read


def _map_read(name: str, of: Value) -> Read:
    conv = _decode_value(of)
    zero = _zero(of)

    def read(tree: Tree, raw: Any) -> None:
        key, value = "", zero() if callable(zero) else zero
        for number, part in fields(bytes_of(raw)):
            if number == 1:
                key = text_of(part)
            elif number == 2:
                value = conv(part)
        tree.setdefault(name, {})[key] = value

    return read


def _zero(value: Value) -> Any:
    if value.what in ("struct", "map", "union"):
        return dict
    if value.what == "list":
        return list
    return {"quantity": "0", "bool": False, **dict.fromkeys((*NUMBERS, "double"), 0)}.get(value.what, "")


def bytes_of(raw: Any) -> bytes:
    if not isinstance(raw, bytes):
        raise WireError("proto: wrong wireType")
    return raw


def text_of(raw: Any) -> str:
    if type(raw) is not bytes:
        raise WireError("proto: wrong wireType")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise WireError("proto: invalid UTF-8 in a string field") from None


def _number(raw: Any) -> int:
    if type(raw) is not int:
        raise WireError("proto: wrong wireType")
    return raw if raw < 1 << 63 else raw - (1 << 64)


def _number32(raw: Any) -> int:
    number = _number(raw) & 0xFFFFFFFF
    return number - (1 << 32) if number >> 31 else number


@lru_cache(maxsize=2048)
def _read_time(raw: Any) -> str:
    seconds, nanos, some = 0, 0, False
    for number, value in fields(bytes_of(raw)):
        some = True
        if number == 1:
            seconds = _number(value)
        elif number == 2:
            nanos = _number32(value)
    return clock.rfc3339(seconds + nanos / 1e9) if some else ""


def _read_micro_time(raw: Any) -> str:
    seconds, nanos, some = 0, 0, False
    for number, value in fields(bytes_of(raw)):
        some = True
        if number == 1:
            seconds = _number(value)
        elif number == 2:
            nanos = _number32(value)
    return clock.rfc3339(seconds)[:-1] + f".{nanos // 1000:06d}Z" if some else ""


@lru_cache(maxsize=1024)
def _read_quantity(raw: Any) -> str:
    return next((text_of(value) for number, value in fields(bytes_of(raw)) if number == 1), "0") or "0"


def _read_int_or_string(raw: Any) -> int | str:
    kind, number_value, text = 0, 0, ""
    for number, value in fields(bytes_of(raw)):
        if number == 1:
            kind = _number(value)
        elif number == 2:
            number_value = _number32(value)
        elif number == 3:
            text = text_of(value)
    return text if kind == 1 else number_value


def _read_duration(raw: Any) -> str:
    return duration.format_nanos(next((_number(v) for number, v in fields(bytes_of(raw)) if number == 1), 0))


def _read_raw(raw: Any) -> Any:
    data = next((bytes_of(v) for number, v in fields(bytes_of(raw)) if number == 1), b"")
    return _parse(data) if data else None


def _read_base64(raw: Any) -> str:
    return binascii.b2a_base64(bytes_of(raw), newline=False).decode()


_READ_PLAIN: dict[str, Callable[[Any], Any]] = {
    "string": text_of,
    "bool": lambda raw: bool(_number(raw)),
    "bytes": _read_base64,
    "double": lambda raw: read_double(raw),
    "int32": _number32,
    "int64": _number,
    "int": _number,
    "time": _read_time,
    "microTime": _read_micro_time,
    "quantity": _read_quantity,
    "intOrString": _read_int_or_string,
    "duration": _read_duration,
    "raw": _read_raw,
    "fieldsV1": _read_raw,
}


def _decode_value(value: Value) -> Callable[[Any], Any]:
    plain = _READ_PLAIN.get(value.what)
    if plain is not None:
        return plain
    if value.struct is not None:
        inner = reader(value.struct)
        return lambda raw: inner(bytes_of(raw))
    if value.what == "list":
        assert value.of is not None
        conv = _decode_value(value.of)
        return lambda raw: [conv(v) for number, v in fields(bytes_of(raw)) if number == 1]
    if value.what == "union":
        return _read_union(value)
    raise TypeError(f"no wire form for {value}")


def _read_union(value: Value) -> Callable[[Any], Any]:
    schema, other = value.options
    assert schema.struct is not None
    inner = reader(schema.struct)
    if other.what == "bool":

        def either(raw: Any) -> Any:
            allows: Any = False
            for number, v in fields(bytes_of(raw)):
                if number == 1 and not isinstance(allows, dict):
                    allows = bool(_number(v))
                elif number == 2:
                    allows = inner(bytes_of(v))
            return allows

        return either
    assert other.of is not None
    conv = _decode_value(other.of)

    def several(raw: Any) -> Any:
        items: list[Any] = []
        for number, v in fields(bytes_of(raw)):
            if number == 1:
                return inner(bytes_of(v))
            if number == 2:
                items.append(conv(v))
        return items

    return several
