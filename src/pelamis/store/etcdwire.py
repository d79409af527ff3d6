"""The messages of etcd's v3 API that the store uses: requests are built as bytes, answers are read into tuples.

Field numbers are those of etcdserverpb and mvccpb.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from pelamis.base.protobuf import BYTES, VARINT, WireError, fields, length_delimited, read_varint, signed, tag, varint
from pelamis.store.types import Event, Item

RANGE = "/etcdserverpb.KV/Range"
TXN = "/etcdserverpb.KV/Txn"
COMPACT = "/etcdserverpb.KV/Compact"
WATCH = "/etcdserverpb.Watch/Watch"
LEASE_GRANT = "/etcdserverpb.Lease/LeaseGrant"
AUTHENTICATE = "/etcdserverpb.Auth/Authenticate"

EQUAL, NOT_EQUAL = 0, 3
_CREATE, _MOD = 1, 2
_NUMBER = rb"[\x80-\xff]*[\x00-\x7f]"
_HEADER_REV = re.compile(rb"(?:\x08%b)?(?:\x10%b)?\x18(%b)" % (_NUMBER, _NUMBER, _NUMBER))
"""Numbers may hold any byte, so that the fields before the revision have to be passed over one by one."""
_HEADER = bytes((1 << 3 | BYTES,))
_KEY, _VALUE = 1 << 3 | BYTES, 5 << 3 | BYTES
_EVENT_TYPE, _EVENT_ITEM, _EVENT_PREV = 1 << 3 | VARINT, 2 << 3 | BYTES, 3 << 3 | BYTES


_length = lru_cache(maxsize=2048)(varint)


def _number(number: int, value: int) -> bytes:
    return tag(number, VARINT) + varint(value) if value else b""


def range_request(key: bytes, end: bytes = b"", *, limit: int = 0, rev: int = 0, count_only: bool = False) -> bytes:
    out = length_delimited(1, key)
    if end:
        out += length_delimited(2, end)
    return out + _number(3, limit) + _number(4, rev) + _number(9, int(count_only))


def compare(key: bytes, result: int, *, mod_rev: int | None = None) -> bytes:
    """Compares the key's mod revision, or, without one, its create revision with 0 (which means: absent)."""
    if mod_rev is None:
        return _number(1, result) + _number(2, _CREATE) + length_delimited(3, key) + tag(5, VARINT) + varint(0)
    return _number(1, result) + _number(2, _MOD) + length_delimited(3, key) + tag(6, VARINT) + varint(mod_rev)


def op_range(key: bytes) -> bytes:
    return length_delimited(1, range_request(key))


def op_put(key: bytes, value: bytes, lease: int = 0) -> bytes:
    return length_delimited(2, length_delimited(1, key) + length_delimited(2, value) + _number(3, lease))


def op_delete(key: bytes) -> bytes:
    return length_delimited(3, length_delimited(1, key))


def txn_request(condition: bytes, success: bytes, failure: bytes) -> bytes:
    out = length_delimited(1, condition) if condition else b""
    out += length_delimited(2, success)
    return out + length_delimited(3, failure) if failure else out


def put_request(key: bytes, value: bytes, expect: int, lease: int = 0) -> bytes:
    """Put if the key's mod revision is ``expect``, else read it: the parts above, put together at once."""
    named = b"\x0a%b%b" % (_length(len(key)), key)
    condition = b"\x10\x02\x1a%b\x30%b" % (named[1:], varint(expect))
    put = b"%b\x12%b%b%b" % (named, _length(len(value)), value, _number(3, lease))
    size = len(put)
    put = b"\x12%b%b" % (_length(size), put)
    read = b"\x0a%b%b" % (_length(len(named)), named)
    return b"\x0a%b%b\x12%b%b\x1a%b%b" % (
        _length(len(condition)), condition, _length(len(put)), put, _length(len(read)), read
    )  # fmt: skip


def compact_request(rev: int) -> bytes:
    return _number(1, rev)


def lease_request(ttl_s: int) -> bytes:
    return _number(1, ttl_s)


def authenticate_request(user: str, password: str) -> bytes:
    return length_delimited(1, user.encode()) + length_delimited(2, password.encode())


def watch_request(key: bytes, end: bytes, from_rev: int) -> bytes:
    create = length_delimited(1, key) + length_delimited(2, end) + _number(3, from_rev) + _number(6, 1)
    return length_delimited(1, create)


