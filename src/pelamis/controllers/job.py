"""Job: runs pods to their end until enough have succeeded or too many have failed.

Counting must survive a crash at any point, and a pod may be deleted at any time. So each pod carries the finalizer
``batch.kubernetes.io/job-tracking``, and a pod that ended is counted in three steps: its uid is written into
``status.uncountedTerminatedPods``; its finalizer is taken off; the uid is dropped and the counter raised by one. A
listed uid whose pod has no finalizer any more is counted by whoever finds it. One reconcile takes all three steps, each
after the one before has been committed. A Job becomes Complete or Failed only when nothing is uncounted.

Keys are Jobs; a key whose name starts with ``/`` is a pod that has lost its Job and whose finalizer must go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pelamis.api.batch.job import KIND as JOB
from pelamis.api.batch.job import Job, JobCondition, JobStatus, UncountedTerminatedPods
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.client.types import Action, Key, Outcome, Patch, Update
from pelamis.reconcile import changes, jobpod
from pelamis.reconcile import jobpolicy as policy
from pelamis.reconcile.jobpod import FINALIZER
from pelamis.reconcile.ownership import candidates, claim, controller_of, owner_keys, selects
from pelamis.reconcile.plan import NOTHING, EventNote, Plan, failure
from pelamis.reconcile.podcontrol import create_pods, created_events, delete_pod, deleted_events, slow_start
from pelamis.reconcile.podstate import deletion_order, is_active, is_ready, is_terminating
from pelamis.reconcile.spec import Controller, Views, Watch

MOST_UNCOUNTED = 500
MOST_CREATES = 500
CONTROLLER_NAME = "kubernetes.io/job-controller"


@dataclass(frozen=True, slots=True)
class World:
    job: Job
    pods: Sequence[Pod]
    backoff: policy.Backoff


@dataclass(frozen=True, slots=True)
class Stray:
    """A pod with the finalizer whose Job is gone."""

    pod: Pod


def gather(views: Views, key: Key) -> World | Stray | None:
    namespace, name = key
    if name.startswith("/"):
        pod: Pod | None = views(POD).get(namespace, name[1:])
        if pod is None or FINALIZER not in pod.metadata.finalizers or _job_of(views, pod) is not None:
            return None
        return Stray(pod)
    job: Job | None = views(JOB).get(namespace, name)
    if job is None or (job.spec.managedBy or CONTROLLER_NAME) != CONTROLLER_NAME:
        return None
    selector = job.spec.selector
    pods = candidates(views, POD, job, lambda labels: selects(selector, labels))
    return World(job, pods, views.memo(key) or policy.Backoff())


def _job_of(views: Views, pod: Pod) -> Job | None:
    ref = controller_of(pod)
    if ref is None or ref.kind != "Job":
        return None
    job: Job | None = views(JOB).get(pod.metadata.namespace, ref.name)
    return job if job is not None and job.metadata.uid == ref.uid else None


def condition(status: JobStatus, type: str) -> JobCondition | None:
    return next((c for c in status.conditions if c.type == type and c.status == "True"), None)


def is_finished(job: Job) -> bool:
    return condition(job.status, "Complete") is not None or condition(job.status, "Failed") is not None


def replaces_failed_only(job: Job) -> bool:
    """A terminating pod is replaced when it has ended, not when its deletion begins."""
    return job.spec.podReplacementPolicy == "Failed" or job.spec.podFailurePolicy is not None


def has_failed(job: Job, pod: Pod) -> bool:
    if pod.status.phase == "Failed":
        return True
    if replaces_failed_only(job):
        return False
    return pod.metadata.deletionTimestamp is not None and pod.status.phase != "Succeeded"


@dataclass(slots=True)
class _Work:
    job: Job
    now: float
    status: JobStatus
    pods: Sequence[Pod]
    active: list[Pod]
    backoff: policy.Backoff
    verdict: JobCondition | None = None
    """How the Job is going to end: FailureTarget or SuccessCriteriaMet."""
    events: list[EventNote] = field(default_factory=list)
    create: list[Pod] = field(default_factory=list)
    delete: list[Pod] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    failed_indexes: set[int] | None = None
    succeeded_indexes: set[int] = field(default_factory=set)


def reconcile(world: Any, now: float) -> Plan:
    if isinstance(world, Stray):
        return Plan(actions=(_untrack(world.pod),))
    job = world.job
    pods, claims = claim(
        POD,
        world.pods,
        job,
        JOB,
        lambda labels: selects(job.spec.selector, labels),
        finalizers=(FINALIZER,),
    )
    if job.metadata.deletionTimestamp is not None:
        # its pods go with it; they need not be counted any more
        strays = [p for p in pods if FINALIZER in p.metadata.finalizers and p.metadata.deletionTimestamp is not None]
        return Plan(actions=tuple(_untrack(p) for p in strays))
    if is_finished(job):
        left = [p for p in pods if FINALIZER in p.metadata.finalizers]
        return Plan(actions=tuple(_untrack(p) for p in left), memo=None) if left else Plan(memo=None)
    if claims:
        return Plan(actions=claims)
    status = job.status
    if status.uncountedTerminatedPods is None:
        status = msgspec.structs.replace(status, uncountedTerminatedPods=UncountedTerminatedPods())
    active = [p for p in pods if is_active(p)]
    work = _Work(job, now, status, pods, active, world.backoff)
    _start(work)
    _count(work)
    _judge(work)
    if work.verdict is not None:
        work.delete = list(work.active)
    else:
        _manage(work)
    _suspension(work)
    return _plan(work, job)


def _start(work: _Work) -> None:
    if not work.job.spec.suspend and work.status.startTime is None:
        work.status = msgspec.structs.replace(work.status, startTime=rfc3339(work.now))


# Counting


def _tracked(pod: Pod) -> bool:
    return FINALIZER in pod.metadata.finalizers


def settled(status: JobStatus, tracked: set[str]) -> JobStatus:
    """Count the uids whose pods have no finalizer any more."""
    uncounted = status.uncountedTerminatedPods or UncountedTerminatedPods()
    good = tuple(u for u in uncounted.succeeded if u in tracked)
    bad = tuple(u for u in uncounted.failed if u in tracked)
    return msgspec.structs.replace(
        status,
        succeeded=status.succeeded + len(uncounted.succeeded) - len(good),
        failed=status.failed + len(uncounted.failed) - len(bad),
        uncountedTerminatedPods=msgspec.structs.replace(uncounted, succeeded=good, failed=bad),
    )


def _count(work: _Work) -> None:
    job = work.job
    indexed = policy.is_indexed(job)
    completions = job.spec.completions or 0
    work.status = settled(work.status, {p.metadata.uid for p in work.pods if _tracked(p)})
    uncounted = work.status.uncountedTerminatedPods
    assert uncounted is not None
    good, bad = list(uncounted.succeeded), list(uncounted.failed)
    known = {*good, *bad}
    done = policy.parse_indexes(work.status.completedIndexes) if indexed else set()
    before = set(done)
    ok_times: list[float] = []
    bad_times: list[float] = []
    for pod in work.pods:
        uid = pod.metadata.uid
        if not _tracked(pod) or uid in known or len(good) + len(bad) >= MOST_UNCOUNTED:
            continue
        if pod.status.phase == "Succeeded":
            ok_times.append(policy.finished_at(pod) or work.now)
            if not indexed:
                good.append(uid)
            else:
                index = policy.index_of(pod)
                if index is not None and index < completions:
                    done.add(index)
        elif has_failed(job, pod):
            verdict = policy.judge_failure(job, pod) if pod.status.phase == "Failed" else policy.Verdict("Count")
            if verdict.action == "FailJob" and work.verdict is None:
                work.verdict = _condition("FailureTarget", "PodFailurePolicy", verdict.message, work.now)
            bad_times.append(policy.finished_at(pod) or work.now)  # what is ignored does not count, but delays too
            if verdict.action == "Ignore":
                work.ignored.add(uid)
            else:
                bad.append(uid)
    work.backoff = work.backoff.after(ok_times, bad_times)
    work.succeeded_indexes = done
    work.status = msgspec.structs.replace(
        work.status,
        uncountedTerminatedPods=msgspec.structs.replace(uncounted, succeeded=tuple(good), failed=tuple(bad)),
    )
    if indexed:
        work.status = msgspec.structs.replace(
            work.status,
            completedIndexes=policy.format_indexes(done),
            succeeded=len(done) if done != before else work.status.succeeded,
        )
        if job.spec.backoffLimitPerIndex is not None:
            _fail_indexes(work, job.spec.backoffLimitPerIndex)


def _fail_indexes(work: _Work, limit: int) -> None:
    failed = policy.parse_indexes(work.status.failedIndexes or "")
    for pod in work.pods:
        index = policy.index_of(pod)
        if index is None or index in work.succeeded_indexes or not has_failed(work.job, pod):
            continue
        verdict = policy.judge_failure(work.job, pod) if pod.status.phase == "Failed" else policy.Verdict("Count")
        if verdict.action == "FailIndex" or (verdict.action != "Ignore" and jobpod.failures(pod) >= limit):
            failed.add(index)
    work.failed_indexes = failed - work.succeeded_indexes
    work.status = msgspec.structs.replace(work.status, failedIndexes=policy.format_indexes(work.failed_indexes))


def _totals(work: _Work) -> tuple[int, int]:
    """(succeeded, failed), with what is not counted yet."""
    uncounted = work.status.uncountedTerminatedPods or UncountedTerminatedPods()
    return work.status.succeeded + len(uncounted.succeeded), work.status.failed + len(uncounted.failed)


# How it ends


def _condition(type: str, reason: str, message: str, now: float, status: str = "True") -> JobCondition:
    at = rfc3339(now)
    return JobCondition(
        type=type, status=status, lastProbeTime=at, lastTransitionTime=at, reason=reason, message=message
    )


def _judge(work: _Work) -> None:
    job, now = work.job, work.now
    spec = job.spec
    succeeded, failed = _totals(work)
    decided = condition(work.status, "FailureTarget") or condition(work.status, "SuccessCriteriaMet")
    if decided is not None:
        work.verdict = decided
        return

    def target(reason: str, message: str) -> None:
        if work.verdict is None:
            work.verdict = _condition("FailureTarget", reason, message, now)

    limit = 6 if spec.backoffLimit is None else spec.backoffLimit
    if failed > limit or _restarts_exceed(work, limit):
        target("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if spec.activeDeadlineSeconds is not None and not spec.suspend and work.status.startTime is not None:
        ends = parse_rfc3339(work.status.startTime) + spec.activeDeadlineSeconds
        if now >= ends:
            target("DeadlineExceeded", "Job was active longer than specified deadline")
        else:
            work.again.append(ends)
    completions = spec.completions
    if work.failed_indexes is not None:
        most = spec.maxFailedIndexes
        if most is not None and len(work.failed_indexes) > most:
            target("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes")
        elif work.failed_indexes and len(work.failed_indexes | work.succeeded_indexes) >= (completions or 0):
            target("FailedIndexes", "Job has failed indexes")
    if work.verdict is not None:
        return
    if spec.successPolicy is not None and policy.is_indexed(job):
        message = policy.matched_success(spec.successPolicy.rules, work.succeeded_indexes)
        if message:
            work.verdict = _condition("SuccessCriteriaMet", "SuccessPolicy", message, now)
            return
    if completions is None:
        complete = succeeded > 0 and not work.active
    else:
        complete = succeeded >= completions and not spec.suspend
        if succeeded > completions:
            message = "Too many succeeded pods running after completion count reached"
            work.events.append(EventNote(job, "Warning", "TooManySucceededPods", message))
    if complete:
        work.verdict = _condition(
            "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods", now
        )


def _restarts_exceed(work: _Work, limit: int) -> bool:
    if work.job.spec.template.spec.restartPolicy != "OnFailure":
        return False
    count = sum(
        s.restartCount
        for p in work.pods
        if p.status.phase in ("Running", "Pending")
        for s in (*p.status.initContainerStatuses, *p.status.containerStatuses)
    )
    return count > 0 if limit == 0 else count >= limit


# Which pods to run


def _manage(work: _Work) -> None:
    job = work.job
    spec = job.spec
    if spec.suspend:
        work.delete = list(work.active)
        return
    parallelism = 1 if spec.parallelism is None else spec.parallelism
    succeeded, _ = _totals(work)
    if spec.completions is None:
        wanted = len(work.active) if succeeded > 0 else parallelism
    else:
        remaining = spec.completions - succeeded
        if work.failed_indexes is not None:
            remaining -= len(work.failed_indexes)
        wanted = max(0, min(remaining, parallelism))
    surplus = max(0, len(work.active) - wanted)
    doomed = _surplus(work, surplus)
    if doomed:
        work.delete = doomed[:MOST_CREATES]
        return
    terminating = sum(is_terminating(p) for p in work.pods) if replaces_failed_only(job) else 0
    missing = min(wanted - terminating - len(work.active), MOST_CREATES)
    if missing <= 0:
        return
    if work.failed_indexes is None and (until := work.backoff.until()) > work.now:
        work.again.append(until)
        return
    if not policy.is_indexed(job):
        work.create = [jobpod.of(job)] * missing
        return
    for index, failures, ignored in _pending(work, missing):
        work.create.append(jobpod.of(job, index, failures, ignored))


def _surplus(work: _Work, count: int) -> list[Pod]:
    """Pods of a second copy of an index or beyond the last one, then as many others as there are too many."""
    out: list[Pod] = []
    left = list(work.active)
    if policy.is_indexed(work.job):
        seen: set[int] = set()
        left = []
        for pod in sorted(work.active, key=lambda p: (not is_ready(p), p.metadata.creationTimestamp)):
            index = policy.index_of(pod)
            beyond = index is None or index >= (work.job.spec.completions or 0)
            if index is None or beyond or index in seen or index in work.succeeded_indexes:
                out.append(pod)
            else:
                seen.add(index)
                left.append(pod)
    return [*out, *deletion_order(left, {}, work.now)[: max(0, count - len(out))]]


def _pending(work: _Work, count: int) -> list[tuple[int, int, int]]:
    """The lowest indexes that have neither succeeded, failed for good, nor a pod; with their failures so far.

    Failures that count, and those that the pod failure policy ignores.
    """
    job = work.job
    busy = {policy.index_of(p) for p in work.active}
    if replaces_failed_only(job):
        busy |= {policy.index_of(p) for p in work.pods if is_terminating(p)}
    last: dict[int, Pod] = {}
    for pod in work.pods:
        index = policy.index_of(pod)
        if index is None or not has_failed(job, pod):
            continue
        if index not in last or jobpod.all_failures(pod) >= jobpod.all_failures(last[index]):
            last[index] = pod
    out: list[tuple[int, int, int]] = []
    for index in range(job.spec.completions or 0):
        if len(out) == count:
            break
        if index in busy or index in work.succeeded_indexes or index in (work.failed_indexes or ()):
            continue
        failures = ignored = 0
        if index in last and work.failed_indexes is not None:
            pod = last[index]
            counts = pod.status.phase != "Failed" or policy.judge_failure(job, pod).action != "Ignore"
            failures = jobpod.failures(pod) + counts
            ignored = jobpod.failures(pod, jobpod.INDEX_IGNORED) + (not counts)
            since = policy.finished_at(pod) or work.now
            until = policy.Backoff(failures + ignored, since).until()
            if until > work.now:
                work.again.append(until)
                continue
        out.append((index, failures, ignored))
    return out


def _suspension(work: _Work) -> None:
    job, now = work.job, work.now
    if work.verdict is not None:
        return
    current = next((c for c in work.status.conditions if c.type == "Suspended"), None)
    suspended = current is not None and current.status == "True"
    if job.spec.suspend and not suspended:
        made = _condition("Suspended", "JobSuspended", "Job suspended", now)
        work.events.append(EventNote(job, "Normal", "Suspended", "Job suspended"))
        work.status = msgspec.structs.replace(work.status, startTime=None)
    elif not job.spec.suspend and suspended:
        made = _condition("Suspended", "JobResumed", "Job resumed", now, "False")
        work.events.append(EventNote(job, "Normal", "Resumed", "Job resumed"))
        work.status = msgspec.structs.replace(work.status, startTime=rfc3339(now))
    else:
        return
    others = tuple(c for c in work.status.conditions if c.type != "Suspended")
    work.status = msgspec.structs.replace(work.status, conditions=(*others, made))


# The plan


def _untrack(pod: Pod) -> Patch:
    body = {"metadata": {"uid": pod.metadata.uid, "$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
    return Patch(POD, pod.metadata.namespace, pod.metadata.name, body, "strategic")


def _with(status: JobStatus, *conditions: JobCondition) -> JobStatus:
    types = {c.type for c in conditions}
    return msgspec.structs.replace(
        status, conditions=(*(c for c in status.conditions if c.type not in types), *conditions)
    )


def _status_update(job: Job, status: JobStatus) -> tuple[Action, ...]:
    if status == job.status:
        return ()
    return (Update(JOB, msgspec.structs.replace(job, status=status), "status"),)


def _plan(work: _Work, job: Job) -> Plan:
    """First creates, deletes and the status with all new uids; then finalizers; then the counts."""
    status = msgspec.structs.replace(
        work.status,
        active=len(work.active) - len(work.delete),
        ready=sum(is_ready(p) for p in work.active if p not in work.delete),
        terminating=sum(is_terminating(p) for p in work.pods) + len(work.delete),
    )
    if work.verdict is not None and condition(status, work.verdict.type) is None:
        status = _with(status, work.verdict)
    update = _status_update(job, status)
    deletes = [delete_pod(p) for p in work.delete]
    # pods that are merely too many are not counted as failed
    untracks = [_untrack(p) for p in work.delete if work.verdict is None and _tracked(p)]
    extra = (*deletes, *untracks, *update)
    requeue_at = min(work.again) if work.again else None
    memo = work.backoff if work.backoff != policy.Backoff() else None

    def counted(outcomes: Sequence[Outcome], rest: Sequence[Outcome]) -> Plan:
        made, error = created_events(job, outcomes)
        gone, refused = deleted_events(job, work.delete, rest[: len(deletes)])
        problem = error or refused
        if update and rest[-1].error is not None:
            return Plan(events=(*made, *gone), error=rest[-1].error.message, memo=memo)
        base = rest[-1].obj if update else job
        active = status.active + sum(o.error is None for o in outcomes)
        following = _untracking(work, base, active)
        return Plan(
            actions=following.actions,
            on_outcomes=following.on_outcomes,
            events=(*work.events, *made, *gone, *following.events),
            error=following.error or ("" if problem is None else problem.message),
            requeue_at=requeue_at,
            memo=memo,
        )

    return slow_start(create_pods(work.create), extra, counted)


def _untracking(work: _Work, job: Job, active: int) -> Plan:
    """Take finalizers off the pods that the stored status knows, then count them."""
    uncounted = job.status.uncountedTerminatedPods or UncountedTerminatedPods()
    known = {*uncounted.succeeded, *uncounted.failed}
    indexed = policy.is_indexed(work.job)
    ready = [
        p
        for p in work.pods
        if _tracked(p)
        and (
            p.metadata.uid in known
            or p.metadata.uid in work.ignored
            or (indexed and p.status.phase == "Succeeded")
            or (work.verdict is not None and has_failed(work.job, p))
        )
    ]
    if not ready:
        return _ending(work, job, job.status, active, left=False)
    actions = tuple(_untrack(p) for p in ready)

    def done(outcomes: Sequence[Outcome]) -> Plan:
        gone = {
            p.metadata.uid
            for p, o in zip(ready, outcomes, strict=True)
            if o.error is None or o.error.reason == "NotFound"
        }
        tracked = {p.metadata.uid for p in work.pods if _tracked(p)} - gone
        status = settled(job.status, tracked)
        plan = _ending(work, job, status, active, left=len(gone) < len(ready))
        error = failure(actions, outcomes)
        if error is not None and error.reason != "NotFound":
            return Plan(actions=plan.actions, on_outcomes=plan.on_outcomes, events=plan.events, error=error.message)
        return plan

    return Plan(actions=actions, on_outcomes=done)


def _ending(work: _Work, job: Job, status: JobStatus, active: int, *, left: bool) -> Plan:
    """The final condition, once no pod is running or uncounted."""
    events: list[EventNote] = []
    uncounted = status.uncountedTerminatedPods or UncountedTerminatedPods()
    running = [p for p in work.pods if p.status.phase not in ("Succeeded", "Failed")]
    verdict = work.verdict
    if verdict is not None and not left and not active and not running and not uncounted.succeeded + uncounted.failed:
        now = work.now
        if verdict.type == "FailureTarget":
            final = _condition("Failed", verdict.reason, verdict.message, now)
            events.append(EventNote(work.job, "Warning", verdict.reason, verdict.message))
        else:
            final = _condition("Complete", verdict.reason, verdict.message, now)
            status = msgspec.structs.replace(status, completionTime=rfc3339(now))
            events.append(EventNote(work.job, "Normal", "Completed", "Job completed"))
        status = _with(status, final)
        status = msgspec.structs.replace(status, active=0, ready=0, terminating=0)
    update = _status_update(job, status)
    if not update:
        return NOTHING

    def done(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        return Plan(error=error.message) if error is not None else Plan(events=events)

    return Plan(actions=update, on_outcomes=done)


_of_owner = owner_keys(JOB, lambda owner, labels: selects(owner.spec.selector, labels))


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    keys: Sequence[Key] = _of_owner(views, old, new)
    if new is not None and FINALIZER in new.metadata.finalizers and _job_of(views, new) is None:
        return (*keys, (new.metadata.namespace, f"/{new.metadata.name}"))
    return keys


def _job_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    if new is not None:
        return ((new.metadata.namespace, new.metadata.name),)
    meta = old.metadata
    pods = views(POD).by_index("owner", meta.uid)
    return ((meta.namespace, meta.name), *((p.metadata.namespace, f"/{p.metadata.name}") for p in pods))


CONTROLLER = Controller(
    name="job",
    identity="job-controller",
    component="job-controller",
    watches=(Watch(JOB, _job_keys), Watch(POD, _pod_keys, (changes.OF_JOB | changes.ORPHAN | changes.FINALIZERS,))),
    gather=gather,
    reconcile=reconcile,
)
