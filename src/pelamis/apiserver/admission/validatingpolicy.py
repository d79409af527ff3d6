"""ValidatingAdmissionPolicy: rules in CEL; a binding says whether breaking them denies, warns, or is only noted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.admission.policy import GROUP, Bound, Evaluation, Exhausted, Policies, PolicyError
from pelamis.apiserver.admission.review import Review
from pelamis.apiserver.write import Objects, Write
from pelamis.base.errors import StatusError

_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}
_AUDIT_KEY = "validation.policy.admission.k8s.io/validation_failure"
_LONGEST_MESSAGE = 5 << 10


@dataclass(slots=True)
class _Failure:
    message: str
    index: int
    reason: str = ""
    actions: Sequence[str] = ("Deny",)


class ValidatingPolicies:
    def __init__(self, objects: Any, registry: Registry) -> None:
        self._objects: Objects = objects
        self._policies = Policies(
            objects.view(f"validatingadmissionpolicies.{GROUP}"),
            objects.view(f"validatingadmissionpolicybindings.{GROUP}"),
            objects,
            registry,
        )

    def plugin(self) -> Plugin:
        return Plugin("ValidatingAdmissionPolicy", validate=self.validate, subresources=("*",))

    def validate(self, write: Write, obj: Any, objects: Objects) -> None:
        """Raises StatusError with the first denial."""
        if not self._policies.all():
            return
        shown: dict[Kind, Review] = {}

        def show(kind: Kind) -> Review:
            return shown.setdefault(kind, Review(write, kind, obj))

        denied: tuple[Bound, _Failure] | None = None
        noted: list[dict[str, Any]] = []
        for bound, seen in self._policies.matching(write, show):
            policy, binding = bound.names
            for failure in self._failures(bound, seen, write):
                if "Deny" in failure.actions and denied is None:
                    denied = bound, failure
                if "Warn" in failure.actions:
                    write.warnings.append(
                        f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': "
                        f"{failure.message}"
                    )
                if "Audit" in failure.actions:
                    noted.append(
                        {
                            "message": failure.message,
                            "policy": policy,
                            "binding": binding,
                            "expressionIndex": failure.index,
                            "validationActions": list(failure.actions),
                        }
                    )
        if noted:
            write.audit[_AUDIT_KEY] = msgspec.json.encode(noted).decode()
        if denied is not None:
            raise _denial(write, *denied)

    def _failures(self, bound: Bound, shown: Review, write: Write) -> list[_Failure]:
        spec = bound.policy.spec
        out: list[_Failure] = []

        def fail(error: PolicyError, index: int = 0) -> None:
            if spec.failurePolicy != "Ignore":
                out.append(_Failure(str(error), index, "", bound.binding.spec.validationActions))

        try:
            params = self._policies.params(bound, write)
        except PolicyError as error:
            if spec.failurePolicy != "Ignore":
                out.append(_Failure(f"failed to configure binding: {error}", 0))
            return out
        for one in params:
            evaluation = Evaluation(bound, shown, one, self._objects)
            try:
                if not evaluation.holds():
                    continue
            except PolicyError as error:
                fail(error)
                continue
            for i, rule in enumerate(spec.validations):
                try:
                    holds = evaluation.evaluate(rule.expression)
                except Exhausted as error:
                    fail(error, i)
                    break
                except PolicyError as error:
                    fail(error, i)
                    continue
                if holds is not True:
                    message = _message(evaluation, rule)
                    out.append(_Failure(message, i, rule.reason or "", bound.binding.spec.validationActions))
            self._annotate(bound, evaluation, write, fail)
        return out

    @staticmethod
    def _annotate(bound: Bound, evaluation: Evaluation, write: Write, fail: Any) -> None:
        for annotation in bound.policy.spec.auditAnnotations:
            try:
                value = evaluation.evaluate(annotation.valueExpression)
            except PolicyError as error:
                fail(error)
                continue
            if isinstance(value, str) and value.strip():
                key = f"{bound.names[0]}/{annotation.key}"
                had = write.audit.get(key)
                write.audit[key] = value if had is None or had == value else f"{had}, {value}"


def _message(evaluation: Evaluation, rule: Any) -> str:
    if rule.messageExpression:
        try:
            made = evaluation.evaluate(rule.messageExpression)
        except PolicyError:
            made = None
        if isinstance(made, str):
            made = made.strip()
            if made and "\n" not in made and len(made) <= _LONGEST_MESSAGE:
                return made
    return rule.message.strip() or f"failed expression: {rule.expression.strip()}"


def _denial(write: Write, bound: Bound, failure: _Failure) -> StatusError:
    policy, binding = bound.names
    text = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {failure.message}"
    error = write.forbid(text)
    error.reason = failure.reason or "Invalid"
    error.code = _CODES.get(error.reason, 422)
    error.details = {**(error.details or {}), "causes": [{"message": text}]}
    return error
