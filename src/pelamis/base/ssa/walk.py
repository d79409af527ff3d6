"""Values under a shape: which fields a value has, how two differ, merging one into another, taking fields away.

Trees stand for Go objects, so two trees that Go would not tell apart must compare equal: null and an unset zero value
are absent (``Field.zero``), and a field that is always written counts as its zero value when the tree lacks it.
The inputs are shared and never changed; results share parts of them.
"""

from __future__ import annotations

from typing import Any

from msgspec.json import encode

from pelamis.base.fieldpath import SELF, Set
from pelamis.base.shape import ANY, ASSOC, LEAF, MAP, SET, STRUCT, UNTYPED, Field, Node

MISSING: Any = object()
STRIPPED = frozenset(
    (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    )
)
"""Members of metadata that nobody owns."""

_FLAT = 64
"""Combinations of members that are remembered of one type."""
_quoted: dict[tuple[str, str], str] = {}


def bare(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree without what is never owned."""
    out = {k: v for k, v in tree.items() if k != "kind" and k != "apiVersion"}
    metadata = out.get("metadata")
    if metadata:
        out["metadata"] = {k: v for k, v in metadata.items() if k not in STRIPPED}
    return out


def element(item: Any, node: Node) -> str:
    """The path element of a list item under its list's node. Raises KeyError when a key field is absent."""
    if node.kind == SET:
        return "v:" + encode(item).decode()
    keys = node.keys
    if len(keys) == 1:
        name = keys[0]
        value = item[name] if name in item else node.key_defaults[name]
        if type(value) is str:
            known = _quoted.get((name, value))
            if known is None:
                known = 'k:{"' + name + '":' + encode(value).decode() + "}"
                if len(_quoted) > 20_000:
                    _quoted.clear()
                _quoted[name, value] = known
            return known
        return 'k:{"' + name + '":' + encode(value).decode() + "}"
    defaults = node.key_defaults
    picked = {}
    for name in keys:
        if name in item and item[name] is not None:
            picked[name] = item[name]
        elif name in defaults:
            picked[name] = defaults[name]
    if not picked:
        raise KeyError(keys[0])
    return "k:" + encode(picked).decode()


def _unset(value: Any, field: Field) -> bool:
    """A falsy value that Go would not write."""
    return value is None or (not field.written and field.zero is not MISSING and value == field.zero)


def whole(value: Any, node: Node) -> Set:
    """The set below a value that was added: every field with its parents."""
    kind = node.kind
    if kind == LEAF:
        return SELF
    if kind == STRUCT:
        if type(value) is not dict:
            return SELF
        names = tuple(value)
        out: Set
        full = all(value.values())
        if full and (known := node.flat.get(names)) is not None:
            return known
        out = {".": SELF}
        fields = node.fields
        for name in sorted(value):
            child = value[name]
            field = fields.get(name)
            if field is None:
                full = False
                if child is not None:
                    out["f:" + name] = whole(child, node.element or UNTYPED)
            elif child or not _unset(child, field):
                inner = field.node
                if inner.kind == LEAF:
                    out[field.member] = SELF
                else:
                    full = False
                    out[field.member] = whole(child, inner)
        for name, field in node.zeros:
            if name not in value:
                out[field.member] = whole(field.zero, field.node)
        if len(out) == 1:
            return SELF
        if full and len(node.flat) < _FLAT:
            node.flat[names] = out
        return out
    if not value:
        return SELF
    if type(value) is dict:
        inner_node = node.element or UNTYPED
        if inner_node.kind == LEAF:
            out = {".": SELF}
            for name in sorted(value):
                out["f:" + name] = SELF
            return out
        return {".": SELF, **{"f:" + name: whole(value[name], inner_node) for name in sorted(value)}}
    if type(value) is not list:
        return SELF
    if kind == ASSOC:
        inner_node = node.element or UNTYPED
        out = {".": SELF}
        for item in value:
            try:
                out[element(item, node)] = whole(item, inner_node)
            except (KeyError, TypeError):
                continue
        return out
    if kind == SET:
        return {".": SELF, **{element(item, node): SELF for item in value}}
    return SELF


def compare(old: Any, new: Any, node: Node, changed: Set, removed: Set) -> bool:
    """Fills the sets below one value: ``changed`` (added, modified) and ``removed``. True: the value itself changed."""
    kind = node.kind
    if old == new:
        return False
    if kind == LEAF:
        return True
    if type(old) is not type(new):
        if old is None:
            old = type(new)()
        elif new is None:
            new = type(old)()
        else:
            return _replaced(old, new, node, changed, removed)
    if kind == STRUCT or ((kind in (MAP, ANY)) and type(new) is dict):
        if type(new) is not dict:
            return bool(old != new)
        _compare_maps(old, new, node, changed, removed)
        return False
    if kind in (ASSOC, SET):
        if type(new) is not list:
            return bool(old != new)
        _compare_lists(old, new, node, changed, removed)
        return False
    return True


def _replaced(old: Any, new: Any, node: Node, changed: Set, removed: Set) -> bool:
    """A value that became one of another type: what was inside is gone, what is inside came."""
    came = whole(new, node)
    removed.update((k, v) for k, v in whole(old, node).items() if k != ".")
    changed.update((k, v) for k, v in came.items() if k != ".")
    return not came


def _compare_maps(old: dict[str, Any], new: dict[str, Any], node: Node, changed: Set, removed: Set) -> None:
    fields = node.fields
    other = node.element or UNTYPED
    for name, b in new.items():
        a = old.get(name, MISSING)
        if a is b:
            continue
        field = fields.get(name)
        if field is None:
            inner, member = other, "f:" + name
            if b is None:
                b = MISSING
        else:
            inner, member = field.node, field.member
            if not b and _unset(b, field):
                b = field.zero if field.written else MISSING
            if a is MISSING:
                if field.written:
                    a = field.zero
            elif not a and _unset(a, field):
                a = field.zero if field.written else MISSING
        if b is MISSING:
            if a is not MISSING and a is not None:
                removed[member] = whole(a, inner)
        elif a is MISSING:
            changed[member] = whole(b, inner)
        elif inner.kind == LEAF:
            if a != b:
                changed[member] = SELF
        else:
            _descend(a, b, inner, member, changed, removed)
    if len(old) == len(new) and old.keys() == new.keys():
        return
    for name, a in old.items():
        if name in new:
            continue
        field = fields.get(name)
        if field is None:
            if a is not None:
                removed["f:" + name] = whole(a, other)
        elif field.written:
            if a != field.zero and a is not None:
                _descend(a, field.zero, field.node, field.member, changed, removed)
        elif a or not _unset(a, field):
            removed[field.member] = whole(a, field.node)


def _descend(a: Any, b: Any, node: Node, member: str, changed: Set, removed: Set) -> None:
    plus: Set = {}
    minus: Set = {}
    if compare(a, b, node, plus, minus):
        changed[member] = {".": SELF, **plus} if plus else SELF
    elif plus:
        changed[member] = plus
    if minus:
        removed[member] = minus


def index(items: list[Any], node: Node) -> dict[str, Any]:
    """Path element to item; of repeated elements the first counts, items without their keys are left out."""
    out: dict[str, Any] = {}
    for item in items:
        try:
            out.setdefault(element(item, node), item)
        except (KeyError, TypeError):
            continue
    return out


def _compare_lists(old: list[Any], new: list[Any], node: Node, changed: Set, removed: Set) -> None:
    before, after = index(old, node), index(new, node)
    inner = node.element or UNTYPED
    for member, b in after.items():
        a = before.get(member, MISSING)
        if a is MISSING:
            changed[member] = whole(b, inner)
        elif a is not b and a != b:
            _descend(a, b, inner, member, changed, removed)
    for member, a in before.items():
        if member not in after:
            removed[member] = whole(a, inner)


def fields_of(value: Any, node: Node) -> Set:
    """The set below an applied value: its leaves, list items and map keys; parents that are named fields are not in."""
    kind = node.kind
    if kind == STRUCT and type(value) is dict:
        out: Set = {}
        fields = node.fields
        for name in sorted(value):
            child = value[name]
            field = fields.get(name)
            if field is None:
                below = fields_of(child, node.element or UNTYPED)
                out["f:" + name] = {".": SELF, **below} if below else SELF
            elif field.node.kind == LEAF or child is None:
                out[field.member] = SELF
            else:
                below = fields_of(child, field.node)
                if below or child == {}:
                    out[field.member] = below
                elif field.node.kind == ANY:
                    out[field.member] = SELF
        return out
    if type(value) is dict and (kind in (MAP, ANY)):
        inner = node.element or UNTYPED
        out = {}
        for name in sorted(value):
            below = fields_of(value[name], inner)
            out["f:" + name] = {".": SELF, **below} if below else SELF
        return out
    if type(value) is list:
        if kind == ASSOC:
            inner = node.element or UNTYPED
            return {
                m: {".": SELF, **below} if (below := fields_of(i, inner)) else SELF
                for m, i in index(value, node).items()
            }
        if kind == SET:
            return {element(item, node): SELF for item in value}
    return SELF


def merge(old: Any, new: Any, node: Node) -> Any:
    """``new`` laid over ``old``."""
    kind = node.kind
    if kind == LEAF:
        return new
    if new is None:
        return old
    if kind == STRUCT or ((kind in (MAP, ANY)) and type(new) is dict):
        if type(old) is not dict or type(new) is not dict:
            return new
        out = dict(old)
        fields = node.fields
        other = node.element or UNTYPED
        for name, b in new.items():
            a = old.get(name)
            field = fields.get(name)
            inner = other if field is None else field.node
            if a is None:
                out[name] = b
            elif a is not b:
                merged = merge(a, b, inner)
                if merged is None:
                    out.pop(name, None)
                else:
                    out[name] = merged
        return out
    if type(old) is list and type(new) is list and (kind in (ASSOC, SET)):
        return _merge_lists(old, new, node)
    return new


def _merge_lists(old: list[Any], new: list[Any], node: Node) -> list[Any]:
    """Items of both in the applied order, items that only ``old`` has between them where they stood."""
    left, right = index(old, node), index(new, node)
    if not right:
        return old
    inner = node.element or UNTYPED
    order, wanted = list(left), list(right)
    shared = iter([m for m in wanted if m in left])
    following = next(shared, None)
    out: list[Any] = []
    i = j = 0
    while i < len(order) or j < len(wanted):
        if i < len(order) and j < len(wanted):
            member = order[i]
            if member == wanted[j]:
                out.append(merge(left[member], right[member], inner))
                i += 1
                j += 1
                following = next(shared, None)
                continue
            if member in right and following is not None and following != member:
                i += 1
                continue
        if i < len(order) and order[i] not in right:
            out.append(left[order[i]])
            i += 1
            continue
        if j < len(wanted):
            member = wanted[j]
            out.append(merge(left[member], right[member], inner) if member in left else right[member])
            j += 1
            if following == member:
                following = next(shared, None)
        else:
            i += 1
    return out


def remove(value: Any, gone: Set, node: Node) -> Any:
    """``value`` without the members of ``gone``; None when nothing is left."""
    kind = node.kind
    if type(value) is dict and kind in (STRUCT, MAP, ANY):
        out = {}
        fields = node.fields
        other = node.element or UNTYPED
        for name, child in value.items():
            below = gone.get("f:" + name)
            if below is None:
                out[name] = child
                continue
            if not below or "." in below:
                continue
            field = fields.get(name)
            left = remove(child, below, other if field is None else field.node)
            if left is not None:
                out[name] = left
        return out or None
    if type(value) is list and kind in (ASSOC, SET):
        items = []
        inner = node.element or UNTYPED
        for item in value:
            try:
                below = gone.get(element(item, node))
            except (KeyError, TypeError):
                below = None
            if below is None:
                items.append(item)
            elif below and "." not in below:
                left = remove(item, below, inner)
                if left is not None:
                    items.append(left)
        return items or None
    return value if kind == LEAF and type(value) not in (dict, list) else None


def with_parents(a: Set, node: Node | None) -> Set:
    """``a`` where every named field that leads to a member is a member too."""
    if node is None:
        return a
    out: Set = {}
    for member, below in a.items():
        if not below:
            out[member] = below
            continue
        if member[:2] == "f:":
            field = node.fields.get(member[2:])
            inner = field.node if field is not None else node.element
            deeper = with_parents(below, inner)
            out[member] = {".": SELF, **deeper} if field is not None and "." not in deeper else deeper
        else:
            out[member] = with_parents(below, node.element)
    return out
