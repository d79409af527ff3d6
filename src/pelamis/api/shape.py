"""The shape of API types at run time, read once from their annotations.

``shape_of(cls)`` describes a struct's fields with the facts declared by ``F``. Codec, protobuf, OpenAPI, patches and
apply are derived from it; nobody else looks at type hints.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from pelamis.api.field import Struct

What = Literal[
    "string",
    "int",
    "int32",
    "int64",
    "bool",
    "double",
    "bytes",
    "quantity",
    "time",
    "microTime",
    "duration",
    "intOrString",
    "raw",
    "fieldsV1",
    "any",
    "struct",
    "list",
    "map",
    "union",
]


@dataclass(frozen=True, slots=True)
class Value:
    """The shape of a value. of: element of a list or map. struct: class of a struct. options: members of a union."""

    what: What
    of: Value | None = None
    struct: type[Struct] | None = None
    options: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """name: in JSON. attr: in Python. pointer: nil differs from zero. always: written even when zero."""

    name: str
    attr: str
    value: Value
    pointer: bool
    always: bool
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def tag(self) -> int | None:
        tag: int | None = self.facts.get("tag")
        return tag


_CACHE: dict[type[Any], tuple[Field, ...]] = {}
_SCALARS: dict[Any, What] = {str: "string", int: "int", bool: "bool", float: "double", bytes: "bytes", Any: "any"}


def shape_of(cls: type[Any]) -> tuple[Field, ...]:
    """The fields in order of declaration, without ``kind`` and ``apiVersion`` of root types."""
    known = _CACHE.get(cls)
    if known is None:
        known = _CACHE[cls] = tuple(_fields(cls))
    return known


def fields_by_name(cls: type[Any]) -> dict[str, Field]:
    return {f.name: f for f in shape_of(cls)}


def is_root(cls: type[Any]) -> bool:
    """True for a kind of its own: it carries kind and apiVersion."""
    hints = cls.__struct_fields__
    return len(hints) >= 2 and hints[0] == "kind" and hints[1] == "apiVersion" and "tag" not in _own(cls, "kind")


def _own(cls: type[Any], name: str) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    _strip(annotations_of(cls)[name], facts)
    return facts


def annotations_of(cls: type[Any]) -> dict[str, Any]:
    """The annotations, evaluated in the module alone.

    typing.get_type_hints looks into the class first, and would take a field named ``bool`` for the type.
    """
    out: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        module = sys.modules.get(base.__module__)
        for name, hint in inspect.get_annotations(base).items():
            out[name] = eval(hint, vars(module)) if isinstance(hint, str) and module else hint
    return out


def _fields(cls: type[Any]) -> list[Field]:
    hints = annotations_of(cls)
    out = []
    for info in msgspec.structs.fields(cls):
        facts: dict[str, Any] = {}
        inner = _strip(hints[info.name], facts)
        if "tag" not in facts:
            continue  # kind, apiVersion
        value, pointer = _value(inner, facts.pop("special", None))
        out.append(
            Field(
                info.encode_name,
                info.name,
                value,
                pointer,
                info.default_factory is not msgspec.NODEFAULT
                and info.default is msgspec.NODEFAULT
                and not _empty_container(info.default_factory),
                facts,
            )
        )
    return out


def _empty_container(factory: Any) -> bool:
    """msgspec turns the plain default ``{}`` into the factory ``dict``; ``always`` factories are functions."""
    return factory in (dict, list, set, bytearray)


def _strip(hint: Any, facts: dict[str, Any]) -> Any:
    while typing.get_origin(hint) is typing.Annotated:
        for note in hint.__metadata__:
            if isinstance(note, msgspec.Meta) and note.extra:
                for key, fact in note.extra.items():
                    facts.setdefault(key, fact)
        hint = hint.__origin__
    return hint


def _value(hint: Any, special: str | None) -> tuple[Value, bool]:
    """The shape of a hint, and whether it is a pointer."""
    facts: dict[str, Any] = {}
    hint = _strip(hint, facts)
    special = facts.get("special", special)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        pointer = type(None) in options
        options = tuple(o for o in options if o not in (type(None), msgspec.UnsetType))
        if len(options) == 1:
            return _value(options[0], special)[0], pointer
        if special:
            return Value(typing.cast(What, special)), pointer
        shapes = tuple(_value(o, None)[0] for o in options)
        if all(s.what in ("int", "string") for s in shapes):
            return Value("intOrString"), pointer
        return Value("union", options=shapes), pointer
    if special:
        return Value(typing.cast(What, special)), False
    if hint in _SCALARS:
        return Value(_SCALARS[hint]), False
    if hint is msgspec.Raw:
        return Value("raw"), False
    if origin is tuple:
        return Value("list", of=_value(typing.get_args(hint)[0], None)[0]), False
    if origin is dict:
        return Value("map", of=_value(typing.get_args(hint)[1], None)[0]), False
    if isinstance(hint, type) and issubclass(hint, Struct):
        return Value("struct", struct=hint), False
    raise TypeError(f"no shape for {hint!r}")
