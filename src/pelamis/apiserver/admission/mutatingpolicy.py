"""MutatingAdmissionPolicy: changes in CEL, as a configuration to merge or as a JSON patch.

Policies are applied in order of name. One with ``reinvocationPolicy: IfNeeded`` is applied again when the object
changed after it: by a later policy, or by a webhook (the chain then runs its plugins once more).
"""

from __future__ import annotations

from typing import Any

from pelamis.api.kind import Kind
from pelamis.api.patchschema import schema
from pelamis.api.registry import Registry
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.admission.policy import GROUP, Bound, Evaluation, Policies, PolicyError
from pelamis.apiserver.admission.review import Review, replace_tree
from pelamis.apiserver.write import Objects, Write
from pelamis.base import jsonpatch
from pelamis.base.cel.literal import rewrite
from pelamis.base.ssa import check
from pelamis.base.ssa.walk import merge
from pelamis.base.tree import copy

_IMMUTABLE = ("apiVersion", "kind")


class MutatingPolicies:
    def __init__(self, objects: Any, registry: Registry) -> None:
        self._objects: Objects = objects
        self._policies = Policies(
            objects.view(f"mutatingadmissionpolicies.{GROUP}"),
            objects.view(f"mutatingadmissionpolicybindings.{GROUP}"),
            objects,
            registry,
        )

    def plugin(self) -> Plugin:
        return Plugin(
            "MutatingAdmissionPolicy",
            mutate=self.mutate,
            subresources=("*",),
            blind=lambda: not self._policies.all(),
        )

    def mutate(self, write: Write, objects: Objects) -> None:
        """Raises StatusError."""
        if not self._policies.all() or write.operation not in ("CREATE", "UPDATE") or write.shown is not None:
            return
        shown: dict[Kind, Review] = {}

        def show(kind: Kind) -> Review:
            return shown.setdefault(kind, Review(write, kind))

        done = write.mutated
        again: list[Bound] = []
        needed: list[tuple[Bound, Review]] = []
        for bound, seen in list(self._policies.matching(write, show)):
            repeats = bound.policy.spec.reinvocationPolicy == "IfNeeded"
            if bound.names in done and not repeats:
                continue
            done.add(bound.names)
            if self._apply(bound, seen, write):
                for other in shown.values():
                    other.changed()
                needed += [(b, show(seen.kind)) for b in again]
                again = []
            if repeats:
                again.append(bound)
        for bound, seen in needed:
            if self._apply(bound, seen, write):
                for other in shown.values():
                    other.changed()

    def _apply(self, bound: Bound, shown: Review, write: Write) -> bool:
        changed = False
        try:
            for params in self._policies.params(bound, write):
                evaluation = Evaluation(bound, shown, params, self._objects)
                if not evaluation.holds():
                    continue
                for mutation in bound.policy.spec.mutations:
                    if self._mutate_once(evaluation, mutation, shown, write):
                        changed = True
                        shown.changed()
                        evaluation.values["object"] = shown.object
        except PolicyError as error:
            if bound.policy.spec.failurePolicy != "Ignore":
                policy, binding = bound.names
                raise write.forbid(f"policy '{policy}' with binding '{binding}' denied request: {error}") from None
        return changed

    def _mutate_once(self, evaluation: Evaluation, mutation: Any, shown: Review, write: Write) -> bool:
        tree = shown.object
        assert tree is not None
        if mutation.patchType == "JSONPatch":
            new = self._patched(evaluation, mutation.jsonPatch.expression, tree)
        else:
            new = self._merged(evaluation, mutation.applyConfiguration.expression, tree, shown.kind)
        if new == tree:
            return False
        replace_tree(write, new, shown.kind)
        return True

    @staticmethod
    def _patched(evaluation: Evaluation, expression: str, tree: Any) -> Any:
        made = evaluation.evaluate(expression, rewrite(expression))
        if not isinstance(made, list):
            raise PolicyError("type mismatch: JSONPatchType.expression should evaluate to array")
        operations = [{k: v for k, v in op.items() if v is not None or k == "value"} for op in made]
        try:
            return jsonpatch.apply(tree, jsonpatch.decode(operations))
        except ValueError as error:
            raise PolicyError(f"JSON Patch: {error}") from None

    @staticmethod
    def _merged(evaluation: Evaluation, expression: str, tree: Any, kind: Kind) -> Any:
        made = evaluation.evaluate(expression, rewrite(expression))
        if not isinstance(made, dict):
            raise PolicyError("must evaluate to Object")
        for name in _IMMUTABLE:
            if made.get(name, tree.get(name)) != tree.get(name):
                raise PolicyError(f"{name} may not be changed")
        node = schema(kind)
        problems = check.problems(made, node)
        if problems:
            raise PolicyError(f"error applying patch: failed to convert patch object to typed object: {problems[0]}")
        return merge(copy(tree), made, node)
