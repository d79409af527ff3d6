"""Rules in CEL of a custom resource's schema (``x-kubernetes-validations``).

``Rules`` is made with the kind and costs nothing until there is a rule to evaluate: expressions are compiled when they
are first needed. An object's values go to an expression as their schema types them: numbers as doubles, times and
durations as such, member names escaped. A value that did not change is not checked again, but for rules that compare
it with its old self; those run where an old value can be found: by member name, map key, or the keys of a list.
What rules may cost is estimated from the schema when they are declared, and from the values when they run.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pelamis.api.apiextensions.declared import Declared, declare, escape
from pelamis.api.apiextensions.kept import Kept
from pelamis.api.check import Errors
from pelamis.api.field import Tree
from pelamis.base.cel import CompileError, EvaluationError, Program, compile_text
from pelamis.base.cel.budget import Budget, CallLimit, OutOfBudget
from pelamis.base.cel.checked import Type
from pelamis.base.cel.cost import MOST, Shape, estimate, times
from pelamis.base.cel.typed import Checker
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, required

_OLD = re.compile(r"\boldSelf\b")
_BLOCKING = frozenset(("FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"))
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
MOST_EACH, MOST_ALL = 10_000_000, 100_000_000
"""What one expression, and all of a schema, may cost by estimate."""
MISSING: Any = object()


# -- values -----------------------------------------------------------------------------------------------------------


def _is_plain(schema: Any) -> bool:
    """Whether values of the schema can be handed over as they are."""
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "number" or schema.get("format") in ("date-time", "date", "duration", "byte"):
        return False
    if schema.get("x-kubernetes-embedded-resource"):
        return False
    properties = schema.get("properties") or {}
    if any(escape(name) != name for name in properties):
        return False
    below = [*properties.values(), schema.get("items"), schema.get("additionalProperties")]
    return all(_is_plain(s) for s in below)


def _timestamp(text: str) -> Any:
    from google.protobuf.timestamp_pb2 import Timestamp

    out = Timestamp()
    out.FromJsonString(text if "T" in text.upper() else f"{text}T00:00:00Z")
    return out


def _duration(text: str) -> Any:
    from google.protobuf.duration_pb2 import Duration

    from pelamis.base.duration import parse_nanos

    seconds, nanos = divmod(parse_nanos(text), 10**9)
    return Duration(seconds=seconds, nanos=nanos)


def to_cel(value: Any, schema: Any, *, resource: bool = False) -> Any:
    """The value as an expression sees it. resource: it is a whole object, of whose metadata only the name is shown."""
    if not isinstance(schema, dict):
        return value
    if isinstance(value, dict):
        resource = resource or bool(schema.get("x-kubernetes-embedded-resource"))
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        out: Tree = {}
        for name, child in value.items():
            if resource and name == "metadata" and isinstance(child, dict):
                out[name] = {k: child[k] for k in ("name", "generateName") if k in child}
            elif name in properties or resource:
                out[escape(name) or name] = to_cel(child, properties.get(name))
            else:
                out[name] = to_cel(child, more)
        return out
    if isinstance(value, list):
        items = schema.get("items")
        return value if _is_plain(items) else [to_cel(v, items) for v in value]
    if isinstance(value, int) and not isinstance(value, bool) and schema.get("type") == "number":
        return float(value)
    if isinstance(value, str) and schema.get("format"):
        return _formatted(value, schema["format"])
    return value


def _formatted(value: str, form: str) -> Any:
    try:
        if form in ("date-time", "date"):
            return _timestamp(value)
        if form == "duration":
            return _duration(value)
        if form == "byte":
            return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return value
    return value


# -- rules ------------------------------------------------------------------------------------------------------------


class _Rule:
    __slots__ = ("bounds", "declared", "optional", "programs", "transition")

    def __init__(self, declared: Tree) -> None:
        self.declared = declared
        self.bounds: dict[str, int] = {}
        """What its expressions cost at most, by their text, as far as the schema tells."""
        self.programs: dict[str, Program] = {}
        """Its expressions as they run at its schema, by their text."""
        self.transition = bool(_OLD.search(declared["rule"]))
        self.optional = bool(declared.get("optionalOldSelf"))

    def program(self, text: str) -> Program:
        if self.optional:
            return compile_text(text, ("self", "oldSelf"), "oldSelf")
        return compile_text(text, ("self", "oldSelf"))

    def estimate(self, program: Program, shape: Shape) -> int:
        return estimate(program.checked, self.shapes(shape))

    def shapes(self, shape: Shape) -> dict[str, Shape]:
        return {"self": shape, "oldSelf": Shape("list", 1, elem=shape) if self.optional else shape}

    def evaluate(self, text: str, values: Tree, node: _Node, budget: Budget) -> Any:
        """Raises CompileError and EvaluationError."""
        bound = self.bounds.get(text)
        if bound is None:
            shape = node.shape
            program = self.program(text)
            bound = self.bounds[text] = self.estimate(program, shape) if shape is not None else MOST
            self.programs[text] = program.for_shapes(self.shapes(shape)) if shape is not None else program
        program = self.programs[text]
        budget.charge(program, values, bound)
        return program.evaluate(values)

    @property
    def text(self) -> str:
        message: str = self.declared.get("message", "").strip()
        return message or f"failed rule: {self.declared['rule'].strip()}"


class _Node:
    """A schema that has rules, itself or below. None where there are none."""

    __slots__ = ("_shape", "items", "keys", "more", "plain", "properties", "resource", "rules", "schema", "type")

    def __init__(self, schema: Tree, resource: bool) -> None:
        self.schema = schema
        self.resource = resource or bool(schema.get("x-kubernetes-embedded-resource"))
        self._shape: Shape | None = None
        self.rules = [_Rule(rule) for rule in schema.get("x-kubernetes-validations") or ()]
        self.type = schema.get("type") or "object"
        children = {n: _node(s) for n, s in (schema.get("properties") or {}).items()}
        self.properties = {n: node for n, node in children.items() if node is not None}
        self.more = _node(schema.get("additionalProperties"))
        self.items = _node(schema.get("items"))
        self.keys: Sequence[str] | None = None
        if schema.get("x-kubernetes-list-type") == "map":
            self.keys = schema.get("x-kubernetes-list-map-keys") or ()
        self.plain = _is_plain(schema)

    @property
    def shape(self) -> Shape | None:
        if self._shape is None:
            declared = declare(self.schema, resource=self.resource)
            self._shape = declared.shape if declared is not None else None
        return self._shape


class _Stop(Exception):
    """No further rule is to be evaluated."""


def _node(schema: Any, *, resource: bool = False) -> _Node | None:
    if not isinstance(schema, dict):
        return None
    node = _Node(schema, resource)
    return node if node.rules or node.properties or node.more is not None or node.items is not None else None


class Rules:
    """All rules of one version's schema."""

    def __init__(self, schema: Tree | None) -> None:
        self._root = _node(schema, resource=True)

    def __bool__(self) -> bool:
        return self._root is not None

    def check(self, tree: Tree, old: Tree | None, before: Errors) -> Errors:
        """before: what the schema itself found; some of that keeps rules from being evaluated."""
        if self._root is None:
            return []
        if any(error.cause in _BLOCKING for error in before):
            return [invalid("<nil>", None, _UNCHECKED)]
        errors: Errors = []
        with contextlib.suppress(_Stop):
            kept = None if old is None else Kept(tree, old, self._root.schema)
            _walk(self._root, tree, MISSING if old is None else old, kept, "", errors, Budget(), resource=True)
        return errors


