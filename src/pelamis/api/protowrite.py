"""From structs to protobuf messages: a writer for each type, compiled once from the declared field numbers.

Writers follow upstream's encoder: ascending field numbers, map keys sorted, non-pointer scalars, structs and times
written even when zero, pointers only when set. Fields declared ``within`` an embedded message share its number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from pelamis.api.field import Struct
from pelamis.api.shape import Field, Value, shape_of
from pelamis.base import clock, duration
from pelamis.base.protobuf import BYTES, FIXED64, SMALL, VARINT, double, tag, varint

_EMPTY = b"\x00"
Encode = Callable[[Any], bytes]
"""A value to bytes: without its tag, but with its length where the wire type has one, unless said otherwise."""
NUMBERS = ("int", "int32", "int64")
_WIRE = {**dict.fromkeys((*NUMBERS, "bool"), VARINT), "double": FIXED64}
_WRITERS: dict[type[Any], Encode] = {}


def writer(cls: type[Any]) -> Encode:
    """The function from a struct of this type to its bare message."""
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


_ZERO: dict[str, Any] = {"bool": False, "intOrString": 0, "double": 0.0, **dict.fromkeys(NUMBERS, 0)}


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
    **dict.fromkeys(NUMBERS, varint),
}


def _encode_value(value: Value) -> Encode:
    plain = _PLAIN.get(value.what)
    if plain is not None:
        return plain
    if value.struct is not None:
        inner = writer(value.struct)

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
    cls, inner = schema.struct, writer(schema.struct)
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
