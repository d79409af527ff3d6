"""PriorityClass: a name for a pod priority. Values above one thousand million are for the system's own classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable, check_required_choice
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import forbidden


class PriorityClass(Struct, frozen=True):
    """A name for a pod priority. Values above one thousand million are for the system's own classes."""

    kind: str = always(lambda: "PriorityClass")
    apiVersion: str = always(lambda: "scheduling.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    value: Annotated[Int32, F(2, "The priority: larger is scheduled first; at most 1000000000.")] = always(int)
    globalDefault: Annotated[bool, F(3, "For pods that name no class; true for one class at most.")] = False
    description: Annotated[str, F(4, "When to use it.")] = ""
    preemptionPolicy: Annotated[
        str | None,
        F(
            5,
            "PreemptLowerPriority or Never.",
            enum=(
                "PreemptLowerPriority",
                "Never",
            ),
            default="PreemptLowerPriority",
        ),
    ] = None


SYSTEM_PREFIX = "system-"
HIGHEST_USER_VALUE = 1_000_000_000
SYSTEM_VALUES = {
    "system-node-critical": 2 * HIGHEST_USER_VALUE + 1000,
    "system-cluster-critical": 2 * HIGHEST_USER_VALUE,
}


def _complaint(obj: PriorityClass) -> str:
    """Why a class with the system's prefix is not one of the system's; "" when it is."""
    name = obj.metadata.name
    if name not in SYSTEM_VALUES:
        return f"{name} is not a known system priority class"
    if obj.value != SYSTEM_VALUES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_VALUES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if obj.globalDefault else ""


def validate(obj: PriorityClass) -> Errors:
    errors: Errors = []
    if obj.metadata.name.startswith(SYSTEM_PREFIX):
        why = _complaint(obj)
        if why:
            detail = (
                f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
            )
            errors.append(forbidden("metadata.name", detail))
    elif obj.value > HIGHEST_USER_VALUE:
        detail = f"maximum allowed value of a user defined priority is {HIGHEST_USER_VALUE}"
        errors.append(forbidden("value", detail))
    if obj.preemptionPolicy is not None:
        choices = ("PreemptLowerPriority", "Never")
        errors += check_required_choice(obj.preemptionPolicy, "preemptionPolicy", choices)
    return errors


def validate_update(obj: PriorityClass, old: PriorityClass) -> Errors:
    errors: Errors = []
    if obj.value != old.value:
        errors.append(forbidden("value", "may not be changed in an update."))
    return errors + check_immutable(obj.preemptionPolicy, old.preemptionPolicy, "preemptionPolicy")


def cells(obj: PriorityClass, now: float) -> Sequence[Any]:
    return (
        obj.metadata.name,
        obj.value,
        obj.globalDefault,
        age(obj.metadata.creationTimestamp, now),
        obj.preemptionPolicy or "",
    )


KIND = Kind(
    group="scheduling.k8s.io",
    version="v1",
    type=PriorityClass,
    plural="priorityclasses",
    singular="priorityclass",
    short_names=("pc",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Value", "integer"),
        Column("Global-Default", "boolean"),
        Column("Age", "string"),
        Column("PreemptionPolicy", "string"),
    ),
    storage_hash="1QwjyaZjj3Y=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
)
