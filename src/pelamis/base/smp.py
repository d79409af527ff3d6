"""Strategic merge patch on trees: a merge patch that knows which lists merge, and by which key.

Directives in the patch, all handled: ``$patch: replace | delete | merge`` in a map or in an item of a merge list,
``$retainKeys``, ``$deleteFromPrimitiveList/<field>``, ``$setElementOrder/<field>``. Which strategy a field has comes
from its ``shape.Node``. Fields that the shape does not know merge like a plain map; naming or dropping them is the
codec's business afterwards.

Order of a merged list, as upstream: items named by the patch keep the patch's order (or that of $setElementOrder),
items that only the server has keep theirs, and both are interleaved by the positions in the live list.

The target is shared and never changed: each container on the way is copied before it is written to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pelamis.base import gotext
from pelamis.base.jsonpatch import equal
from pelamis.base.shape import Field, Node

PATCH = "$patch"
RETAIN = "$retainKeys"
DELETE_LIST = "$deleteFromPrimitiveList"
ORDER = "$setElementOrder"

_encode = msgspec.json.Encoder().encode
_BAD_RETAIN = "invalid patch format of retainKeys"
_BAD_DELETE_LIST = "invalid patch format of primitive list"
_BAD_ORDER = "invalid patch format of setElementOrder list"


class PatchError(ValueError):
    """The patch does not fit. ``code``: what the API server answers, 400 malformed, 422 impossible, 500 the rest."""

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message)
        self.code = code

    @property
    def invalid(self) -> bool:
        return self.code == 422


def _no_key(item: Any, key: str) -> PatchError:
    return PatchError(f"map: {gotext.plain(item)} does not contain declared merge key: {key}")


def _bad_patch_type(kind: Any, item: Any) -> PatchError:
    return PatchError(f"unknown patch type: {gotext.plain(kind)} in map: {gotext.plain(item)}")


def _bad_arg(wanted: str, actual: Any) -> PatchError:
    return PatchError(f"expected a {wanted}, but received a {gotext.type_name(actual)}")


def apply(target: dict[str, Any], patch: Any, node: Node) -> dict[str, Any]:
    """``target`` with ``patch`` applied, under the shape ``node``. Raises PatchError."""
    if not isinstance(patch, dict):
        raise PatchError(
            f"json: cannot unmarshal {_json_kind(patch)} into Go value of type map[string]interface {{}}", 400
        )
    return _merge_plain(target, patch, node) if _is_plain(patch) else _merge_map(target, patch, node)


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {list: "array", str: "string", int: "number", float: "number"}.get(type(value), "null")


def _clean(value: Any) -> Any:
    """A patch value that becomes the value: nulls and directives inside it have nothing left to act on."""
    if not isinstance(value, dict | list):
        return value
    return value if _is_plain(value) else _cleaned(value)


def _is_plain(value: Any) -> bool:
    """Whether it has neither nulls nor directives for sure."""
    text = _encode(value)
    return b"null" not in text and b'"$' not in text


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: _cleaned(v)
            for k, v in value.items()
            if v is not None and not (k[:1] == "$" and (k in (PATCH, RETAIN) or k.startswith((DELETE_LIST, ORDER))))
        }
    if isinstance(value, list):
        return [_cleaned(v) for v in value if not (isinstance(v, dict) and PATCH in v)]
    return value


def _merge_map(target: dict[str, Any] | None, patch: dict[str, Any], node: Node | None) -> dict[str, Any]:
    directive = patch.get(PATCH)
    if PATCH in patch:
        if directive == "replace":
            return {k: _clean(v) for k, v in patch.items() if k != PATCH}
        if directive == "delete":
            return {}
        if directive != "merge":
            raise _bad_patch_type(directive, patch)
    out = dict(target) if target else {}
    done: set[str] = set()
    ordered: list[str] = []
    for key in patch:
        if key[:1] == "$":
            if key == RETAIN:
                _retain(out, patch)
            elif key.startswith(ORDER):
                ordered.append(key)
    for key in ordered:
        field_name = _extract(key, ORDER, _BAD_ORDER)
        _merge_ordered(out, patch, key, field_name, node)
        if patch.get(field_name) is not None:
            done.add(field_name)
    for key, value in patch.items():
        if key in done:
            continue
        deleting = False
        if key[:1] == "$":
            if key in (PATCH, RETAIN) or key.startswith(ORDER):
                continue
            if key.startswith(DELETE_LIST):
                key = _extract(key, DELETE_LIST, _BAD_DELETE_LIST)
                deleting = True
        if value is None:
            out.pop(key, None)
            continue
        old = out.get(key)
        if isinstance(value, dict):
            field = node.fields.get(key) if node is not None else None
            if not isinstance(old, dict) or (field is not None and field.strategy == "replace"):
                out[key] = _merge_map(None, value, None) if value.get(PATCH) == "delete" else _clean(value)
            else:
                inner = field.node if field is not None else node.element if node is not None else None
                out[key] = _merge_map(old, value, inner)
        elif isinstance(value, list):
            if not isinstance(old, list):
                if not deleting:
                    out[key] = _clean(value)
                continue
            field = node.fields.get(key) if node is not None else None
            out[key] = _merge_field_list(old, value, field, deleting)
        elif not deleting:
            out[key] = value
    return out


def _merge_plain(target: dict[str, Any], patch: dict[str, Any], node: Node | None) -> dict[str, Any]:
    """``_merge_map`` of a patch without nulls and directives: what it has is laid over what is there."""
    out = dict(target)
    fields = node.fields if node is not None else None
    for key, value in patch.items():
        kind = type(value)
        if kind is dict:
            old = out.get(key)
            field = fields.get(key) if fields is not None else None
            if type(old) is dict and (field is None or field.strategy != "replace"):
                inner = field.node if field is not None else node.element if node is not None else None
                value = _merge_plain(old, value, inner)
        elif kind is list:
            old = out.get(key)
            field = fields.get(key) if fields is not None else None
            if type(old) is list and field is not None and field.strategy == "merge":
                merged = _merge_named(old, value, field.node.element, field.merge_key)
                value = _merge_field_list(old, value, field, False) if merged is None else merged
        out[key] = value
    return out


def _merge_named(old: list[Any], patch: list[Any], element: Node | None, key: str) -> list[Any] | None:
    """A list of objects, each with a name of its own, under a patch that is one too. None: it is something else."""
    known: dict[str, int] = {}
    for i, item in enumerate(old):
        name = item.get(key) if type(item) is dict else None
        if type(name) is not str or name in known:
            return None
        known[name] = i
    named: dict[str, Any] = {}
    for item in patch:
        name = item.get(key) if type(item) is dict else None
        if type(name) is not str or name in named:
            return None
        at = known.get(name)
        named[name] = item if at is None else _merge_plain(old[at], item, element)
    return interleaved(old, known, named)


def interleaved(old: Sequence[Any], known: dict[str, int], named: dict[str, Any]) -> list[Any]:
    """The items of a patch in its order; what only the server has stands before the first that is behind it in ``old``.

    known: name to position in ``old``.
    """
    if len(named) >= len(known) and known.keys() <= named.keys():
        return list(named.values())
    out: list[Any] = []
    rest = [(i, old[i]) for name, i in known.items() if name not in named]
    j = 0
    for name, item in named.items():
        at = known.get(name, -1)
        while j < len(rest) and rest[j][0] < at:
            out.append(rest[j][1])
            j += 1
        out.append(item)
    return out + [item for _, item in rest[j:]]


def _extract(key: str, prefix: str, message: str) -> str:
    head, slash, name = key.partition("/")
    if not slash or head != prefix:
        raise PatchError(message, 400)
    return name


def _retain(out: dict[str, Any], patch: dict[str, Any]) -> None:
    keep = patch[RETAIN]
    if not isinstance(keep, list):
        raise PatchError(_BAD_RETAIN, 400)
    names = {k for k in keep if isinstance(k, str)}
    for key, value in patch.items():
        if value is None or key in (RETAIN, PATCH) or key.startswith((DELETE_LIST, ORDER)):
            continue
        if key not in names:
            raise PatchError(_BAD_RETAIN, 400)
    for key in [k for k in out if k not in names]:
        del out[key]


def _merge_field_list(
    old: list[Any], patch: list[Any], field: Field | None, deleting: bool, ordered: bool = True
) -> list[Any]:
    if field is None or field.strategy != "merge":
        return _clean(patch) if not deleting else patch
    element = field.node.element
    return _merge_list(old, patch, element, field.merge_key, deleting, ordered)


def _element_kind(*lists: list[Any]) -> type:
    """dict, or the scalar type of the elements; all must be alike, and none a list."""
    kind: type | None = None
    for items in lists:
        for item in items:
            here = type(item)
            if here is list:
                raise PatchError("lists of lists are not supported", 422)
            if kind is None:
                kind = here
            elif kind is not here:
                raise PatchError(f"list element types are not identical: {gotext.plain(list(lists))}")
    if kind is None:
        raise PatchError("no elements in any of the given slices")
    return kind


def _merge_list(
    old: list[Any], patch: list[Any], element: Node | None, key: str, deleting: bool, ordered: bool = True
) -> list[Any]:
    """ordered False: the caller puts items with keys in an order of its own."""
    if not old and not patch:
        return old
    if _element_kind(old, patch) is not dict:
        if deleting:
            gone = set(patch)
            return [v for v in old if v not in gone]
        merged = list(dict.fromkeys([*old, *patch]))
        named = set(patch)
        return _interleave(
            [v for v in merged if v not in named], list(dict.fromkeys(patch)), {v: i for i, v in enumerate(old)}, None
        )
    if not key:
        raise PatchError("cannot merge lists without merge key for type struct")
    old, patch = _special(old, patch, key)
    merged = _merge_items(old, patch, element, key)
    return _order(merged, patch, old, key) if ordered else merged


def _special(old: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Handles items with $patch: deletions are made in the list; with replace the patch alone remains."""
    plain: list[Any] = []
    replace = False
    for item in patch:
        if PATCH not in item:
            plain.append(item)
            continue
        directive = item[PATCH]
        if directive == "delete":
            if key not in item:
                raise _no_key(item, key)
            gone = item[key]
            old = [v for v in old if not (key in v and equal(v[key], gone))]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise PatchError("merging lists cannot yet be specified in the patch")
        else:
            raise _bad_patch_type(directive, item)
    return ([_clean(v) for v in plain], []) if replace else (old, plain)


