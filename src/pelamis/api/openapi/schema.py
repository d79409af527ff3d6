"""Types as OpenAPI schemas.

The two dialects differ in where references point, in that v3 shows defaults and may not put anything beside a
reference, and in the two scalar types that are a choice (Quantity, IntOrString).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pelamis.api.custom import Custom
from pelamis.api.kind import Kind
from pelamis.api.patchschema import ATOMIC, custom_schema, definition
from pelamis.api.shape import Field, Value, is_root, shape_of

Dialect = Literal[2, 3]
Schema = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
RAW = "io.k8s.apimachinery.pkg.runtime.RawExtension"
INFO = "io.k8s.apimachinery.pkg.version.Info"
PATCH = META + "Patch"
STATUS = META + "Status"
OBJECT_META = META + "ObjectMeta"
LIST_META = META + "ListMeta"
DELETE_OPTIONS = META + "DeleteOptions"
_JSON = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"

_API_VERSION = (
    "APIVersion defines the version of the API that this object is written in, as group/version; the core group has no "
    "name."
)
_KIND = "Kind is the type of the object, in CamelCase. It follows from the endpoint and cannot be changed."

_SPECIAL: dict[str, Schema] = {
    QUANTITY: {
        "description": "An amount: a number with an optional suffix, decimal (m, k, M, G, T, P, E) or binary (Ki, Mi, "
        "Gi, Ti, Pi, Ei), or with an exponent. 1500m is 1.5; 2Gi is 2147483648."
    },
    INT_OR_STRING: {"description": "An integer or a string, such as a port number or its name."},
    META + "Time": {"type": "string", "format": "date-time", "description": "A time in RFC 3339, whole seconds, UTC."},
    META + "MicroTime": {
        "type": "string",
        "format": "date-time",
        "description": "A time in RFC 3339 with microseconds, UTC.",
    },
    META + "Duration": {"type": "string", "description": "A length of time, such as 1h30m0s."},
    META + "FieldsV1": {"type": "object", "description": "A set of field paths, as a tree."},
    PATCH: {"type": "object", "description": "The body of a patch; its form follows from the content type."},
    RAW: {"type": "object", "description": "Any object; its type is not known to this API."},
    _JSON: {"description": "Any JSON value."},
    _JSON + "SchemaPropsOrBool": {"description": "A schema, or true for anything and false for nothing."},
    _JSON + "SchemaPropsOrArray": {"description": "A schema, or a list of schemas."},
    _JSON + "SchemaPropsOrStringArray": {"description": "A schema, or a list of field names."},
    INFO: {
        "type": "object",
        "description": "The version of the server.",
        "properties": {
            name: {"type": "string"}
            for name in (
                "buildDate",
                "compiler",
                "emulationMajor",
                "emulationMinor",
                "gitCommit",
                "gitTreeState",
                "gitVersion",
                "goVersion",
                "major",
                "minCompatibilityMajor",
                "minCompatibilityMinor",
                "minor",
                "platform",
            )
        },
        "required": [
            "major",
            "minor",
            "gitVersion",
            "gitCommit",
            "gitTreeState",
            "buildDate",
            "goVersion",
            "compiler",
            "platform",
        ],
    },
}
"""Types that are no structs here: their schema without what depends on the dialect."""


def _union(discriminator: str, **members: str) -> list[Schema]:
    out: Schema = {"discriminator": discriminator} if discriminator else {}
    return [{**out, "fields-to-discriminateBy": members}]


UNIONS: dict[str, list[Schema]] = {
    "io.k8s.api.core.v1.AppArmorProfile": _union("type", localhostProfile="LocalhostProfile"),
    "io.k8s.api.core.v1.SeccompProfile": _union("type", localhostProfile="LocalhostProfile"),
    "io.k8s.api.core.v1.PodSchedulingGroup": _union("", podGroupName="PodGroupName"),
    "io.k8s.api.flowcontrol.v1.LimitResponse": _union("type", queuing="Queuing"),
    "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec": _union("type", exempt="Exempt", limited="Limited"),
    "io.k8s.api.flowcontrol.v1.Subject": _union("kind", group="Group", serviceAccount="ServiceAccount", user="User"),
    "io.k8s.api.lifecycle.v1alpha1.EvictionRequestTarget": _union("", pod="Pod"),
    "io.k8s.api.lifecycle.v1alpha1.EvictionTarget": _union("", pod="Pod"),
    "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupDisruptionMode": _union("", all="All", single="Single"),
    "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupSchedulingPolicy": _union("", basic="Basic", gang="Gang"),
    **{
        f"io.k8s.api.scheduling.{version}.{name}": union
        for version in ("v1alpha3", "v1beta1")
        for name, union in (
            ("CompositeDisruptionMode", _union("", all="All", single="Single")),
            ("CompositePodGroupSchedulingPolicy", _union("", basic="Basic", gang="Gang")),
            ("DisruptionMode", _union("", all="All", single="Single")),
            ("PodGroupSchedulingPolicy", _union("", basic="Basic", gang="Gang")),
        )
    },
}
"""Structs of which one member may be set."""

GRANULAR = frozenset(("io.k8s.api.lifecycle.v1alpha1.ResponderStatus",))
"""Structs that say so, though it is the rule."""

_FORMATS: dict[str, Schema] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {},
}
_REFS = {
    "quantity": QUANTITY,
    "intOrString": INT_OR_STRING,
    "time": META + "Time",
    "microTime": META + "MicroTime",
    "duration": META + "Duration",
    "fieldsV1": META + "FieldsV1",
}
_ZERO: dict[str, Any] = {"string": "", "int": 0, "int32": 0, "int64": 0, "bool": False, "double": 0}


def pointer(name: str, dialect: Dialect) -> str:
    return ("#/definitions/" if dialect == 2 else "#/components/schemas/") + name


def ref(name: str, dialect: Dialect, beside: Schema | None = None) -> Schema:
    """A reference, with what stands beside it: v3 allows nothing there, so the reference goes into allOf."""
    target = {"$ref": pointer(name, dialect)}
    if not beside:
        return target
    return {**beside, **target} if dialect == 2 else {**beside, "allOf": [target]}


def _union_name(value: Value) -> str:
    whats = {o.what for o in value.options}
    if "bool" in whats:
        return _JSON + "SchemaPropsOrBool"
    element = next((o.of for o in value.options if o.what == "list"), None)
    array = element is not None and element.struct is None
    return _JSON + ("SchemaPropsOrStringArray" if array else "SchemaPropsOrArray")


def target(value: Value, cls: type[Any]) -> str:
    """The definition that a value refers to, "" for none."""
    if value.struct is not None:
        return definition(value.struct)
    if value.what == "raw":
        return _JSON if ".apiextensions." in cls.__module__ else RAW
    if value.what == "union":
        return _union_name(value)
    return _REFS.get(value.what, "")


def _value(value: Value, cls: type[Any], dialect: Dialect, beside: Schema, *, element: bool) -> Schema:
    """``element``: it stands in a list or map, where v3 shows the default of its kind."""
    name = target(value, cls)
    if name:
        if element and dialect == 3 and value.struct is not None:
            beside = {**beside, "default": {}}
        return ref(name, dialect, beside)
    if value.what == "list" and value.of is not None:
        return {**beside, "type": "array", "items": _value(value.of, cls, dialect, {}, element=True)}
    if value.what == "map" and value.of is not None:
        inner = _value(value.of, cls, dialect, {}, element=True)
        return {**beside, "type": "object", "additionalProperties": inner}
    out = {**beside, **_FORMATS[value.what]}
    if element and dialect == 3 and value.what in _ZERO:
        out["default"] = _ZERO[value.what]
    return out


def _field(field: Field, cls: type[Any], dialect: Dialect) -> Schema:
    facts = field.facts
    beside: Schema = {}
    if facts.get("doc"):
        beside["description"] = facts["doc"]
    if dialect == 3:
        if facts.get("shown"):
            beside["default"] = facts["default"]
        elif field.value.struct is not None and not field.pointer:
            beside["default"] = {}
        elif field.always and not field.pointer and field.value.what in _ZERO:
            beside["default"] = _ZERO[field.value.what]
    for fact, name in (
        ("list", "x-kubernetes-list-type"),
        ("map", "x-kubernetes-map-type"),
        ("struct", "x-kubernetes-map-type"),
        ("merge", "x-kubernetes-patch-strategy"),
        ("key", "x-kubernetes-patch-merge-key"),
    ):
        if facts.get(fact):
            beside[name] = facts[fact]
    if facts.get("keys"):
        beside["x-kubernetes-list-map-keys"] = list(facts["keys"])
    out = _value(field.value, cls, dialect, beside, element=False)
    if facts.get("enum"):
        values = sorted(facts["enum"])
        inner = out["items"] if field.value.what == "list" else out
        if field.value.what == "map":
            inner = out["additionalProperties"]
        inner["enum"] = values
    return out


def _doc(cls: type[Any]) -> str:
    doc = cls.__dict__.get("__doc__") or ""
    return " ".join(doc.split()) if isinstance(doc, str) else ""


def struct_schema(cls: type[Any], dialect: Dialect) -> Schema:
    """The schema of one struct, without the group-version-kind."""
    name = definition(cls)
    out: Schema = {"type": "object"}
    doc = _doc(cls)
    if doc:
        out["description"] = doc
    properties: Schema = {}
    if is_root(cls) and name != META + "WatchEvent":
        properties["apiVersion"] = {"type": "string", "description": _API_VERSION}
        properties["kind"] = {"type": "string", "description": _KIND}
    required = []
    for field in shape_of(cls):
        properties[field.name] = _field(field, cls, dialect)
        if field.facts.get("required"):
            required.append(field.name)
    if properties:
        out["properties"] = dict(sorted(properties.items()))
    if required:
        out["required"] = required
    if name in ATOMIC or name in GRANULAR:
        out["x-kubernetes-map-type"] = "atomic" if name in ATOMIC else "granular"
    if name in UNIONS:
        out["x-kubernetes-unions"] = UNIONS[name]
    return out


def special_schema(name: str, dialect: Dialect) -> Schema:
    """A type that is no struct here."""
    out = dict(_SPECIAL[name])
    if name == QUANTITY:
        return {**out, "type": "string"} if dialect == 2 else {**out, "oneOf": [{"type": "string"}, {"type": "number"}]}
    if name == INT_OR_STRING:
        out["format"] = "int-or-string"
        if dialect == 2:
            return {**out, "type": "string"}
        return {**out, "oneOf": [{"type": "integer"}, {"type": "string"}]}
    return out


_uses: dict[type[Any], tuple[type[Any] | str, ...]] = {}


def uses(cls: type[Any]) -> tuple[type[Any] | str, ...]:
    """What a struct refers to: struct classes, and names of special types."""
    known = _uses.get(cls)
    if known is None:
        known = _uses[cls] = tuple(_find_uses(cls))
    return known


def _find_uses(cls: type[Any]) -> dict[type[Any] | str, None]:
    out: dict[type[Any] | str, None] = {}

    def visit(value: Value | None) -> None:
        if value is None:
            return
        if value.struct is not None:
            out[value.struct] = None
        elif value.what in ("list", "map"):
            visit(value.of)
        else:
            name = target(value, cls)
            if name:
                out[name] = None
            for option in value.options:
                visit(option)

    for field in shape_of(cls):
        visit(field.value)
    return out


def reachable(roots: list[type[Any] | str]) -> Iterator[tuple[str, type[Any] | str]]:
    """Definition name, and class or special name, of all that the roots lead to, each once."""
    seen: set[str] = set()
    todo = list(reversed(roots))
    while todo:
        item = todo.pop()
        name = item if isinstance(item, str) else definition(item)
        if name in seen:
            continue
        seen.add(name)
        yield name, item
        if not isinstance(item, str):
            todo += uses(item)


def make(item: type[Any] | str, dialect: Dialect) -> Schema:
    return special_schema(item, dialect) if isinstance(item, str) else struct_schema(item, dialect)


def gvk(kind: Kind, suffix: str = "") -> Schema:
    return {"group": kind.group, "kind": kind.kind + suffix, "version": kind.version}


def kind_name(kind: Kind) -> str:
    """The definition of a kind; of a custom resource ``com.example.stable.v1.CronTab``."""
    if kind.type is not Custom:
        return definition(kind.type)
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def list_name(kind: Kind) -> str:
    return kind_name(kind) + "List"


def list_schema(kind: Kind, dialect: Dialect) -> Schema:
    items = ref(kind_name(kind), dialect, {"default": {}} if dialect == 3 and kind.type is not Custom else None)
    metadata: Schema = {"description": "The list's own metadata."}
    if dialect == 3:
        metadata["default"] = {}
    return {
        "description": f"A list of {kind.kind} objects.",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": _API_VERSION},
            "items": {"type": "array", "items": items, "description": f"The {kind.plural}."},
            "kind": {"type": "string", "description": _KIND},
            "metadata": ref(LIST_META, dialect, metadata),
        },
        "x-kubernetes-group-version-kind": [gvk(kind, "List")],
    }


def custom_root(kind: Kind, dialect: Dialect) -> Schema:
    """The schema of a custom resource, as it is published."""
    declared = custom_schema(kind)
    if declared is None or (dialect == 2 and declared.get("x-kubernetes-preserve-unknown-fields")):
        # With any property, clients of v2 would take all others for wrong.
        return {"type": "object", "x-kubernetes-group-version-kind": [gvk(kind)]}
    out: Schema = _downgraded(declared) if dialect == 2 else dict(declared)
    metadata: Schema = {"description": "Standard object's metadata: name, labels and more."}
    properties = {
        **(out.get("properties") or {}),
        "apiVersion": {"type": "string", "description": _API_VERSION},
        "kind": {"type": "string", "description": _KIND},
        "metadata": ref(OBJECT_META, dialect, metadata),
    }
    out["type"] = "object"
    out["properties"] = properties
    out["x-kubernetes-group-version-kind"] = [gvk(kind)]
    return out


def _downgraded(s: Schema) -> Schema:
    """A structural schema with what v2 can say: no choices, nothing nullable, nothing inside what is not pruned."""
    out = {
        k: v
        for k, v in s.items()
        if k not in ("anyOf", "oneOf", "allOf", "not", "nullable", "x-kubernetes-validations", "default")
    }
    if s.get("nullable"):
        for name in ("type", "properties", "items"):
            out.pop(name, None)
        return out
    if s.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
    if s.get("x-kubernetes-preserve-unknown-fields"):
        for name in ("type", "properties", "items", "additionalProperties"):
            out.pop(name, None)
        return out
    if out.get("type") == "array" and "items" not in out:
        del out["type"]
    nullable = {k for k, v in (out.get("properties") or {}).items() if v.get("nullable")}
    more = out.get("additionalProperties")
    wanted = [] if isinstance(more, dict) and more.get("nullable") else out.get("required") or []
    if "required" in out:
        out["required"] = [name for name in wanted if name not in nullable]
        if not out["required"]:
            del out["required"]
    if "properties" in out:
        out["properties"] = {k: _downgraded(v) for k, v in out["properties"].items()}
    if isinstance(out.get("items"), dict):
        out["items"] = _downgraded(out["items"])
    if isinstance(out.get("additionalProperties"), dict):
        out["additionalProperties"] = _downgraded(out["additionalProperties"])
    return out


def definitions(
    kinds: list[Kind], roots: list[type[Any] | str], known: tuple[Kind, ...], dialect: Dialect
) -> Iterator[tuple[str, Schema]]:
    """Every definition that kinds, their lists and ``roots`` need, one by one. known: all kinds that are served."""
    by_name: dict[str, Kind] = {kind_name(k): k for k in known}
    types = list(roots)
    for kind in kinds:
        if kind.type is Custom:
            from pelamis.api.meta import ObjectMeta

            types.append(ObjectMeta)
            yield kind_name(kind), custom_root(kind, dialect)
        else:
            types.append(kind.type)
        if "list" in kind.verbs:
            yield list_name(kind), list_schema(kind, dialect)
    for name, item in reachable(types):
        schema = make(item, dialect)
        root = by_name.get(name)
        if root is not None:
            schema["x-kubernetes-group-version-kind"] = [gvk(root)]
        yield name, schema
