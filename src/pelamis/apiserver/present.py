"""Objects in the form that the client asked for: as they are, as Table rows, or as bare metadata; JSON, YAML, protobuf.

Everything starts from served bytes. Only tables need the decoded object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pelamis.api import codec, protobuf
from pelamis.api.field import Tree
from pelamis.api.kind import Column, Kind
from pelamis.api.table import age
from pelamis.apiserver.negotiate import JSON, PROTOBUF, YAML, Format
from pelamis.base.errors import NotAcceptable
from pelamis.cache.entry import Entry

_encode = msgspec.json.Encoder().encode
HEADLESS = b',"columnDefinitions":null,"rows":['
"""Stands in a table, before anything that a user wrote, whose columns are known already."""
PARTIAL_HEAD = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'
_DESCRIPTIONS = {
    "Name": "Name must be unique within a namespace. Is required when creating resources, although some resources may "
    "allow a client to request the generation of an appropriate name automatically.",
    "Age": "CreationTimestamp is a timestamp representing the server time when this object was created.",
}


class _Meta(msgspec.Struct, frozen=True, gc=False):
    metadata: msgspec.Raw


_read_meta = msgspec.json.Decoder(_Meta).decode


def metadata_bytes(data: bytes) -> bytes:
    """The object's metadata as it stands in served bytes."""
    return bytes(_read_meta(data).metadata)


def partial(data: bytes, version: str = "v1") -> bytes:
    head = PARTIAL_HEAD if version == "v1" else PARTIAL_HEAD.replace(b"/v1", b"/v1beta1")
    return head + metadata_bytes(data) + b"}"


def to_yaml(tree: Any) -> bytes:
    import yaml  # few clients ask for it

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(tree, Dumper=dumper, default_flow_style=False, allow_unicode=True, sort_keys=True, width=4096)
    return text.encode()


class Presenter:
    """How one kind is shown in one format. ``include``: what a table row carries: Metadata, Object, None."""

    __slots__ = ("_now", "format", "include", "kind", "media")

    def __init__(self, kind: Kind, form: Format, now: Callable[[], float], include: str = "Metadata") -> None:
        self.kind = kind
        self.format = form
        self.media = form.media
        self.include = include or "Metadata"
        self._now = now

    @property
    def plain(self) -> bool:
        """Served bytes go out as they are."""
        return self.media == JSON and not self.format.shown and self.kind.hub is None

    def own(self, data: bytes) -> bytes:
        """Served bytes in the version asked for."""
        return data if self.kind.hub is None else codec.to_version(self.kind, data)

    # -- one object

    def one_json(self, data: bytes, obj: Any = None, *, columns: bool = True) -> bytes:
        """JSON of one object in the shape asked for. obj: the struct, if it is at hand."""
        shown = self.format.shown
        data = self.own(data)
        if shown == "Table":
            metadata = msgspec.json.decode(metadata_bytes(data))
            head: Tree = {"resourceVersion": metadata.get("resourceVersion", "")}
            return self.table(head, [self.row(data, obj if self.kind.hub is None else None)], columns=columns)
        if shown:
            return partial(data, self.format.version)
        return data

    def one(self, data: bytes, obj: Any = None) -> bytes:
        if self.media == PROTOBUF and not self.format.shown:
            return to_protobuf(self.kind, self.own(data))
        return self.dressed(self.one_json(data, obj))

    def dressed(self, body: bytes) -> bytes:
        """JSON in the media type asked for."""
        if self.media == YAML:
            return to_yaml(msgspec.json.decode(body))
        if self.media == PROTOBUF:
            return tree_to_protobuf(body)
        if self.format.pretty:
            return msgspec.json.format(body, indent=2) + b"\n"
        return body

    # -- tables

    def columns(self) -> list[Tree]:
        return [_definition(c) for c in self.kind.columns]

    def head(self) -> bytes:
        """What takes the place of HEADLESS in a watch's first event; empty where every event has all it needs."""
        if self.format.shown != "Table" or self.media != JSON:
            return b""
        return b',"columnDefinitions":' + _encode(self.columns()) + b',"rows":['

    def row(self, data: bytes, obj: Any = None, *, shown: str = "") -> bytes:
        """shown: what it carries, whatever was asked for."""
        include = shown or self.include
        kind = self.kind
        if obj is None:
            obj = codec.decode(kind, data)
        cells = _encode(self.cells(obj))
        conditions = b""
        phase = getattr(getattr(obj, "status", None), "phase", "") if kind.plural == "pods" else ""
        if phase in ("Succeeded", "Failed"):
            why = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}[phase]
            conditions = b',"conditions":' + _encode(
                [{"type": "Completed", "status": "True", "reason": phase, "message": why}]
            )
        if include == "None":
            return b'{"cells":' + cells + conditions + b"}"
        carried = data if include == "Object" else partial(data, self.format.version)
        return b'{"cells":' + cells + conditions + b',"object":' + carried + b"}"

    def cells(self, obj: Any) -> Sequence[Any]:
        kind = self.kind
        now = self._now()
        if kind.cells is not None:
            return kind.cells(obj, now)
        return [_default_cell(c, obj, now) for c in kind.columns]

    def table(self, metadata: Tree, rows: Sequence[bytes], *, columns: bool = True) -> bytes:
        head = b'{"kind":"Table","apiVersion":"meta.k8s.io/%b","metadata":' % self.format.version.encode()
        head += _encode(metadata)
        if not columns:
            return b"".join((head, HEADLESS, b",".join(rows), b"]}"))
        return b"".join((head, b',"columnDefinitions":', _encode(self.columns()), b',"rows":[', b",".join(rows), b"]}"))

    def member(self, data: bytes, obj: Any) -> bytes:
        """One member of a list of what no cache holds."""
        shown = self.format.shown
        if not shown:
            return data
        return self.row(data, obj) if shown == "Table" else partial(data, self.format.version)

    def piece(self, entry: Entry) -> bytes:
        """One member of a list."""
        shown = self.format.shown
        if not shown:
            return self.own(entry.data)
        if shown == "Table":
            if self.kind.hub is None:
                return self.row(entry.data, entry.obj)
            return self.row(self.own(entry.data))
        return partial(entry.data, self.format.version)


def _default_cell(column: Column, obj: Any, now: float) -> Any:
    if column.name == "Name":
        return obj.metadata.name
    if column.name in ("Age", "Created At"):
        created = obj.metadata.creationTimestamp
        return age(created, now) if column.name == "Age" else created
    return ""


def _definition(column: Column) -> Tree:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description or _DESCRIPTIONS.get(column.name, ""),
        "priority": column.priority,
    }


def to_protobuf(kind: Kind, data: bytes) -> bytes:
    """One object in its envelope, from bytes of its own version."""
    if kind.type is codec.Custom:
        raise NotAcceptable((JSON, YAML))
    return protobuf.encode_object(kind, data)


def tree_to_protobuf(body: bytes) -> bytes:
    """JSON of any known type, lists included, in its envelope."""
    return protobuf.encode_any(body)
