"""EvictionRequest: somebody's wish that a pod be evicted gracefully, or the withdrawal of that wish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable, check_required_choice
from pelamis.api.constraint import (
    check_count,
    check_kept,
    check_least,
    check_needed,
    check_union,
    is_prefixed_label_key,
    is_uuid,
)
from pelamis.api.field import F, Int64, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.base import names
from pelamis.base.errors import invalid


class EvictionRequestPodReference(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the pod.", required=True)] = always(str)
    uid: Annotated[str, F(2, "Its uid.", required=True)] = always(str)


class EvictionRequestTarget(Struct, frozen=True):
    pod: Annotated[EvictionRequestPodReference | None, F(1, "A pod of the same namespace.")] = None


class EvictionRequestSpec(Struct, frozen=True):
    target: Annotated[EvictionRequestTarget, F(1, "What is to be evicted; fixed.", required=True)] = always(
        EvictionRequestTarget
    )
    requester: Annotated[str, F(2, "Who asks: domain/name; fixed.", required=True)] = always(str)
    intent: Annotated[
        str,
        F(3, "Eviction, or Withdrawn when it is no longer wanted.", enum=("Eviction", "Withdrawn"), required=True),
    ] = always(str)


class EvictionRequestStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[Condition, ...],
        F(1, "Latest observations, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()
    observedGeneration: Annotated[Int64 | None, F(2, "metadata.generation that the status is about.")] = None


class EvictionRequest(Struct, frozen=True):
    """Somebody's wish that a pod be evicted gracefully, or the withdrawal of that wish."""

    kind: str = always(lambda: "EvictionRequest")
    apiVersion: str = always(lambda: "lifecycle.k8s.io/v1alpha1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[EvictionRequestSpec, F(2, "What is wanted.", required=True)] = always(EvictionRequestSpec)
    status: Annotated[EvictionRequestStatus, F(3, "What was observed; written by the system.")] = always(
        EvictionRequestStatus
    )


INTENTS = ("Eviction", "Withdrawn")
_MOST_CONDITIONS = 100


def check_target(target: Any, path: str) -> Errors:
    errors = check_union(target, path, ("pod",))
    if target.pod is not None:
        errors += check_needed(names.is_dns1123_subdomain, target.pod.name, f"{path}.pod.name")
        errors += check_needed(is_uuid, target.pod.uid, f"{path}.pod.uid")
    return errors


def check_observed(new: int | None, old: int | None, path: str) -> Errors:
    """A generation, which never falls."""
    errors = check_least(new, path, 1) + check_kept(new, old, path, modified=False)
    if new is not None and new >= 1 and old is not None and new < old:
        errors.append(invalid(path, new, f"cannot decrement, must be greater than or equal to {old}"))
    return errors


def check_conditions(conditions: Sequence[Condition]) -> Errors:
    path = "status.conditions"
    return check_count(conditions, path, _MOST_CONDITIONS) + list(validate_conditions(conditions, path))


def validate(obj: EvictionRequest) -> Errors:
    spec = obj.spec
    errors = check_target(spec.target, "spec.target")
    errors += check_needed(is_prefixed_label_key, spec.requester, "spec.requester")
    return errors + check_required_choice(spec.intent, "spec.intent", INTENTS)


def validate_update(obj: EvictionRequest, old: EvictionRequest) -> Errors:
    errors = check_immutable(obj.spec.target, old.spec.target, "spec.target")
    errors += check_immutable(obj.spec.requester, old.spec.requester, "spec.requester")
    return errors + check_required_choice(obj.spec.intent, "spec.intent", INTENTS)


def validate_status_update(obj: EvictionRequest, old: EvictionRequest) -> Errors:
    path = "status.observedGeneration"
    errors = check_observed(obj.status.observedGeneration, old.status.observedGeneration, path)
    return errors + check_conditions(obj.status.conditions)


def cells(obj: EvictionRequest, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="lifecycle.k8s.io",
    version="v1alpha1",
    type=EvictionRequest,
    plural="evictionrequests",
    singular="evictionrequest",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "lifecycle.k8s.io",
            "v1alpha1",
            "EvictionRequest",
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
    storage_hash="0sGDWzI0u0Q=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
