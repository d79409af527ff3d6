"""Warnings about expressions of a validating policy that do not fit the types that the policy is about.

The types are those of the kinds that its rules name without wildcards, ten at most. A warning never keeps a policy from
working: an expression may well guard what it does by what the object is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pelamis.api.admissionregistration.expression import Scope
from pelamis.api.apiextensions.declared import declare, escape
from pelamis.api.meta import ObjectMeta
from pelamis.api.shape import Value, is_root, shape_of
from pelamis.base.cel import CompileError
from pelamis.base.cel.cost import Shape

_MOST_TYPES = 10
_KINDS = {
    "string": "string",
    "int": "int",
    "int32": "int",
    "int64": "int",
    "bool": "bool",
    "double": "double",
    "bytes": "bytes",
    "time": "timestamp",
    "microTime": "timestamp",
    "duration": "string",
}


class Named(NamedTuple):
    """A kind and what is known of its objects."""

    group: str
    version: str
    kind: str
    shape: Shape

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"


Find = Callable[[str, str, str], Named | None]
"""(group, version, resource or kind) to what is served under that name."""


def struct_shape(cls: type[Any], known: dict[type[Any], Shape] | None = None) -> Shape:
    """Of a struct of the API. What refers to itself has a shape that does."""
    known = {} if known is None else known
    made = known.get(cls)
    if made is not None:
        return made
    members: dict[str, Shape] = {}
    made = known[cls] = Shape("object", members=members)
    if is_root(cls):
        members |= {"kind": Shape("string"), "apiVersion": Shape("string")}
    for field in shape_of(cls):
        name = escape(field.name)
        if name is not None:
            members[name] = _value_shape(field.value, known)
    return made


def _value_shape(value: Value, known: dict[type[Any], Shape]) -> Shape:
    if value.struct is not None:
        return struct_shape(value.struct, known)
    if value.what in ("list", "map") and value.of is not None:
        return Shape(value.what, elem=_value_shape(value.of, known))
    if value.what == "fieldsV1":
        return Shape("object", members={})
    return Shape(_KINDS.get(value.what, "dyn"))


def custom_shape(schema: dict[str, Any]) -> Shape | None:
    """Of custom resources by their schema, as it is published: with all of the metadata."""
    declared = declare(schema, resource=True)
    if declared is None or declared.shape.members is None:
        return None
    return Shape("object", members={**declared.shape.members, "metadata": struct_shape(ObjectMeta)})


def types_to_check(rules: Sequence[Any], by_resource: Find) -> list[Named]:
    found: dict[tuple[str, str, str], Named] = {}
    for rule in rules:
        if any("*" in text for text in (*rule.apiGroups, *rule.apiVersions)):
            continue
        resources = sorted(r for r in rule.resources if "*" not in r and "/" not in r)
        count = 0
        for group in sorted(rule.apiGroups):
            for version in sorted(rule.apiVersions):
                for resource in resources:
                    named = by_resource(group, version, resource)
                    if named is None:
                        continue
                    found[named[:3]] = named
                    count += 1
                    if count == _MOST_TYPES:
                        return [found[key] for key in sorted(found)]
    return [found[key] for key in sorted(found)]


def check(policy: Any, by_resource: Find, by_kind: Find) -> Iterator[tuple[str, str]]:
    """(path of the expression, warning)."""
    spec = policy.spec
    if spec.matchConstraints is None:
        return
    param: Named | None = None
    if spec.paramKind is not None:
        group, _, version = spec.paramKind.apiVersion.rpartition("/")
        param = by_kind(group, version, spec.paramKind.kind)
    scopes: list[tuple[Named, Scope]] = []
    for named in types_to_check(spec.matchConstraints.resourceRules, by_resource):
        scope = Scope(param is not None, named.shape, param.shape if param is not None else Shape("dyn"))
        for variable in spec.variables:
            scope.add(variable)
        scopes.append((named, scope))
    for i, rule in enumerate(spec.validations):
        for member in ("expression", "messageExpression"):
            text = getattr(rule, member)
            warning = "\n".join(_issues(text, scopes)) if text else ""
            if warning:
                yield f"spec.validations[{i}].{member}", warning


def _issues(text: str, scopes: Sequence[tuple[Named, Scope]]) -> Iterator[str]:
    for named, scope in scopes:
        try:
            scope.checker.check(text)
        except CompileError as error:
            yield f"{named}: {error}\n"
