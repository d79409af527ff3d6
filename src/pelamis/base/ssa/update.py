"""Ownership after an ordinary create, update or patch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pelamis.base.fieldpath import SELF, Set, difference, recursive_difference, union
from pelamis.base.shape import MAP, STRUCT, UNTYPED, Node
from pelamis.base.ssa import managed, reconcile
from pelamis.base.ssa.managed import Convert, Entry, Tree
from pelamis.base.ssa.walk import STRIPPED, bare, compare, whole

_HEAD = frozenset(("kind", "apiVersion", "metadata"))


def added_set(tree: Tree, schema: Node) -> Set:
    """What a creator owns: every field, but for the parents that an empty object of the type has too."""
    out: Set = {}
    fields = schema.fields
    for name, value in tree.items():
        if name == "kind" or name == "apiVersion" or value is None:
            continue
        field = fields.get(name)
        if name == "metadata":
            value = {k: v for k, v in value.items() if k not in STRIPPED}
            if not value:
                continue
        if field is None:
            node = schema.element or UNTYPED
            below = whole(value, node)
            out["f:" + name] = below
            continue
        if not value and field.written:
            continue
        below = whole(value, field.node) if not field.written else _inside(value, field.node)
        if field.written and not below and (field.node.kind or value == field.zero):
            continue
        if name == "metadata" and "." in below:
            below = {k: v for k, v in below.items() if k != "."}
            if not below:
                continue
        out[field.member] = below
    return out


def _inside(value: Any, node: Node) -> Set:
    """``whole`` for a value whose parent exists in the empty object already."""
    if node.kind != STRUCT or type(value) is not dict:
        if not value:
            return {}
        below = whole(value, node)
        return {k: v for k, v in below.items() if k != "."} if node.kind >= MAP else below
    out: Set = {}
    fields = node.fields
    for name in sorted(value):
        child = value[name]
        field = fields.get(name)
        if field is None:
            if child is not None:
                out["f:" + name] = whole(child, node.element or UNTYPED)
        elif field.written:
            if child and child != field.zero:
                below = _inside(child, field.node)
                if below or field.node.kind == 0:
                    out[field.member] = below
        elif child or not (child is None or child == field.zero):
            out[field.member] = whole(child, field.node)
    return out


def _take(entry: Entry, changed: Set, removed: Set) -> bool:
    """Takes away what somebody else changed or removed; False: nothing is left."""
    if not changed and not removed:
        return True
    for gone in (changed, removed):
        if gone and not entry.misses(gone):
            entry.fields = difference(entry.fields, gone)
    return not entry.empty


class Changes:
    """How an object changed, seen in each apiVersion that some manager speaks."""

    def __init__(
        self, old: Tree, new: Tree, schema: Node, api_version: str, ignored: Set, convert: Convert | None
    ) -> None:
        self._old, self._new = old, new
        self._convert = convert
        self._ignored = ignored
        self._known: dict[str, tuple[Set, Set] | None] = {api_version: self._compare(old, new, schema)}

    def _compare(self, old: Tree, new: Tree, schema: Node) -> tuple[Set, Set]:
        changed: Set = {}
        removed: Set = {}
        compare(*_bared(old, new), schema, changed, removed)
        if self._ignored:
            changed = recursive_difference(changed, self._ignored)
            removed = recursive_difference(removed, self._ignored)
        return changed, removed

    def at(self, api_version: str) -> tuple[Set, Set] | None:
        """(changed, removed); None when that version is not served any more."""
        if api_version not in self._known:
            self._known[api_version] = self._in(api_version)
        return self._known[api_version]

    def _in(self, api_version: str) -> tuple[Set, Set] | None:
        if self._convert is None:
            return next(iter(self._known.values()))
        old = self._convert(self._old, api_version)
        new = self._convert(self._new, api_version)
        if old is None or new is None:
            return None
        return self._compare(old[0], new[0], new[1])


def _bared(old: Tree, new: Tree) -> tuple[Tree, Tree]:
    """Both ``bare``; without metadata that is the same anyway."""
    metadata = new.get("metadata")
    if metadata is None or metadata != old.get("metadata"):
        return bare(old), bare(new)
    return {k: v for k, v in old.items() if k not in _HEAD}, {k: v for k, v in new.items() if k not in _HEAD}


def update_managed(
    old: Tree | None,
    new: Tree,
    manager: str,
    *,
    schema: Node,
    api_version: str,
    now: float,
    operation: str = "Update",
    subresource: str = "",
    ignored: tuple[str, ...] = (),
    convert: Convert | None = None,
    make: Callable[..., Any] | None = None,
) -> None:
    """Sets ``new["metadata"]["managedFields"]``; only ``new`` itself and a fresh metadata dict are written to.

    old: the stored object, None on create. manager: see ``manager_name``. api_version: the version of the request, that
    of the main resource also for a subresource like scale. ignored: dotted paths that this endpoint resets, owned by
    nobody through it. convert: needed where managers of another version of the kind may exist. make: what the entries
    become structs with; trees if None.
    """
    entries = managed.live_or_new(old, new, subresource)
    if old is None and not entries:
        fields = added_set(new, schema)
        if ignored:
            fields = recursive_difference(fields, managed.reset_fields(ignored))
        created = [Entry(manager or "unknown", operation, api_version, subresource, fields, managed.stamp(now))]
        managed.store(new, created if fields else (), make)
        return
    if not entries and old is not None and (old.get("metadata") or {}).get("uid"):
        managed.store(new, ())
        return
    if schema.evolving:
        reconcile.entries_under(entries, schema, api_version)
    changes = Changes(old or {}, new, schema, api_version, managed.reset_fields(ignored) if ignored else SELF, convert)
    own = changes.at(api_version) or (SELF, SELF)
    kept: list[Entry] = []
    for entry in entries:
        seen = changes.at(entry.api_version)
        if seen is not None and (entry.api_version == api_version or _take(entry, *seen)):
            kept.append(entry)
    settled = moved(kept, *own, manager, operation=operation, api_version=api_version, now=now, subresource=subresource)
    managed.store(new, settled, make)


def moved(
    entries: list[Entry],
    changed: Set,
    removed: Set,
    manager: str,
    *,
    api_version: str,
    now: float,
    operation: str = "Update",
    subresource: str = "",
) -> Sequence[Entry]:
    """What the entries become when a manager changes and removes fields of this version."""
    mine = without_stripped(changed) if changed else SELF
    manager = manager or "unknown"
    waiting = bool(mine)
    kept: list[Entry] = []
    for entry in entries:
        if waiting and entry.is_from(manager, operation, api_version, subresource):
            _take(entry, SELF if changed is mine else changed, removed)
            entry.fields = union(entry.fields, mine)
            entry.time = managed.stamp(now)
            waiting = False
        elif entry.api_version == api_version and not _take(entry, changed, removed):
            continue
        kept.append(entry)
    if waiting:
        kept.append(Entry(manager, operation, api_version, subresource, mine, managed.stamp(now)))
    return managed.cap(kept)


def without_stripped(fields: Set) -> Set:
    """Drops metadata itself as a member."""
    below = fields.get("f:metadata")
    if below is None or (below and "." not in below):
        return fields
    rest = {k: v for k, v in below.items() if k != "."}
    out = {k: v for k, v in fields.items() if k != "f:metadata"}
    if rest:
        out["f:metadata"] = rest
    return out
