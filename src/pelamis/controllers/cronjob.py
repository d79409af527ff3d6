"""CronJob: creates a Job at each time of its schedule, and keeps a few of the finished ones.

A Job is named after its time (minutes since the epoch), so a time is never run twice, whatever was forgotten meanwhile.
Of several times that were missed only the last one is made up for, and only within ``startingDeadlineSeconds``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.cronjob import CronJob, CronJobStatus
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.batch.job import Job
from pelamis.api.core.reference import ObjectReference
from pelamis.api.meta import ObjectMeta
from pelamis.base import cron
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.client.types import Action, Create, Delete, Key, Outcome, Update
from pelamis.reconcile.ownership import controller_of, owner_reference
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.podcontrol import is_namespace_terminating
from pelamis.reconcile.spec import Controller, Views, Watch

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY_MISSED = 100


@dataclass(frozen=True, slots=True)
class World:
    cronjob: CronJob
    jobs: Sequence[Job]


def gather(views: Views, key: Key) -> World | None:
    cronjob: CronJob | None = views(CRONJOB).get(*key)
    if cronjob is None:
        return None
    return World(cronjob, views(JOB).by_index("owner", cronjob.metadata.uid))


def ending(job: Job) -> str:
    """``Complete``, ``Failed``, or "" for a Job that is not finished."""
    return next((c.type for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True"), "")


def latest(schedule: Any, after: float, now: float) -> tuple[float | None, int]:
    """The last time of the schedule in (after, now], and about how many there were."""
    first = schedule.next(after)
    if first is None or first > now:
        return None, 0
    second = schedule.next(first)
    if second is None or second > now:
        return first, 1
    # jump close to now: schedules may have been missed for years
    step = second - first
    count = int((now - first) // step) + 1
    found = first
    at = schedule.next(first + (count - 2) * step if count > 2 else after)
    if at is not None and at > now:
        at = schedule.next(after)
    while at is not None and at <= now:
        found = at
        at = schedule.next(at)
    return found, count


@dataclass(slots=True)
class _Work:
    cronjob: CronJob
    now: float
    status: CronJobStatus
    actions: list[Action] = field(default_factory=list)
    events: list[EventNote] = field(default_factory=list)

    def note(self, type: str, reason: str, message: str) -> None:
        self.events.append(EventNote(self.cronjob, type, reason, message))

    def delete(self, job: Job) -> None:
        meta = job.metadata
        self.actions.append(Delete(JOB, meta.namespace, meta.name, uid=meta.uid, propagation="Background"))
        self.note("Normal", "SuccessfulDelete", f"Deleted job {meta.name}")


def reconcile(world: World, now: float) -> Plan:
    work = _Work(world.cronjob, now, world.cronjob.status)
    _follow(work, world.jobs)
    _clean_up(work, world.jobs)
    job, at, requeue_at = None, 0.0, None
    if world.cronjob.metadata.deletionTimestamp is None:
        job, at, requeue_at = _due(work, world.jobs)
    return _plan(work, world.jobs, job, at, requeue_at)


def _follow(work: _Work, jobs: Sequence[Job]) -> None:
    """Keep ``status.active`` and ``lastSuccessfulTime`` true."""
    active = {ref.uid: ref for ref in work.status.active}
    last = work.status.lastSuccessfulTime
    for job in jobs:
        how = ending(job)
        known = job.metadata.uid in active
        if not known and not how:
            message = f"Saw a job that the controller did not create or forgot: {job.metadata.name}"
            work.note("Warning", "UnexpectedJob", message)
        elif known and how:
            del active[job.metadata.uid]
            message = f"Saw completed job: {job.metadata.name}, condition: {how}"
            work.note("Normal", "SawCompletedJob", message)
        done = job.status.completionTime
        if how == "Complete" and done and (not last or parse_rfc3339(done) > parse_rfc3339(last)):
            last = done
    existing = {job.metadata.uid for job in jobs}
    for uid, ref in list(active.items()):
        if uid not in existing:
            del active[uid]
            work.note("Normal", "MissingJob", f"Active job went missing: {ref.name}")
    work.status = msgspec.structs.replace(work.status, active=tuple(active.values()), lastSuccessfulTime=last)


def _clean_up(work: _Work, jobs: Sequence[Job]) -> None:
    spec = work.cronjob.spec
    for how, limit in (("Complete", spec.successfulJobsHistoryLimit), ("Failed", spec.failedJobsHistoryLimit)):
        if limit is None:
            continue
        ended = [j for j in jobs if ending(j) == how and j.metadata.deletionTimestamp is None]
        # one that never started counts as the youngest
        ended.sort(key=lambda j: (j.status.startTime is None, j.status.startTime or "", j.metadata.name))
        for job in ended[: max(0, len(ended) - limit)]:
            work.delete(job)


def _due(work: _Work, jobs: Sequence[Job]) -> tuple[Job | None, float, float | None]:
    """(the Job to create, the time it is for, when to look again)."""
    cronjob, now = work.cronjob, work.now
    spec = cronjob.spec
    zone: tzinfo = UTC
    if spec.timeZone is not None:
        try:
            zone = cron.load_zone(spec.timeZone)
        except cron.CronError as error:
            work.note("Warning", "UnknownTimeZone", f'invalid timeZone: "{spec.timeZone}": {error}')
            return None, 0.0, None
    if spec.suspend:
        return None, 0.0, None
    if "TZ" in spec.schedule:
        message = (
            f'CRON_TZ or TZ used in schedule "{spec.schedule}" is not officially supported, see '
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
        work.note("Warning", "UnsupportedSchedule", message)
    try:
        schedule = cron.parse(spec.schedule, zone)
    except cron.CronError as error:
        work.note("Warning", "UnparseableSchedule", f'unparseable schedule: "{spec.schedule}" : {error}')
        return None, 0.0, None
    since = cronjob.status.lastScheduleTime or cronjob.metadata.creationTimestamp
    earliest = parse_rfc3339(since) if since else now
    if spec.startingDeadlineSeconds is not None:
        earliest = max(earliest, now - spec.startingDeadlineSeconds)
    following = schedule.next(now)
    at, missed = latest(schedule, earliest, now)
    if missed > MANY_MISSED:
        message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        work.note("Warning", "TooManyMissedTimes", message)
    if at is None:
        return None, 0.0, following
    if spec.startingDeadlineSeconds is not None and at + spec.startingDeadlineSeconds < now:
        shown = datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
        work.note("Warning", "MissSchedule", f"Missed scheduled time to start a job: {shown}")
        return None, 0.0, following
    name = f"{cronjob.metadata.name}-{int(at) // 60}"
    last = cronjob.status.lastScheduleTime
    if any(r.name == name for r in work.status.active) or (last and parse_rfc3339(last) == at):
        return None, 0.0, following
    if work.status.active and spec.concurrencyPolicy == "Forbid":
        message = "Not starting job because prior execution is running and concurrency policy is Forbid"
        work.note("Normal", "JobAlreadyActive", message)
        return None, 0.0, following
    if work.status.active and spec.concurrencyPolicy == "Replace":
        by_uid = {j.metadata.uid: j for j in jobs}
        for ref in work.status.active:
            if ref.uid in by_uid:
                work.delete(by_uid[ref.uid])
        work.status = msgspec.structs.replace(work.status, active=())
    return _job(cronjob, name, at, zone), at, following


def _job(cronjob: CronJob, name: str, at: float, zone: tzinfo) -> Job:
    template = cronjob.spec.jobTemplate
    local = datetime.fromtimestamp(at, zone).isoformat()
    return Job(
        metadata=ObjectMeta(
            name=name,
            namespace=cronjob.metadata.namespace,
            labels=template.metadata.labels,
            annotations={**template.metadata.annotations, SCHEDULED: local.replace("+00:00", "Z")},
            ownerReferences=(owner_reference(cronjob, CRONJOB),),
        ),
        spec=template.spec,
    )


def _started(status: CronJobStatus, job: Job, at: float) -> CronJobStatus:
    meta = job.metadata
    ref = ObjectReference(
        kind="Job",
        apiVersion=JOB.api_version,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
    )
    return msgspec.structs.replace(status, active=(*status.active, ref), lastScheduleTime=rfc3339(at))


def _plan(work: _Work, jobs: Sequence[Job], job: Job | None, at: float, requeue_at: float | None) -> Plan:
    cronjob = work.cronjob
    own = {j.metadata.name: j for j in jobs}
    if job is None:
        status = _status_update(cronjob, work.status)
        return Plan(actions=(*work.actions, *status), events=work.events, requeue_at=requeue_at)
    name = job.metadata.name

    def created(outcomes: Sequence[Outcome]) -> Plan:
        outcome = outcomes[-1]
        error = outcome.error
        if error is not None and is_namespace_terminating(error):
            return NOTHING
        if error is not None and error.reason == "AlreadyExists":
            # made before the status could say so; a stranger's Job of that name blocks this time only
            made = own.get(name)
            if made is None or any(ref.uid == made.metadata.uid for ref in work.status.active):
                return Plan(actions=_status_update(cronjob, work.status), requeue_at=requeue_at)
            return Plan(actions=_status_update(cronjob, _started(work.status, made, at)), requeue_at=requeue_at)
        if error is not None:
            note = EventNote(cronjob, "Warning", "FailedCreate", f"Error creating job: {error.message}")
            return Plan(
                actions=_status_update(cronjob, work.status),
                events=(note,),
                error=error.message,
                requeue_at=requeue_at,
            )
        status = _started(work.status, outcome.obj, at)
        note = EventNote(cronjob, "Normal", "SuccessfulCreate", f"Created job {name}")
        update = _status_update(cronjob, status)
        return Plan(actions=update, events=(note,), requeue_at=requeue_at)

    actions = (*work.actions, Create(JOB, job))
    return Plan(actions=actions, on_outcomes=created, events=work.events, requeue_at=requeue_at)


def _status_update(cronjob: CronJob, status: CronJobStatus) -> tuple[Action, ...]:
    if status == cronjob.status:
        return ()
    return (Update(CRONJOB, msgspec.structs.replace(cronjob, status=status), "status"),)


def _job_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    obj = new if new is not None else old
    ref = controller_of(obj)
    if ref is None or ref.kind != "CronJob":
        return ()
    if old is not None and new is not None and ending(old) == ending(new):
        return ()
    return ((obj.metadata.namespace, ref.name),)


CONTROLLER = Controller(
    name="cronjob",
    identity="cronjob-controller",
    component="cronjob-controller",
    watches=(Watch(CRONJOB), Watch(JOB, _job_keys)),
    gather=gather,
    reconcile=reconcile,
)
