"""Priority: a pod's priority class becomes a number; at most one class is the global default."""

from __future__ import annotations

from typing import Any

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

_CLASSES = "priorityclasses.scheduling.k8s.io"


def _mutate(write: Write, objects: Objects) -> None:
    if write.resource != "pods":
        return
    spec = write.tree.setdefault("spec", {})
    if write.operation == "UPDATE":
        old = write.old_tree.get("spec", {})
        if spec.get("priority") is None and old.get("priority") is not None:
            spec["priority"] = old["priority"]
        if spec.get("preemptionPolicy") is None and old.get("preemptionPolicy") is not None:
            spec["preemptionPolicy"] = old["preemptionPolicy"]
        return
    if write.operation != "CREATE":
        return
    name = spec.get("priorityClassName")
    found: Any = None
    if name:
        found = objects.get(_CLASSES, "", name)
        if found is None:
            raise write.forbid(f"no PriorityClass with name {name} was found")
    else:
        defaults = [c for c in objects.list(_CLASSES) if c.globalDefault]
        if defaults:
            found = min(defaults, key=lambda c: c.value)
            spec["priorityClassName"] = found.metadata.name
    value = found.value if found is not None else 0
    policy = (found.preemptionPolicy if found is not None else None) or "PreemptLowerPriority"
    given = spec.get("priority")
    if given is not None and given != value:
        raise write.forbid(
            f"the integer value of priority ({given}) must not be provided in pod spec; "
            f"priority admission controller computed {value} from the given PriorityClass name"
        )
    spec["priority"] = value
    given_policy = spec.get("preemptionPolicy")
    if given_policy is not None and given_policy != policy:
        raise write.forbid(
            f"the string value of PreemptionPolicy ({given_policy}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name"
        )
    spec["preemptionPolicy"] = policy


def _validate(write: Write, obj: Any, objects: Objects) -> None:
    if write.resource != "priorityclasses" or write.operation == "DELETE" or not obj.globalDefault:
        return
    for other in objects.list(_CLASSES):
        if other.globalDefault and other.metadata.name != obj.metadata.name:
            raise write.forbid(
                f"PriorityClass {other.metadata.name} is already marked as default. Only one default can exist"
            )


PLUGIN = Plugin("Priority", frozenset(("pods", _CLASSES)), mutate=_mutate, validate=_validate)
