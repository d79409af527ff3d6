"""Bytes, trees and structs of API objects, and the way between them.

Three forms of an object: *bytes* (canonical JSON, what is stored and served), *tree* (plain dict, what the write path
changes) and *struct* (frozen, what validation, controllers and everybody else read). All conversions go through
msgspec, so each costs a few microseconds.

``clean`` brings an incoming tree to normal form: the tree that the struct itself would write. When every name and type
is right, that is one decode and one encode in C. Only when msgspec refuses does ``api.loosen`` walk the tree, to
drop nulls, to name unknown fields, or to say what is wrong in upstream's words. Then the *adjuster* of the type runs: a
function compiled once from the field declarations that visits only what can need work (quantities, times, constant
defaults) and nothing else.

The stored form begins ``{"kind":"X","apiVersion":"g/v","metadata":{`` and has no resourceVersion, which ``served``
splices in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from pelamis.api import loosen
from pelamis.api.custom import Custom
from pelamis.api.field import Struct, Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import CreateOptions, DeleteOptions, ObjectMeta, PatchOptions, UpdateOptions
from pelamis.api.shape import Field, Value, annotations_of, shape_of
from pelamis.base import clock, duration, gojson, quantity
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
_BLANKS: dict[type[Any], Any] = {}


def _parts(cls: type[Any]) -> dict[str, Callable[[bytes], Any]]:
    """How each member of an object of a kind is decoded."""
    found = _PARTS.get(cls)
    if found is None:
        hints = annotations_of(cls)
        names = [n for n in cls.__struct_fields__ if n not in _HEAD]
        found = _PARTS[cls] = {n: msgspec.json.Decoder(hints[n]).decode for n in names}
    return found


def blank(cls: type[Any]) -> Any:
    found = _BLANKS.get(cls)
    if found is None:
        found = _BLANKS[cls] = cls()
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
            if body.count(b'":') != _encode(tree).count(b'":'):
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


class Many:
    """Makes lists of one type of struct out of what came from outside."""

    __slots__ = ("_adjust", "_decode", "_normal", "_type")

    def __init__(self, cls: type[Any]) -> None:
        self._type = tuple[cls, ...]  # type: ignore[valid-type]
        self._decode = msgspec.json.Decoder(self._type).decode
        self._adjust = _adjuster(cls, True)
        self._normal = _normality(cls)

    def made(self, items: Sequence[Any], *, shown: bool) -> tuple[Any, list[Tree]]:
        """The structs, in normal form, and, if they are to be ``shown``, their trees.

        Raises ValueError, which msgspec's errors are too.
        """
        made = msgspec.convert(items, self._type)
        check = self._normal
        normal = check is None or all(map(check, made))
        if normal and not shown:
            return made, []
        trees: list[Tree] = _decode_tree(_encode(made))
        if normal:
            return made, trees
        if self._adjust is not None:
            for tree in trees:
                self._adjust(tree)
        return self._decode(_encode(trees)), trees


_MANY: dict[type[Any], Many] = {}


def many(cls: type[Any]) -> Many:
    found = _MANY.get(cls)
    if found is None:
        found = _MANY[cls] = Many(cls)
    return found


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


_RAW: dict[type[Any], bool] = {}


def has_raw(cls: type[Any]) -> bool:
    """Whether some of it is kept as bytes: that needs JSON to be read from."""
    found = _RAW.get(cls)
    if found is None:
        found = _RAW[cls] = _holds_raw(Value("struct", struct=cls), set())
    return found


def _holds_raw(value: Value, seen: set[type[Any]]) -> bool:
    if value.what in ("raw", "fieldsV1", "any", "union"):
        return True
    if value.of is not None:
        return _holds_raw(value.of, seen)
    if value.struct is None or value.struct in seen:
        return False
    seen.add(value.struct)
    return any(_holds_raw(f.value, seen) for f in shape_of(value.struct))


def _normal(kind: Kind, cls: type[Any], obj: Any, defaults: bool) -> Tree:
    normal: Tree = _decode_tree(_encode(obj))
    adjust = _adjuster(cls, defaults)
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


# -- adjusters --------------------------------------------------------------------------------------------------------

Adjust = Callable[[Any], None]
_ADJUSTERS: dict[tuple[type[Any], bool], Adjust | None] = {}


@lru_cache(maxsize=8192)
def _time(text: str) -> str:
    return clock.rfc3339(clock.parse_rfc3339(text))


_MICRO = re.compile(r"(?:19[7-9]|2\d\d)\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def _micro_time(text: str) -> str:
    if _MICRO.fullmatch(text):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text
    return clock.rfc3339_micro(clock.parse_rfc3339(text))


def _duration(text: str) -> str:
    return duration.format_nanos(duration.parse_nanos(text))


CANONICAL: dict[str, Callable[[str], str]] = {
    "quantity": quantity.canonical,
    "time": _time,
    "microTime": _micro_time,
    "duration": _duration,
}


def _needs(value: Value, defaults: bool, seen: frozenset[type[Any]] = frozenset()) -> bool:
    """Whether anything below can need an adjustment; a type seen on the way up adds nothing."""
    if value.what in CANONICAL:
        return True
    if value.of is not None:
        return _needs(value.of, defaults, seen)
    if value.struct is None or value.struct in seen:
        return False
    below = seen | {value.struct}
    return any((defaults and "default" in f.facts) or _needs(f.value, defaults, below) for f in shape_of(value.struct))


def _holds_default(cls: type[Any], seen: frozenset[type[Any]] = frozenset()) -> bool:
    """Whether an absent non-pointer struct of this type must be made, because defaults apply inside."""
    if cls in seen:
        return False
    return any(
        "default" in f.facts
        or (f.value.struct is not None and not f.pointer and _holds_default(f.value.struct, seen | {cls}))
        for f in shape_of(cls)
    )


def _adjuster(cls: type[Any], defaults: bool) -> Adjust | None:
    key = (cls, defaults)
    if key not in _ADJUSTERS:
        if not _needs(Value("struct", struct=cls), defaults):
            _ADJUSTERS[key] = None
        else:
            _ADJUSTERS[key] = lambda tree: _compiled(cls, defaults)(tree)  # while a recursive type is being compiled
            _ADJUSTERS[key] = _compile(cls, defaults)
    return _ADJUSTERS[key]


def _compiled(cls: type[Any], defaults: bool) -> Adjust:
    found = _ADJUSTERS[cls, defaults]
    assert found is not None
    return found


Check = Callable[[Any], bool]
_NORMALITIES: dict[type[Any], Check | None] = {}


def _normality(cls: type[Any]) -> Check | None:
    """What tells that a struct of the type is in normal form: its adjuster has nothing to do, and its maps are in order
    of key, as they come out of the store. None: any is."""
    if cls not in _NORMALITIES:
        _NORMALITIES[cls] = lambda obj: _normal_by(cls)(obj)  # while a recursive type is being compiled
        _NORMALITIES[cls] = _compile_normality(cls)
    return _NORMALITIES[cls]


def _normal_by(cls: type[Any]) -> Check:
    return _NORMALITIES[cls] or (lambda obj: True)


def _compile_normality(cls: type[Any]) -> Check | None:
    wanted: list[tuple[str, bool]] = []
    checks: list[tuple[str, bool, Check]] = []
    for f in shape_of(cls):
        struct = f.value.struct
        if "default" in f.facts:
            wanted.append((f.attr, f.pointer))
        elif struct is not None and not f.pointer and not f.always and _holds_default(struct):
            checks.append((f.attr, False, lambda value, struct=struct: value != blank(struct)))  # type: ignore[misc]
        check = _value_normality(f.value)
        if check is not None:
            checks.append((f.attr, f.pointer, check))

    def normal(obj: Any) -> bool:
        for name, pointer in wanted:
            value = getattr(obj, name)
            if value is None if pointer else not value:
                return False
        for name, pointer, check in checks:
            value = getattr(obj, name)
            if (value or (pointer and value is not None)) and not check(value):
                return False
        return True

    return normal if wanted or checks else None


def _value_normality(value: Value) -> Check | None:
    canonical = CANONICAL.get(value.what)
    if canonical is not None:
        return lambda text: canonical(text) == text
    if value.struct is not None:
        return _normality(value.struct)
    if value.of is None:
        return None
    inner = _value_normality(value.of)
    if value.what == "map":
        return lambda members: (
            (len(members) < 2 or list(members) == sorted(members))
            and (inner is None or all(map(inner, members.values())))
        )
    return None if inner is None else lambda items: all(map(inner, items))


def _compile(cls: type[Struct], defaults: bool) -> Adjust:
    constants: list[tuple[str, Any, bool, bool]] = []
    made: list[str] = []
    work: dict[str, tuple[bool, Callable[[Any], Any]]] = {}
    for f in shape_of(cls):
        if defaults and "default" in f.facts:
            constant = f.facts["default"]
            constants.append((f.name, constant, isinstance(constant, dict | list), f.pointer))
        elif (
            defaults
            and f.value.struct is not None
            and not f.pointer
            and not f.always
            and _holds_default(f.value.struct)
        ):
            made.append(f.name)
        if f.value.what in CANONICAL:
            work[f.name] = True, CANONICAL[f.value.what]
        else:
            fn = _value_adjuster(f.value, defaults)
            if fn is not None:
                work[f.name] = False, fn

    few = len(work) < 5

    def adjust(tree: Tree) -> None:
        get = tree.get
        for name, constant, mutable, pointer in constants:
            if name not in tree if pointer else not get(name):
                tree[name] = copy(constant) if mutable else constant
        for name in made:
            if name not in tree:
                tree[name] = {}
        if few:
            for name, (is_text, fn) in work.items():
                value = get(name)
                if value is not None:
                    if is_text:
                        tree[name] = fn(value)
                    else:
                        fn(value)
            return
        for name, value in tree.items():  # most objects have few of the fields that their type has
            if name in work and value is not None:
                is_text, fn = work[name]
                if is_text:
                    tree[name] = fn(value)
                else:
                    fn(value)

    return adjust


def _value_adjuster(value: Value, defaults: bool) -> Adjust | None:
    if not _needs(value, defaults):
        return None
    if value.struct is not None:
        return _adjuster(value.struct, defaults)
    assert value.of is not None
    if value.of.what in CANONICAL:
        return _each_text(CANONICAL[value.of.what])
    inner = _value_adjuster(value.of, defaults)
    assert inner is not None
    return _each_member(inner) if value.what == "map" else _each(inner)


def _each(fn: Adjust) -> Adjust:
    def adjust(items: list[Any]) -> None:
        for item in items:
            fn(item)

    return adjust


def _each_member(fn: Adjust) -> Adjust:
    def adjust(members: dict[str, Any]) -> None:
        for member in members.values():
            fn(member)

    return adjust


def _each_text(canonical: Callable[[str], str]) -> Adjust:
    def adjust(container: Any) -> None:
        for key, text in container.items() if type(container) is dict else enumerate(container):
            proper = canonical(text)
            if proper != text:
                container[key] = proper

    return adjust


__all__ = [
    "CANONICAL",
    "JSON",
    "PROTOBUF",
    "YAML",
    "Custom",
    "Field",
    "Many",
    "blank",
    "check_type",
    "clean",
    "clean_update",
    "decode",
    "encode",
    "from_tree",
    "from_trees",
    "has_raw",
    "label",
    "many",
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