def _position(items: list[Any], key: str) -> dict[Any, int]:
    """Merge key value to first position. 1 and true are told apart by their type."""
    out: dict[Any, int] = {}
    for i, item in enumerate(items):
        if not isinstance(item, dict):
            raise PatchError(f"value for key {i} is not a map.")
        if key in item:
            out.setdefault(_hashable(item[key]), i)
    return out


def _hashable(value: Any) -> Any:
    if type(value) is str:
        return value
    return (type(value), value) if not isinstance(value, dict | list) else gotext.plain(value)


def _merge_items(old: list[Any], patch: list[Any], element: Node | None, key: str) -> list[Any]:
    out = list(old)
    at = _position(out, key)
    for item in patch:
        if key not in item:
            raise _no_key(item, key)
        name = _hashable(item[key])
        i = at.get(name)
        if i is None:
            at[name] = len(out)
            out.append(_clean(item))
        else:
            out[i] = _merge_map(out[i], item, element)
    return out


def _order(merged: list[Any], patch_order: list[Any], server_order: list[Any], key: str) -> list[Any]:
    wanted = _position(patch_order, key)
    named: list[Any] = []
    rest: list[Any] = []
    for item in merged:
        if key not in item:
            raise _no_key(item, key)
        (named if _hashable(item[key]) in wanted else rest).append(item)
    named.sort(key=lambda item: wanted[_hashable(item[key])])
    if not rest:
        return named
    server = _position(server_order, key)
    last = len(server)
    rest.sort(key=lambda item: server.get(_hashable(item[key]), last))
    return _interleave(rest, named, server, key)


