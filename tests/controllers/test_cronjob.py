"""A CronJob's steps, case by case: its Jobs and the time in; Jobs, status, events and the next look out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pelamis.api.batch.cronjob import CronJob
from pelamis.api.batch.job import Job
from pelamis.base import errors
from pelamis.base.clock import rfc3339
from pelamis.client.types import Create, Delete, Outcome
from pelamis.controllers import cronjob
from tests.api.made import of


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOON = at("2026-03-10T12:00:00")
NAME = f"c-{int(NOON) // 60}"


def declared(schedule: str = "0 * * * *", *, active: tuple[str, ...] = (), last: str = "", **spec: Any) -> Any:
    status: dict[str, Any] = {"active": [{"kind": "Job", "name": n, "uid": n} for n in active]}
    if last:
        status["lastScheduleTime"] = last
    meta = {"name": "c", "namespace": "n", "uid": "u", "creationTimestamp": "2026-03-10T11:30:00Z"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": {"containers": []}}}}
    body = {"schedule": schedule, "jobTemplate": template, "concurrencyPolicy": "Allow", **spec}
    return of(CronJob, {"metadata": meta, "spec": body, "status": status})


def job(name: str, how: str = "", start: str = "2026-03-10T11:00:00Z", done: str = "") -> Any:
    status: dict[str, Any] = {"startTime": start} if start else {}
    if how:
        status["conditions"] = [{"type": how, "status": "True"}]
    if done:
        status["completionTime"] = done
    return of(Job, {"metadata": {"name": name, "namespace": "n", "uid": name}, "spec": {}, "status": status})


def run(one: Any, jobs: list[Any], now: float) -> tuple[list[str], list[str], float | None, Any]:
    """(steps, reasons of events, next look, status written)."""
    plan = cronjob.reconcile(cronjob.World(one, jobs), now)
    actions, events, requeue_at = list(plan.actions), list(plan.events), plan.requeue_at
    if plan.on_outcomes is not None:
        made = [a.obj if isinstance(a, Create) else None for a in plan.actions]
        after = plan.on_outcomes([Outcome(1, m) for m in made])
        actions += after.actions
        events += after.events
        requeue_at = after.requeue_at
    steps, status = [], one.status
    for a in actions:
        if isinstance(a, Create):
            steps.append(f"+{a.obj.metadata.name}")
        elif isinstance(a, Delete):
            steps.append(f"-{a.name}")
        else:
            status = a.obj.status  # type: ignore[union-attr]
    return steps, [e.reason for e in events], requeue_at, status


ONE = at("2026-03-10T13:00:00")
OLD = (
    job("a", "Complete", "2026-03-10T09:00:00Z"),
    job("b", "Complete", "2026-03-10T10:00:00Z"),
    job("c", "Complete", ""),
)


@pytest.mark.parametrize(
    ("one", "jobs", "now", "steps", "reasons", "again"),
    [
        # time
        (declared(), [], NOON - 1, [], [], NOON),
        (declared(), [], NOON, [f"+{NAME}"], ["SuccessfulCreate"], ONE),
        (declared(last="2026-03-10T12:00:00Z"), [], NOON + 1, [], [], ONE),
        (declared(active=(NAME,)), [job(NAME)], NOON + 1, [], [], ONE),
        # of several missed times only the last; many of them are told of
        (declared("*/10 * * * *"), [], NOON + 1, [f"+{NAME}"], ["SuccessfulCreate"], NOON + 600),
        (
            declared("* * * * *", last="2026-03-10T10:00:00Z"),
            [],
            NOON,
            [f"+{NAME}"],
            ["TooManyMissedTimes", "SuccessfulCreate"],
            NOON + 60,
        ),
        # a deadline: in time, and too late
        (declared(startingDeadlineSeconds=60), [], NOON + 59, [f"+{NAME}"], ["SuccessfulCreate"], ONE),
        (declared(startingDeadlineSeconds=60), [], NOON + 60, [], [], ONE),
        # suspended; an unknown zone is told of all the same
        (declared(suspend=True), [], NOON, [], [], None),
        (declared(suspend=True, timeZone="Mars/Base"), [], NOON, [], ["UnknownTimeZone"], None),
        (declared("x"), [], NOON, [], ["UnparseableSchedule"], None),
        (declared("TZ=UTC 0 * * * *"), [], NOON, [f"+{NAME}"], ["UnsupportedSchedule", "SuccessfulCreate"], ONE),
        (declared("TZ=UTC x"), [], NOON, [], ["UnsupportedSchedule", "UnparseableSchedule"], None),
        # who runs already
        (declared(active=("x",)), [job("x")], NOON, [f"+{NAME}"], ["SuccessfulCreate"], ONE),
        (declared(active=("x",), concurrencyPolicy="Forbid"), [job("x")], NOON, [], ["JobAlreadyActive"], ONE),
        (
            declared(active=("x",), concurrencyPolicy="Forbid"),
            [job("x", "Failed")],
            NOON,
            [f"+{NAME}"],
            ["SawCompletedJob", "SuccessfulCreate"],
            ONE,
        ),
        (
            declared(active=("x",), concurrencyPolicy="Replace"),
            [job("x")],
            NOON,
            ["-x", f"+{NAME}"],
            ["SuccessfulDelete", "SuccessfulCreate"],
            ONE,
        ),
        # what became of the Jobs
        (declared(active=("x",)), [], NOON - 1, [], ["MissingJob"], NOON),
        (declared(), [job("x")], NOON - 1, [], ["UnexpectedJob"], NOON),
        # the oldest go first; one that never started counts as the youngest
        (declared(successfulJobsHistoryLimit=1), list(OLD), NOON - 1, ["-a", "-b"], ["SuccessfulDelete"] * 2, NOON),
        (declared(failedJobsHistoryLimit=0), [job("f", "Failed")], NOON - 1, ["-f"], ["SuccessfulDelete"], NOON),
        (declared(successfulJobsHistoryLimit=3), list(OLD), NOON - 1, [], [], NOON),
    ],
)
def test_steps(
    one: Any, jobs: list[Any], now: float, steps: list[str], reasons: list[str], again: float | None
) -> None:
    assert run(one, jobs, now)[:3] == (steps, reasons, again)


@pytest.mark.parametrize(
    ("schedule", "zone", "last", "now", "made"),
    [
        # the hour that does not exist is left out, the one that is there twice is run once
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T01:30:00Z", "2026-03-30T00:29:59", None),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T01:30:00Z", "2026-03-30T00:30:00", "2026-03-30T02:30:00+02:00"),
        ("0 9 * * *", "America/New_York", "2026-03-07T14:00:00Z", "2026-03-08T13:00:00", "2026-03-08T09:00:00-04:00"),
        ("0 9 * * *", "America/New_York", "2026-10-31T13:00:00Z", "2026-11-01T14:00:00", "2026-11-01T09:00:00-05:00"),
        ("0 12 * * *", None, "2026-03-09T12:00:00Z", "2026-03-10T12:00:00", "2026-03-10T12:00:00Z"),
    ],
)
def test_zones(schedule: str, zone: str | None, last: str, now: str, made: str | None) -> None:
    plan = cronjob.reconcile(cronjob.World(declared(schedule, timeZone=zone, last=last), []), at(now))
    found = [a.obj.metadata.annotations[cronjob.SCHEDULED] for a in plan.actions if isinstance(a, Create)]
    assert found == ([made] if made else [])


def test_status_follows_the_jobs() -> None:
    done = job("x", "Complete", done="2026-03-10T11:20:00Z")
    *_, status = run(declared(active=("x",)), [done, job("y", "Complete", done="2026-03-10T11:10:00Z")], NOON - 1)
    assert (status.active, status.lastSuccessfulTime) == ((), "2026-03-10T11:20:00Z")
    *_, status = run(declared(), [], NOON)
    assert ([r.name for r in status.active], status.lastScheduleTime) == ([NAME], rfc3339(NOON))


@pytest.mark.parametrize(
    ("own", "error", "active", "reasons", "retried"),
    [
        ([job(NAME)], errors.AlreadyExists("jobs", "batch", NAME), [NAME], [], False),
        ([], errors.AlreadyExists("jobs", "batch", NAME), None, [], False),
        ([], errors.Forbidden("jobs", "batch", NAME, "no"), None, ["FailedCreate"], True),
    ],
)
def test_refused_job(own: list[Any], error: Any, active: list[str] | None, reasons: list[str], retried: bool) -> None:
    plan = cronjob.reconcile(cronjob.World(declared(), own), NOON)
    assert plan.on_outcomes is not None
    after = plan.on_outcomes([Outcome(0, None, error)])
    written = [[r.name for r in a.obj.status.active] for a in after.actions]  # type: ignore[union-attr]
    assert written == ([active] if active is not None else [])
    assert [e.reason for e in after.events] == reasons and bool(after.error) is retried
