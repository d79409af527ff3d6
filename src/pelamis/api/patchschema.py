"""The patch shape of a kind: compiled from the annotations of its structs, or from a custom resource's schema.

Compiled once for each struct class and shared; recursive types work because a class's node exists before its fields do.
"""

from __future__ import annotations

import sys
import types
import typing
from typing import Any

import msgspec

from pelamis.api.field import Struct, Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta
from pelamis.base.shape import ANY, ASSOC, LEAF, MAP, MISSING, SET, STRUCT, UNTYPED, Field, Node

ATOMIC = frozenset(
    {
        "io.k8s.api.admissionregistration.v1.MatchResources",
        "io.k8s.api.admissionregistration.v1.NamedRuleWithOperations",
        "io.k8s.api.admissionregistration.v1.ParamKind",
        "io.k8s.api.admissionregistration.v1.ParamRef",
        "io.k8s.api.admissionregistration.v1.Variable",
        "io.k8s.api.autoscaling.v1.CrossVersionObjectReference",
        "io.k8s.api.core.v1.ConfigMapKeySelector",
        "io.k8s.api.core.v1.EndpointAddress",
        "io.k8s.api.core.v1.EndpointPort",
        "io.k8s.api.core.v1.EvictionResponder",
        "io.k8s.api.core.v1.FileKeySelector",
        "io.k8s.api.core.v1.LocalObjectReference",
        "io.k8s.api.core.v1.NodeSelector",
        "io.k8s.api.core.v1.NodeSelectorTerm",
        "io.k8s.api.core.v1.ObjectFieldSelector",
        "io.k8s.api.core.v1.ObjectReference",
        "io.k8s.api.core.v1.ResourceFieldSelector",
        "io.k8s.api.core.v1.ScopeSelector",
        "io.k8s.api.core.v1.SecretKeySelector",
        "io.k8s.api.core.v1.SecretReference",
        "io.k8s.api.core.v1.TopologySelectorTerm",
        "io.k8s.api.core.v1.TypedLocalObjectReference",
        "io.k8s.api.discovery.v1.EndpointPort",
        "io.k8s.api.networking.v1.ServiceBackendPort",
        "io.k8s.api.rbac.v1.RoleRef",
        "io.k8s.api.rbac.v1.Subject",
        "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
        "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
    }
)
"""Structs that server-side apply owns as a whole (Go: ``+structType=atomic`` on the type)."""

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_PREFIX = {
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration.",
}

_nodes: dict[type[Any], Node] = {}
_kinds: dict[Kind, Node] = {}


def definition(cls: type[Any]) -> str:
    """The OpenAPI definition name of a struct: ``io.k8s.api.apps.v1.Deployment``."""
    parts = cls.__module__.split(".")
    if parts[2] == "meta":
        return _META + cls.__name__
    group = parts[2]
    kind = getattr(sys.modules[cls.__module__], "KIND", None)
    version = kind.version if isinstance(kind, Kind) else "v1"
    return f"{_PREFIX.get(group, f'io.k8s.api.{group}.')}{version}.{cls.__name__}"


def schema(kind: Kind) -> Node:
    """The shape of a kind's objects."""
    node = _kinds.get(kind)
    if node is None:
        node = _kinds[kind] = of_type(kind.type)
    return node


def of_type(cls: type[Any]) -> Node:
    """The shape of a struct class."""
    node = _nodes.get(cls)
    if node is None:
        node = _nodes[cls] = Node(LEAF if definition(cls) in ATOMIC else STRUCT, "object")
        _fill(node, cls)
    return node


def _fill(node: Node, cls: type[Any]) -> None:
    hints = typing.get_type_hints(cls, include_extras=True)
    written = []
    for info in msgspec.structs.fields(cls):
        facts, optional, base = unwrap(hints[info.name])
        child = _node(base, facts)
        strategies = facts.get("merge", "").split(",")
        strategy = next((s for s in strategies if s in ("merge", "replace")), "")
        zero, always_written = _zero(info, optional, child)
        name = info.encode_name
        field = Field(name, child, strategy, facts.get("key", ""), zero, always_written)
        node.fields[name] = field
        if always_written and name not in ("kind", "apiVersion"):
            written.append((name, field))
    node.zeros = tuple(written)


def _zero(info: Any, optional: bool, node: Node) -> tuple[Any, bool]:
    """(JSON value that means unset, whether it is written all the same)."""
    if info.default_factory is dict or info.default_factory is list:
        return {}, False  # msgspec's reading of a plain ``= {}``
    if info.default_factory is not msgspec.NODEFAULT:
        made = info.default_factory()
        if isinstance(made, tuple) or made == {} or isinstance(made, dict):
            # Go writes null for a nil list or map here; an empty one is the closest tree
            return ([] if isinstance(made, tuple) else {}), True
        if isinstance(made, msgspec.Struct):
            return {}, True
        if isinstance(made, bytes):
            return "", True
        return made, True
    default = info.default
    if optional or default is None or default is msgspec.UNSET or default is msgspec.NODEFAULT:
        return MISSING, False
    if isinstance(default, tuple):
        return [], False
    if isinstance(default, msgspec.Struct):
        return {}, False
    if isinstance(default, bytes):
        return "", False
    return default, False


