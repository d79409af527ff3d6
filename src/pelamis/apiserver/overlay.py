"""Patches that are laid over the struct itself: what kubelets and leaders write every few seconds.

The general path (``verbs``) turns the stored object into a tree, patches that, brings it to normal form, compares it
with what was there, and makes a struct of it again. Most writes of a cluster are a heartbeat, a renewed lease, or the
status of a pod, and name a handful of fields. Here such a patch is laid over the struct of the one member that it is
about: what it says is decoded, what it leaves alone is never touched, and the set of fields that it changed is noted on
the way for managedFields.

Only what is plain is done here. Whatever is not (a directive, an unknown field, a value that is not in normal form, a
null for more than a simple value, a type that does not fit) makes the whole write take the general path, from its
start: nothing has been changed until then, and no refusal is ever worded here, but for what validation says of the
outcome. ``Kind.overlays`` names the members, each with a function that tells whether defaults and strategy leave the
outcome alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from pelamis.api import codec, normal
from pelamis.api.field import Tree
from pelamis.api.meta import ManagedFieldsEntry
from pelamis.api.patchschema import of_type
from pelamis.api.shape import Field, shape_of
from pelamis.apiserver import verbs
from pelamis.apiserver.ownership import manager_of
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Write
from pelamis.base import smp
from pelamis.base.fieldpath import SELF, Set, recursive_difference
from pelamis.base.shape import ASSOC, LEAF, STRUCT
from pelamis.base.shape import Field as Spot
from pelamis.base.ssa import managed, update
from pelamis.base.ssa.walk import element, whole

_SCALARS: dict[str, type[Any]] = {
    "string": str, "int": int, "int32": int, "int64": int, "bool": bool, "time": str, "microTime": str,
}  # fmt: skip
_BOUNDS = {"int32": 2**31, "int64": 2**63}
_SAME = ("uid", "name", "namespace")
_ORDER = "$setElementOrder/"


class _Other(Exception):
    """The write is one for the general path."""


class _Place:
    """One field of a struct."""

    __slots__ = ("attr", "bound", "canonical", "cls", "field", "many", "scalar", "spot", "struct")

    def __init__(self, field: Field, spot: Spot) -> None:
        value = field.value
        self.field, self.spot, self.attr = field, spot, field.attr
        self.scalar = _SCALARS.get(value.what)
        self.bound = _BOUNDS.get(value.what, 0)
        self.canonical = normal.CANONICAL.get(value.what)
        item = value.of if value.what == "list" else None
        self.struct = value.struct is not None
        self.cls: Any = value.struct or (item.struct if item is not None else None)
        if self.cls is not None and normal.has_raw(self.cls):
            self.cls = None
        self.many = normal.many(self.cls) if item is not None and self.cls is not None else None


_places: dict[type[Any], dict[str, _Place]] = {}


def _places_of(cls: type[Any]) -> dict[str, _Place]:
    found = _places.get(cls)
    if found is None:
        spots = of_type(cls).fields
        found = _places[cls] = {f.name: _Place(f, spots[f.name]) for f in shape_of(cls)}
    return found


def _is_flat(cls: type[Any]) -> bool:
    return all(place.scalar is not None for place in _places_of(cls).values())


# -- the write --------------------------------------------------------------------------------------------------------


def laid(write: Write, mutate: Callable[[Write], None]) -> Result | None:
    """The outcome of a patch or an update; None: it is one for the general path. mutate: does not look at the tree."""
    kind, old = write.kind, write.old
    about = kind.overlays.get(write.subresource) if kind.overlays else None
    if about is None or old is None or kind.hub is not None:
        return None
    member, settles = about
    was = old.obj
    if write.patch is None and not _is_flat(type(getattr(was, member))):
        return None
    changed: Set = {}
    removed: Set = {}
    try:
        if write.patch is not None:
            mine = _patched(write, was, member, changed, removed)
        else:
            mine = _updated(write, was, member, changed)
        entries = managed.decode(was.metadata.managedFields)
    except (_Other, ValueError):  # msgspec's errors are ValueErrors
        return None
    api_version = kind.api_version
    if any(entry.api_version != api_version for entry in entries):
        return None
    obj = was if mine is None else replace(was, **{member: mine})
    if not settles(obj, was):
        return None
    write.operation = "UPDATE"
    if write.patch is None:
        write.rev_given = True
    if (changed or removed) and entries:
        plus, minus = ({"f:" + member: part} if part else SELF for part in (changed, removed))
        ignored = verbs.ignored(write)
        if ignored:
            resets = managed.reset_fields(ignored)
            plus, minus = recursive_difference(plus, resets), recursive_difference(minus, resets)
        sub = write.subresource
        moved = update.moved(
            entries, plus, minus, manager_of(write), api_version=api_version, now=write.now, subresource=sub
        )
        entries = list(managed.in_order(moved))
    mutate(write)
    owners = tuple(e.made(ManagedFieldsEntry) for e in entries)
    obj = replace(obj, metadata=replace(was.metadata, resourceVersion="", managedFields=owners))
    return verbs.concluded(write, obj, verbs.check_owners(obj.metadata))


def _patched(write: Write, was: Any, member: str, changed: Set, removed: Set) -> Any:
    """The member as the patch makes it; None: as it was."""
    patch = write.patch
    assert patch is not None
    body = patch.body
    if patch.type not in ("strategic", "merge") or patch.problems or type(body) is not dict:
        raise _Other
    inner = None
    for name, value in body.items():
        if name == member:
            inner = value
        elif name == "metadata":
            if type(value) is not dict:
                raise _Other
            for known, text in value.items():
                if known not in _SAME or text != getattr(was.metadata, known):
                    raise _Other
        elif name not in ("kind", "apiVersion") or value != getattr(was, name):
            raise _Other
    if type(inner) is not dict:
        raise _Other
    before = getattr(was, member)
    if before == normal.blank(type(before)):
        raise _Other
    mine = _laid_over(before, inner, patch.type == "strategic", changed, removed)
    return None if mine is before else mine


def _updated(write: Write, was: Any, member: str, changed: Set) -> Any:
    """The member as an update has it that differs in nothing else, the revision included; None: as it was."""
    given = codec.read(write.kind, write.tree)
    if given.metadata != was.metadata:
        raise _Other
    before, mine = getattr(was, member), getattr(given, member)
    for name in was.__struct_fields__:
        if name not in ("metadata", member) and getattr(given, name) != getattr(was, name):
            raise _Other
    if mine == before:
        return None
    for place in _places_of(type(before)).values():
        value, had = getattr(mine, place.attr), getattr(before, place.attr)
        if value != had:
            if place.scalar is None:
                raise _Other
            _check_scalar(place, value)
            changed[place.spot.member] = SELF
    return mine


# -- values -----------------------------------------------------------------------------------------------------------


def _check_scalar(place: _Place, value: Any) -> None:
    """It is of the type, set, and in the form in which it is stored."""
    if type(value) is not place.scalar or not value:
        raise _Other
    if place.bound and not -place.bound <= value < place.bound:
        raise _Other
    if place.canonical is not None and place.canonical(value) != value:
        raise _Other


def _laid_over(old: Any, patch: Tree, strategic: bool, changed: Set, removed: Set) -> Any:
    """``old`` itself where nothing changes."""
    places = _places_of(type(old))
    out: dict[str, Any] = {}
    for name, value in patch.items():
        place = places.get(name)
        if place is None:
            about = places.get(name.removeprefix(_ORDER)) if strategic and name.startswith(_ORDER) else None
            if about is None or about.many is None or about.field.name not in patch:
                raise _Other
            continue  # the order of a list is looked at together with that
        was = getattr(old, place.attr)
        if place.scalar is not None:
            if type(value) is place.scalar and value == was:
                continue
            if value is None and not place.field.always and "default" not in place.field.facts:
                unset = getattr(normal.blank(type(old)), place.attr)
                if was != unset:
                    out[place.attr] = unset
                    removed[place.spot.member] = SELF
                continue
            _check_scalar(place, value)
            out[place.attr] = value
            changed[place.spot.member] = SELF
        elif place.many is not None:
            if not value or (type(value) is not list and (type(value) is not tuple or place.spot.strategy)):
                raise _Other
            order = patch.get(_ORDER + name) if strategic else None
            mine = _list(place, was, value, strategic, order, changed, removed)
            if mine is not was:
                out[place.attr] = mine
        elif place.struct and place.cls is not None:
            if type(value) is not dict or place.spot.strategy or was is None:
                raise _Other
            if not place.field.always and not place.field.pointer and was == normal.blank(place.cls):
                raise _Other  # it is not there
            came: Set = {}
            went: Set = {}
            mine = _laid_over(was, value, strategic, came, went)
            if mine is not was:
                out[place.attr] = mine
                if place.spot.node.kind != STRUCT:
                    changed[place.spot.member] = SELF
                else:
                    _note(place, came, went, changed, removed)
        else:
            raise _Other
    return replace(old, **out) if out else old


def _note(place: _Place, came: Set, went: Set, changed: Set, removed: Set) -> None:
    if came:
        changed[place.spot.member] = came
    if went:
        removed[place.spot.member] = went


def _list(
    place: _Place, was: Any, value: Sequence[Any], strategic: bool, order: Any, changed: Set, removed: Set
) -> Any:
    spot = place.spot
    node = spot.node
    if strategic and spot.strategy == "merge":
        key = spot.merge_key
        if not key or node.kind not in (ASSOC, LEAF) or (node.kind == ASSOC and node.keys != (key,)):
            raise _Other
        return _named(place, was, value, key, order, changed, removed)
    if node.kind != LEAF or order is not None:
        raise _Other
    mine, _ = place.many.made(value, shown=False)  # type: ignore[union-attr]
    if mine == was:
        return was
    changed[spot.member] = SELF
    return mine


def _named(place: _Place, was: Any, value: Sequence[Any], key: str, order: Any, changed: Set, removed: Set) -> Any:
    """A list of structs, each with a name of its own, under one that merges into it by these names."""
    old: dict[str, int] = {}
    for i, item in enumerate(was):
        old[getattr(item, key)] = i
    if len(old) != len(was):
        raise _Other
    named: dict[str, Any] = {}
    fresh: list[str] = []
    came: Set = {}
    went: Set = {}
    node = place.spot.node
    granular = node.kind == ASSOC
    for item in value:
        name = item.get(key) if type(item) is dict else None
        if type(name) is not str or not name or name in named:
            raise _Other
        at = old.get(name)
        if at is None:
            fresh.append(name)
            named[name] = item
        else:
            plus: Set = {}
            minus: Set = {}
            named[name] = _laid_over(was[at], item, True, plus, minus)
            if plus and granular:
                came[element(item, node)] = plus
            if minus and granular:
                went[element(item, node)] = minus
    if fresh:
        made, trees = place.many.made([named[name] for name in fresh], shown=granular)  # type: ignore[union-attr]
        named.update(zip(fresh, made, strict=True))
        if granular:
            each = node.element or node
            came.update((element(tree, node), whole(tree, each)) for tree in trees)
    if order is not None:
        named = _ordered(was, old, named, order, key)
    out = tuple(smp.interleaved(was, old, named))
    if out == was:
        return was
    if not granular:
        changed[place.spot.member] = SELF
    elif not was:
        changed[place.spot.member] = {".": SELF, **came}
    else:
        _note(place, came, went, changed, removed)
    return out


def _ordered(was: Any, old: dict[str, int], named: dict[str, Any], order: Any, key: str) -> dict[str, Any]:
    """The items in the order that the patch asks for, which has to name all of its own, as they stand in it."""
    if type(order) is not list or len(order) < len(named):
        raise _Other
    wanted: list[str] = []
    for item in order:
        if type(item) is not dict or len(item) != 1 or type(item.get(key)) is not str:
            raise _Other
        wanted.append(item[key])
    if len(set(wanted)) != len(wanted) or [name for name in wanted if name in named] != list(named):
        raise _Other
    return {n: named[n] if n in named else was[old[n]] for n in wanted if n in named or n in old}
