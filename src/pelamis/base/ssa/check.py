"""Does an applied object fit its shape: fields known, types right, list items distinguishable."""

from __future__ import annotations

from typing import Any

from pelamis.base import fieldpath, gotext
from pelamis.base.shape import ANY, ASSOC, LEAF, MAP, SET, STRUCT, UNTYPED, Node
from pelamis.base.ssa.walk import element

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def problems(tree: dict[str, Any], schema: Node) -> list[str]:
    out: list[str] = []
    if not _fits(tree, schema):
        _explain(tree, schema, (), out)
    return out


def _fits(value: Any, node: Node) -> bool:
    kind = node.kind
    if value is None:
        return True
    if kind == LEAF:
        wanted = _TYPES.get(node.type)
        return wanted is None or (isinstance(value, wanted) and (type(value) is not bool or node.type == "boolean"))
    if kind == STRUCT:
        if type(value) is not dict:
            return False
        fields = node.fields
        other = node.element
        for name, child in value.items():
            field = fields.get(name)
            inner = field.node if field is not None else other
            if inner is None or not _fits(child, inner):
                return False
        return True
    if kind == MAP:
        inner = node.element or UNTYPED
        return type(value) is dict and all(_fits(child, inner) for child in value.values())
    if kind == ANY:
        return True
    if type(value) is not list:
        return False
    seen = set()
    inner = node.element or UNTYPED
    for item in value:
        if (type(item) is dict) is (kind == SET):
            return False
        try:
            seen.add(element(item, node))
        except (KeyError, TypeError):
            return False
        if not _fits(item, inner):
            return False
    return len(seen) == len(value)


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, dict):
        return "map"
    if isinstance(value, list):
        return "list"
    return "string" if isinstance(value, str) else "number"


def _explain(value: Any, node: Node, path: tuple[str, ...], out: list[str]) -> None:
    """Names each problem as upstream's typed validation does."""
    kind = node.kind
    where = fieldpath.show(path)
    if value is None or _fits(value, node):
        return
    if kind == LEAF:
        if node.type == "string":
            out.append(f"{where}: expected string, got &value.valueUnstructured{{Value:{gotext.syntax(value)}}}")
        elif node.type in ("integer", "number"):
            out.append(f"{where}: expected numeric (int or float), got {gotext.type_name(value)}")
        else:
            out.append(f"{where}: expected boolean, got &{{{gotext.plain(value)}}}")
    elif kind in (STRUCT, MAP):
        if type(value) is not dict:
            out.append(f"{where}: expected map, got &{{{gotext.plain(value)}}}")
            return
        for name, child in value.items():
            inner = node.child(name)
            if inner is None:
                out.append(f"{fieldpath.show((*path, 'f:' + name))}: field not declared in schema")
            else:
                _explain(child, inner, (*path, "f:" + name), out)
    elif kind != ANY:
        _explain_list(value, node, path, out)


def _explain_list(value: Any, node: Node, path: tuple[str, ...], out: list[str]) -> None:
    where = fieldpath.show(path)
    if type(value) is not list:
        out.append(f"{where}: expected list, got &{{{gotext.plain(value)}}}")
        return
    seen: set[str] = set()
    for i, item in enumerate(value):
        if node.kind == ASSOC:
            if type(item) is not dict:
                out.append(f"{where}: element {i}: associative list with keys may not have non-map elements")
                continue
            missing = [k for k in node.keys if item.get(k) is None and k not in node.key_defaults]
            if missing and (len(node.keys) == 1 or len(missing) == len(node.keys)):
                out.append(
                    f"{where}: element {i}: associative list with keys has an element that omits key field "
                    f'"{missing[0]}" (and doesn\'t have default value)'
                )
                continue
        elif type(item) in (dict, list):
            out.append(
                f"{where}: element {i}: associative list without keys has an element that's a {_kind_of(item)} type"
            )
            continue
        member = element(item, node)
        if member in seen:
            out.append(f"{where}: duplicate entries for key {fieldpath.show((member,))}")
        seen.add(member)
        _explain(item, node.element or UNTYPED, (*path, member), out)


__all__ = ["problems"]
