"""Eviction: the graceful eviction of one pod: who asks for it, and who brings it about, one responder after the other.

The responders act in the order of ``status.targetResponders``. Each is Inactive until its turn, then Active, and ends
Interrupted, Canceled or Completed; what it reports stands at the same index of ``status.responders``. The status is
written by several actors, so what each write may change is checked here. How near to the present the times are is not:
validation knows no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import IMMUTABLE, Errors, check_immutable, check_required_choice
from pelamis.api.constraint import (
    check_count,
    check_kept,
    check_least,
    check_most,
    check_needed,
    check_unique,
    is_prefixed_label_key,
)
from pelamis.api.field import F, Int32, Int64, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.lifecycle.evictionrequest import INTENTS, check_conditions, check_observed, check_target
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.base.errors import forbidden, invalid, required, too_long


class EvictionPodReference(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the pod.", required=True)] = always(str)
    uid: Annotated[str, F(2, "Its uid.", required=True)] = always(str)


class EvictionTarget(Struct, frozen=True):
    pod: Annotated[EvictionPodReference | None, F(1, "A pod of the same namespace.")] = None


class EvictionSpec(Struct, frozen=True):
    target: Annotated[EvictionTarget, F(1, "What is evicted; fixed.", required=True)] = always(EvictionTarget)


class Requester(Struct, frozen=True):
    name: Annotated[str, F(1, "Who asks: domain/name.", required=True)] = always(str)
    intent: Annotated[
        str, F(2, "Eviction, or Withdrawn when it is no longer wanted.", enum=("Eviction", "Withdrawn"), required=True)
    ] = always(str)


class TargetResponder(Struct, frozen=True):
    name: Annotated[str, F(1, "Who responds: domain/name.", required=True)] = always(str)
    priority: Annotated[Int32 | None, F(2, "The highest acts first; 0 to 100000.", required=True)] = None
    state: Annotated[
        str,
        F(
            3,
            "Inactive, Active, Interrupted, Canceled or Completed.",
            enum=("Inactive", "Active", "Interrupted", "Canceled", "Completed"),
            required=True,
        ),
    ] = always(str)


class ResponderStatus(Struct, frozen=True):
    name: Annotated[str, F(1, "The responder.", required=True)] = always(str)
    startTime: Annotated[Time | None, F(2, "When it began.")] = None
    heartbeatTime: Annotated[Time | None, F(3, "When it last said that it goes on.")] = None
    expectedCompletionTime: Annotated[Time | None, F(4, "When it will probably be done.")] = None
    completionTime: Annotated[Time | None, F(5, "When it was done.")] = None
    message: Annotated[str | None, F(6, "What it does, for people.")] = None


class EvictionStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[Condition, ...],
        F(1, "TargetEvicted, Failed and others.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()
    observedGeneration: Annotated[Int64 | None, F(2, "metadata.generation that the status is about.")] = None
    requesters: Annotated[
        tuple[Requester, ...], F(3, "Who asks for it.", merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    targetResponders: Annotated[
        tuple[TargetResponder, ...],
        F(4, "Who brings it about, in their order.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
    responders: Annotated[
        tuple[ResponderStatus, ...],
        F(5, "What each responder reports, in the same order.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()


class Eviction(Struct, frozen=True):
    """The graceful eviction of one pod."""

    kind: str = always(lambda: "Eviction")
    apiVersion: str = always(lambda: "lifecycle.k8s.io/v1alpha1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[EvictionSpec, F(2, "What is wanted.", required=True)] = always(EvictionSpec)
    status: Annotated[EvictionStatus, F(3, "What was observed; written by the system.")] = always(EvictionStatus)


_MOST_REQUESTERS, _MOST_RESPONDERS = 100, 11
_LONGEST_MESSAGE = 4000
_STATES = ("Active", "Canceled", "Completed", "Inactive", "Interrupted")
_FINAL = ("Canceled", "Completed", "Interrupted")


def validate(obj: Eviction) -> Errors:
    return check_target(obj.spec.target, "spec.target")


def validate_update(obj: Eviction, old: Eviction) -> Errors:
    return check_immutable(obj.spec.target, old.spec.target, "spec.target")


def _condition(status: EvictionStatus, type: str) -> Condition | None:
    return next((c for c in status.conditions if c.type == type), None)


def _final(new: EvictionStatus, old: EvictionStatus) -> tuple[bool, Errors]:
    """Whether the eviction is over; once it is, its condition stays."""
    errors: Errors = []
    final = False
    for type in ("TargetEvicted", "Failed"):
        now, before = _condition(new, type), _condition(old, type)
        if before is not None and before.status == "True" and before != now:
            detail = f"{type} condition status cannot be reverted"
            errors.append(invalid("status.conditions", new.conditions, detail))
            final = True
        final = final or (now is not None and now.status == "True")
    return final, errors


def _validate_requesters(new: EvictionStatus, old: EvictionStatus) -> Errors:
    path = "status.requesters"
    errors = check_count(new.requesters, path, _MOST_REQUESTERS) + check_unique(new.requesters, path)
    have = {r.name for r in new.requesters}
    gone = [forbidden(path, "item may not be removed") for r in old.requesters if r.name not in have]
    for i, requester in enumerate(new.requesters):
        errors += check_needed(is_prefixed_label_key, requester.name, f"{path}[{i}].name")
        errors += check_required_choice(requester.intent, f"{path}[{i}].intent", INTENTS)
    return errors + gone


def _expected(i: int, old: Sequence[TargetResponder], last: int, changed: bool, final: bool) -> tuple[Any, str]:
    """The states that responder ``i`` may have now, and why. last: who was active, -1 for nobody."""
    finished = "the eviction request has finished processing"
    if i < last or (old and last < 0 and final):
        return (old[i].state,), "final state is immutable"
    if i == last:
        if changed:
            return _FINAL, "this responder must reach a final state"
        return (_FINAL, finished) if final else (("Active",), "the eviction request stays active")
    if (i == 0 and not old) or (i == last + 1 and changed):
        return (("Inactive",), finished) if final else (("Active",), "this responder is next in line")
    return ("Inactive",), "the previously active has not finished processing"


def _validate_targets(new: EvictionStatus, old: EvictionStatus, final: bool) -> Errors:
    path, targets = "status.targetResponders", new.targetResponders
    before = old.targetResponders
    errors = check_count(targets, path, _MOST_RESPONDERS) + check_unique(targets, path)
    if before and len(targets) != len(before):
        return [*errors, invalid(path, targets, "must preserve the same length and the same keys in the same order")]
    if before and [t.name for t in targets] != [b.name for b in before]:
        return [*errors, invalid(path, targets, "must preserve the same keys in the same order")]
    if errors:
        return errors
    last = next((i for i, t in enumerate(before) if t.state == "Active"), -1)
    changed = last >= 0 and targets[last].state != "Active"
    for i, target in enumerate(targets):
        at = f"{path}[{i}]"
        errors += check_needed(is_prefixed_label_key, target.name, f"{at}.name")
        if target.priority is None:
            errors.append(required(f"{at}.priority"))
        errors += check_least(target.priority, f"{at}.priority", 0) + check_most(
            target.priority, f"{at}.priority", 100000
        )
        if before:
            errors += check_kept(target.priority, before[i].priority, f"{at}.priority")
        errors += check_required_choice(target.state, f"{at}.state", _STATES)
        if i >= len(new.responders) or new.responders[i].name != target.name:
            detail = f'"{target.name}" has to be tracked in status.responders first'
            errors.append(invalid(at, target, detail))
            continue
        states, why = _expected(i, before, last, changed, final)
        if target.state not in states:
            detail = f"must be one of: {', '.join(sorted(states))}, because {why}"
            errors.append(invalid(f"{at}.state", target.state, detail))
    return errors


def _validate_report(new: ResponderStatus, old: ResponderStatus | None, state: str, path: str) -> Errors:
    if old is not None and new != old and state != "Active":
        return [invalid(path, new, IMMUTABLE)]
    was = old or ResponderStatus()
    errors = check_needed(lambda name: [], new.name, f"{path}.name")
    start = new.startTime
    errors += check_kept(start, was.startTime, f"{path}.startTime")
    if start is None and was.startTime is None and state == "Active":
        errors.append(required(f"{path}.startTime", "is required for an active responder"))
    if was.heartbeatTime is not None and new.heartbeatTime is None:
        errors.append(required(f"{path}.heartbeatTime", "is required once set"))
    errors += check_kept(new.completionTime, was.completionTime, f"{path}.completionTime")
    for name in ("heartbeatTime", "expectedCompletionTime", "completionTime"):
        time, before = getattr(new, name), getattr(was, name)
        if time is None or time == before:
            continue
        if start is None:
            errors.append(invalid(f"{path}.{name}", time, f"cannot be set before {path}.startTime is set"))
        elif name == "heartbeatTime" and before is not None and time < before:
            errors.append(invalid(f"{path}.{name}", time, "cannot be decreased"))
        elif time < start:
            errors.append(invalid(f"{path}.{name}", time, f"must occur after {path}.startTime"))
    if new.message is not None and len(new.message) > _LONGEST_MESSAGE:
        errors.append(too_long(f"{path}.message", _LONGEST_MESSAGE))
    return errors


def _validate_reports(new: EvictionStatus, old: EvictionStatus) -> Errors:
    path, reports = "status.responders", new.responders
    targets = new.targetResponders
    if len(targets) != len(reports):
        detail = "must be the same length as status.targetResponders and contain the same keys in the same order"
        return [invalid(path, reports, detail)]
    if [t.name for t in targets] != [r.name for r in reports]:
        return [invalid(path, reports, "must contain the same keys in the same order as status.targetResponders")]
    errors = check_count(reports, path, _MOST_RESPONDERS) + check_unique(reports, path)
    if errors:
        return errors
    for i, report in enumerate(reports):
        before = old.responders[i] if i < len(old.responders) else None
        errors += _validate_report(report, before, targets[i].state, f"{path}[{i}]")
    return errors


def validate_status_update(obj: Eviction, old: Eviction) -> Errors:
    new, was = obj.status, old.status
    errors = check_observed(new.observedGeneration, was.observedGeneration, "status.observedGeneration")
    errors += check_conditions(new.conditions)
    final, reverted = _final(new, was)
    errors += reverted
    errors += _validate_requesters(new, was)
    errors += _validate_targets(new, was, final)
    return errors + _validate_reports(new, was)


def cells(obj: Eviction, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="lifecycle.k8s.io",
    version="v1alpha1",
    type=Eviction,
    plural="evictions",
    singular="eviction",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "lifecycle.k8s.io",
            "v1alpha1",
            "Eviction",
            ("get", "patch", "update"),
            reset=("metadata", "spec"),
        ),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="Un48RuLRFt0=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
