"""Bytes, trees and structs of API objects, and the way between them.

Three forms of an object: *bytes* (canonical JSON, what is stored and served), *tree* (plain dict, what the write path
changes) and *struct* (frozen, what validation, controllers and everybody else read). All conversions go through
msgspec, so each costs a few microseconds.

``clean`` brings an incoming tree to normal form: the tree that the struct itself would write. When every name and type
is right, that is one decode and one encode in C. Only when msgspec refuses does ``api.loosen`` walk the tree, to
drop nulls, to name unknown fields, or to say what is wrong in upstream's words. Then the *adjuster* of the type runs
(``api.normal``).

The stored form begins ``{"kind":"X","apiVersion":"g/v","metadata":{`` and has no resourceVersion, which ``served``
splices in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from pelamis.api import loosen
from pelamis.api.custom import Custom
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import CreateOptions, DeleteOptions, ObjectMeta, PatchOptions, UpdateOptions
from pelamis.api.normal import adjuster, blank, has_raw
from pelamis.api.shape import Field, annotations_of
from pelamis.base import gojson
from pelamis.base.errors import BadRequest
from pelamis.base.tree import copy

_ENCODER = msgspec.json.Encoder(order="deterministic")
_decode_tree = msgspec.json.Decoder().decode
_encode = _ENCODER.encode
_plainly = msgspec.json.Encoder().encode
_DECODERS: dict[type[Any], Callable[[bytes], Any]] = {}
_OFFSETS: dict[tuple[str, str], int] = {}


def _decoder(cls: type[Any]) -> Callable[[bytes], Any]:
    found = _DECODERS.get(cls)
    if found is None:
        read: Callable[[bytes], Any] = Custom if cls is Custom else msgspec.json.Decoder(cls).decode
        found = _DECODERS[cls] = read
    return found


# -- conversions ------------------------------------------------------------------------------------------------------


def encode(obj: Any) -> bytes:
    """Canonical JSON of a struct, a Custom or a tree; maps are written in order of key."""
    return obj.data if type(obj) is Custom else _encode(obj)


def decode(kind: Kind, data: bytes) -> Any:
    """The struct (or Custom) of bytes that the server itself wrote. Raises msgspec.ValidationError on anything else."""
    return _decoder(kind.type)(data)


def to_tree(obj: Any) -> Tree:
    """A new tree that the caller owns, of a struct, a Custom or a tree."""
    if type(obj) is dict:
        return copy(obj)
    tree: Tree = _decode_tree(encode(obj))
    return tree


def from_tree(kind: Kind, tree: Tree) -> Any:
    """The struct of a clean tree; raises BadRequest when it does not fit the type."""
    data = _ordered(kind, tree) if kind.type is Custom else _encode(tree)
    try:
        return _decoder(kind.type)(data)
    except msgspec.ValidationError as e:
        raise _unfit(kind, str(e)) from None


def from_trees(kind: Kind, tree: Tree, old: Any, kept: dict[str, Any]) -> Any:
    """As ``from_tree``, of a built-in kind, where the structs of the members ``kept`` are there already.

    old: what the object was; its bytes are those of ``kind``.
    """
    parts = _parts(kind.type)
    changed = dict(kept)
    try:
        for name, value in tree.items():
            if name not in kept and name not in _HEAD:
                changed[name] = parts[name](_encode(value))
    except (msgspec.ValidationError, KeyError):
        return from_tree(kind, tree)  # says what is wrong with it
    for name in parts:
        if name not in changed:
            changed[name] = getattr(blank(kind.type), name)
    return replace(old, **changed)


_HEAD = frozenset(("kind", "apiVersion"))
_PARTS: dict[type[Any], dict[str, Callable[[bytes], Any]]] = {}


def _parts(cls: type[Any]) -> dict[str, Callable[[bytes], Any]]:
    """How each member of an object of a kind is decoded."""
    found = _PARTS.get(cls)
    if found is None:
        hints = annotations_of(cls)
        names = [n for n in cls.__struct_fields__ if n not in _HEAD]
        found = _PARTS[cls] = {n: msgspec.json.Decoder(hints[n]).decode for n in names}
    return found


def parse(data: bytes) -> Tree:
    """Any JSON object as a tree."""
    tree: Tree = _decode_tree(data)
    return tree


def parse_stored(data: bytes, metadata: ObjectMeta) -> Tree:
    """Bytes of an object with this metadata as a tree, where managedFields are the metadata's own structs.

    They are half of many an object, and hardly anybody looks into them; a struct in a tree is written like a tree.
    """
    if not metadata.managedFields:
        return parse(data)
    part = b',"managedFields":' + _plainly(metadata.managedFields)
    at = data.find(part)
    tree: Tree = _decode_tree(data if at < 0 else data[:at] + data[at + len(part) :])
    tree["metadata"]["managedFields"] = list(metadata.managedFields)
    return tree


# -- stored and served bytes ------------------------------------------------------------------------------------------


def stored(kind: Kind, obj: Any) -> bytes:
    """The bytes to store, of a struct, a Custom or a clean tree (which is left as it was)."""
    if type(obj) is dict:
        tree = {**obj, "metadata": {k: v for k, v in obj.get("metadata", {}).items() if k != "resourceVersion"}}
        tree["kind"], tree["apiVersion"] = kind.kind, kind.api_version
        if kind.type is Custom:
            return _ordered(kind, tree)
        return _encode(_decoder(kind.type)(_encode(tree)))
    if type(obj) is Custom:
        return stored(kind, obj.tree) if obj.metadata.resourceVersion else obj.data
    if obj.metadata.resourceVersion or obj.kind != kind.kind or obj.apiVersion != kind.api_version:
        metadata = replace(obj.metadata, resourceVersion="")
        obj = replace(obj, metadata=metadata, kind=kind.kind, apiVersion=kind.api_version)
    return _encode(obj)


def _ordered(kind: Kind, tree: Tree) -> bytes:
    """A custom resource in canonical order: kind, apiVersion, metadata as a struct writes it, the rest by name."""
    metadata = _decoder(ObjectMeta)(_encode(tree.get("metadata") or {}))
    rest = {k: v for k, v in tree.items() if k not in ("kind", "apiVersion", "metadata")}
    head = _encode({"kind": tree.get("kind") or kind.kind})[:-1]
    version = _encode(tree.get("apiVersion") or kind.api_version)
    out = head + b',"apiVersion":' + version + b',"metadata":' + _encode(metadata)
    return out + b"," + _encode(rest)[1:] if rest else out + b"}"


def metadata_offset(kind: Kind) -> int:
    """Where the members of ``metadata`` begin in stored bytes of the kind."""
    key = (kind.kind, kind.api_version)
    offset = _OFFSETS.get(key)
    if offset is None:
        offset = _OFFSETS[key] = len(f'{{"kind":"{key[0]}","apiVersion":"{key[1]}","metadata":{{')
    return offset


def label(kind: Kind) -> bytes:
    """How stored bytes of the kind begin."""
    return b'{"kind":"%b","apiVersion":"%b",' % (kind.kind.encode(), kind.api_version.encode())


def served(kind: Kind, data: bytes, rev: int) -> bytes:
    """Stored bytes with ``metadata.resourceVersion`` as the first member of metadata."""
    at = metadata_offset(kind)
    if data[at] == 125:  # }
        return b'%b"resourceVersion":"%d"%b' % (data[:at], rev, data[at:])
    return b'%b"resourceVersion":"%d",%b' % (data[:at], rev, data[at:])


def to_version(kind: Kind, data: bytes) -> bytes:
    """Bytes of the hub kind, stored or served, as bytes of ``kind``; the same bytes when the kind is its own hub."""
    if kind.hub is None or data.startswith(label(kind)):
        return data
    tree = parse(data)
    kind.from_hub(tree)
    return encode(from_tree(kind, _labelled(kind, tree)))


def to_hub(kind: Kind, tree: Tree) -> Tree:
    """A tree of ``kind`` as a tree of its hub, in place."""
    if kind.hub is None:
        return tree
    kind.to_hub(tree)
    return _labelled(kind.hub, tree)


def _labelled(kind: Kind, tree: Tree) -> Tree:
    tree["kind"], tree["apiVersion"] = kind.kind, kind.api_version
    return tree


# -- input ------------------------------------------------------------------------------------------------------------

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_EVERY_VERSION = (DeleteOptions, CreateOptions, UpdateOptions, PatchOptions)


def read_body(kind: Kind, body: bytes, content_type: str = JSON) -> tuple[Tree, list[str]]:
    """The tree of a request's body, not clean yet, and the strict problems that only the text shows (duplicates).

    kind and apiVersion are filled in where absent, refused where they are not the kind's. Raises BadRequest.
    """
    problems: list[str] = []
    media = content_type.partition(";")[0].strip().lower()
    try:
        if media == PROTOBUF:
            from pelamis.api import protobuf

            tree: Any = protobuf.decode_body(kind, body)
        elif media == YAML:
            tree = loosen.read_yaml(body, problems)
        else:
            tree = _decode_tree(body)
            if loosen.may_repeat(body, tree):
                problems = loosen.duplicates(body)
    except (ValueError, RecursionError) as e:  # msgspec, YAML and UTF-8 errors are ValueErrors
        why = (gojson.complaint(body) if media not in (PROTOBUF, YAML) else "") or e
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {kind.kind}): "
            f"couldn't get version/kind; json parse error: {why} ({_summary(body)})"
        ) from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        into = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; json parse "
            f"error: json: cannot unmarshal {loosen.json_name(tree)} into Go value of type {into} ({_summary(body)})"
        )
    for member in ("apiVersion", "kind"):
        if not isinstance(tree.get(member) or "", str) or tree.get(member) in ({}, [], False, 0):
            raise BadRequest(
                f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; "
                f"json parse error: json: cannot unmarshal {loosen.json_name(tree[member])} into Go struct field "
                f".{member} of type string ({_summary(body)})"
            )
    check_type(kind, tree)
    return tree, problems


def _summary(body: bytes) -> str:
    """The beginning of a body for messages."""
    shown = body[:30].decode(errors="replace") if body[:1] == b"{" else body[:30].hex()
    return (shown or "<empty>") + (" ..." if len(body) > 30 else "")


def check_type(kind: Kind, tree: Tree) -> None:
    """Fills in kind and apiVersion, or raises BadRequest where they name something else."""
    version = tree.get("apiVersion") or kind.api_version
    name = tree.get("kind") or kind.kind
    if kind.type in _EVERY_VERSION:
        version = kind.api_version  # part of each group and version upstream: clients send the one they talk to
    if version != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        )
    if name != kind.kind:
        raise BadRequest(
            f'{name} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f'no kind "{name}" is registered for this resource in version "{kind.api_version}"'
        )
    tree["kind"], tree["apiVersion"] = name, version


def clean(kind: Kind, tree: Tree, *, defaults: bool = True) -> list[str]:
    """Brings the tree to normal form, in place; returns the strict problems (unknown fields, which were dropped).

    Of a kind with a struct, nothing below the tree itself and its metadata is changed: what is there may be shared.

    Nulls and zero values that are not written are gone, quantities and times are canonical, constant defaults are set
    (unless ``defaults`` is False, as for an apply configuration). Raises BadRequest where a type does not fit.
    """
    if kind.type is Custom:
        return _clean_custom(kind, tree)
    _drop_null_times(tree)
    return _clean_struct(kind, kind.type, tree, "", defaults)


def read(kind: Kind, tree: Tree) -> Any:
    """The struct of a tree of a built-in kind that came from outside. Raises msgspec.ValidationError."""
    return _decoder(kind.type)(_plainly(tree))


def clean_update(
    kind: Kind, tree: Tree, old: Any, before: Tree, shared: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """As ``clean``, of a tree that is to replace the struct ``old`` of a built-in kind, whose tree is ``before``.

    Returns also the members that are those of ``old``. They have normal form already, and are copies of those of
    ``before``, but for the ``shared`` ones, which nobody is going to change.
    """
    _drop_null_times(tree)
    cls = kind.type
    problems: list[str] = []
    obj = _read(kind, cls, tree, "", problems)
    given = obj.metadata.resourceVersion
    kept: dict[str, Any] = {}
    for name in cls.__struct_fields__:
        if name not in ("kind", "apiVersion") and name in before:
            mine, was = getattr(obj, name), getattr(old, name)
            if name == "metadata" and was.resourceVersion != given:
                was = replace(was, resourceVersion=given)
            if mine == was:
                kept[name] = was
    if not kept:
        normal: Tree = _normal(kind, cls, obj, True)
    else:
        unset = blank(cls)
        normal = _normal(kind, cls, replace(obj, **{name: getattr(unset, name) for name in kept}), True)
        for name in kept:
            value = before[name]
            if name == "metadata":
                value = own_metadata(value)
                if given:
                    value["resourceVersion"] = given
            elif name not in shared and type(value) in _CONTAINERS:
                value = copy(value)
            normal[name] = value
    tree.clear()
    tree.update(normal)
    return problems, tuple(kept)


_CONTAINERS = (dict, list)


def own_metadata(metadata: Tree) -> Tree:
    """A copy for one who may change it, but for managedFields, which are only ever replaced as a whole."""
    out = dict(metadata)
    for name in ("labels", "annotations", "ownerReferences", "finalizers"):
        if name in out:
            value = out[name]
            out[name] = [dict(v) if type(v) is dict else v for v in value] if type(value) is list else dict(value)
    return out


def _read(kind: Kind, cls: type[Any], tree: Tree, path: str, problems: list[str]) -> Any:
    try:
        if has_raw(cls):
            return _decoder(cls)(_plainly(tree))
        return msgspec.convert(tree, cls)
    except msgspec.ValidationError:
        try:
            loose = copy(tree)  # what is below the tree may be shared
            loosen.struct(cls, loose, path, problems, kind.version)
            return _decoder(cls)(_encode(loose))
        except ValueError as e:  # includes a second ValidationError
            raise _unfit(kind, str(e)) from None


def _normal(kind: Kind, cls: type[Any], obj: Any, defaults: bool) -> Tree:
    normal: Tree = _decode_tree(_encode(obj))
    adjust = adjuster(cls, defaults)
    if adjust is not None:
        try:
            adjust(normal)
        except ValueError as e:
            raise _unfit(kind, str(e)) from None
    return normal


def _clean_struct(kind: Kind, cls: type[Any], tree: Tree, path: str, defaults: bool) -> list[str]:
    problems: list[str] = []
    normal = _normal(kind, cls, _read(kind, cls, tree, path, problems), defaults)
    tree.clear()
    tree.update(normal)
    return problems


def _drop_null_times(tree: Tree) -> None:
    """Go clients older than 1.34 write ``creationTimestamp: null``; without it most inputs need no slow path."""
    metadata = tree.get("metadata")
    if type(metadata) is dict and metadata.get("creationTimestamp", "") is None:
        del metadata["creationTimestamp"]
    spec: Any = tree.get("spec")
    template: Any = spec.get("template") if type(spec) is dict else None
    if type(template) is dict:
        metadata = template.get("metadata")
        if type(metadata) is dict and metadata.get("creationTimestamp", "") is None:
            rest = {k: v for k, v in metadata.items() if k != "creationTimestamp"}
            tree["spec"] = {**spec, "template": {**template, "metadata": rest}}


def _clean_custom(kind: Kind, tree: Tree) -> list[str]:
    metadata = tree.get("metadata")
    if metadata is None:
        metadata = {}
    elif not isinstance(metadata, dict):
        raise _unfit(kind, f"json: cannot unmarshal {loosen.json_name(metadata)} into Go value of type v1.ObjectMeta")
    problems = _clean_struct(kind, ObjectMeta, metadata, "metadata", True)
    rest = [(k, v) for k, v in tree.items() if k not in ("kind", "apiVersion", "metadata")]
    name, version = tree.get("kind") or kind.kind, tree.get("apiVersion") or kind.api_version
    tree.clear()
    tree["kind"], tree["apiVersion"], tree["metadata"] = name, version, metadata
    tree.update(rest)
    if kind.prune is not None:
        problems.extend(kind.prune(tree))
    return problems


def strict_error(kind: Kind, problems: Sequence[str]) -> Exception:
    """What ``fieldValidation=Strict`` answers."""
    return _unfit(kind, "strict decoding error: " + ", ".join(problems))


def _unfit(kind: Kind, why: str) -> Exception:
    return BadRequest(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


__all__ = [
    "JSON",
    "PROTOBUF",
    "YAML",
    "Custom",
    "Field",
    "check_type",
    "clean",
    "clean_update",
    "decode",
    "encode",
    "from_tree",
    "from_trees",
    "label",
    "metadata_offset",
    "own_metadata",
    "parse",
    "parse_stored",
    "read",
    "read_body",
    "served",
    "stored",
    "strict_error",
    "to_hub",
    "to_tree",
    "to_version",
]
