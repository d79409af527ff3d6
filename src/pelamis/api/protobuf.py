"""Structs as upstream's protobuf messages, and messages as trees, derived from the field numbers that ``F`` declares.

Two compilers, both run once per type: ``_writer`` makes a function from struct to message, ``_reader`` one from
message to tree (which then goes through ``codec.clean`` like any other input). Writers follow upstream's encoder:
ascending field numbers, map keys sorted, non-pointer scalars, structs and times written even when zero, pointers only
when set. Fields declared ``within`` an embedded message are grouped under its number.

An object travels in an envelope: four magic bytes, then a ``runtime.Unknown`` that names its type.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from pelamis.api import codec, registry
from pelamis.api.field import Struct, Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import ListMeta
from pelamis.api.shape import Field, Value, shape_of
from pelamis.base import clock, duration
from pelamis.base.errors import NotAcceptable
from pelamis.base.protobuf import (
    BYTES,
    FIXED64,
    SMALL,
    VARINT,
    WireError,
    double,
    fields,
    length_delimited,
    read_double,
    read_varint,
    tag,
    varint,
)

MAGIC = b"k8s\x00"
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_EMPTY = b"\x00"
Encode = Callable[[Any], bytes]
"""A value without its tag; length included where the wire type has one."""
_NUMBERS = ("int", "int32", "int64")
_WIRE = {**dict.fromkeys((*_NUMBERS, "bool"), VARINT), "double": FIXED64}

# -- envelopes --------------------------------------------------------------------------------------------------------


def envelope(api_version: str, kind: str, message: bytes) -> bytes:
    type_meta = length_delimited(1, api_version.encode()) + length_delimited(2, kind.encode())
    unknown = length_delimited(1, type_meta) + length_delimited(2, message)
    return MAGIC + unknown + b"\x1a\x00\x22\x00"


def encode(kind: Kind, obj: Any) -> bytes:
    """A struct in its envelope."""
    return envelope(kind.api_version, kind.kind, message(obj))


def message(obj: Any) -> bytes:
    """The bare message of any struct."""
    return _writer(type(obj))(obj)


def encode_list(kind: Kind, objs: Iterable[Any], metadata: ListMeta) -> bytes:
    """A list of a kind in its envelope."""
    write = _writer(kind.type)
    out = [length_delimited(1, message(metadata))]
    out.extend(length_delimited(2, write(obj)) for obj in objs)
    return envelope(kind.api_version, f"{kind.kind}List", b"".join(out))


def encode_object(kind: Kind, data: bytes) -> bytes:
    """Served JSON of a built-in kind in its envelope."""
    return encode(kind, codec.decode(kind, data))


def encode_any(data: bytes) -> bytes:
    """JSON of any built-in object, list or answer, by the type that it names. Raises NotAcceptable for the rest."""
    head = _HEAD.decode(data)
    known = _types()
    kind = known.get((head.apiVersion, head.kind))
    if kind is not None:
        return encode_object(kind, data)
    item = known.get((head.apiVersion, head.kind.removesuffix("List")))
    if item is None or item.kind == head.kind:
        raise NotAcceptable((codec.JSON, codec.YAML))
    found = _list_decoder(item).decode(data)
    return encode_list(item, found.items, found.metadata)


def encode_watch_event(kind: Kind | None, event: str, data: bytes) -> bytes:
    """One event of a watch. data: JSON of an object of the kind or of another type (Status, PartialObjectMetadata)."""
    if kind is not None and data.startswith(f'{{"kind":"{kind.kind}","apiVersion":"{kind.api_version}"'.encode()):
        return watch_frame(event, encode_object(kind, data))
    return watch_frame(event, encode_any(data))


class _Head(msgspec.Struct, gc=False):
    kind: str = ""
    apiVersion: str = ""


_HEAD = msgspec.json.Decoder(_Head)
_TYPES: dict[tuple[str, str], Kind] = {}
_LISTS: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def _types() -> dict[tuple[str, str], Kind]:
    """Every type that has a wire form, by apiVersion and kind."""
    if not _TYPES:
        for kind in registry.builtin().types():
            if kind.kind != "Table":
                _TYPES[kind.api_version, kind.kind] = kind
    return _TYPES


def _list_decoder(kind: Kind) -> msgspec.json.Decoder[Any]:
    found = _LISTS.get(kind.type)
    if found is None:
        members = [
            ("kind", str, ""),
            ("apiVersion", str, ""),
            ("metadata", ListMeta, ListMeta()),
            ("items", tuple[kind.type, ...], ()),  # type: ignore[name-defined]
        ]
        found = _LISTS[kind.type] = msgspec.json.Decoder(msgspec.defstruct(f"{kind.kind}List", members))
    return found


def watch_frame(event: str, enveloped: bytes) -> bytes:
    """One event of a watch: length prefix, then a WatchEvent holding an object in its envelope."""
    body = length_delimited(1, event.encode()) + length_delimited(2, length_delimited(1, enveloped))
    return len(body).to_bytes(4, "big") + body


def open_envelope(data: bytes) -> tuple[str, str, bytes]:
    """(apiVersion, kind, message). Raises WireError."""
    if not data.startswith(MAGIC):
        raise WireError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version = kind = ""
    raw = b""
    for number, value in fields(data[4:]):
        if number == 1:
            for inner, text in fields(_bytes(value)):
                if inner == 1:
                    api_version = _text(text)
                elif inner == 2:
                    kind = _text(text)
        elif number == 2:
            raw = _bytes(value)
    return api_version, kind, raw


def decode_body(kind: Kind, data: bytes) -> Tree:
    """The tree of an enveloped object that should be of the kind; kind and apiVersion as the envelope has them."""
    api_version, name, raw = open_envelope(data)
    out: Tree = {}
    if name:
        out["kind"] = name
    if api_version:
        out["apiVersion"] = api_version
    if name and name != kind.kind:
        return out  # the caller refuses it by its name; the message would be misread
    out.update(decode(kind.type, raw))
    return out


def decode(cls: type[Any], data: bytes) -> Tree:
    """The tree of a bare message; fields with unknown numbers are skipped, zero values left out. Raises WireError."""
    return _reader(cls)(data)


# -- writing ----------------------------------------------------------------------------------------------------------

_WRITERS: dict[type[Any], Encode] = {}


def _writer(cls: type[Any]) -> Encode:
    found = _WRITERS.get(cls)
    if found is None:
        _WRITERS[cls] = lambda obj: _WRITERS[cls](obj)  # a recursive type finds this until it is compiled
        found = _WRITERS[cls] = _struct_writer(cls)
    return found


def _struct_writer(cls: type[Any]) -> Encode:
    writes = _group([(f, (*f.facts.get("within", ()), f.tag)) for f in shape_of(cls) if f.tag is not None])
    if len(writes) == 1:
        return writes[0]
    return lambda obj: b"".join([write(obj) for write in writes])


def _group(members: list[tuple[Field, tuple[Any, ...]]]) -> list[Encode]:
    """Functions from the object to the bytes of some of its fields, in ascending number.

    Members whose path goes on share an embedded message; the others that follow each other are written by one loop.
    """
    by_number: dict[int, list[tuple[Field, tuple[Any, ...]]]] = {}
    for f, path in members:
        by_number.setdefault(path[0], []).append((f, path[1:]))
    out: list[Encode] = []
    flat: list[tuple[Field, int]] = []
    for number, group in sorted(by_number.items()):
        if len(group) == 1 and not group[0][1]:
            flat.append((group[0][0], number))
            continue
        if flat:
            out.append(_flat(flat))
            flat = []
        out.append(_embedded(_group(group), number, any(f.facts.get("within_optional") for f, _ in group)))
    if flat or not out:
        out.append(_flat(flat))
    return out


def _embedded(writes: list[Encode], number: int, optional: bool) -> Encode:
    head = tag(number, BYTES)

    def write(obj: Any) -> bytes:
        data = b"".join([one(obj) for one in writes])
        return head + varint(len(data)) + data if data or not optional else b""

    return write


def _flat(members: list[tuple[Field, int]]) -> Encode:
    """One loop over several fields; what is written for a zero value is made here, once."""
    if not members:
        return lambda obj: b""
    plan = [_field_plan(f, number) for f, number in members]
    if len(plan) == 1:
        only = attrgetter(members[0][0].attr)
        get: Callable[[Any], tuple[Any, ...]] = lambda obj: (only(obj),)  # noqa: E731
    else:
        get = attrgetter(*(f.attr for f, _ in members))

    def write(obj: Any) -> bytes:
        out: list[bytes] = []
        append = out.append
        for value, (pointer, zero, enc) in zip(get(obj), plan, strict=True):
            if value is None or (not value and not pointer):
                if zero:
                    append(zero)
            else:
                append(enc(value))
        return b"".join(out)

    return write


def _field_plan(f: Field, number: int) -> tuple[bool, bytes, Encode]:
    """(whether a falsy value is written as a value, the bytes for zero, the function for the rest), tags included."""
    value = f.value
    if value.what == "list":
        assert value.of is not None
        return False, b"", _list_write(number, value.of)
    if value.what == "map":
        assert value.of is not None
        return False, b"", _map_write(number, value.of)
    head = tag(number, _WIRE.get(value.what, BYTES))
    enc = _encode_value(value)
    whole: Encode = lambda v: head + enc(v)  # noqa: E731
    if f.pointer or value.what in ("raw", "fieldsV1", "bytes"):
        return f.pointer, b"", whole
    # structs are never falsy, so what is left here are scalars and texts
    return False, b"" if value.what == "struct" else head + enc(_ZERO.get(value.what, "")), whole


_ZERO: dict[str, Any] = {"bool": False, "intOrString": 0, "double": 0.0, **dict.fromkeys(_NUMBERS, 0)}


def _list_write(number: int, of: Value) -> Encode:
    head = tag(number, _WIRE.get(of.what, BYTES))
    enc = _encode_value(of)
    return lambda items: b"".join([head + enc(item) for item in items])


def _map_write(number: int, of: Value) -> Encode:
    head = tag(number, BYTES)
    value_head = tag(2, _WIRE.get(of.what, BYTES))
    enc = _encode_value(of)

    def write(members: dict[str, Any]) -> bytes:
        out: list[bytes] = []
        for key in sorted(members):
            entry = b"\x0a" + _string(key) + value_head + enc(members[key])
            out.append(head + varint(len(entry)) + entry)
        return b"".join(out)

    return write


def _string(text: str) -> bytes:
    data = text.encode()
    size = len(data)
    return (SMALL[size] if size < 128 else varint(size)) + data


def _sized(data: bytes) -> bytes:
    size = len(data)
    return (SMALL[size] if size < 128 else varint(size)) + data


@lru_cache(maxsize=2048)
def _time(text: str) -> bytes:
    if not text:
        return _EMPTY
    seconds = clock.parse_rfc3339(text)
    whole = math.floor(seconds)
    micros = round((seconds - whole) * 1e6)
    return _sized(b"\x08" + varint(whole) + b"\x10" + varint(micros * 1000))


@lru_cache(maxsize=1024)
def _quantity(text: str) -> bytes:
    return _sized(b"\x0a" + _string(text or "0"))


def _int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return _sized(b"\x08\x01\x10\x00\x1a" + _string(value))
    return _sized(b"\x08\x00\x10" + varint(value) + b"\x1a\x00")


def _duration(text: str) -> bytes:
    return _sized(b"\x08" + varint(duration.parse_nanos(text) if text else 0))


def _raw(value: msgspec.Raw) -> bytes:
    data = bytes(value)
    return _sized(b"\x0a" + _sized(data))


_PLAIN: dict[str, Encode] = {
    "string": _string,
    "bool": lambda v: b"\x01" if v else b"\x00",
    "bytes": _sized,
    "double": double,
    "time": _time,
    "microTime": _time,
    "quantity": _quantity,
    "intOrString": _int_or_string,
    "duration": _duration,
    "raw": _raw,
    "fieldsV1": _raw,
    **dict.fromkeys(_NUMBERS, varint),
}


def _encode_value(value: Value) -> Encode:
    plain = _PLAIN.get(value.what)
    if plain is not None:
        return plain
    if value.struct is not None:
        inner = _writer(value.struct)

        def struct(obj: Struct) -> bytes:
            return _sized(inner(obj))

        return struct
    if value.what == "list":  # a list inside a list or map is a message with repeated items
        assert value.of is not None
        head, enc = tag(1, _WIRE.get(value.of.what, BYTES)), _encode_value(value.of)
        return lambda items: _sized(b"".join(head + enc(item) for item in items))
    if value.what == "union":
        return _union(value)
    raise TypeError(f"no wire form for {value}")


def _union(value: Value) -> Encode:
    """JSON schema's unions: a schema or several (1, 2), a bool or a schema (1, 2), a schema or texts (1, 2)."""
    schema, other = value.options
    assert schema.struct is not None
    cls, inner = schema.struct, _writer(schema.struct)
    if other.what == "bool":

        def either(v: Any) -> bytes:
            if isinstance(v, cls):
                return _sized(b"\x08\x01\x12" + _sized(inner(v)))
            return _sized(b"\x08\x01" if v else b"\x08\x00")

        return either
    assert other.of is not None
    enc = _encode_value(other.of)

    def several(v: Any) -> bytes:
        if isinstance(v, cls):
            return _sized(b"\x0a" + _sized(inner(v)))
        return _sized(b"".join(b"\x12" + enc(item) for item in v))

    return several


