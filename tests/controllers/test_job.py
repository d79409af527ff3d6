"""A Job's steps, case by case: pods in; pods to make and to delete, conditions and counts out."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.batch.job import KIND as JOB
from pelamis.api.batch.job import Job
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.base.clock import rfc3339
from pelamis.client.types import Create, Delete, Outcome, Patch, Update
from pelamis.controllers import job as jobs
from pelamis.reconcile.jobpod import FINALIZER
from pelamis.reconcile.jobpolicy import Backoff
from tests.api.made import of

NOW = 1_700_000_000.0
UIDS = {"controller-uid": "u"}


def declared(status: dict[str, Any] | None = None, **spec: Any) -> Any:
    template: dict[str, Any] = {
        "metadata": {"labels": UIDS},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]},
    }
    body = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "selector": {"matchLabels": UIDS}, **spec}
    template["spec"].update(body.pop("pod", {}))
    meta = {"name": "work", "namespace": "n", "uid": "u", "generation": 1}
    started = {"startTime": rfc3339(NOW - 100)}
    return of(Job, {"metadata": meta, "spec": {**body, "template": template}, "status": {**started, **(status or {})}})


def pod(name: str, phase: str = "Running", *, index: int | None = None, code: int = 1, **more: Any) -> Any:
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "n",
        "uid": name,
        "labels": UIDS,
        "finalizers": [FINALIZER] if more.get("tracked", True) else [],
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "work", "uid": "u", "controller": True}],
    }
    if index is not None:
        meta["annotations"] = {"batch.kubernetes.io/job-completion-index": str(index), **more.get("annotations", {})}
    if more.get("leaving"):
        meta["deletionTimestamp"] = rfc3339(NOW)
    status: dict[str, Any] = {"phase": phase, "conditions": more.get("conditions", [])}
    if phase in ("Failed", "Succeeded"):
        ended = {"exitCode": code if phase == "Failed" else 0, "finishedAt": rfc3339(NOW - more.get("ago", 60))}
        status["containerStatuses"] = [
            {"name": "c", "ready": False, "restartCount": 0, "image": "", "imageID": "", "state": {"terminated": ended}}
        ]
    return of(Pod, {"metadata": meta, "spec": {"containers": []}, "status": status})


def run(one: Any, pods: list[Any], backoff: Backoff | None = None) -> tuple[list[str], Any]:
    """What is done to pods, and the last status that is written; every write succeeds."""
    plan = jobs.reconcile(jobs.World(one, pods, backoff or Backoff()), NOW)
    done: list[str] = []
    last = one
    todo = [plan]
    while todo:
        plan = todo.pop()
        outcomes = []
        for action in plan.actions:
            obj: Any = None
            if isinstance(action, Create) and action.kind is POD:
                index = action.obj.metadata.annotations.get("batch.kubernetes.io/job-completion-index", "")
                done.append(f"+{index}")
                obj = action.obj
            elif isinstance(action, Delete):
                done.append(f"-{action.name}")
            elif isinstance(action, Patch) and action.kind is POD:
                done.append(f"~{action.name}")
            elif isinstance(action, Update) and action.kind is JOB:
                obj = last = action.obj
            outcomes.append(Outcome(1, obj))
        if plan.on_outcomes is not None:
            todo.append(plan.on_outcomes(outcomes))
    return done, last.status


def conditions(status: Any) -> list[str]:
    return [f"{c.type}:{c.reason}" for c in status.conditions if c.status == "True"]


INDEXED = {"completionMode": "Indexed", "completions": 3, "parallelism": 2}
IGNORE = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
FAIL = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]
HAPPY = ["SuccessCriteriaMet:CompletionsReached", "Complete:CompletionsReached"]


@pytest.mark.parametrize(
    ("one", "pods", "does", "said"),
    [
        (declared(), [], ["+"], []),
        (declared(), [pod("a")], [], []),
        (declared(), [pod("a", "Succeeded")], ["~a"], HAPPY),
        (declared(), [pod("a", "Failed")], ["+", "~a"], []),
        (
            declared(backoffLimit=0),
            [pod("a", "Failed")],
            ["~a"],
            ["FailureTarget:BackoffLimitExceeded", "Failed:BackoffLimitExceeded"],
        ),
        (declared(parallelism=2, completions=5), [pod("a"), pod("b", "Succeeded")], ["+", "~b"], []),
        (declared(parallelism=1, completions=5), [pod("a"), pod("b")], ["-a", "~a"], []),
        (declared(completions=None, parallelism=2), [pod("a"), pod("b", "Succeeded")], ["~b"], []),
        (
            declared(completions=None, parallelism=2),
            [pod("a", "Succeeded"), pod("b", "Succeeded")],
            ["~a", "~b"],
            HAPPY,
        ),
        (declared(completions=0), [], [], HAPPY),
        # time and suspension
        (declared(activeDeadlineSeconds=50), [pod("a")], ["-a"], ["FailureTarget:DeadlineExceeded"]),
        (declared(activeDeadlineSeconds=500), [pod("a")], [], []),
        (declared(suspend=True), [pod("a")], ["-a", "~a"], ["Suspended:JobSuspended"]),
        # what does not count, and what ends it at once
        (
            declared(podFailurePolicy=IGNORE, backoffLimit=0),
            [pod("a", "Failed", conditions=DISRUPTED)],
            ["+", "~a"],
            [],
        ),
        (
            declared(podFailurePolicy=FAIL),
            [pod("a", "Failed", code=42)],
            ["~a"],
            ["FailureTarget:PodFailurePolicy", "Failed:PodFailurePolicy"],
        ),
        (declared(podFailurePolicy=FAIL), [pod("a", "Failed", code=1)], ["+", "~a"], []),
        (declared(podReplacementPolicy="Failed"), [pod("a", leaving=True)], [], []),
        (declared(), [pod("a", leaving=True)], ["~a"], []),  # it failed just now
        # indexes
        (declared(**INDEXED), [], ["+0", "+1"], []),
        (declared(**INDEXED), [pod("a", index=0), pod("b", "Succeeded", index=1)], ["+2", "~b"], []),
        (declared(**INDEXED), [pod("a", index=0), pod("a2", index=0), pod("b", index=1)], ["-a2", "~a2"], []),
        (
            declared({"completedIndexes": "0,2", "succeeded": 2}, **INDEXED),
            [pod("b", "Succeeded", index=1)],
            ["~b"],
            HAPPY,
        ),
        (
            declared(backoffLimitPerIndex=0, **INDEXED),
            [pod("a", "Failed", index=0), pod("b", index=1)],
            ["+2", "~a"],
            [],
        ),
        (
            declared({"completedIndexes": "1,2", "succeeded": 2}, backoffLimitPerIndex=0, **INDEXED),
            [pod("a", "Failed", index=0)],
            ["~a"],
            ["FailureTarget:FailedIndexes", "Failed:FailedIndexes"],
        ),
        (
            declared(backoffLimitPerIndex=0, maxFailedIndexes=0, **INDEXED),
            [pod("a", "Failed", index=0)],
            ["~a"],
            ["FailureTarget:MaxFailedIndexesExceeded", "Failed:MaxFailedIndexesExceeded"],
        ),
        (
            declared(successPolicy={"rules": [{"succeededIndexes": "0"}]}, **INDEXED),
            [pod("a", "Succeeded", index=0), pod("b", index=1)],
            ["-b", "~a"],
            ["SuccessCriteriaMet:SuccessPolicy"],
        ),
    ],
)
def test_steps(one: Any, pods: list[Any], does: list[str], said: list[str]) -> None:
    done, status = run(one, pods)
    assert done == does
    assert conditions(status) == said


def test_a_pod_is_counted_once_whatever_was_written_before() -> None:
    """After a crash between the steps: listed and untracked, listed and tracked, not listed."""
    listed = {"uncountedTerminatedPods": {"succeeded": ["a", "b"]}, "succeeded": 1}
    one = declared(listed, completions=5, parallelism=1)
    pods = [
        pod("a", "Succeeded", tracked=False),
        pod("b", "Succeeded"),
        pod("c", "Succeeded"),
    ]
    done, status = run(one, pods)
    assert done == ["+", "~b", "~c"]
    assert status.succeeded == 4
    assert not status.uncountedTerminatedPods.succeeded


def test_a_job_backs_off() -> None:
    done, status = run(declared(), [pod("a", "Failed", ago=5)])
    assert done == ["~a"]
    assert status.failed == 1
    assert run(declared({"failed": 1}), [], Backoff(1, NOW - 11))[0] == ["+"]
    assert run(declared({"failed": 2}), [], Backoff(2, NOW - 11))[0] == []


FAILED = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


@pytest.mark.parametrize(
    ("before", "conditions", "expected"),
    [
        ({FAILED: "0"}, [], {FAILED: "1"}),
        ({FAILED: "0"}, DISRUPTED, {FAILED: "0", IGNORED: "1"}),
        ({FAILED: "2", IGNORED: "1"}, DISRUPTED, {FAILED: "2", IGNORED: "2"}),
        ({FAILED: "2", IGNORED: "1"}, [], {FAILED: "3", IGNORED: "1"}),
    ],
)
@pytest.mark.parametrize("tracked", [True, False])
def test_the_next_pod_of_an_index_knows_the_failures_before_it(
    before: dict[str, str], conditions: Any, expected: dict[str, str], tracked: bool
) -> None:
    one = declared(backoffLimitPerIndex=9, podFailurePolicy=IGNORE, **{**INDEXED, "completions": 1})
    last = pod("a", "Failed", index=0, annotations=before, conditions=conditions, ago=3600, tracked=tracked)
    plan: Any = jobs.reconcile(jobs.World(one, [last], Backoff()), NOW)
    made: list[Any] = []
    while plan is not None:
        made += [a.obj for a in plan.actions if isinstance(a, Create)]
        outcomes = [Outcome(1, getattr(a, "obj", None)) for a in plan.actions]
        plan = plan.on_outcomes(outcomes) if plan.on_outcomes is not None else None
    (again,) = made
    assert {k: v for k, v in again.metadata.annotations.items() if k in (FAILED, IGNORED)} == expected


def test_ignored_failures_of_an_index_back_off_too() -> None:
    one = declared(backoffLimitPerIndex=9, podFailurePolicy=IGNORE, **{**INDEXED, "completions": 1})
    last = pod("a", "Failed", index=0, annotations={IGNORED: "2"}, conditions=DISRUPTED, ago=30, tracked=False)
    plan = jobs.reconcile(jobs.World(one, [last], Backoff()), NOW)
    assert not any(isinstance(a, Create) for a in plan.actions)


def test_ignored_failures_delay_the_next_pod_too() -> None:
    policy = {"podFailurePolicy": IGNORE}
    done, status = run(declared(**policy), [pod("a", "Failed", conditions=DISRUPTED, ago=5)])
    assert (done, status.failed) == (["~a"], 0)
    assert run(declared(**policy), [pod("a", "Failed", conditions=DISRUPTED, ago=11)])[0] == ["+", "~a"]