class RangeAnswer(NamedTuple):
    rev: int
    items: list[Item]
    more: bool
    total: int


class TxnAnswer(NamedTuple):
    """``current`` is what a refused transaction found."""

    rev: int
    succeeded: bool
    current: Item | None


class WatchAnswer(NamedTuple):
    canceled: bool
    compacted: int
    reason: str
    events: list[Event]


def _bytes(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b""


def _int(value: int | bytes) -> int:
    return signed(value) if isinstance(value, int) else 0


def header_rev(data: bytes) -> int:
    """Of a header, whose fields are all numbers: cluster, member, revision, term. Every answer has one."""
    found = _HEADER_REV.match(data)
    return read_varint(found[1], 0)[0] if found is not None else 0


def answer_rev(data: bytes) -> int:
    """Of any answer: its header comes first."""
    if data[:1] == _HEADER and data[1] < 128:
        return header_rev(data[2 : 2 + data[1]])
    return next((header_rev(_bytes(value)) for number, value in fields(data) if number == 1), 0)


def read_item(data: bytes) -> Item:
    """Of a key with its value. All fields are bytes or numbers; without a generator, as this is once per event."""
    key, value, numbers = "", b"", [0, 0, 0, 0, 0, 0, 0]
    at, end = 0, len(data)
    while at < end:
        field = data[at]
        size = data[at + 1]
        at += 2
        if size > 127:
            size, at = read_varint(data, at - 1)
        if field == _KEY:
            key = data[at : at + size].decode("utf-8", "surrogateescape")
            at += size
        elif field == _VALUE:
            value = data[at : at + size]
            at += size
        elif field & 7 == VARINT and field >> 3 < 7:
            numbers[field >> 3] = signed(size)
        else:
            raise WireError(f"a field of a key that is not known: {field >> 3}")
    if at != end:
        raise WireError("unexpected EOF")
    return Item(key, value, numbers[2], numbers[3], numbers[6])


def read_range(data: bytes) -> RangeAnswer:
    rev, more, total = 0, False, 0
    items: list[Item] = []
    for number, field in fields(data):
        if number == 1:
            rev = header_rev(_bytes(field))
        elif number == 2:
            items.append(read_item(_bytes(field)))
        elif number == 3:
            more = bool(field)
        elif number == 4:
            total = _int(field)
    return RangeAnswer(rev, items, more, total)


def read_txn(data: bytes) -> TxnAnswer:
    rev, succeeded, current = 0, False, None
    for number, field in fields(data):
        if number == 1:
            rev = header_rev(_bytes(field))
        elif number == 2:
            succeeded = bool(field)
            if succeeded:
                break
        elif number == 3:
            for which, answer in fields(_bytes(field)):
                if which == 1:
                    found = read_range(_bytes(answer)).items
                    current = found[0] if found else None
    return TxnAnswer(rev, succeeded, current)


def read_lease(data: bytes) -> int:
    return next((_int(value) for number, value in fields(data) if number == 2), 0)


def read_token(data: bytes) -> str:
    return next((_bytes(value).decode() for number, value in fields(data) if number == 2), "")


def _read_event(data: bytes) -> Event:
    deleted, item, prev = False, None, None
    at, end = 0, len(data)
    while at < end:
        field, size = data[at], data[at + 1]
        at += 2
        if size > 127:
            size, at = read_varint(data, at - 1)
        if field == _EVENT_TYPE:
            deleted = size == 1
        elif field == _EVENT_ITEM:
            item = read_item(data[at : at + size])
            at += size
        elif field == _EVENT_PREV:
            prev = read_item(data[at : at + size])
            at += size
        else:
            raise WireError(f"a field of an event that is not known: {field >> 3}")
    if item is None:
        raise WireError("an event without a key")
    create = item.create_rev or (prev.create_rev if prev is not None else 0)
    value = None if deleted else item.value
    if prev is None:
        return Event(item.mod_rev, item.key, value, None, create, 0)
    return Event(item.mod_rev, item.key, value, prev.value, create, prev.mod_rev)


def read_watch(data: bytes) -> WatchAnswer:
    canceled, compacted, reason = False, 0, ""
    events: list[Event] = []
    for number, field in fields(data):
        if number == 4:
            canceled = bool(field)
        elif number == 5:
            compacted = _int(field)
        elif number == 6:
            reason = _bytes(field).decode(errors="replace")
        elif number == 11:
            events.append(_read_event(_bytes(field)))
    return WatchAnswer(canceled, compacted, reason, events)
