"""CronJob: makes a Job from a template whenever its schedule says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.batch.job import JobSpec, default_template_spec, spec_warnings
from pelamis.api.batch.jobvalidation import validate_job_spec
from pelamis.api.cell import NONE, format_bool, format_containers, format_selector
from pelamis.api.check import Errors, check_nonnegative, check_required_choice
from pelamis.api.core.pod.warnings import workload_name_warnings
from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, Int64, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import cron
from pelamis.base.errors import invalid, not_supported, required


class JobTemplateSpec(Struct, frozen=True):
    metadata: Annotated[ObjectMeta, F(1, "Metadata of the Jobs that are made.")] = always(ObjectMeta)
    spec: Annotated[JobSpec, F(2, "The Job that is made.")] = always(JobSpec)


class CronJobSpec(Struct, frozen=True):
    schedule: Annotated[
        str,
        F(
            1,
            "When to run: five fields (minute, hour, day of month, month, day of week) or a word such as @daily.",
            required=True,
        ),
    ] = always(str)
    timeZone: Annotated[
        str | None, F(8, "IANA name of the time zone of the schedule; the time zone of the controller if unset.")
    ] = None
    startingDeadlineSeconds: Annotated[
        Int64 | None, F(2, "Seconds after its time within which a missed run may still start; no limit if unset.")
    ] = None
    concurrencyPolicy: Annotated[
        str,
        F(
            3,
            "When the last run still goes on: Allow another, Forbid it (skip), or Replace the old one.",
            enum=(
                "Allow",
                "Forbid",
                "Replace",
            ),
            default="Allow",
        ),
    ] = ""
    suspend: Annotated[
        bool | None, F(4, "While true no run is started; runs that go on are left alone.", default=False)
    ] = None
    jobTemplate: Annotated[JobTemplateSpec, F(5, "The Job that each run makes.", required=True)] = always(
        JobTemplateSpec
    )
    successfulJobsHistoryLimit: Annotated[
        Int32 | None, F(6, "Successful Jobs that are kept; 3 if unset.", default=3)
    ] = None
    failedJobsHistoryLimit: Annotated[Int32 | None, F(7, "Failed Jobs that are kept; 1 if unset.", default=1)] = None


class CronJobStatus(Struct, frozen=True):
    active: Annotated[tuple[ObjectReference, ...], F(1, "Jobs that run now.", list="atomic")] = ()
    lastScheduleTime: Annotated[Time | None, F(4, "The last time for which a Job was made.")] = None
    lastSuccessfulTime: Annotated[Time | None, F(5, "When a Job last completed.")] = None


class CronJob(Struct, frozen=True):
    """Makes a Job from a template whenever its schedule says so."""

    kind: str = always(lambda: "CronJob")
    apiVersion: str = always(lambda: "batch/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[CronJobSpec, F(2, "What is wanted.", required=True)] = always(CronJobSpec)
    status: Annotated[CronJobStatus, F(3, "What was observed; written by the system.")] = always(CronJobStatus)


LONGEST_NAME = 52
"""A Job's name is the CronJob's plus eleven characters for the scheduled minute, and has at most 63."""
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if not spec.get("concurrencyPolicy"):
        spec["concurrencyPolicy"] = "Allow"
    for name, value in (("suspend", False), ("successfulJobsHistoryLimit", 3), ("failedJobsHistoryLimit", 1)):
        if spec.get(name) is None:
            spec[name] = value
    template = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    default_template_spec(template)


def _validate_schedule(spec: CronJobSpec, old: CronJobSpec | None, path: str) -> Errors:
    if not spec.schedule:
        return [required(path)]
    errors: Errors = []
    try:
        cron.parse(spec.schedule)
    except cron.CronError as error:
        errors.append(invalid(path, spec.schedule, str(error)))
    if "TZ" not in spec.schedule:
        return errors
    if old is None or "TZ" not in old.schedule:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid(path, spec.schedule, detail))
    elif spec.timeZone is not None:
        detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(invalid(path, spec.schedule, detail))
    return errors


def _validate_zone(zone: str | None, path: str) -> Errors:
    if zone is None:
        return []
    if not zone:
        return [invalid(path, zone, "timeZone must be nil or non-empty string")]
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART.fullmatch(part):
            return [invalid(path, zone, f"unknown time zone {zone}")]
    errors: Errors = []
    if zone.lower() == "local":
        detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [invalid(path, zone, detail)]
    try:
        cron.load_zone(zone)
    except cron.CronError as error:
        errors.append(invalid(path, zone, str(error)))
    return errors


def _validate_spec(spec: CronJobSpec, old: CronJobSpec | None) -> Errors:
    errors = _validate_schedule(spec, old, "spec.schedule")
    errors += check_nonnegative(spec.startingDeadlineSeconds, "spec.startingDeadlineSeconds")
    if old is None or old.timeZone != spec.timeZone:
        errors += _validate_zone(spec.timeZone, "spec.timeZone")
    errors += check_required_choice(spec.concurrencyPolicy, "spec.concurrencyPolicy", ("Allow", "Forbid", "Replace"))
    path, template = "spec.jobTemplate.spec", spec.jobTemplate.spec
    errors += validate_job_spec(template, path)
    if template.selector is not None:
        errors.append(invalid(f"{path}.selector", template.selector, "`selector` will be auto-generated"))
    if template.manualSelector:
        errors.append(not_supported(f"{path}.manualSelector", template.manualSelector, ("nil", "false")))
    errors += check_nonnegative(spec.successfulJobsHistoryLimit, "spec.successfulJobsHistoryLimit")
    errors += check_nonnegative(spec.failedJobsHistoryLimit, "spec.failedJobsHistoryLimit")
    return errors


def validate(obj: CronJob) -> Errors:
    errors = _validate_spec(obj.spec, None)
    if len(obj.metadata.name) > LONGEST_NAME:
        errors.append(invalid("metadata.name", obj.metadata.name, "must be no more than 52 characters"))
    return errors


def validate_update(obj: CronJob, old: CronJob) -> Errors:
    return _validate_spec(obj.spec, old.spec)


def update_warnings(obj: CronJob) -> list[str]:
    out = spec_warnings(obj.spec.jobTemplate.spec, "spec.jobTemplate.spec")
    if "TZ" in obj.spec.schedule:
        out.append(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
    return out


def warnings(obj: CronJob) -> list[str]:
    found = spec_warnings(obj.spec.jobTemplate.spec, "spec.jobTemplate.spec")
    return workload_name_warnings(obj.metadata.name) + found


def cells(obj: CronJob, now: float) -> Sequence[Any]:
    spec, last = obj.spec, obj.status.lastScheduleTime
    names, images = format_containers(spec.jobTemplate.spec.template.spec)
    return (
        obj.metadata.name,
        spec.schedule,
        spec.timeZone or NONE,
        format_bool(spec.suspend),
        len(obj.status.active),
        age(last, now) if last else NONE,
        age(obj.metadata.creationTimestamp, now),
        names,
        images,
        format_selector(spec.jobTemplate.spec.selector),
    )


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
    cells=cells,
    default=default,
    validate=validate,
    warnings=warnings,
    update_warnings=update_warnings,
    validate_update=validate_update,
)
