"""Job: runs pods until a number of them has succeeded, then stops.

Unless ``manualSelector`` is set, the server makes the selector from the Job's uid and labels the pod template to match;
``prepare_create`` therefore needs ``metadata.uid``. Validation is in ``jobvalidation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.batch.jobvalidation import (
    CONTROLLER_UID,
    JOB_NAME,
    LEGACY_CONTROLLER_UID,
    LEGACY_JOB_NAME,
    has_condition,
    validate,
    validate_status_update,
    validate_update,
)
from pelamis.api.cell import format_containers, format_selector
from pelamis.api.core.pod.default import default_pod_template
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.field import F, Int32, Int64, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.table import age
from pelamis.base import clock


class PodFailurePolicyOnExitCodesRequirement(Struct, frozen=True):
    containerName: Annotated[str | None, F(1)] = None
    operator: Annotated[
        str,
        F(
            2,
            enum=(
                "In",
                "NotIn",
            ),
            required=True,
        ),
    ] = always(str)
    values: Annotated[tuple[Int32, ...], F(3, list="set", required=True)] = always(tuple)


class PodFailurePolicyOnPodConditionsPattern(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2)] = always(str)


class PodFailurePolicyRule(Struct, frozen=True):
    action: Annotated[
        str,
        F(
            1,
            enum=(
                "FailJob",
                "FailIndex",
                "Ignore",
                "Count",
            ),
            required=True,
        ),
    ] = always(str)
    onExitCodes: Annotated[PodFailurePolicyOnExitCodesRequirement | None, F(2)] = None
    onPodConditions: Annotated[tuple[PodFailurePolicyOnPodConditionsPattern, ...], F(3, list="atomic")] = ()


class PodFailurePolicy(Struct, frozen=True):
    rules: Annotated[tuple[PodFailurePolicyRule, ...], F(1, list="atomic", required=True)] = always(tuple)


class SuccessPolicyRule(Struct, frozen=True):
    succeededIndexes: Annotated[str | None, F(1)] = None
    succeededCount: Annotated[Int32 | None, F(2)] = None


class SuccessPolicy(Struct, frozen=True):
    rules: Annotated[tuple[SuccessPolicyRule, ...], F(1, list="atomic", required=True)] = always(tuple)


class WorkloadPodGroupBasicSchedulingPolicy(Struct, frozen=True):
    pass


class WorkloadPodGroupGangSchedulingPolicy(Struct, frozen=True):
    minCount: Annotated[Int32 | None, F(1)] = None


class WorkloadPodGroupSchedulingPolicy(Struct, frozen=True):
    basic: Annotated[WorkloadPodGroupBasicSchedulingPolicy | None, F(1)] = None
    gang: Annotated[WorkloadPodGroupGangSchedulingPolicy | None, F(2)] = None


class TopologyConstraint(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)


class WorkloadPodGroupSchedulingConstraints(Struct, frozen=True):
    topology: Annotated[tuple[TopologyConstraint, ...], F(1, list="atomic")] = ()


class WorkloadPodGroupSingleDisruptionMode(Struct, frozen=True):
    pass


class WorkloadPodGroupAllDisruptionMode(Struct, frozen=True):
    pass


class WorkloadPodGroupDisruptionMode(Struct, frozen=True):
    single: Annotated[WorkloadPodGroupSingleDisruptionMode | None, F(1)] = None
    all: Annotated[WorkloadPodGroupAllDisruptionMode | None, F(2)] = None


class WorkloadPodGroupResourceClaim(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    resourceClaimName: Annotated[str | None, F(2)] = None
    resourceClaimTemplateName: Annotated[str | None, F(3)] = None


class JobSchedulingConfiguration(Struct, frozen=True):
    schedulingPolicy: Annotated[WorkloadPodGroupSchedulingPolicy | None, F(1)] = None
    schedulingConstraints: Annotated[WorkloadPodGroupSchedulingConstraints | None, F(2)] = None
    disruptionMode: Annotated[WorkloadPodGroupDisruptionMode | None, F(3)] = None
    resourceClaims: Annotated[
        tuple[WorkloadPodGroupResourceClaim, ...], F(4, merge="merge", key="name", list="map", keys=("name",))
    ] = ()


class JobSpec(Struct, frozen=True):
    parallelism: Annotated[Int32 | None, F(1)] = None
    completions: Annotated[Int32 | None, F(2)] = None
    activeDeadlineSeconds: Annotated[Int64 | None, F(3)] = None
    podFailurePolicy: Annotated[PodFailurePolicy | None, F(11)] = None
    successPolicy: Annotated[SuccessPolicy | None, F(16)] = None
    backoffLimit: Annotated[Int32 | None, F(7)] = None
    backoffLimitPerIndex: Annotated[Int32 | None, F(12)] = None
    maxFailedIndexes: Annotated[Int32 | None, F(13)] = None
    selector: Annotated[LabelSelector | None, F(4)] = None
    manualSelector: Annotated[bool | None, F(5)] = None
    template: Annotated[PodTemplateSpec, F(6, required=True)] = always(PodTemplateSpec)
    ttlSecondsAfterFinished: Annotated[Int32 | None, F(8)] = None
    completionMode: Annotated[
        str | None,
        F(
            9,
            enum=(
                "NonIndexed",
                "Indexed",
            ),
        ),
    ] = None
    suspend: Annotated[bool | None, F(10)] = None
    podReplacementPolicy: Annotated[
        str | None,
        F(
            14,
            enum=(
                "TerminatingOrFailed",
                "Failed",
            ),
        ),
    ] = None
    managedBy: Annotated[str | None, F(15)] = None
    scheduling: Annotated[JobSchedulingConfiguration | None, F(17)] = None


class JobCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2, required=True)] = always(str)
    lastProbeTime: Annotated[Time, F(3)] = ""
    lastTransitionTime: Annotated[Time, F(4)] = ""
    reason: Annotated[str, F(5)] = ""
    message: Annotated[str, F(6)] = ""


class UncountedTerminatedPods(Struct, frozen=True):
    succeeded: Annotated[tuple[str, ...], F(1, list="set")] = ()
    failed: Annotated[tuple[str, ...], F(2, list="set")] = ()


class JobStatus(Struct, frozen=True):
    conditions: Annotated[tuple[JobCondition, ...], F(1, merge="merge", key="type", list="atomic")] = ()
    startTime: Annotated[Time | None, F(2)] = None
    completionTime: Annotated[Time | None, F(3)] = None
    active: Annotated[Int32, F(4)] = 0
    succeeded: Annotated[Int32, F(5)] = 0
    failed: Annotated[Int32, F(6)] = 0
    terminating: Annotated[Int32 | None, F(11)] = None
    completedIndexes: Annotated[str, F(7)] = ""
    failedIndexes: Annotated[str | None, F(10)] = None
    uncountedTerminatedPods: Annotated[UncountedTerminatedPods | None, F(8)] = None
    ready: Annotated[Int32 | None, F(9)] = None


class Job(Struct, frozen=True):
    kind: str = always(lambda: "Job")
    apiVersion: str = always(lambda: "batch/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[JobSpec, F(2)] = always(JobSpec)
    status: Annotated[JobStatus, F(3)] = always(JobStatus)


def default_job_spec(spec: Tree) -> None:
    """Also of a CronJob's jobTemplate."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    if spec.get("parallelism") is None:
        spec["parallelism"] = 1
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 6 if spec.get("backoffLimitPerIndex") is None else 2147483647
    if spec.get("completionMode") is None:
        spec["completionMode"] = "NonIndexed"
    if spec.get("suspend") is None:
        spec["suspend"] = False
    failure = spec.get("podFailurePolicy")
    for rule in failure.get("rules") or () if failure else ():
        for pattern in rule.get("onPodConditions") or ():
            if not pattern.get("status"):
                pattern["status"] = "True"
    if spec.get("podReplacementPolicy") is None:
        spec["podReplacementPolicy"] = "TerminatingOrFailed" if failure is None else "Failed"
    default_pod_template(spec.setdefault("template", {}))


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    metadata = tree.setdefault("metadata", {})
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)
    default_job_spec(spec)


