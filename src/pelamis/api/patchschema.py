"""The patch shape of a kind: compiled from the annotations of its structs, or from a custom resource's schema.

Compiled once for each struct class and shared; recursive types work because a class's node exists before its fields do.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from pelamis.api.custom import Custom
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.shape import Value, is_root, shape_of
from pelamis.api.version import version_of
from pelamis.base.shape import ASSOC, LEAF, MAP, MISSING, SET, STRUCT, UNTYPED, Field, Node

ATOMIC = frozenset(
    {
        "io.k8s.api.admissionregistration.v1.MatchResources",
        "io.k8s.api.admissionregistration.v1.NamedRuleWithOperations",
        "io.k8s.api.admissionregistration.v1.ParamKind",
        "io.k8s.api.admissionregistration.v1.ParamRef",
        "io.k8s.api.admissionregistration.v1.Variable",
        "io.k8s.api.admissionregistration.v1alpha1.MatchResources",
        "io.k8s.api.admissionregistration.v1alpha1.NamedRuleWithOperations",
        "io.k8s.api.admissionregistration.v1alpha1.ParamKind",
        "io.k8s.api.admissionregistration.v1alpha1.ParamRef",
        "io.k8s.api.admissionregistration.v1beta1.MatchResources",
        "io.k8s.api.admissionregistration.v1beta1.NamedRuleWithOperations",
        "io.k8s.api.admissionregistration.v1beta1.ParamKind",
        "io.k8s.api.admissionregistration.v1beta1.ParamRef",
        "io.k8s.api.admissionregistration.v1beta1.Variable",
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
        "io.k8s.api.lifecycle.v1alpha1.Requester",
        "io.k8s.api.lifecycle.v1alpha1.TargetResponder",
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
    "metrics": "io.k8s.metrics.pkg.apis.metrics.",
}

_ELSEWHERE = (
    ("storage", "TopologySelector", "io.k8s.api.core.v1."),
    ("batch", "Workload", "io.k8s.api.scheduling.v1alpha3."),
    ("batch", "TopologyConstraint", "io.k8s.api.scheduling.v1alpha3."),
)
"""(package, start of the class name, prefix): types that live beside their only user, and are at home elsewhere."""

_nodes: dict[type[Any], Node] = {}
_kinds: dict[Kind, Node] = {}
_custom: dict[Kind, Tree | None] = {}


def definition(cls: type[Any]) -> str:
    """The OpenAPI definition name of a struct: ``io.k8s.api.apps.v1.Deployment``."""
    parts = cls.__module__.split(".")
    if parts[2] == "meta":
        return _META + cls.__name__
    group = parts[2]
    for package, start, prefix in _ELSEWHERE:
        if group == package and cls.__name__.startswith(start):
            return prefix + cls.__name__
    version = version_of(cls)
    if not version:
        kind = getattr(sys.modules[cls.__module__], "KIND", None)
        if isinstance(kind, Kind) and kind.hub is not None and kind.hub.type.__module__ == cls.__module__:
            kind = kind.hub
        version = kind.version if isinstance(kind, Kind) else "v1"
    return f"{_PREFIX.get(group, f'io.k8s.api.{group}.')}{version}.{cls.__name__}"


def schema(kind: Kind) -> Node:
    """The shape of a kind's objects."""
    node = _kinds.get(kind)
    if node is None:
        node = _kinds[kind] = of_custom(None) if kind.type is Custom else of_type(kind.type)
    return node


def of_type(cls: type[Any]) -> Node:
    """The shape of a struct class."""
    node = _nodes.get(cls)
    if node is None:
        node = _nodes[cls] = Node(LEAF if definition(cls) in ATOMIC else STRUCT, "object")
        _fill(node, cls)
    return node


