"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.batch.job import JobSpec
from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, Int64, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class JobTemplateSpec(Struct, frozen=True):
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[JobSpec, F(2)] = always(JobSpec)


class CronJobSpec(Struct, frozen=True):
    schedule: Annotated[str, F(1, required=True)] = always(str)
    timeZone: Annotated[str | None, F(8)] = None
    startingDeadlineSeconds: Annotated[Int64 | None, F(2)] = None
    concurrencyPolicy: Annotated[
        str,
        F(
            3,
            enum=(
                "Allow",
                "Forbid",
                "Replace",
            ),
            default="Allow",
        ),
    ] = ""
    suspend: Annotated[bool | None, F(4, default=False)] = None
    jobTemplate: Annotated[JobTemplateSpec, F(5, required=True)] = always(JobTemplateSpec)
    successfulJobsHistoryLimit: Annotated[Int32 | None, F(6, default=3)] = None
    failedJobsHistoryLimit: Annotated[Int32 | None, F(7, default=1)] = None


class CronJobStatus(Struct, frozen=True):
    active: Annotated[tuple[ObjectReference, ...], F(1, list="atomic")] = ()
    lastScheduleTime: Annotated[Time | None, F(4)] = None
    lastSuccessfulTime: Annotated[Time | None, F(5)] = None


class CronJob(Struct, frozen=True):
    kind: str = always(lambda: "CronJob")
    apiVersion: str = always(lambda: "batch/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[CronJobSpec, F(2, required=True)] = always(CronJobSpec)
    status: Annotated[CronJobStatus, F(3)] = always(CronJobStatus)


KIND = Kind(
    group="batch",
    version="v1",
    type=CronJob,
    plural="cronjobs",
    singular="cronjob",
    short_names=("cj",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "batch", "v1", "CronJob", ("get", "patch", "update"), reset=("spec",)),),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Schedule", "string"),
        Column("Timezone", "string"),
        Column("Suspend", "boolean"),
        Column("Active", "integer"),
        Column("Last Schedule", "string"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="sd5LIXh4Fjs=",
)
