"""What an update leaves as it was, found by the schema: errors in that are forgiven, since a schema may be tightened.

A value's former self is found by the name of the member, the key of the map, or the keys of the list. Lists without
keys have no former members: an error in one is forgiven only when the whole list, or what holds it, is as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pelamis.api.field import Tree

_EMPTY: Mapping[str, Any] = {}


class Kept:
    """A value of an update and its former self, neither of which may be absent."""

    __slots__ = ("_known", "_same", "old", "schema", "value")

    def __init__(self, value: Any, old: Any, schema: Tree) -> None:
        self.value = value
        self.old = old
        self.schema = schema
        self._same: bool | None = None
        self._known: dict[tuple[str, ...], Any] | None = None

    def same(self) -> bool:
        if self._same is None:
            self._same = self._compare()
        return self._same

    def member(self, name: str) -> Kept | None:
        """None where there is no former self."""
        value, old = self.value, self.old
        if not (isinstance(value, dict) and isinstance(old, dict) and name in value and name in old):
            return None
        schema = (self.schema.get("properties") or _EMPTY).get(name)
        if schema is None:
            schema = self.schema.get("additionalProperties")
        if not isinstance(schema, dict):
            return None
        return Kept(value[name], old[name], schema)

    def item(self, index: int) -> Kept | None:
        items = self.schema.get("items")
        if self.schema.get("x-kubernetes-list-type") != "map" or not isinstance(items, dict):
            return None
        if not isinstance(self.old, list):
            return None
        keys = self.schema.get("x-kubernetes-list-map-keys") or ()
        if self._known is None:
            self._known = {list_key(item, keys, items): item for item in self.old if isinstance(item, dict)}
        value = self.value[index]
        old = self._known.get(list_key(value, keys, items)) if isinstance(value, dict) else None
        return None if old is None else Kept(value, old, items)

    def _compare(self) -> bool:
        value, old = self.value, self.old
        if value == old:
            return True
        if isinstance(value, dict) and isinstance(old, dict):
            if len(value) != len(old):
                return False
            return all(value[n] == old.get(n) or _same(self.member(n)) for n in value)
        if isinstance(value, list) and isinstance(old, list) and len(value) == len(old):
            return all(_same(self.item(i)) for i in range(len(value)))
        return False


def _same(kept: Kept | None) -> bool:
    return kept is not None and kept.same()


def list_key(item: Tree, keys: Sequence[str], schema: Tree) -> tuple[str, ...]:
    """What tells an item of a list of type map from others. Absent keys have their defaults."""
    known = schema.get("properties") or _EMPTY
    return tuple(repr(item.get(k, (known.get(k) or _EMPTY).get("default"))) for k in keys)
