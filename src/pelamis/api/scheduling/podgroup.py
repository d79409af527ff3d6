"""PodGroup: pods that are scheduled together, by the policy of the group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_choice, check_immutable
from pelamis.api.constraint import (
    check_count,
    check_least,
    check_most,
    check_needed,
    check_optional_text,
    check_settled,
    check_union,
    check_unique,
)
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.base import names
from pelamis.base.errors import invalid, required


class WorkloadReference(Struct, frozen=True):
    workloadName: Annotated[str, F(1, "Name of the Workload.", required=True)] = always(str)
    templateName: Annotated[str, F(2, "Name of the template in it.", required=True)] = always(str)


class BasicSchedulingPolicy(Struct, frozen=True):
    """Each pod by itself."""


class GangSchedulingPolicy(Struct, frozen=True):
    minCount: Annotated[Int32, F(1, "Pods that must have a place before any is bound.", required=True)] = always(int)


class PodGroupSchedulingPolicy(Struct, frozen=True):
    basic: Annotated[BasicSchedulingPolicy | None, F(1, "Each pod by itself.")] = None
    gang: Annotated[GangSchedulingPolicy | None, F(2, "Enough of them, or none.")] = None


class TopologyConstraint(Struct, frozen=True):
    key: Annotated[str, F(1, "Label of nodes whose value all pods have in common.", required=True)] = always(str)


class PodGroupSchedulingConstraints(Struct, frozen=True):
    topology: Annotated[
        tuple[TopologyConstraint, ...], F(1, "Where the pods are placed together; at most one.", list="atomic")
    ] = ()


class PodGroupResourceClaim(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, to refer to it.", required=True)] = always(str)
    resourceClaimName: Annotated[str | None, F(2, "A ResourceClaim of the namespace.")] = None
    resourceClaimTemplateName: Annotated[
        str | None, F(3, "A ResourceClaimTemplate, from which the group's claim is made.")
    ] = None


class SingleDisruptionMode(Struct, frozen=True):
    """Pods may be disrupted one by one."""


class AllDisruptionMode(Struct, frozen=True):
    """All pods are disrupted, or none."""


class DisruptionMode(Struct, frozen=True):
    single: Annotated[SingleDisruptionMode | None, F(1, "Pods may be disrupted one by one.")] = None
    all: Annotated[AllDisruptionMode | None, F(2, "All pods are disrupted, or none.")] = None


class PodGroupSpec(Struct, frozen=True):
    parentCompositePodGroupName: Annotated[str | None, F(1, "CompositePodGroup that the group is part of; fixed.")] = (
        None
    )
    workloadRef: Annotated[WorkloadReference | None, F(2, "The template that the group was made from; fixed.")] = None
    schedulingPolicy: Annotated[PodGroupSchedulingPolicy, F(3, "How the pods are scheduled.", required=True)] = always(
        PodGroupSchedulingPolicy
    )
    schedulingConstraints: Annotated[
        PodGroupSchedulingConstraints | None, F(4, "What holds for all pods together; fixed.")
    ] = None
    resourceClaims: Annotated[
        tuple[PodGroupResourceClaim, ...],
        F(
            5,
            "Claims that the pods share; at most 4; fixed.",
            merge="merge,retainKeys",
            key="name",
            list="map",
            keys=("name",),
        ),
    ] = ()
    disruptionMode: Annotated[
        DisruptionMode | None, F(6, "Whether pods may be disrupted singly; fixed.", default={"single": {}}, shown=True)
    ] = None
    priorityClassName: Annotated[str, F(7, "Priority class of the group; fixed.")] = ""
    priority: Annotated[Int32 | None, F(8, "Its priority; fixed.")] = None
    preemptionPolicy: Annotated[
        str | None, F(9, "PreemptLowerPriority or Never; fixed.", enum=("PreemptLowerPriority", "Never"))
    ] = None


class PodGroupResourceClaimStatus(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of an entry of spec.resourceClaims.", required=True)] = always(str)
    resourceClaimName: Annotated[str | None, F(2, "The claim that was made; unset when none was needed.")] = None


class PodGroupStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[Condition, ...],
        F(1, "Latest observations, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()
    resourceClaimStatuses: Annotated[
        tuple[PodGroupResourceClaimStatus, ...],
        F(2, "What became of the claims.", merge="merge,retainKeys", key="name", list="map", keys=("name",)),
    ] = ()


class PodGroup(Struct, frozen=True):
    """Pods that are scheduled together, by the policy of the group."""

    kind: str = always(lambda: "PodGroup")
    apiVersion: str = always(lambda: "scheduling.k8s.io/v1beta1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[PodGroupSpec, F(2, "What is wanted.", required=True)] = always(PodGroupSpec)
    status: Annotated[PodGroupStatus, F(3, "What was observed; written by the system.")] = always(PodGroupStatus)


_MOST_CLAIMS, _MOST_TOPOLOGIES = 4, 1
_HIGHEST_PRIORITY = 1_000_000_000
_PREEMPTION = ("Never", "PreemptLowerPriority")


def check_topology(constraints: Any, path: str) -> Errors:
    if constraints is None:
        return []
    errors = check_count(constraints.topology, f"{path}.topology", _MOST_TOPOLOGIES)
    for i, one in enumerate(constraints.topology):
        errors += check_needed(names.is_qualified_name, one.key, f"{path}.topology[{i}].key")
    return errors


def check_policy(policy: Any, path: str, count: str) -> Errors:
    """count: the member of ``gang`` that says how many."""
    errors = check_union(policy, path, ("basic", "gang"))
    if policy.gang is not None:
        least = getattr(policy.gang, count)
        errors += check_least(least, f"{path}.gang.{count}", 1) if least else [required(f"{path}.gang.{count}")]
    return errors


def check_policy_update(new: Any, old: Any, path: str) -> Errors:
    """The kind of policy stays; how many a gang needs may change."""
    errors = check_immutable(new.basic, old.basic, f"{path}.basic")
    return errors + check_settled(new.gang, old.gang, f"{path}.gang")


def check_claims(claims: Sequence[PodGroupResourceClaim], path: str) -> Errors:
    errors = check_count(claims, path, _MOST_CLAIMS) + check_unique(claims, path)
    for i, claim in enumerate(claims):
        at = f"{path}[{i}]"
        errors += check_needed(names.is_dns1123_label, claim.name, f"{at}.name")
        members = ("resourceClaimName", "resourceClaimTemplateName")
        errors += check_union(claim, at, members)
        for name in members:
            value = getattr(claim, name)
            if value is not None:
                errors += [invalid(f"{at}.{name}", value, m) for m in names.is_dns1123_subdomain(value)]
    return errors


def check_priority(spec: Any, path: str) -> Errors:
    errors = (
        check_union(spec.disruptionMode, f"{path}.disruptionMode", ("single", "all")) if spec.disruptionMode else []
    )
    errors += check_optional_text(names.is_dns1123_subdomain, spec.priorityClassName, f"{path}.priorityClassName")
    errors += check_most(spec.priority, f"{path}.priority", _HIGHEST_PRIORITY)
    if spec.preemptionPolicy is not None:
        errors += check_choice(spec.preemptionPolicy, f"{path}.preemptionPolicy", _PREEMPTION)
    return errors


def check_parent(spec: Any) -> Errors:
    parent, ref = spec.parentCompositePodGroupName, spec.workloadRef
    errors: Errors = []
    if parent is not None:
        at = "spec.parentCompositePodGroupName"
        errors += [invalid(at, parent, m) for m in names.is_dns1123_subdomain(parent)]
        if ref is None:
            errors.append(required("spec.workloadRef", "must be specified when `parentCompositePodGroupName` is set"))
    if ref is not None:
        errors += check_needed(names.is_dns1123_subdomain, ref.workloadName, "spec.workloadRef.workloadName")
        errors += check_needed(names.is_dns1123_label, ref.templateName, "spec.workloadRef.templateName")
    return errors


FIXED = (
    "parentCompositePodGroupName",
    "workloadRef",
    "schedulingConstraints",
    "disruptionMode",
    "priorityClassName",
    "priority",
    "preemptionPolicy",
)


def validate(obj: PodGroup) -> Errors:
    spec = obj.spec
    errors = check_parent(spec)
    errors += check_policy(spec.schedulingPolicy, "spec.schedulingPolicy", "minCount")
    errors += check_topology(spec.schedulingConstraints, "spec.schedulingConstraints")
    errors += check_claims(spec.resourceClaims, "spec.resourceClaims")
    return errors + check_priority(spec, "spec")


def validate_update(obj: PodGroup, old: PodGroup) -> Errors:
    errors: Errors = []
    for name in (*FIXED, "resourceClaims"):
        errors += check_immutable(getattr(obj.spec, name), getattr(old.spec, name), f"spec.{name}")
    path = "spec.schedulingPolicy"
    errors += check_policy_update(obj.spec.schedulingPolicy, old.spec.schedulingPolicy, path)
    return errors + check_policy(obj.spec.schedulingPolicy, path, "minCount")


def validate_status_update(obj: PodGroup, old: PodGroup) -> Errors:
    status, path = obj.status, "status.resourceClaimStatuses"
    errors: Errors = list(validate_conditions(status.conditions, "status.conditions"))
    errors += check_count(status.resourceClaimStatuses, path, _MOST_CLAIMS)
    errors += check_unique(status.resourceClaimStatuses, path)
    known = {claim.name for claim in obj.spec.resourceClaims}
    for i, one in enumerate(status.resourceClaimStatuses):
        if one.resourceClaimName is not None:
            at = f"{path}[{i}].resourceClaimName"
            errors += [invalid(at, one.resourceClaimName, m) for m in names.is_dns1123_subdomain(one.resourceClaimName)]
        if one.name not in known:
            detail = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(invalid(f"{path}[{i}].name", one.name, detail))
    return errors


def cells(obj: PodGroup, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="scheduling.k8s.io",
    version="v1beta1",
    type=PodGroup,
    plural="podgroups",
    singular="podgroup",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "scheduling.k8s.io",
            "v1beta1",
            "PodGroup",
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
    storage_hash="QjOl2H5qPs0=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
