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
from pelamis.api.core.pod.warnings import pod_template_warnings, workload_name_warnings
from pelamis.api.field import F, Int32, Int64, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.table import age
from pelamis.base import clock


class PodFailurePolicyOnExitCodesRequirement(Struct, frozen=True):
    containerName: Annotated[str | None, F(1, "The container it is about; every container if unset.")] = None
    operator: Annotated[
        str,
        F(
            2,
            "In: the exit code is one of values; NotIn: it is none of them.",
            enum=(
                "In",
                "NotIn",
            ),
            required=True,
        ),
    ] = always(str)
    values: Annotated[
        tuple[Int32, ...], F(3, "Exit codes, ascending, without duplicates; at most 255.", list="set", required=True)
    ] = always(tuple)


class PodFailurePolicyOnPodConditionsPattern(Struct, frozen=True):
    type: Annotated[str, F(1, "Type of the pod condition.", required=True)] = always(str)
    status: Annotated[str, F(2, "Status of the pod condition; True if unset.")] = always(str)


class PodFailurePolicyRule(Struct, frozen=True):
    action: Annotated[
        str,
        F(
            1,
            "FailJob, FailIndex, Ignore (the failure is not counted) or Count.",
            enum=(
                "FailJob",
                "FailIndex",
                "Ignore",
                "Count",
            ),
            required=True,
        ),
    ] = always(str)
    onExitCodes: Annotated[
        PodFailurePolicyOnExitCodesRequirement | None, F(2, "Matches by exit code; not together with onPodConditions.")
    ] = None
    onPodConditions: Annotated[
        tuple[PodFailurePolicyOnPodConditionsPattern, ...],
        F(3, "Matches by a condition of the pod; at most 20.", list="atomic"),
    ] = ()


class PodFailurePolicy(Struct, frozen=True):
    rules: Annotated[
        tuple[PodFailurePolicyRule, ...],
        F(1, "The first rule that matches a failed pod decides; at most 20.", list="atomic", required=True),
    ] = always(tuple)


class SuccessPolicyRule(Struct, frozen=True):
    succeededIndexes: Annotated[str | None, F(1, "Indexes that must succeed, such as 1,3-5.")] = None
    succeededCount: Annotated[Int32 | None, F(2, "How many of the indexes must succeed.")] = None


class SuccessPolicy(Struct, frozen=True):
    rules: Annotated[
        tuple[SuccessPolicyRule, ...],
        F(1, "The Job has succeeded when one rule is met; at most 20.", list="atomic", required=True),
    ] = always(tuple)


class WorkloadPodGroupBasicSchedulingPolicy(Struct, frozen=True):
    pass


class WorkloadPodGroupGangSchedulingPolicy(Struct, frozen=True):
    minCount: Annotated[Int32 | None, F(1, "Pods that must be placeable together before any starts.")] = None


class WorkloadPodGroupSchedulingPolicy(Struct, frozen=True):
    basic: Annotated[WorkloadPodGroupBasicSchedulingPolicy | None, F(1, "Pods are placed one by one.")] = None
    gang: Annotated[WorkloadPodGroupGangSchedulingPolicy | None, F(2, "Pods are placed together or not at all.")] = None


class TopologyConstraint(Struct, frozen=True):
    key: Annotated[str, F(1, "Node label whose value all pods share.", required=True)] = always(str)


class WorkloadPodGroupSchedulingConstraints(Struct, frozen=True):
    topology: Annotated[
        tuple[TopologyConstraint, ...], F(1, "Topologies that the pods stay within.", list="atomic")
    ] = ()


class WorkloadPodGroupSingleDisruptionMode(Struct, frozen=True):
    pass


class WorkloadPodGroupAllDisruptionMode(Struct, frozen=True):
    pass


class WorkloadPodGroupDisruptionMode(Struct, frozen=True):
    single: Annotated[WorkloadPodGroupSingleDisruptionMode | None, F(1, "Pods may be disrupted one by one.")] = None
    all: Annotated[WorkloadPodGroupAllDisruptionMode | None, F(2, "Pods are disrupted together.")] = None