def _walk(
    node: _Node,
    value: Any,
    old: Any,
    kept: Kept | None,
    path: str,
    errors: Errors,
    budget: Budget,
    *,
    resource: bool = False,
    within: bool = False,
) -> None:
    """within: what holds the value is as it was, which counts where its former self cannot be found."""
    if value is None:
        return
    same = kept.same() if kept is not None else within
    if node.rules:
        _evaluate(node, value, old, same, path, errors, budget, resource)
    if same and not _any_transition(node):
        return
    if isinstance(value, dict):
        was = old if isinstance(old, dict) else {}
        for name, child in value.items():
            below = node.properties.get(name)
            where = f"{path}.{name}" if path else name
            if below is None and node.more is not None and name not in (node.schema.get("properties") or {}):
                below, where = node.more, f"{path}[{name}]"
            if below is not None:
                again = kept.member(name) if kept is not None else None
                _walk(below, child, was.get(name, MISSING), again, where, errors, budget, within=same)
    elif isinstance(value, list) and node.items is not None:
        known = _by_keys(old, node.keys) if node.keys is not None and isinstance(old, list) else {}
        for i, item in enumerate(value):
            before = known.get(_key(item, node.keys), MISSING) if node.keys is not None else MISSING
            again = kept.item(i) if kept is not None else None
            _walk(node.items, item, before, again, f"{path}[{i}]", errors, budget, within=same)


