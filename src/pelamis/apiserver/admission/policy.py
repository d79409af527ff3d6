"""What validating and mutating admission policies share: where they act, on which parameters, with which variables.

A policy acts through its bindings. For a write that both match, it is evaluated once for each parameter object that the
binding refers to (once without, if it has none). Variables are evaluated when an expression names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.apiserver.admission import review
from pelamis.apiserver.admission.condition import all_hold, authorize_with, values_of
from pelamis.apiserver.admission.review import EXEMPT, Review
from pelamis.apiserver.write import Objects, Write
from pelamis.base.cel import CompileError, EvaluationError, compile_text
from pelamis.base.cel.budget import Budget, OutOfBudget
from pelamis.base.labels import Selector, from_label_selector

GROUP = "admissionregistration.k8s.io"
VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables")
_NAMED = re.compile(r"\bvariables\s*\.\s*([A-Za-z_]\w*)")


class PolicyError(Exception):
    """An expression or the configuration failed; what that means is for ``failurePolicy`` to say."""


class Exhausted(PolicyError):
    """No further expression of the policy may be evaluated."""


@dataclass(slots=True)
class _Match:
    """MatchResources, compiled."""

    declared: Any
    namespaces: Selector
    objects: Selector


def _compile_match(declared: Any) -> _Match | None:
    if declared is None:
        return None
    return _Match(
        declared,
        from_label_selector(declared.namespaceSelector or {}),
        from_label_selector(declared.objectSelector or {}),
    )


@dataclass(slots=True)
class Bound:
    """A policy and one of its bindings (structs)."""

    policy: Any
    binding: Any
    constraints: _Match | None
    resources: _Match | None

    @property
    def names(self) -> tuple[str, str]:
        return self.policy.metadata.name, self.binding.metadata.name


class Policies:
    """All policies of one sort with their bindings, in order of name."""

    def __init__(self, policies: Any, bindings: Any, objects: Objects, registry: Registry) -> None:
        self._policies = policies
        self._bindings = bindings
        self._objects = objects
        self._registry = registry
        self._bound: list[Bound] | None = None
        for view in (policies, bindings):
            view.subscribe(self._changed, replay=False)

    def _changed(self, key: Any, old: Any, new: Any) -> None:
        self._bound = None

    def all(self) -> list[Bound]:
        if self._bound is None:
            bindings: dict[str, list[Any]] = {}
            for binding in self._bindings.list():
                bindings.setdefault(binding.spec.policyName, []).append(binding)
            self._bound = [
                Bound(p, b, _compile_match(p.spec.matchConstraints), _compile_match(b.spec.matchResources))
                for p in sorted(self._policies.list(), key=lambda p: p.metadata.name)
                for b in sorted(bindings.get(p.metadata.name, ()), key=lambda b: b.metadata.name)
            ]
        return self._bound

    def matching(self, write: Write, shown: Callable[[Kind], Review]) -> Iterator[tuple[Bound, Review]]:
        """Those that the write meets, and how it is shown to them."""
        bound = self._bound if self._bound is not None else self.all()
        if not bound or write.hub.resource in EXEMPT:
            return
        for one in bound:
            kind = self._meets(one.constraints, write, shown)
            if kind is None:
                continue
            if one.resources is not None and self._meets(one.resources, write, shown, optional=True) is None:
                continue
            yield one, shown(kind)

    def _meets(
        self, match: _Match | None, write: Write, shown: Callable[[Kind], Review], *, optional: bool = False
    ) -> Kind | None:
        if match is None:
            return None
        declared = match.declared
        name = write.name
        if not review.namespace_matches(match.namespaces, write, self._objects):
            return None
        excluded = declared.excludeResourceRules
        if excluded and review.matching_version(excluded, declared.matchPolicy, write, self._registry, name):
            return None
        kind: Kind | None = write.kind
        if declared.resourceRules or not optional:
            kind = review.matching_version(declared.resourceRules, declared.matchPolicy, write, self._registry, name)
        if kind is None or not review.object_matches(match.objects, shown(kind)):
            return None
        return kind

    # -- parameters

    def params(self, bound: Bound, write: Write) -> Sequence[Tree | None]:
        """The parameter objects to evaluate with. Raises PolicyError."""
        declared = bound.policy.spec.paramKind
        ref = bound.binding.spec.paramRef
        if declared is None or ref is None:
            return (None,)
        group, _, version = declared.apiVersion.rpartition("/")
        kind = self._registry.by_kind(group, version, declared.kind)
        if kind is None:
            raise PolicyError(
                f"failed to find resource referenced by paramKind: '{group}/{version}, Kind={declared.kind}'"
            )
        namespace = ""
        if kind.namespaced:
            namespace = ref.namespace or write.namespace
            if not namespace:
                raise PolicyError(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                )
        elif ref.namespace:
            raise PolicyError("cannot use paramRef.namespace with a cluster-scoped paramKind")
        resource = (kind.hub or kind).resource
        found: list[Any]
        if ref.name:
            one = self._objects.get(resource, namespace, ref.name)
            found = [one] if one is not None else []
        else:
            selector = from_label_selector(ref.selector)
            found = [o for o in self._objects.list(resource, namespace) if selector.matches(o.metadata.labels)]
        if not found and ref.parameterNotFoundAction != "Allow":
            raise PolicyError("no params found for policy binding with `Deny` parameterNotFoundAction")
        return [_in_version(o, kind) for o in found]


def _in_version(obj: Any, kind: Kind) -> Tree:
    if kind.hub is None:
        return codec.to_tree(obj)
    return codec.parse(codec.to_version(kind, codec.encode(obj)))


class Evaluation:
    """One policy on one write with one parameter object."""

    def __init__(self, bound: Bound, shown: Review, params: Tree | None, objects: Objects) -> None:
        self._bound = bound
        self._declared = {v.name: v.expression for v in bound.policy.spec.variables}
        self._authorize = authorize_with(objects, shown.write.user)
        self.values: Tree = values_of(shown)
        self.values["params"] = params
        self.values["namespaceObject"] = review.namespace_object(shown.write, objects)
        self.values["variables"] = self._variables = dict[str, Any]()
        self._failed: dict[str, str] = {}
        self._budget = Budget()

    def holds(self) -> bool:
        """The match conditions. Raises PolicyError."""
        conditions = self._bound.policy.spec.matchConditions
        if not conditions:
            return True
        result, wrong = all_hold(conditions, VARIABLES, self.values, self._authorize)
        if wrong:
            raise PolicyError(wrong)
        return result

    def evaluate(self, expression: str, rewritten: str = "") -> Any:
        """rewritten: what is compiled in its place. Raises PolicyError."""
        try:
            self._prepare(expression)
            return self._run(rewritten or expression)
        except CompileError as error:
            raise PolicyError(f"compilation error: compilation failed: {error}") from None
        except OutOfBudget as error:
            raise Exhausted(str(error)) from None
        except EvaluationError as error:
            text = str(error)
            for name in _NAMED.findall(expression):
                if name in self._failed and text.endswith(f"no such key: {name}"):
                    text = f'composited variable "{name}" fails to evaluate: {self._failed[name]}'
            raise PolicyError(f"expression '{expression}' resulted in error: {text}") from None

    def _run(self, text: str) -> Any:
        """Raises CompileError and EvaluationError."""
        program = compile_text(text, VARIABLES)
        self._budget.charge(program, self.values)
        return program.evaluate(self.values, self._authorize)

    def _prepare(self, expression: str) -> None:
        """Evaluates the variables that the expression names, and those that they name. Raises OutOfBudget."""
        for name in _NAMED.findall(expression):
            text = self._declared.get(name)
            if text is None or name in self._variables or name in self._failed:
                continue
            self._failed[name] = "it refers to itself"
            self._prepare(text)
            try:
                self._variables[name] = self._run(text)
                del self._failed[name]
            except OutOfBudget:
                raise
            except (CompileError, EvaluationError) as error:
                self._failed[name] = str(error)