def prepare_create(tree: Tree) -> None:
    """Makes the selector, and gives the pod template the labels it needs for it."""
    spec, metadata = tree["spec"], tree["metadata"]
    if spec.get("manualSelector"):
        return
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    labels = {**(template.get("labels") or {})}
    for key, value in (
        (LEGACY_CONTROLLER_UID, metadata["uid"]),
        (CONTROLLER_UID, metadata["uid"]),
        (LEGACY_JOB_NAME, metadata["name"]),
        (JOB_NAME, metadata["name"]),
    ):
        # a label that the author has set otherwise stays, and validation refuses it
        labels.setdefault(key, value)
    template["labels"] = labels
    selector = spec.get("selector") or {}
    chosen = {**(selector.get("matchLabels") or {})}
    chosen.setdefault(CONTROLLER_UID, metadata["uid"])
    spec["selector"] = {**selector, "matchLabels": chosen}


def _state(obj: Job) -> str:
    for type, text in (("Complete", "Complete"), ("Failed", "Failed")):
        if has_condition(obj, type):
            return text
    if obj.metadata.deletionTimestamp:
        return "Terminating"
    for type in ("Suspended", "FailureTarget"):
        if has_condition(obj, type):
            return type
    return "Running"


def cells(obj: Job, now: float) -> Sequence[Any]:
    spec, status = obj.spec, obj.status
    if spec.completions is not None:
        completions = f"{status.succeeded}/{spec.completions}"
    elif (spec.parallelism or 0) > 1:
        completions = f"{status.succeeded}/1 of {spec.parallelism}"
    else:
        completions = f"{status.succeeded}/1"
    duration = ""
    if status.startTime:
        end = clock.parse_rfc3339(status.completionTime) if status.completionTime else now
        duration = clock.human_duration(end - clock.parse_rfc3339(status.startTime))
    names, images = format_containers(spec.template.spec)
    return (
        obj.metadata.name,
        _state(obj),
        completions,
        duration,
        age(obj.metadata.creationTimestamp, now),
        names,
        images,
        format_selector(spec.selector),
    )


KIND = Kind(
    group="batch",
    version="v1",
    type=Job,
    plural="jobs",
    singular="job",
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "batch", "v1", "Job", ("get", "patch", "update"), reset=("spec",)),),
    reset=("status",),
    generation=True,
    gc_policy="OrphanDependents",
    columns=(
        Column("Name", "string", format="name"),
        Column("Status", "string"),
        Column("Completions", "string"),
        Column("Duration", "string"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="mudhfqk/qZY=",
    cells=cells,
    default=default,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    selectable={"status.successful": lambda obj: str(obj.status.succeeded)},
)
