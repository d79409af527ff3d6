"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.field import F, Int32, Int64, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta


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
    # selectable: status.successful
    storage_hash="mudhfqk/qZY=",
)
