"""The shape of a JSON object as patches see it: which maps and lists merge, and by which keys.

``api.patchschema`` compiles it from the annotations of the structs or from the schema of a custom resource; strategic
merge patch, server-side apply and managedFields walk it. One node type serves both views of a field:

* ``kind`` says how ownership is tracked (server-side apply): ``LEAF`` is owned as a whole, ``STRUCT`` and ``MAP``
  member by member, ``SET`` value by value, ``ASSOC`` item by item under ``keys``, ``ANY`` by what the value turns out
  to be (maps granular, lists and scalars whole).
* ``fields`` and ``element`` give the inside also where ownership is atomic, because strategic merge goes into it.
"""

from __future__ import annotations

from typing import Any, Final

LEAF: Final = 0
STRUCT: Final = 1
MAP: Final = 2
SET: Final = 3
ASSOC: Final = 4
ANY: Final = 5

MISSING: Final[Any] = object()


class Node:
    """``type``: the JSON type that a value must have: string, integer, number, boolean, object, array or ""(any).

    ``keys``: key fields of an ASSOC list; ``key_defaults``: value of a key field that an item may omit.
    """

    __slots__ = ("element", "evolving", "fields", "flat", "key_defaults", "keys", "kind", "type", "zeros")

    def __init__(self, kind: int = LEAF, type: str = "") -> None:
        self.kind = kind
        self.type = type
        self.fields: dict[str, Field] = {}
        self.element: Node | None = None
        self.flat: dict[tuple[str, ...], dict[str, Any]] = {}
        """What server-side apply has found to be the fields of an object with these members, all leaves and all set."""
        self.keys: tuple[str, ...] = ()
        self.key_defaults: dict[str, Any] = {}
        self.evolving = False
        """The shape of a root may change while objects exist: that of a custom resource."""
        self.zeros: tuple[tuple[str, Field], ...] = ()
        """Fields that are written even when unset (Go: no ``omitempty``)."""

    def child(self, name: str) -> Node | None:
        field = self.fields.get(name)
        return field.node if field is not None else self.element


class Field:
    """``member``: its path element, ``f:<name>``. ``strategy``: merge, replace or ""; ``merge_key``: of a merge list.

    ``zero``: the JSON value that stands for unset, MISSING for an optional (pointer) field; ``written``: it is written
    nevertheless.
    """

    __slots__ = ("member", "merge_key", "name", "node", "strategy", "written", "zero")

    def __init__(
        self,
        name: str,
        node: Node,
        strategy: str = "",
        merge_key: str = "",
        zero: Any = MISSING,
        written: bool = False,
    ) -> None:
        self.name = name
        self.node = node
        self.member = "f:" + name
        self.strategy = strategy
        self.merge_key = merge_key
        self.zero = zero
        self.written = written


UNTYPED: Final = Node(ANY)
UNTYPED.element = UNTYPED
"""Anything: raw JSON and unknown fields that are preserved."""