def _any_transition(node: _Node | None) -> bool:
    if node is None:
        return False
    if any(rule.transition for rule in node.rules):
        return True
    return any(map(_any_transition, (*node.properties.values(), node.more, node.items)))


def _key(item: Any, keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(repr(item.get(k)) for k in keys) if isinstance(item, dict) else ()


def _by_keys(items: Sequence[Any], keys: Sequence[str]) -> Mapping[tuple[Any, ...], Any]:
    return {_key(item, keys): item for item in items}


def _evaluate(
    node: _Node, value: Any, old: Any, same: bool, path: str, errors: Errors, budget: Budget, resource: bool
) -> None:
    rules = [
        r for r in node.rules if (not same or r.transition) and (old is not MISSING or r.optional or not r.transition)
    ]
    if not rules:
        return

    def shown(v: Any) -> Any:
        return v if node.plain and not resource else to_cel(v, node.schema, resource=resource)

    now = shown(value)
    was = shown(old) if old is not MISSING else MISSING
    for rule in rules:
        values: Tree = {"self": now}
        if rule.optional:
            values["oldSelf"] = [] if was is MISSING else [was]
        else:
            values["oldSelf"] = None if was is MISSING else was
        try:
            holds = rule.evaluate(rule.declared["rule"], values, node, budget)
        except CompileError as error:
            errors.append(invalid(path, node.type, f"rule compile error: {error}"))
            continue
        except OutOfBudget as error:
            errors.append(invalid(path, node.type, str(error)))
            raise _Stop from None
        except EvaluationError as error:
            errors.append(invalid(path, node.type, _failed(error, rule)))
            if isinstance(error, CallLimit):
                raise _Stop from None
            continue
        if holds is not True:
            errors.append(_broken(rule, values, path, node, budget))


def _failed(failure: EvaluationError, rule: _Rule) -> str:
    what = rule.declared.get("message", "").strip() or rule.declared["rule"].strip()
    error = str(failure)
    if isinstance(failure, CallLimit):
        return f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {what}"
    if error.startswith("no such overload"):
        why = "call arguments did not match a supported operator, function or macro signature"
        return f"'{error}': {why} for rule: {what}"
    return f"{error} evaluating rule: {what}"


def _broken(rule: _Rule, values: Tree, path: str, node: _Node, budget: Budget) -> FieldError:
    declared, kind = rule.declared, node.type
    detail = rule.text
    if declared.get("messageExpression"):
        try:
            made = rule.evaluate(declared["messageExpression"], values, node, budget)
        except (CompileError, EvaluationError):
            made = None
        if isinstance(made, str) and made.strip() and "\n" not in made:
            detail = made.strip()
    where = declared.get("fieldPath", "")
    field = f"{path}{where}" if path else where.lstrip(".")
    match declared.get("reason"):
        case "FieldValueForbidden":
            return forbidden(field, detail)
        case "FieldValueRequired":
            return required(field, detail)
        case "FieldValueDuplicate":
            return duplicate(field, kind)
    return invalid(field, kind, detail)


# -- declarations -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Place:
    """Where rules are declared."""

    declared: Declared | None
    """What they are about; None when that cannot be told."""
    count: int | None = 1
    """How often that can occur in an object; None = without limit."""
    uncorrelatable: str | None = None
    """The list in which an old self cannot be found, if any."""
    costs: list[tuple[int, str]] = field(default_factory=list)
    """What each expression of the schema can cost an object, and where it stands. Grows."""
    free: bool = False
    """What one rule costs is not held against it, since it was there before."""
    _checkers: dict[bool, Checker] = field(default_factory=dict)

    def checker(self, optional: bool) -> Checker | None:
        """Of the types of rules here. optional: the old value is one."""
        if self.declared is None:
            return None
        made = self._checkers.get(optional)
        if made is None:
            shape = self.declared.shape
            old = Shape("list", 1, elem=shape) if optional else shape
            made = self._checkers[optional] = Checker({"self": shape, "oldSelf": old}, "")
        return made


def check_rule(rule: Tree, where: str, place: Place) -> Errors:
    """Whether the expressions are any good, and cheap enough."""
    errors: Errors = []
    text = rule["rule"]
    made = _Rule(rule)
    if made.transition and place.uncorrelatable is not None:
        detail = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelatable}"
        errors.append(invalid(f"{where}.rule", text, detail))
    if made.optional and not made.transition:
        detail = "may not be set if oldSelf is not used in rule"
        errors.append(invalid(f"{where}.optionalOldSelf", True, detail))
    shown = _shown(rule)
    program, kind = _compiled(made, text, shown, f"{where}.rule", "compilation failed", place, errors)
    if program is not None:
        if kind.name != "bool":
            errors.append(invalid(f"{where}.rule", text, "cel expression must evaluate to a bool"))
        elif place.declared is not None:
            times_run = place.count if place.count is not None else place.declared.at_most
            cost = times(times_run, made.estimate(program, place.declared.shape))
            _hold(cost, "estimated rule cost", f"{where}.rule", place, errors)
    expression = rule.get("messageExpression", "")
    if expression.strip():
        at, what = f"{where}.messageExpression", "messageExpression compilation failed"
        program, kind = _compiled(made, expression, shown, at, what, place, errors)
        if program is not None and kind.name != "string":
            errors.append(invalid(at, shown, "messageExpression must evaluate to a string"))
        elif program is not None and place.declared is not None:
            cost = made.estimate(program, place.declared.shape)
            _hold(cost, "estimated messageExpression cost", at, place, errors)
    return errors