# -- reading ----------------------------------------------------------------------------------------------------------

Read = Callable[[Tree, Any], None]
Table = dict[int, Read]
_READERS: dict[type[Any], Callable[[bytes], Tree]] = {}
_parse = msgspec.json.Decoder().decode


def _reader(cls: type[Any]) -> Callable[[bytes], Tree]:
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
    packed = of.what in _NUMBERS or of.what == "bool"

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
        for number, part in fields(_bytes(raw)):
            if number == 1:
                key = _text(part)
            elif number == 2:
                value = conv(part)
        tree.setdefault(name, {})[key] = value

    return read


def _zero(value: Value) -> Any:
    if value.what in ("struct", "map", "union"):
        return dict
    if value.what == "list":
        return list
    return {"quantity": "0", "bool": False, **dict.fromkeys((*_NUMBERS, "double"), 0)}.get(value.what, "")


def _bytes(raw: Any) -> bytes:
    if not isinstance(raw, bytes):
        raise WireError("proto: wrong wireType")
    return raw


def _text(raw: Any) -> str:
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
    for number, value in fields(_bytes(raw)):
        some = True
        if number == 1:
            seconds = _number(value)
        elif number == 2:
            nanos = _number32(value)
    return clock.rfc3339(seconds + nanos / 1e9) if some else ""


