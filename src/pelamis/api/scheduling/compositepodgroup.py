"""CompositePodGroup: pod groups, or groups of them, that are scheduled together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.api.scheduling.podgroup import (
    FIXED,
    WorkloadReference,
    check_parent,
    check_policy,
    check_priority,
    check_topology,
)
from pelamis.api.scheduling.workload import (
    CompositeDisruptionMode,
    CompositePodGroupSchedulingConstraints,
    CompositePodGroupSchedulingPolicy,
)
from pelamis.api.version import derive
from pelamis.base.errors import required


class CompositePodGroupSpec(Struct, frozen=True):
    parentCompositePodGroupName: Annotated[str | None, F(1, "CompositePodGroup that the group is part of; fixed.")] = (
        None
    )
    workloadRef: Annotated[
        WorkloadReference | None, F(2, "The template that the group was made from; fixed.", required=True)
    ] = None
    schedulingPolicy: Annotated[
        CompositePodGroupSchedulingPolicy, F(3, "How the groups are scheduled; fixed.", required=True)
    ] = always(CompositePodGroupSchedulingPolicy)
    schedulingConstraints: Annotated[
        CompositePodGroupSchedulingConstraints | None, F(4, "What holds for all groups together; fixed.")
    ] = None
    disruptionMode: Annotated[
        CompositeDisruptionMode | None,
        F(5, "Whether groups may be disrupted singly; fixed.", default={"single": {}}, shown=True),
    ] = None
    priorityClassName: Annotated[str, F(6, "Priority class of the groups; fixed.")] = ""
    priority: Annotated[Int32 | None, F(7, "Their priority; fixed.")] = None
    preemptionPolicy: Annotated[
        str | None, F(8, "PreemptLowerPriority or Never; fixed.", enum=("PreemptLowerPriority", "Never"))
    ] = None


class CompositePodGroupStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[Condition, ...],
        F(1, "Latest observations, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class CompositePodGroup(Struct, frozen=True):
    """Pod groups, or groups of them, that are scheduled together."""

    kind: str = always(lambda: "CompositePodGroup")
    apiVersion: str = always(lambda: "scheduling.k8s.io/v1alpha3")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[CompositePodGroupSpec, F(2, "What is wanted.", required=True)] = always(CompositePodGroupSpec)
    status: Annotated[CompositePodGroupStatus, F(3, "What was observed; written by the system.")] = always(
        CompositePodGroupStatus
    )


def validate(obj: CompositePodGroup) -> Errors:
    spec = obj.spec
    errors = check_parent(spec)
    if spec.workloadRef is None and spec.parentCompositePodGroupName is None:
        errors.append(required("spec.workloadRef"))
    errors += check_policy(spec.schedulingPolicy, "spec.schedulingPolicy", "minGroupCount")
    errors += check_topology(spec.schedulingConstraints, "spec.schedulingConstraints")
    return errors + check_priority(spec, "spec")


def validate_update(obj: CompositePodGroup, old: CompositePodGroup) -> Errors:
    errors: Errors = []
    for name in (*FIXED, "schedulingPolicy"):
        errors += check_immutable(getattr(obj.spec, name), getattr(old.spec, name), f"spec.{name}")
    return errors


def validate_status_update(obj: CompositePodGroup, old: CompositePodGroup) -> Errors:
    return list(validate_conditions(obj.status.conditions, "status.conditions"))


def cells(obj: CompositePodGroup, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="scheduling.k8s.io",
    version="v1alpha3",
    type=derive(CompositePodGroup, "v1alpha3", "scheduling.k8s.io/v1alpha3"),
    plural="compositepodgroups",
    singular="compositepodgroup",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "scheduling.k8s.io",
            "v1alpha3",
            "CompositePodGroup",
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
    storage_hash="L+dT284DGFE=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
