"""Protobuf encoding of the runtime interface's messages, derived from their declarations.

A message is a frozen struct whose fields are ``Annotated[type, number]``. Types: str, bytes, bool, int (every integer
and enum of the interface; 64-bit two's complement), float (double), a message (None = absent), a tuple of those,
and dict[str, str]. For each class one list of field encoders and one table of field decoders is compiled on first use.
Zero values are not written (proto3); unknown fields are skipped; repeated integers are packed on the way out and
accepted in both forms on the way in.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Base of all messages."""


M = TypeVar("M", bound=Message)
_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
Encoder = Callable[[Any, bytearray], None]
Decoder = Callable[[Any, Any], Any]
"""(raw wire value, value so far or None) -> value."""


class WireError(ValueError):
    """The bytes are not a message of the type."""


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("truncated or oversized varint")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _signed(value: int) -> int:
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >> 63 else value


class _Plan:
    """The compiled form of one message class."""

    __slots__ = ("cls", "decoders", "encoders")

    def __init__(self, cls: type[Message]) -> None:
        self.cls = cls
        self.encoders: list[tuple[str, Encoder]] = []
        self.decoders: dict[int, tuple[str, Decoder]] = {}
        for name, hint in get_type_hints(cls, include_extras=True).items():
            if get_origin(hint) is not Annotated:
                continue
            kind, number = get_args(hint)
            self.encoders.append((name, _encoder(kind, number)))
            self.decoders[number] = (name, _decoder(kind))


_plans: dict[type[Message], _Plan] = {}


def _plan(cls: type[Message]) -> _Plan:
    plan = _plans.get(cls)
    if plan is None:
        plan = _plans[cls] = _Plan(cls)
    return plan


def _optional(kind: Any) -> Any:
    """The message class of ``Message | None``; the type itself otherwise."""
    if get_origin(kind) in (Union, UnionType):
        return next(arg for arg in get_args(kind) if arg is not NoneType)
    return kind


def _block(tag: bytes, body: bytes | bytearray, out: bytearray) -> None:
    out += tag
    out += varint(len(body))
    out += body


def _encoder(kind: Any, number: int) -> Encoder:
    """Appends one field, tag included; the caller has already left out zero values."""
    kind = _optional(kind)
    tag_len = varint(number << 3 | _LEN)
    tag_int = varint(number << 3 | _VARINT)
    tag_f64 = varint(number << 3 | _I64)
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        if item is int:

            def packed(values: tuple[int, ...], out: bytearray) -> None:
                _block(tag_len, b"".join(map(varint, values)), out)

            return packed
        one = _encoder(item, number)

        def each(values: tuple[Any, ...], out: bytearray) -> None:
            for value in values:
                one(value, out)

        return each
    if get_origin(kind) is dict:

        def entries(values: dict[str, str], out: bytearray) -> None:
            for key in sorted(values):
                k, v = key.encode(), values[key].encode()
                _block(tag_len, b"\x0a" + varint(len(k)) + k + b"\x12" + varint(len(v)) + v, out)

        return entries
    if kind is str:
        return lambda value, out: _block(tag_len, value.encode(), out)
    if kind is bytes:
        return lambda value, out: _block(tag_len, value, out)
    if kind is bool or kind is int:

        def integer(value: int, out: bytearray) -> None:
            out += tag_int
            out += varint(int(value))

        return integer
    if kind is float:

        def double(value: float, out: bytearray) -> None:
            out += tag_f64
            out += struct.pack("<d", value)

        return double
    return lambda value, out: _block(tag_len, _encode(value), out)


def _encode(message: Message) -> bytearray:
    out = bytearray()
    for name, encode_field in _plan(type(message)).encoders:
        value = getattr(message, name)
        if value is None or (not value and not isinstance(value, Message)):
            continue
        encode_field(value, out)
    return out


def encode(message: Message) -> bytes:
    return bytes(_encode(message))


def _map_entry(raw: bytes) -> tuple[str, str]:
    key = value = ""
    for number, item in fields(raw):
        if number == 1:
            key = item.decode()
        elif number == 2:
            value = item.decode()
    return key, value


def _decoder(kind: Any) -> Decoder:
    kind = _optional(kind)
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        if item is int:

            def ints(raw: Any, old: Any) -> Any:
                values = [] if old is None else old
                if isinstance(raw, int):
                    values.append(_signed(raw))
                    return values
                at = 0
                while at < len(raw):
                    value, at = _read_varint(raw, at)
                    values.append(_signed(value))
                return values

            return ints
        one = _decoder(item)

        def items(raw: Any, old: Any) -> Any:
            values = [] if old is None else old
            values.append(one(raw, None))
            return values

        return items
    if get_origin(kind) is dict:

        def mapping(raw: Any, old: Any) -> Any:
            values = {} if old is None else old
            key, value = _map_entry(raw)
            values[key] = value
            return values

        return mapping
    if kind is str:
        return lambda raw, old: raw.decode("utf-8", "replace")
    if kind is bytes:
        return lambda raw, old: bytes(raw)
    if kind is bool:
        return lambda raw, old: bool(raw)
    if kind is int:
        return lambda raw, old: _signed(raw)
    if kind is float:
        return lambda raw, old: struct.unpack("<d", raw)[0]
    return lambda raw, old: decode(raw, kind)


def fields(data: bytes) -> list[tuple[int, Any]]:
    """(field number, raw value) in wire order: int for varints, bytes for the rest."""
    out: list[tuple[int, Any]] = []
    at, end = 0, len(data)
    while at < end:
        tag, at = _read_varint(data, at)
        kind = tag & 7
        value: Any
        if kind == _VARINT:
            value, at = _read_varint(data, at)
        else:
            if kind == _LEN:
                size, at = _read_varint(data, at)
            elif kind == _I64:
                size = 8
            elif kind == _I32:
                size = 4
            else:
                raise WireError(f"wire type {kind} is not supported")
            if at + size > end:
                raise WireError("truncated field")
            value = data[at : at + size]
            at += size
        out.append((tag >> 3, value))
    return out


def decode(data: bytes, cls: type[M]) -> M:
    """Raises WireError."""
    decoders = _plan(cls).decoders
    values: dict[str, Any] = {}
    for number, raw in fields(data):
        entry = decoders.get(number)
        if entry is not None:
            name, decode_field = entry
            values[name] = decode_field(raw, values.get(name))
    for name, value in values.items():
        if type(value) is list:
            values[name] = tuple(value)
    return cls(**values)
