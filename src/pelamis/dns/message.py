"""DNS messages on the wire (RFC 1035, EDNS RFC 6891): reading questions, writing answers. Pure.

Only what a resolver for a cluster needs is decoded; a message that is forwarded is passed on as its bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5


class Malformed(ValueError):
    """The message cannot be read."""


@dataclass(frozen=True, slots=True)
class Question:
    """name: lower case, without the last dot. raw: the question's bytes, echoed in the answer. payload: the largest
    UDP answer that the client takes. edns: it spoke EDNS, so the answer must."""

    id: int
    flags: int
    name: str
    type: int
    klass: int
    raw: bytes
    payload: int
    edns: bool

    @property
    def opcode(self) -> int:
        return self.flags >> 11 & 15


@dataclass(frozen=True, slots=True)
class Record:
    """name without the last dot; data is already encoded (names in it are never compressed)."""

    name: str
    type: int
    ttl: int
    data: bytes


def _name(data: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    end = -1
    for _ in range(128):
        if at >= len(data):
            raise Malformed("name runs past the end")
        size = data[at]
        if size & 0xC0 == 0xC0:
            if at + 1 >= len(data):
                raise Malformed("pointer runs past the end")
            if end < 0:
                end = at + 2
            at = (size & 0x3F) << 8 | data[at + 1]
            continue
        if size & 0xC0:
            raise Malformed("unknown label type")
        at += 1
        if not size:
            return ".".join(labels).lower(), end if end >= 0 else at
        labels.append(data[at : at + size].decode("latin-1"))
        at += size
    raise Malformed("name has too many labels")


def encode_name(name: str) -> bytes:
    """Raises Malformed when a label is empty or longer than 63 bytes."""
    out = b""
    for label in name.rstrip(".").split(".") if name.rstrip(".") else []:
        raw = label.encode("latin-1", "replace")
        if not 0 < len(raw) < 64:
            raise Malformed(f"bad label in {name!r}")
        out += bytes((len(raw),)) + raw
    return out + b"\0"


def parse(data: bytes) -> Question:
    """Reads a query with one question. Raises Malformed."""
    if len(data) < 12:
        raise Malformed("shorter than a header")
    number, flags, questions, answers, authority, additional = struct.unpack_from(">6H", data)
    if flags & 0x8000 or questions != 1:
        raise Malformed("not a query with one question")
    name, at = _name(data, 12)
    if at + 4 > len(data):
        raise Malformed("question runs past the end")
    kind, klass = struct.unpack_from(">2H", data, at)
    raw = data[12 : at + 4]
    at += 4
    payload, edns = 512, False
    for _ in range(answers + authority + additional):
        _, at = _name(data, at)
        if at + 10 > len(data):
            raise Malformed("record runs past the end")
        record, size, _, length = struct.unpack_from(">HHIH", data, at)
        at += 10 + length
        if record == OPT:
            edns, payload = True, max(512, size)
    return Question(number, flags, name, kind, klass, raw, payload, edns)


def answers(data: bytes) -> tuple[Record, ...]:
    """The address and alias records of a response's answer section. Raises Malformed."""
    if len(data) < 12:
        raise Malformed("shorter than a header")
    questions, count = struct.unpack_from(">2H", data, 4)
    at = 12
    for _ in range(questions):
        at = _name(data, at)[1] + 4
    found = []
    for _ in range(count):
        name, at = _name(data, at)
        if at + 10 > len(data):
            raise Malformed("record runs past the end")
        kind, _klass, ttl, length = struct.unpack_from(">HHIH", data, at)
        at += 10
        if kind == CNAME:
            found.append(Record(name, kind, ttl, encode_name(_name(data, at)[0])))
        elif kind in (A, AAAA, TXT):
            found.append(Record(name, kind, ttl, data[at : at + length]))
        at += length
    return tuple(found)


def response(
    question: Question,
    code: int,
    answers: tuple[Record, ...] = (),
    authority: tuple[Record, ...] = (),
    extra: tuple[Record, ...] = (),
    *,
    authoritative: bool = True,
    limit: int = 65535,
) -> bytes:
    """The answer's bytes; longer than ``limit`` it is cut to the question with the TC bit: the client asks by TCP."""
    flags = 0x8080 | question.flags & 0x7900 | (0x0400 if authoritative else 0) | code
    names = {question.name: 12}
    body = bytearray(struct.pack(">6H", question.id, flags, 1, len(answers), len(authority), len(extra)) + question.raw)
    for record in (*answers, *authority, *extra):
        at = names.get(record.name)
        if at is None:
            if len(body) < 0x4000:
                names[record.name] = len(body)
            body += encode_name(record.name)
        else:
            body += struct.pack(">H", 0xC000 | at)
        body += struct.pack(">HHIH", record.type, IN, record.ttl, len(record.data)) + record.data
    if len(body) + (11 if question.edns else 0) > limit:
        body = bytearray(struct.pack(">6H", question.id, flags | 0x0200, 1, 0, 0, 0) + question.raw)
        extra = ()
    if question.edns:
        body += b"\0" + struct.pack(">HHIH", OPT, 1232, 0, 0)
        struct.pack_into(">H", body, 10, len(extra) + 1)
    return bytes(body)


def a(name: str, ip: str, ttl: int) -> Record:
    return Record(name, A, ttl, IPv4Address(ip).packed)


def aaaa(name: str, ip: str, ttl: int) -> Record:
    return Record(name, AAAA, ttl, IPv6Address(ip).packed)


def srv(name: str, target: str, port: int, ttl: int, *, priority: int = 0, weight: int = 100) -> Record:
    return Record(name, SRV, ttl, struct.pack(">3H", priority, weight, port) + encode_name(target))


def ptr(name: str, target: str, ttl: int) -> Record:
    return Record(name, PTR, ttl, encode_name(target))


def cname(name: str, target: str, ttl: int) -> Record:
    return Record(name, CNAME, ttl, encode_name(target))


def txt(name: str, text: str, ttl: int) -> Record:
    raw = text.encode()
    return Record(name, TXT, ttl, bytes((len(raw),)) + raw)


def soa(zone: str, serial: int, ttl: int) -> Record:
    """Negative answers carry it; the last number is how long they may be kept."""
    data = encode_name(f"ns.dns.{zone}") + encode_name(f"hostmaster.{zone}")
    return Record(zone, SOA, ttl, data + struct.pack(">5I", serial, 7200, 1800, 86400, ttl))
