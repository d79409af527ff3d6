"""Workload: the templates of the pod groups that an application consists of, as a tree of at most four levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable
from pelamis.api.constraint import (
    check_count,
    check_needed,
    check_optional_text,
    check_same_items,
    check_union,
    check_unique,
)
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.scheduling.podgroup import (
    DisruptionMode,
    PodGroupResourceClaim,
    PodGroupSchedulingConstraints,
    PodGroupSchedulingPolicy,
    TopologyConstraint,
    check_claims,
    check_policy,
    check_policy_update,
    check_priority,
    check_topology,
)
from pelamis.base import names
from pelamis.base.errors import duplicate, invalid


class TypedLocalObjectReference(Struct, frozen=True):
    apiGroup: Annotated[str, F(1, "API group; empty for the core group.")] = ""
    kind: Annotated[str, F(2, "Kind of the object.", required=True)] = always(str)
    name: Annotated[str, F(3, "Name of the object.", required=True)] = always(str)


class PodGroupTemplate(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, unique in the Workload.", required=True)] = always(str)
    schedulingPolicy: Annotated[PodGroupSchedulingPolicy, F(2, "How the pods are scheduled.", required=True)] = always(
        PodGroupSchedulingPolicy
    )
    schedulingConstraints: Annotated[
        PodGroupSchedulingConstraints | None, F(3, "What holds for all pods together; fixed.")
    ] = None
    resourceClaims: Annotated[
        tuple[PodGroupResourceClaim, ...],
        F(
            4,
            "Claims that the pods share; at most 4; fixed.",
            merge="merge,retainKeys",
            key="name",
            list="map",
            keys=("name",),
        ),
    ] = ()
    disruptionMode: Annotated[DisruptionMode | None, F(5, "Whether pods may be disrupted singly; fixed.")] = None
    priorityClassName: Annotated[str, F(6, "Priority class of the group; fixed.")] = ""
    priority: Annotated[Int32 | None, F(7, "Its priority; fixed.")] = None
    preemptionPolicy: Annotated[
        str | None, F(8, "PreemptLowerPriority or Never; fixed.", enum=("PreemptLowerPriority", "Never"))
    ] = None


class CompositeBasicSchedulingPolicy(Struct, frozen=True):
    """Each group by itself."""


class CompositeGangSchedulingPolicy(Struct, frozen=True):
    minGroupCount: Annotated[Int32, F(1, "Groups that must have a place before any is bound.", required=True)] = always(
        int
    )


class CompositePodGroupSchedulingPolicy(Struct, frozen=True):
    basic: Annotated[CompositeBasicSchedulingPolicy | None, F(1, "Each group by itself.")] = None
    gang: Annotated[CompositeGangSchedulingPolicy | None, F(2, "Enough of them, or none.")] = None


class CompositePodGroupSchedulingConstraints(Struct, frozen=True):
    topology: Annotated[
        tuple[TopologyConstraint, ...], F(1, "Where the groups are placed together; at most one.", list="atomic")
    ] = ()


class SingleCompositeDisruptionMode(Struct, frozen=True):
    """Groups may be disrupted one by one."""


class AllCompositeDisruptionMode(Struct, frozen=True):
    """All groups are disrupted, or none."""


class CompositeDisruptionMode(Struct, frozen=True):
    single: Annotated[SingleCompositeDisruptionMode | None, F(1, "Groups may be disrupted one by one.")] = None
    all: Annotated[AllCompositeDisruptionMode | None, F(2, "All groups are disrupted, or none.")] = None


class CompositePodGroupTemplate(Struct, frozen=True):
    name: Annotated[str, F(1, "Name, unique in the Workload.", required=True)] = always(str)
    schedulingPolicy: Annotated[
        CompositePodGroupSchedulingPolicy, F(2, "How the groups are scheduled.", required=True)
    ] = always(CompositePodGroupSchedulingPolicy)
    schedulingConstraints: Annotated[
        CompositePodGroupSchedulingConstraints | None, F(3, "What holds for all groups together; fixed.")
    ] = None
    disruptionMode: Annotated[
        CompositeDisruptionMode | None, F(4, "Whether groups may be disrupted singly; fixed.")
    ] = None
    priorityClassName: Annotated[str, F(5, "Priority class of the groups; fixed.")] = ""
    priority: Annotated[Int32 | None, F(6, "Their priority; fixed.")] = None
    preemptionPolicy: Annotated[
        str | None, F(7, "PreemptLowerPriority or Never; fixed.", enum=("PreemptLowerPriority", "Never"))
    ] = None
    podGroupTemplates: Annotated[
        tuple[PodGroupTemplate, ...], F(8, "Groups in it; at most 8.", list="map", keys=("name",))
    ] = ()
    compositePodGroupTemplates: Annotated[
        tuple[CompositePodGroupTemplate, ...], F(9, "Groups of groups in it; at most 8.", list="map", keys=("name",))
    ] = ()


class WorkloadSpec(Struct, frozen=True):
    controllerRef: Annotated[TypedLocalObjectReference | None, F(1, "The object that the workload is of; fixed.")] = (
        None
    )
    podGroupTemplates: Annotated[
        tuple[PodGroupTemplate, ...],
        F(2, "Groups of pods, at most 8; excludes the composite ones.", list="map", keys=("name",)),
    ] = always(tuple)
    compositePodGroupTemplates: Annotated[
        tuple[CompositePodGroupTemplate, ...], F(3, "Groups of groups, at most 8.", list="map", keys=("name",))
    ] = ()


class Workload(Struct, frozen=True):
    """The templates of the pod groups that an application consists of."""

    kind: str = always(lambda: "Workload")
    apiVersion: str = always(lambda: "scheduling.k8s.io/v1beta1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[WorkloadSpec, F(2, "What is wanted.", required=True)] = always(WorkloadSpec)


_MOST_TEMPLATES = 8
_DEEPEST = 4
_FIXED = "schedulingConstraints", "disruptionMode", "priorityClassName", "priority", "preemptionPolicy"
Template = PodGroupTemplate | CompositePodGroupTemplate


def _check_templates(spec: Any, path: str) -> Errors:
    """Of a WorkloadSpec or a composite template: the templates in it, and what is in them."""
    errors: Errors = []
    for name in ("podGroupTemplates", "compositePodGroupTemplates"):
        templates, at = getattr(spec, name), f"{path}.{name}"
        errors += check_count(templates, at, _MOST_TEMPLATES) + check_unique(templates, at)
        for i, template in enumerate(templates):
            errors += _check_template(template, f"{at}[{i}]")
    return errors


def _check_template(template: Template, path: str) -> Errors:
    errors = check_needed(names.is_dns1123_label, template.name, f"{path}.name")
    count = "minCount" if isinstance(template, PodGroupTemplate) else "minGroupCount"
    errors += check_policy(template.schedulingPolicy, f"{path}.schedulingPolicy", count)
    errors += check_topology(template.schedulingConstraints, f"{path}.schedulingConstraints")
    errors += check_priority(template, path)
    if isinstance(template, PodGroupTemplate):
        return errors + check_claims(template.resourceClaims, f"{path}.resourceClaims")
    if not template.podGroupTemplates and not template.compositePodGroupTemplates:
        detail = "must have at least one child PodGroupTemplate or CompositePodGroupTemplate"
        errors.append(invalid(path, template.name, detail))
    return errors + _check_templates(template, path)


def _check_names(spec: Any, path: str, taken: set[str]) -> Errors:
    """A name is given once in the whole tree; twice in one list is found elsewhere."""
    errors: Errors = []
    for name in ("podGroupTemplates", "compositePodGroupTemplates"):
        templates = getattr(spec, name)
        for i, template in enumerate(templates):
            if template.name in taken:
                errors.append(duplicate(f"{path}.{name}[{i}].name", template.name))
        taken |= {t.name for t in templates}
    for i, child in enumerate(spec.compositePodGroupTemplates):
        errors += _check_names(child, f"{path}.compositePodGroupTemplates[{i}]", taken)
    return errors


def _depth(template: CompositePodGroupTemplate) -> int:
    return 1 + max((_depth(child) for child in template.compositePodGroupTemplates), default=0)


def _walk(spec: Any) -> Iterator[Template]:
    yield from spec.podGroupTemplates
    for child in spec.compositePodGroupTemplates:
        yield child
        yield from _walk(child)


def _check_tree(spec: WorkloadSpec, path: str) -> Errors:
    errors = _check_names(spec, path, set())
    for i, child in enumerate(spec.compositePodGroupTemplates):
        if _depth(child) >= _DEEPEST:
            detail = f"maximum template hierarchy depth is {_DEEPEST}"
            at = f"{path}.compositePodGroupTemplates[{i}]"
            errors.append(invalid(at, child.compositePodGroupTemplates, detail))
    if len({(t.priorityClassName, t.priority) for t in spec.podGroupTemplates}) > 1:
        errors.append(invalid(path, None, "detected multiple priority configurations"))
    elif len({(t.priorityClassName, t.priority) for t in _walk(spec)}) > 1:
        detail = "all priority and priorityClassName values must be identical, detected multiple values"
        errors.append(invalid(path, None, detail))
    return errors


def validate(obj: Workload) -> Errors:
    spec, ref = obj.spec, obj.spec.controllerRef
    errors: Errors = []
    if ref is not None:
        path = "spec.controllerRef"
        errors += check_optional_text(names.is_dns1123_subdomain, ref.apiGroup, f"{path}.apiGroup")
        errors += check_needed(names.is_path_segment, ref.kind, f"{path}.kind")
        errors += check_needed(names.is_path_segment, ref.name, f"{path}.name")
    errors += check_union(spec, "spec", ("podGroupTemplates", "compositePodGroupTemplates"))
    return errors + _check_templates(spec, "spec") + _check_tree(spec, "spec")


def _check_update(new: Any, old: Any, path: str) -> Errors:
    errors: Errors = []
    for name in ("podGroupTemplates", "compositePodGroupTemplates"):
        at = f"{path}.{name}"
        errors += check_same_items(getattr(new, name), getattr(old, name), at)
        before = {t.name: t for t in getattr(old, name)}
        for i, template in enumerate(getattr(new, name)):
            if template.name in before:
                errors += _check_template_update(template, before[template.name], f"{at}[{i}]")
    return errors


def _check_template_update(new: Template, old: Template, path: str) -> Errors:
    errors = check_policy_update(new.schedulingPolicy, old.schedulingPolicy, f"{path}.schedulingPolicy")
    for name in _FIXED:
        errors += check_immutable(getattr(new, name), getattr(old, name), f"{path}.{name}")
    if isinstance(new, PodGroupTemplate) and isinstance(old, PodGroupTemplate):
        return errors + check_immutable(new.resourceClaims, old.resourceClaims, f"{path}.resourceClaims")
    return errors + _check_update(new, old, path)


def validate_update(obj: Workload, old: Workload) -> Errors:
    errors = check_immutable(obj.spec.controllerRef, old.spec.controllerRef, "spec.controllerRef")
    return errors + _check_update(obj.spec, old.spec, "spec") + (validate(obj) if obj.spec != old.spec else [])


def cells(obj: Workload, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="scheduling.k8s.io",
    version="v1beta1",
    type=Workload,
    plural="workloads",
    singular="workload",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="Fgcxusx6IUo=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
)