def _fill(node: Node, cls: type[Any]) -> None:
    if is_root(cls):
        for name in ("kind", "apiVersion"):
            node.fields[name] = Field(name, Node(LEAF, "string"), zero="", written=True)
    defaults = {info.name: info for info in msgspec.structs.fields(cls)}
    written = []
    for shape in shape_of(cls):
        child = _node(shape.value, shape.facts)
        strategies = shape.facts.get("merge", "").split(",")
        strategy = next((s for s in strategies if s in ("merge", "replace")), "")
        zero = MISSING if shape.pointer else _zero(defaults[shape.attr], shape.value)
        field = Field(shape.name, child, strategy, shape.facts.get("key", ""), zero, shape.always)
        node.fields[shape.name] = field
        if shape.always:
            written.append((shape.name, field))
    node.zeros = tuple(written)


def _zero(info: Any, value: Value) -> Any:
    """The JSON value that means unset."""
    if value.what == "list":
        return []
    if value.what in ("map", "struct"):
        return {}
    if value.what == "bytes":
        return ""
    default = info.default if info.default is not msgspec.NODEFAULT else info.default_factory()
    return MISSING if default is None or default is msgspec.UNSET else default


_TYPES = {
    "string": "string",
    "int": "integer",
    "int32": "integer",
    "int64": "integer",
    "bool": "boolean",
    "double": "number",
    "bytes": "string",
    "time": "string",
    "microTime": "string",
    "duration": "string",
}


def _node(value: Value, facts: Mapping[str, Any]) -> Node:
    what = value.what
    if what in _TYPES:
        return Node(LEAF, _TYPES[what])
    if what in ("quantity", "intOrString"):
        return Node(LEAF)
    if what == "raw":
        return Node(LEAF, "object")  # one value, whatever is in it
    if what == "list" and value.of is not None:
        return _list(value.of, facts)
    if what == "map" and value.of is not None:
        node = Node(LEAF if facts.get("map") == "atomic" else MAP, "object")
        node.element = _node(value.of, {})
        return node
    if value.struct is not None:
        node = of_type(value.struct)
        atomic = definition(value.struct) in ATOMIC
        if facts.get("struct") == "atomic" and not atomic:
            return _as(node, LEAF)
        return _as(node, STRUCT) if facts.get("struct") == "granular" and atomic else node
    return UNTYPED


def _as(node: Node, kind: int) -> Node:
    copy = Node(kind, node.type)
    copy.fields, copy.zeros = node.fields, node.zeros
    return copy


_KEY_ZEROS = {"string": "", "int": 0, "int32": 0, "int64": 0}
"""What stands for a key that must be there and is left out: validation says what is wrong with it."""


def _list(item: Value, facts: Mapping[str, Any]) -> Node:
    how = facts.get("list", "")
    node = Node({"map": ASSOC, "set": SET}.get(how, LEAF), "array")
    node.element = _node(item, {})
    if how == "map" and item.struct is not None:
        node.keys = tuple(sorted(facts["keys"]))
        node.key_defaults = {
            f.name: f.facts.get("default", _KEY_ZEROS.get(f.value.what))
            for f in shape_of(item.struct)
            if f.name in node.keys
            and ("default" in f.facts or (f.facts.get("required") and f.value.what in _KEY_ZEROS))
        }
    return node


def declare(kind: Kind, openapi: Tree | None) -> Node:
    """Gives a custom resource's kind its shape; call ``forget`` when the kind is no longer served."""
    node = _kinds[kind] = of_custom(openapi)
    _custom[kind] = openapi
    return node


def forget(kind: Kind) -> None:
    _kinds.pop(kind, None)
    _custom.pop(kind, None)


def custom_schema(kind: Kind) -> Tree | None:
    """The ``openAPIV3Schema`` that was declared for a custom resource's kind."""
    return _custom.get(kind)


def of_custom(openapi: Tree | None) -> Node:
    """The shape of a custom resource from the ``openAPIV3Schema`` of its version; None: no schema, anything goes."""
    node = _structural(openapi or {"x-kubernetes-preserve-unknown-fields": True})
    if node.kind != STRUCT:
        node = _as(node, STRUCT)
        node.element = node.element or UNTYPED
    node.evolving = True
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


__all__ = ["ATOMIC", "custom_schema", "declare", "definition", "forget", "of_custom", "of_type", "schema"]
