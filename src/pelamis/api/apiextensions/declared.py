"""What rules may expect of a value by its schema: its members, and how large it can be.

Sizes come from maxItems, maxProperties, maxLength, enum and format; where a schema sets no limit, from how much fits
into the largest request (3 MiB) when everything is as small as it can be.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pelamis.api.field import Tree
from pelamis.base.cel.cost import Shape

_CEL_WORDS = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var "
    "void while".split()
)
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z")
REQUEST = 3 << 20
_STRING_SIZE, _BOOL_SIZE, _NUMBER_SIZE = 2, 4, 1
_FORMATTED = {"duration": ("duration", 3, 32), "date": ("timestamp", 12, 12), "date-time": ("timestamp", 21, 32)}
"""format: (type, fewest bytes, most)."""
_SCALARS = {"boolean": ("bool", _BOOL_SIZE), "number": ("double", _NUMBER_SIZE), "integer": ("int", _NUMBER_SIZE)}


def escape(name: str) -> str | None:
    """A member's name in expressions; None when it cannot be named."""
    if not _IDENTIFIER.match(name):
        return None
    if name in _CEL_WORDS:
        return f"__{name}__"
    for text, replacement in _ESCAPES:
        name = name.replace(text, replacement)
    return name


class Declared(NamedTuple):
    shape: Shape
    fewest: int
    """Bytes that the smallest value takes in JSON."""

    @property
    def at_most(self) -> int:
        """How many such values a request can hold."""
        return REQUEST // (self.fewest + 1)


_TEXT = Declared(Shape("string", REQUEST - 2), _STRING_SIZE)


def declare(schema: Tree, *, resource: bool = False) -> Declared | None:
    """None for what rules do not see. resource: it is the root of one, which has a kind and a name whatever it says."""
    if schema.get("x-kubernetes-int-or-string"):
        limit = schema.get("maxLength")
        return Declared(Shape("dyn", REQUEST - 2 if limit is None else 4 * max(limit, 0)), 1)
    match schema.get("type"):
        case "array":
            return _list(schema)
        case "object":
            more = schema.get("additionalProperties")
            return _map(schema, more) if isinstance(more, dict) else _object(schema, resource)
        case "string":
            return _string(schema)
        case kind if kind in _SCALARS:
            name, fewest = _SCALARS[kind]
            return Declared(Shape(name, 0), fewest)
    return None


def _embedded(schema: Tree) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def _list(schema: Tree) -> Declared | None:
    items = schema.get("items")
    below = declare(items, resource=_embedded(items)) if isinstance(items, dict) else None
    if below is None:
        return None
    limit = schema.get("maxItems")
    most = (REQUEST - 2) // (below.fewest + 1) if limit is None else max(limit, 0)
    merge: Any = None
    if schema.get("x-kubernetes-list-type") == "set":
        merge = "set"
    elif schema.get("x-kubernetes-list-type") == "map":
        merge = tuple(escape(key) or key for key in schema.get("x-kubernetes-list-map-keys") or ())
    return Declared(Shape("list", most, elem=below.shape, merge=merge), 2)


def _map(schema: Tree, more: Tree) -> Declared | None:
    below = declare(more, resource=_embedded(more))
    if below is None:
        return None
    limit = schema.get("maxProperties")
    most = (REQUEST - 2) // (below.fewest + 6) if limit is None else max(limit, 0)
    return Declared(Shape("map", most, elem=below.shape, key=Shape("string", REQUEST - 2)), 2)


def _object(schema: Tree, resource: bool) -> Declared:
    members: dict[str, Shape] = {}
    fewest, wanted = 2, schema.get("required") or ()
    for name, child in (schema.get("properties") or {}).items():
        below = declare(child, resource=_embedded(child))
        if below is None:
            continue
        shown = escape(name)
        if shown is not None:
            members[shown] = below.shape
        if name in wanted and "default" not in child:
            fewest += len(name) + below.fewest + 4
    if resource:
        members |= {"kind": _TEXT.shape, "apiVersion": _TEXT.shape}
        named = {"name": _TEXT.shape, "generateName": _TEXT.shape}
        metadata = members.get("metadata")
        members["metadata"] = Shape("object", 0, members={**(metadata.members or {} if metadata else {}), **named})
    return Declared(Shape("object", 0, members=members), fewest)


def _string(schema: Tree) -> Declared:
    form, limit = schema.get("format") or "", schema.get("maxLength")
    if form in _FORMATTED:
        kind, fewest, most = _FORMATTED[form]
        return Declared(Shape(kind, most), fewest)
    if form == "byte":
        return Declared(Shape("bytes", REQUEST - 2 if limit is None else max(limit, 0)), _STRING_SIZE)
    if limit is not None:
        return Declared(Shape("string", 4 * max(limit, 0)), _STRING_SIZE)
    allowed = schema.get("enum")
    if allowed:
        most = max((len(v.encode()) for v in allowed if isinstance(v, str)), default=0)
        return Declared(Shape("string", most), _STRING_SIZE)
    return _TEXT


def cardinality(schema: Tree) -> int | None:
    """By how much a schema multiplies what stands below it; None = without limit."""
    match schema.get("type"):
        case "object" if schema.get("additionalProperties") is not None:
            limit = schema.get("maxProperties")
        case "array":
            limit = schema.get("maxItems")
        case _:
            return 1
    return None if limit is None else max(limit, 0)
