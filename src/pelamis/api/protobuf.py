"""API objects in upstream's protobuf form: envelopes, lists, watch events.

An object travels in an envelope: four magic bytes, then a ``runtime.Unknown`` that names its type and holds the
message. Messages are written by ``api.protowrite`` and read by ``api.protoread``, both derived from the numbers that
``F`` declares.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pelamis.api import codec, metrics, registry
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import ListMeta
from pelamis.api.protoread import bytes_of, reader, text_of
from pelamis.api.protowrite import writer
from pelamis.base.errors import NotAcceptable, UnsupportedMediaType
from pelamis.base.protobuf import WireError, fields, length_delimited

MAGIC = b"k8s\x00"


def envelope(api_version: str, kind: str, message: bytes) -> bytes:
    type_meta = length_delimited(1, api_version.encode()) + length_delimited(2, kind.encode())
    unknown = length_delimited(1, type_meta) + length_delimited(2, message)
    return MAGIC + unknown + b"\x1a\x00\x22\x00"


def encode(kind: Kind, obj: Any) -> bytes:
    """A struct in its envelope."""
    return envelope(kind.api_version, kind.kind, message(obj))


def message(obj: Any) -> bytes:
    """The bare message of any struct."""
    return writer(type(obj))(obj)


def encode_list(kind: Kind, objs: Iterable[Any], metadata: ListMeta) -> bytes:
    """A list of a kind in its envelope."""
    write = writer(kind.type)
    out = [length_delimited(1, message(metadata))]
    out.extend(length_delimited(2, write(obj)) for obj in objs)
    return envelope(kind.api_version, f"{kind.kind}List", b"".join(out))


def encode_object(kind: Kind, data: bytes) -> bytes:
    """Served JSON of a built-in kind in its envelope."""
    return encode(kind, codec.decode(kind, data))


def encode_any(data: bytes) -> bytes:
    """JSON of any built-in object, list or answer, by the type that it names. Raises NotAcceptable for the rest."""
    head = _HEAD.decode(data)
    kind = known(head.apiVersion, head.kind)
    if kind is not None:
        return encode_object(kind, data)
    item = known(head.apiVersion, head.kind.removesuffix("List"))
    if item is None or item.kind == head.kind:
        raise NotAcceptable((codec.JSON, codec.YAML))
    found = _list_decoder(item).decode(data)
    return encode_list(item, found.items, found.metadata)


class _Head(msgspec.Struct, gc=False):
    kind: str = ""
    apiVersion: str = ""


_HEAD = msgspec.json.Decoder(_Head)
_TYPES: dict[tuple[str, str], Kind] = {}
_LISTS: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def _types() -> dict[tuple[str, str], Kind]:
    """Every type that has a wire form, by apiVersion and kind."""
    if not _TYPES:
        for kind in (*registry.builtin().types(), *metrics.KINDS):
            if kind.kind != "Table":
                _TYPES[kind.api_version, kind.kind] = kind
    return _TYPES


def known(api_version: str, kind: str) -> Kind | None:
    """The built-in kind of that name, be it served or not."""
    return _types().get((api_version, kind)) or registry.declared(api_version, kind)


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
            for inner, text in fields(bytes_of(value)):
                if inner == 1:
                    api_version = text_of(text)
                elif inner == 2:
                    kind = text_of(text)
        elif number == 2:
            raw = bytes_of(value)
    return api_version, kind, raw


def decode_body(kind: Kind, data: bytes) -> Tree:
    """The tree of an enveloped object that should be of the kind; kind and apiVersion as the envelope has them."""
    if kind.type is codec.Custom:
        raise UnsupportedMediaType((codec.JSON, codec.YAML))
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
    return reader(cls)(data)
