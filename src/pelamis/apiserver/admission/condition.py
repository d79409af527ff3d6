"""matchConditions: expressions that say whether a webhook or a policy wants to see a write at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pelamis.apiserver.admission.review import Review
from pelamis.apiserver.authz.attributes import Attributes
from pelamis.apiserver.user import User, component_user
from pelamis.apiserver.write import Objects
from pelamis.base.cel import CompileError, EvaluationError, compile_text
from pelamis.base.cel.budget import CONDITIONS, Budget, OutOfBudget

VARIABLES = ("object", "oldObject", "request", "authorizer")


def authorize_with(objects: Objects, user: User) -> Callable[[dict[str, Any], str], tuple[bool, str, str]]:
    """What answers ``authorizer`` in expressions: the requesting user's rights, or those of a service account."""

    def authorize(check: dict[str, Any], verb: str) -> tuple[bool, str, str]:
        who = user
        account = check.get("serviceAccount")
        if account:
            who = component_user(f"system:serviceaccount:{account}")
        if check["$"] == "pathCheck":
            asked = Attributes(verb, path=check["path"])
        else:
            asked = Attributes(
                verb,
                check.get("group", ""),
                "*",
                check.get("resource", ""),
                check.get("subresource", ""),
                check.get("namespace", ""),
                check.get("name", ""),
                "",
                check.get("fieldSelector", ""),
                check.get("labelSelector", ""),
            )
        decision = objects.authorize(who, asked)
        return bool(decision.allowed), decision.reason, ""

    return authorize


def authorizer_of(review: Review) -> dict[str, Any]:
    """The value of the variable ``authorizer``."""
    write = review.write
    resource = {
        "$": "resourceCheck",
        "group": write.kind.group,
        "resource": write.kind.plural,
        "subresource": write.subresource,
        "namespace": write.namespace,
        "name": write.name,
    }
    return {"$": "authorizer", "requestResource": resource}


def values_of(review: Review) -> dict[str, Any]:
    return {
        "object": review.object,
        "oldObject": review.old,
        "request": review.for_expressions(),
        "authorizer": authorizer_of(review),
    }


def all_hold(
    conditions: Sequence[Any], variables: tuple[str, ...], values: Mapping[str, Any], authorize: Any
) -> tuple[bool, str]:
    """(they hold, what went wrong). A condition that is false decides, whatever goes wrong in others."""
    wrong: list[str] = []
    budget = Budget(CONDITIONS)
    for condition in conditions:
        try:
            program = compile_text(condition.expression, variables)
            budget.charge(program, values)
            result = program.evaluate(values, authorize)
        except CompileError as error:
            wrong.append(f"compilation failed: {error}")
            continue
        except OutOfBudget as error:
            return False, str(error)
        except EvaluationError as error:
            wrong.append(f"expression '{condition.expression}' resulted in error: {error}")
            continue
        if result is False:
            return False, ""
        if result is not True:
            wrong.append(f"expression '{condition.expression}' did not evaluate to a bool")
    if not wrong:
        return True, ""
    return False, wrong[0] if len(wrong) == 1 else "[" + ", ".join(wrong) + "]"
