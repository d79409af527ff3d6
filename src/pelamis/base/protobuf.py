"""The protobuf wire format, without messages: tags, varints, lengths. ``api.protobuf`` knows what the fields mean."""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_DOUBLE = struct.Struct("<d")
_FIXED32 = struct.Struct("<I")
_FIXED64 = struct.Struct("<Q")
SMALL = tuple(bytes((i,)) for i in range(128))
"""The varints of one byte, by value."""


class WireError(ValueError):
    """Bytes that are not a protobuf message."""


def varint(value: int) -> bytes:
    """Unsigned, or a negative number in 64-bit two's complement, as int32, int64 and bool fields are written."""
    if 0 <= value < 128:
        return SMALL[value]
    if value < 0:
        value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def length_delimited(number: int, data: bytes) -> bytes:
    return tag(number, BYTES) + varint(len(data)) + data


def double(value: float) -> bytes:
    return _DOUBLE.pack(value)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, where the next byte is). Raises WireError."""
    try:
        byte = data[at]
        if byte < 128:
            return byte, at + 1
        value, shift = byte & 127, 7
        while True:
            at += 1
            byte = data[at]
            value |= (byte & 127) << shift
            if byte < 128:
                return value & 0xFFFFFFFFFFFFFFFF, at + 1
            shift += 7
            if shift > 63:
                raise WireError("proto: integer overflow")
    except IndexError:
        raise WireError("unexpected EOF") from None


def signed(value: int) -> int:
    """A varint as int64."""
    return value - (1 << 64) if value >> 63 else value


def read_double(raw: int) -> float:
    """Of the bits that ``fields`` gives for FIXED64."""
    out: float = _DOUBLE.unpack(_FIXED64.pack(raw))[0]
    return out


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value): an int for varint and fixed fields, bytes for the rest. Raises WireError."""
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        if key < 128:
            at += 1
        else:
            key, at = read_varint(data, at)
        wire = key & 7
        if wire == BYTES:
            size = data[at] if at < end else 128
            if size < 128:
                at += 1
            else:
                size, at = read_varint(data, at)
            if at + size > end:
                raise WireError("unexpected EOF")
            yield key >> 3, data[at : at + size]
            at += size
        elif wire == VARINT:
            value, at = read_varint(data, at)
            yield key >> 3, value
        elif wire in (FIXED64, FIXED32):
            width = 8 if wire == FIXED64 else 4
            if at + width > end:
                raise WireError("unexpected EOF")
            yield key >> 3, (_FIXED64 if width == 8 else _FIXED32).unpack_from(data, at)[0]
            at += width
        else:
            raise WireError(f"proto: wrong wireType = {wire} for field {key >> 3}")