def _shown(rule: Tree) -> Tree:
    """As upstream's messages show a rule."""
    texts = {name[:1].upper() + name[1:]: rule.get(name, "") for name in ("rule", "message", "messageExpression")}
    more = {"Reason": rule.get("reason"), "FieldPath": rule.get("fieldPath", "")}
    return {**texts, **more, "OptionalOldSelf": rule.get("optionalOldSelf")}


def _compiled(
    rule: _Rule, text: str, shown: Tree, where: str, failed: str, place: Place, errors: Errors
) -> tuple[Program | None, Type]:
    """What is to run, and the type of its result."""
    checker = place.checker(rule.optional)
    try:
        kind = checker.check(text, "oldSelf" if rule.optional else "") if checker is not None else None
        program = rule.program(text)
    except CompileError as error:
        errors.append(invalid(where, shown, f"{failed}: {error}"))
        return None, Type("dyn")
    return program, kind or Type(program.type)


def _hold(cost: int, what: str, where: str, place: Place, errors: Errors) -> None:
    if cost > MOST_EACH and not place.free:
        errors.append(forbidden(where, _too_costly(what, cost, MOST_EACH)))
    place.costs.append((cost, where))


def check_costs(costs: Sequence[tuple[int, str]], path: str) -> Errors:
    """Whether all rules of a schema together are cheap enough."""
    total = min(sum(cost for cost, _ in costs), MOST)
    if total <= MOST_ALL:
        return []
    worst = sorted((c for c in costs if c[0] >= MOST_ALL // 100), key=lambda c: -c[0])[:4]
    detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
    what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    errors = [forbidden(where, detail) for _, where in worst]
    return [*errors, forbidden(path, _too_costly(what, total, MOST_ALL))]


def _too_costly(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{what} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, and "
        "maxLength where arrays, maps, and strings are declared)"
    )