class WorkloadPodGroupResourceClaim(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the claim among those of the group.", required=True)] = always(str)
    resourceClaimName: Annotated[str | None, F(2, "An existing claim.")] = None
    resourceClaimTemplateName: Annotated[str | None, F(3, "Template of a claim that is made.")] = None


class JobSchedulingConfiguration(Struct, frozen=True):
    schedulingPolicy: Annotated[WorkloadPodGroupSchedulingPolicy | None, F(1, "Whether pods are placed together.")] = (
        None
    )
    schedulingConstraints: Annotated[
        WorkloadPodGroupSchedulingConstraints | None, F(2, "Where pods may be placed.")
    ] = None
    disruptionMode: Annotated[WorkloadPodGroupDisruptionMode | None, F(3, "Whether pods are disrupted together.")] = (
        None
    )
    resourceClaims: Annotated[
        tuple[WorkloadPodGroupResourceClaim, ...],
        F(4, "Device claims that the pods share.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()


class JobSpec(Struct, frozen=True):
    parallelism: Annotated[Int32 | None, F(1, "Most pods that run at once; 1 if unset.")] = None
    completions: Annotated[
        Int32 | None,
        F(
            2,
            "Pods that must succeed; 1 if parallelism is unset too; else any success ends the Job.",
        ),
    ] = None
    activeDeadlineSeconds: Annotated[
        Int64 | None, F(3, "Seconds after its start when the Job fails if it still runs.")
    ] = None
    podFailurePolicy: Annotated[PodFailurePolicy | None, F(11, "What failed pods mean, by exit code or condition.")] = (
        None
    )
    successPolicy: Annotated[
        SuccessPolicy | None, F(16, "When an Indexed Job has succeeded before all its indexes did.")
    ] = None
    backoffLimit: Annotated[Int32 | None, F(7, "Failures after which the Job fails; 6 if unset.")] = None
    backoffLimitPerIndex: Annotated[
        Int32 | None, F(12, "Failures of one index after which that index fails; Indexed Jobs only.")
    ] = None
    maxFailedIndexes: Annotated[Int32 | None, F(13, "Failed indexes after which the Job fails.")] = None
    selector: Annotated[
        LabelSelector | None, F(4, "Which pods belong to it; made by the server unless manualSelector is set.")
    ] = None
    manualSelector: Annotated[
        bool | None, F(5, "True: the author chose the selector and sees to it that it is unique.")
    ] = None
    template: Annotated[PodTemplateSpec, F(6, "The pod that is made.", required=True)] = always(PodTemplateSpec)
    ttlSecondsAfterFinished: Annotated[
        Int32 | None, F(8, "Seconds after its end when the Job is deleted; never if unset.")
    ] = None
    completionMode: Annotated[
        str | None,
        F(
            9,
            "NonIndexed, or Indexed: each pod has an index from 0 to completions - 1.",
            enum=(
                "NonIndexed",
                "Indexed",
            ),
        ),
    ] = None
    suspend: Annotated[bool | None, F(10, "While true the Job has no pods.")] = None
    podReplacementPolicy: Annotated[
        str | None,
        F(
            14,
            "A pod is replaced when TerminatingOrFailed, or only when Failed.",
            enum=(
                "TerminatingOrFailed",
                "Failed",
            ),
        ),
    ] = None
    managedBy: Annotated[
        str | None, F(15, "Name of the controller that runs the Job, in place of the built-in one.")
    ] = None
    scheduling: Annotated[JobSchedulingConfiguration | None, F(17, "How the pods are scheduled as a group.")] = None


class JobCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Type of the condition.", required=True)] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastProbeTime: Annotated[Time, F(3, "When the condition was last checked.")] = ""
    lastTransitionTime: Annotated[Time, F(4, "When the status last changed.")] = ""
    reason: Annotated[str, F(5, "One word in CamelCase for the last transition.")] = ""
    message: Annotated[str, F(6, "The last transition, for people.")] = ""


class UncountedTerminatedPods(Struct, frozen=True):
    succeeded: Annotated[
        tuple[str, ...], F(1, "Uids of pods that succeeded and are not in the counters yet.", list="set")
    ] = ()
    failed: Annotated[
        tuple[str, ...], F(2, "Uids of pods that failed and are not in the counters yet.", list="set")
    ] = ()


class JobStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[JobCondition, ...],
        F(1, "Latest observations, one for each type.", merge="merge", key="type", list="atomic"),
    ] = ()
    startTime: Annotated[Time | None, F(2, "When the Job started; set anew when it is resumed.")] = None
    completionTime: Annotated[Time | None, F(3, "When the Job completed.")] = None
    active: Annotated[Int32, F(4, "Pods that have not ended.")] = 0
    succeeded: Annotated[Int32, F(5, "Pods that succeeded.")] = 0
    failed: Annotated[Int32, F(6, "Pods that failed.")] = 0
    terminating: Annotated[Int32 | None, F(11, "Pods that are being deleted and have not ended yet.")] = None
    completedIndexes: Annotated[str, F(7, "Indexes that succeeded, such as 1,3-5.")] = ""
    failedIndexes: Annotated[str | None, F(10, "Indexes that failed, such as 1,3-5.")] = None
    uncountedTerminatedPods: Annotated[
        UncountedTerminatedPods | None, F(8, "Pods that ended and are not in the counters yet.")
    ] = None
    ready: Annotated[Int32 | None, F(9, "Active pods that are ready.")] = None


class Job(Struct, frozen=True):
    """Runs pods until a number of them has succeeded, then stops."""

    kind: str = always(lambda: "Job")
    apiVersion: str = always(lambda: "batch/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[JobSpec, F(2, "What is wanted.")] = always(JobSpec)
    status: Annotated[JobStatus, F(3, "What was observed; written by the system.")] = always(JobStatus)


def default_template_spec(spec: Tree) -> None:
    """Of a CronJob's jobTemplate: what is about pods. The rest is filled in when it becomes a Job."""
    failure = spec.get("podFailurePolicy")
    for rule in failure.get("rules") or () if failure else ():
        for pattern in rule.get("onPodConditions") or ():
            if not pattern.get("status"):
                pattern["status"] = "True"
    default_pod_template(spec.setdefault("template", {}))


def default_job_spec(spec: Tree) -> None:
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
    if spec.get("podReplacementPolicy") is None:
        spec["podReplacementPolicy"] = "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed"
    default_template_spec(spec)


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    metadata = tree.setdefault("metadata", {})
    if labels and not metadata.get("labels"):
        metadata["labels"] = labels  # one map of both, as upstream: what is added to one is in the other
    if spec.get("manualSelector") is None:
        spec["manualSelector"] = False
    default_job_spec(spec)


def prepare_create(tree: Tree) -> None:
    """Makes the selector, and gives the pod template the labels it needs for it."""
    spec, metadata = tree["spec"], tree["metadata"]
    if spec.get("manualSelector"):
        return
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    before = template.get("labels")
    labels = {**(before or {})}
    for key, value in (
        (LEGACY_CONTROLLER_UID, metadata["uid"]),
        (CONTROLLER_UID, metadata["uid"]),
        (LEGACY_JOB_NAME, metadata["name"]),
        (JOB_NAME, metadata["name"]),
    ):
        # a label that the author has set otherwise stays, and validation refuses it
        labels.setdefault(key, value)
    template["labels"] = labels
    if before and metadata.get("labels") is before:
        metadata["labels"] = dict(labels)
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


def spec_warnings(spec: JobSpec, path: str) -> list[str]:
    """``path``: that of the spec."""
    out: list[str] = []
    if spec.completionMode == "Indexed" and (spec.completions or 0) > 100_000 and (spec.parallelism or 0) > 10_000:
        out.append(
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
            "10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    return out + pod_template_warnings(spec.template, f"{path}.template")


def update_warnings(obj: Job) -> list[str]:
    return spec_warnings(obj.spec, "spec")


def warnings(obj: Job) -> list[str]:
    return workload_name_warnings(obj.metadata.name) + update_warnings(obj)


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
    warnings=warnings,
    update_warnings=update_warnings,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    selectable={"status.successful": lambda obj: str(obj.status.succeeded)},
)