def unwrap(hint: Any) -> tuple[dict[str, Any], bool, Any]:
    """(facts of F and of the scalar aliases, whether None is allowed, the type inside)."""
    facts: dict[str, Any] = {}
    optional = False
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            for meta in hint.__metadata__:
                if isinstance(meta, msgspec.Meta) and meta.extra:
                    for k, v in meta.extra.items():
                        facts.setdefault(k, v)
            hint = hint.__origin__
        elif origin in (typing.Union, types.UnionType) and type(None) in hint.__args__:
            optional = True
            rest = [a for a in hint.__args__ if a is not type(None)]
            if len(rest) > 1:
                return facts, optional, typing.Union[tuple(rest)]  # noqa: UP007
            hint = rest[0]
        else:
            return facts, optional, hint


_SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", bytes: "string"}


def _node(hint: Any, facts: dict[str, Any]) -> Node:
    special = facts.get("special", "")
    if special in ("raw", "fieldsV1") or hint is Any:
        return UNTYPED
    if special == "quantity" or special == "intOrString":
        return Node(LEAF)
    if hint in _SCALARS:
        return Node(LEAF, _SCALARS[hint])
    origin = typing.get_origin(hint)
    if origin is tuple:
        return _list(typing.get_args(hint)[0], facts)
    if origin is dict:
        inner, _, base = unwrap(typing.get_args(hint)[1])
        node = Node(LEAF if facts.get("map") == "atomic" else MAP, "object")
        node.element = _node(base, inner)
        return node
    if isinstance(hint, type) and issubclass(hint, Struct):
        if facts.get("struct") == "atomic" and definition(hint) not in ATOMIC:
            return _as(of_type(hint), LEAF)
        if facts.get("struct") == "granular" and definition(hint) in ATOMIC:
            return _as(of_type(hint), STRUCT)
        return of_type(hint)
    return UNTYPED


def _as(node: Node, kind: int) -> Node:
    copy = Node(kind, node.type)
    copy.fields, copy.zeros = node.fields, node.zeros
    return copy


def _list(item: Any, facts: dict[str, Any]) -> Node:
    inner, _, base = unwrap(item)
    how = facts.get("list", "")
    node = Node({"map": ASSOC, "set": SET}.get(how, LEAF), "array")
    node.element = _node(base, inner)
    if how == "map":
        node.keys = tuple(sorted(facts["keys"]))
        node.key_defaults = _key_defaults(base, node.keys)
    return node


def _key_defaults(cls: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """Constant defaults of key fields: a port without protocol is a TCP port. A required key has none."""
    out: dict[str, Any] = {}
    if not (isinstance(cls, type) and issubclass(cls, Struct)):
        return out
    hints = typing.get_type_hints(cls, include_extras=True)
    for info in msgspec.structs.fields(cls):
        if info.encode_name in keys:
            facts, _, _ = unwrap(hints[info.name])
            if "default" in facts:
                out[info.encode_name] = facts["default"]
    return out


def of_custom(openapi: Tree | None) -> Node:
    """The shape of a custom resource from the ``openAPIV3Schema`` of its version; None: no schema, anything goes."""
    node = _structural(openapi or {"x-kubernetes-preserve-unknown-fields": True})
    if node.kind != STRUCT:
        node = _as(node, STRUCT)
        node.element = node.element or UNTYPED
    node.fields = dict(node.fields)
    node.fields["apiVersion"] = Field("apiVersion", Node(LEAF, "string"))
    node.fields["kind"] = Field("kind", Node(LEAF, "string"))
    node.fields["metadata"] = Field("metadata", of_type(ObjectMeta))
    return node


def _structural(s: Any) -> Node:
    if not isinstance(s, dict):
        return UNTYPED
    if s.get("x-kubernetes-int-or-string"):
        return Node(LEAF)
    kind = s.get("type", "")
    if kind == "array":
        how = s.get("x-kubernetes-list-type", "atomic")
        node = Node({"map": ASSOC, "set": SET}.get(how, LEAF), "array")
        node.element = _structural(s.get("items"))
        if how == "map":
            node.keys = tuple(sorted(s.get("x-kubernetes-list-map-keys") or ()))
            properties = (s.get("items") or {}).get("properties") or {}
            node.key_defaults = {
                k: properties[k]["default"] for k in node.keys if "default" in (properties.get(k) or {})
            }
        return node
    preserve = bool(s.get("x-kubernetes-preserve-unknown-fields"))
    if s.get("x-kubernetes-embedded-resource"):
        node = of_custom({k: v for k, v in s.items() if k != "x-kubernetes-embedded-resource"})
        if preserve:
            node.element = UNTYPED
        return node
    atomic = s.get("x-kubernetes-map-type") == "atomic"
    properties, extra = s.get("properties"), s.get("additionalProperties")
    if properties:
        node = Node(LEAF if atomic else STRUCT, "object")
        for name, inner in properties.items():
            node.fields[name] = Field(name, _structural(inner))
        if preserve:
            node.element = UNTYPED
        return node
    if isinstance(extra, dict):
        node = Node(LEAF if atomic else MAP, "object")
        node.element = _structural(extra)
        return node
    if kind == "object" or preserve or extra is True or not kind:
        return Node(LEAF, "object") if atomic else UNTYPED
    return Node(LEAF, kind)


__all__ = ["ANY", "ATOMIC", "definition", "of_custom", "of_type", "schema", "unwrap"]