def _interleave(left: list[Any], right: list[Any], server: dict[Any, int], key: str | None) -> list[Any]:
    """Puts server-only items before the first patch item that stands behind them in the live list."""

    def place(item: Any) -> int:
        return server.get(item if key is None else _hashable(item[key]), -1)

    out: list[Any] = []
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = place(left[i]), place(right[j])
        if 0 <= a < b:
            out.append(left[i])
            i += 1
        else:
            out.append(right[j])
            j += 1
    return out + right[j:] + left[i:]


def _merge_ordered(out: dict[str, Any], patch: dict[str, Any], key: str, name: str, node: Node | None) -> None:
    """One list under $setElementOrder: merge what the patch has for it, then put the items in the given order."""
    order = patch[key]
    if not isinstance(order, list):
        raise _bad_arg("[]interface {}", order)
    old, new = out.get(name), patch.get(name)
    has_old, has_new = name in out and old is not None, name in patch and new is not None
    if has_old and not isinstance(old, list):
        raise _bad_arg("[]interface {}", old)
    if has_new and not isinstance(new, list):
        raise _bad_arg("[]interface {}", new)
    field = node.fields.get(name) if node is not None else None
    merge_key = field.merge_key if field is not None else ""
    if has_new:
        _check_order(new or [], order, merge_key)
    if has_old and has_new:
        merged = _merge_field_list(old or [], new or [], field, False, ordered=False)
    elif has_old:
        merged = old or []
    elif has_new:
        merged = _clean(new)
    else:
        return
    if not merged:
        out[name] = merged
        return
    live: list[Any] = old or []
    if _element_kind(live, merged) is dict:
        if not merge_key:
            out[name] = merged
            return
        out[name] = _order(merged, order, live, merge_key)
        return
    wanted = {v: i for i, v in enumerate(order)}
    named = sorted((v for v in merged if v in wanted), key=wanted.__getitem__)
    rest = [v for v in merged if v not in wanted]
    out[name] = _interleave(rest, named, {v: i for i, v in enumerate(live)}, None)


def _check_order(patch: list[Any], order: list[Any], key: str) -> None:
    """The items of the patch must stand in the order list, in the same relative order."""
    if not order or not patch:
        return
    items = [v for v in patch if not (isinstance(v, dict) and PATCH in v)]
    i = j = 0
    while i < len(items) and j < len(order):
        a, b = items[i], order[j]
        if key:
            for item in (a, b):
                if not isinstance(item, dict):
                    raise _bad_arg("map[string]interface {}", item)
                if key not in item:
                    raise _no_key(item, key)
            a, b = a[key], b[key]
        if equal(a, b):
            i += 1
        j += 1
    if i < len(items):
        raise PatchError(
            f"The order in patch list:\n{gotext.plain(patch)}\n doesn't match {ORDER} list:\n{gotext.plain(order)}\n"
        )
