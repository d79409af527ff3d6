"""Why a Job does not complete, and why a CronJob does not start one."""

from __future__ import annotations

from typing import Any

from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.why.cause import Advice, Cause, grouped
from pelamis.why.pod import why_pod
from pelamis.why.workload import EXAMINED, condition, why_not_created, why_pods
from pelamis.why.world import World

_REASONS = {
    "BackoffLimitExceeded": "its pods failed more often than spec.backoffLimit allows",
    "DeadlineExceeded": "it ran longer than spec.activeDeadlineSeconds",
    "PodFailurePolicy": "a pod failed in a way that its podFailurePolicy says fails the Job",
    "FailedIndexes": "indexes of it failed",
    "MaxFailedIndexesExceeded": "more indexes of it failed than spec.maxFailedIndexes allows",
}


def why_job(world: World, job: Any) -> Cause:
    meta, spec, status = job.metadata, job.spec, job.status
    about = f"job/{meta.name}"
    complete, failed = condition(job, "Complete"), condition(job, "Failed")
    wanted = spec.completions if spec.completions is not None else 1
    if complete is not None and complete.status == "True":
        return Cause(about, f"has completed: {status.succeeded} of {wanted} pods succeeded", True)
    if failed is not None and failed.status == "True":
        text = f"has failed: {_REASONS.get(failed.reason, failed.message) or failed.reason} ({failed.reason})"
        get = f"kubectl get job {meta.name} -n {meta.namespace} -o yaml > job.yaml"
        again = f"{get}  # then edit it, and:\nkubectl replace --force -f job.yaml"
        advice = Advice("a failed Job is not tried again: correct it and make it anew", again)
        said = (failed.message,) if failed.message and failed.reason in _REASONS else ()
        return Cause(about, text, facts=said, advice=(advice,), deeper=_failures(world, job))
    if spec.managedBy and spec.managedBy != "kubernetes.io/job-controller":
        return Cause(about, f"is managed by {spec.managedBy}, which is not part of the cluster: ask it")
    if spec.suspend:
        resume = f'kubectl patch job {meta.name} -n {meta.namespace} -p \'{{"spec":{{"suspend":false}}}}\''
        return Cause(about, "is suspended: it has no pods", advice=(Advice("let it run", resume),))
    text = f"{status.succeeded} of {wanted} pods have succeeded"
    if status.active:
        text += f", {status.active} run"
    facts: list[str] = []
    if status.failed:
        limit = spec.backoffLimit if spec.backoffLimit is not None else 6
        facts.append(f"{status.failed} pods have failed; it gives up after {limit + 1}, and waits longer after each")
    pods = [p for p in world.owned(POD, job) if p.status.phase not in ("Succeeded", "Failed")]
    deeper = why_pods(world, pods) or (_failures(world, job) if status.failed else ())
    if not pods and not deeper:
        deeper = why_not_created(world, JOB, job)
    return Cause(about, text, bool(status.active and not status.failed and not deeper), tuple(facts), (), deeper)


def _failures(world: World, job: Any) -> tuple[Cause, ...]:
    failed = [p for p in world.owned(POD, job) if p.status.phase == "Failed"]
    failed.sort(key=lambda p: p.metadata.creationTimestamp, reverse=True)
    return grouped(why_pod(world, p) for p in failed[:EXAMINED])


def why_cronjob(world: World, cronjob: Any) -> Cause:
    meta, spec, status = cronjob.metadata, cronjob.spec, cronjob.status
    about = f"cronjob/{meta.name}"
    zone = f" in {spec.timeZone}" if spec.timeZone else ""
    facts = [f'its schedule is "{spec.schedule}"{zone}']
    if status.lastScheduleTime:
        facts.append(f"it last started a Job {world.ago(status.lastScheduleTime)} ago")
    jobs = sorted(world.owned(JOB, cronjob), key=lambda j: str(j.metadata.creationTimestamp), reverse=True)
    if spec.suspend:
        resume = f'kubectl patch cronjob {meta.name} -n {meta.namespace} -p \'{{"spec":{{"suspend":false}}}}\''
        return Cause(about, "is suspended", facts=tuple(facts), advice=(Advice("let it run", resume),))
    events = world.events(CRONJOB, cronjob, warnings=True)
    active = [
        j for j in jobs if not any(c.status == "True" and c.type in ("Complete", "Failed") for c in j.status.conditions)
    ]
    if active and spec.concurrencyPolicy == "Forbid":
        facts.append(f"no further Job starts while {active[0].metadata.name} runs (concurrencyPolicy Forbid)")
    last = why_job(world, jobs[0]) if jobs else None
    if events:
        event = events[0]
        advice: tuple[Advice, ...] = ()
        if event.reason in ("TooManyMissedTimes", "MissSchedule"):
            advice = (Advice("set spec.startingDeadlineSeconds, so that older times are not counted"),)
        return Cause(
            about, f"{event.reason}: {event.message}", facts=tuple(facts), advice=advice, deeper=(last,) if last else ()
        )
    if last is not None and not last.ok:
        return Cause(about, "its last Job is not well", facts=tuple(facts), deeper=(last,))
    text = "has had no time to start a Job yet" if not jobs else "starts its Jobs"
    return Cause(about, text, True, tuple(facts))