def _read_micro_time(raw: Any) -> str:
    seconds, nanos, some = 0, 0, False
    for number, value in fields(_bytes(raw)):
        some = True
        if number == 1:
            seconds = _number(value)
        elif number == 2:
            nanos = _number32(value)
    return clock.rfc3339(seconds)[:-1] + f".{nanos // 1000:06d}Z" if some else ""


@lru_cache(maxsize=1024)
def _read_quantity(raw: Any) -> str:
    return next((_text(value) for number, value in fields(_bytes(raw)) if number == 1), "0") or "0"


def _read_int_or_string(raw: Any) -> int | str:
    kind, number_value, text = 0, 0, ""
    for number, value in fields(_bytes(raw)):
        if number == 1:
            kind = _number(value)
        elif number == 2:
            number_value = _number32(value)
        elif number == 3:
            text = _text(value)
    return text if kind == 1 else number_value


def _read_duration(raw: Any) -> str:
    return duration.format_nanos(next((_number(v) for number, v in fields(_bytes(raw)) if number == 1), 0))


def _read_raw(raw: Any) -> Any:
    data = next((_bytes(v) for number, v in fields(_bytes(raw)) if number == 1), b"")
    return _parse(data) if data else None


def _read_base64(raw: Any) -> str:
    return binascii.b2a_base64(_bytes(raw), newline=False).decode()


_READ_PLAIN: dict[str, Callable[[Any], Any]] = {
    "string": _text,
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
        inner = _reader(value.struct)
        return lambda raw: inner(_bytes(raw))
    if value.what == "list":
        assert value.of is not None
        conv = _decode_value(value.of)
        return lambda raw: [conv(v) for number, v in fields(_bytes(raw)) if number == 1]
    if value.what == "union":
        return _read_union(value)
    raise TypeError(f"no wire form for {value}")


def _read_union(value: Value) -> Callable[[Any], Any]:
    schema, other = value.options
    assert schema.struct is not None
    inner = _reader(schema.struct)
    if other.what == "bool":

        def either(raw: Any) -> Any:
            allows: Any = False
            for number, v in fields(_bytes(raw)):
                if number == 1 and not isinstance(allows, dict):
                    allows = bool(_number(v))
                elif number == 2:
                    allows = inner(_bytes(v))
            return allows

        return either
    assert other.of is not None
    conv = _decode_value(other.of)

    def several(raw: Any) -> Any:
        items: list[Any] = []
        for number, v in fields(_bytes(raw)):
            if number == 1:
                return inner(_bytes(v))
            if number == 2:
                items.append(conv(v))
        return items

    return several
