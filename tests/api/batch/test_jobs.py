"""Job and CronJob."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.api.batch import CRONJOB, JOB, indexes
from tests.api.made import (
    CREATED,
    POD,
    UID,
    complaints,
    completed,
    edited,
    made,
    row,
    status_complaints,
    update_complaints,
)

SPEC: dict[str, Any] = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
GOOD = {"spec": SPEC}
INDEXED = edited(edited(GOOD, "spec.completionMode", "Indexed"), "spec.completions", 5)
CRON = {"spec": {"schedule": "*/5 * * * *", "jobTemplate": GOOD}}


def test_generated_selector() -> None:
    assert complaints(JOB, GOOD) == []
    obj = made(JOB, GOOD)
    assert obj.spec.selector.matchLabels == {"batch.kubernetes.io/controller-uid": UID}
    assert obj.spec.template.metadata.labels["job-name"] == "x"
    manual = {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}}
    tree = {"spec": {**SPEC, **manual}}
    assert (
        "spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`"
        in complaints(JOB, tree)
    )


def test_defaults() -> None:
    spec = completed(JOB, GOOD)["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 6)
    assert (spec["completionMode"], spec["suspend"]) == ("NonIndexed", False)
    assert spec["podReplacementPolicy"] == "TerminatingOrFailed"
    assert completed(JOB, edited(GOOD, "spec.parallelism", 2))["spec"].get("completions") is None
    assert completed(JOB, edited(INDEXED, "spec.backoffLimitPerIndex", 1))["spec"]["backoffLimit"] == 2147483647


@pytest.mark.parametrize(
    ("base", "path", "value", "messages"),
    [
        (GOOD, "spec.template.spec.restartPolicy", ..., ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']),
        (GOOD, "spec.backoffLimit", -1, ["spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"]),
        (GOOD, "spec.backoffLimitPerIndex", 1, ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]),
        (INDEXED, "spec.completions", ..., ["spec.completions: Required value: when completion mode is Indexed"]),
        (INDEXED, "spec.parallelism", 100001, ["spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed"]),
        (INDEXED, "spec.successPolicy", {"rules": [{"succeededIndexes": "0-9"}]}, ['spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-9": error parsing succeededIndexes: too large index: "9"']),
        (
            GOOD,
            "spec.podFailurePolicy",
            {"rules": [{"action": "Ignore"}]},
            ["spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"],
        ),
        (
            GOOD,
            "spec.podFailurePolicy",
            {"rules": [{"action": "Odd", "onExitCodes": {"operator": "In", "values": [3, 0]}}]},
            [
                'spec.podFailurePolicy.rules[0].action: Unsupported value: "Odd": supported values: "Count", "FailIndex", "FailJob", "Ignore"',
                "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0]: must be ordered",
            ],
        ),
    ],
)  # fmt: skip
def test_wrong(base: Any, path: str, value: Any, messages: list[str]) -> None:
    tree = edited(base, path, value)
    if path == "spec.completions":
        tree = edited(tree, "spec.parallelism", 1)
    assert complaints(JOB, tree) == messages


def test_what_may_change() -> None:
    one = edited(GOOD, "spec.completions", 1)
    assert update_complaints(JOB, one, edited(one, "spec.parallelism", 3)) == []
    assert update_complaints(JOB, one, edited(GOOD, "spec.completions", 3)) == [
        "spec.completions: Invalid value: 3: field is immutable"
    ]
    assert update_complaints(JOB, INDEXED, edited(INDEXED, "spec.completions", 7)) == [
        "spec.completions: Invalid value: 7: can only be modified in tandem with spec.parallelism"
    ]
    both = edited(edited(INDEXED, "spec.completions", 7), "spec.parallelism", 7)
    assert update_complaints(JOB, INDEXED, both) == []
    moved = edited(GOOD, "spec.template.spec.nodeSelector", {"disk": "ssd"})
    assert [c.partition(":")[0] for c in update_complaints(JOB, GOOD, moved)] == ["spec.template"]
    suspended = edited(GOOD, "spec.suspend", True)
    assert update_complaints(JOB, suspended, edited(moved, "spec.suspend", True)) == []


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ({}, True),
        ({"startTime": CREATED}, False),
        ({"startTime": CREATED, "conditions": [{"type": "Suspended", "status": "True"}]}, True),
        ({"startTime": CREATED, "conditions": [{"type": "Suspended", "status": "True"}], "active": 1}, False),
    ],
)
def test_what_may_change_while_a_job_is_suspended(status: dict[str, Any], may: bool) -> None:
    """Where its pods run and what their containers get, once none of them is left."""

    def errors(path: str, value: Any) -> list[str]:
        new = made(JOB, edited(suspended, path, value))
        old = made(JOB, {**suspended, "status": status}, prepared=False)
        old = msgspec.structs.replace(made(JOB, suspended), status=old.status)
        return [str(e) for e in JOB.validate_update(new, old)]

    suspended = edited(GOOD, "spec.suspend", True)
    pod = "spec.template.spec"
    assert (errors(f"{pod}.containers.0.resources", {"requests": {"cpu": "2"}}) == []) is may
    assert (errors(f"{pod}.nodeSelector", {"disk": "ssd"}) == []) is may
    assert "field is immutable" in errors(f"{pod}.containers.0.image", "other")[0]


def test_status() -> None:
    done = {"conditions": [{"type": "Complete", "status": "True"}], "active": 1, "failed": 1}
    assert status_complaints(JOB, {**GOOD, "status": {"failed": 2}}, {**GOOD, "status": done}) == [
        "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        "status.completionTime: Required value: completionTime is required for Complete jobs",
        "status.active: Invalid value: 1: active>0 is invalid for finished job",
        "status.startTime: Required value: startTime is required for finished job",
        "status.failed: Invalid value: 1: cannot decrease the failed counter",
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, ["x", "Running", "0/1", "", "5m", "c", "nginx:1.19", "<none>"]),
        (
            {"startTime": CREATED, "succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}], "completionTime": "2026-01-01T00:00:30Z"},
            ["x", "Complete", "1/1", "30s", "5m", "c", "nginx:1.19", "<none>"],
        ),
    ],
)  # fmt: skip
def test_columns(status: Any, expected: list[Any]) -> None:
    assert row(JOB, {**GOOD, "status": status}) == expected


@pytest.mark.parametrize(
    ("path", "value", "messages"),
    [
        ("spec.schedule", "", ["spec.schedule: Required value"]),
        ("spec.schedule", "* *", ['spec.schedule: Invalid value: "* *": expected exactly 5 fields, found 2: [* *]']),
        ("spec.schedule", "TZ=UTC 0 0 * * *", ['spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead']),
        ("spec.timeZone", "", ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']),
        ("spec.timeZone", "No/Where", ['spec.timeZone: Invalid value: "No/Where": unknown time zone No/Where']),
        ("spec.timeZone", "Local", ['spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones']),
        ("spec.concurrencyPolicy", "Odd", ['spec.concurrencyPolicy: Unsupported value: "Odd": supported values: "Allow", "Forbid", "Replace"']),
        ("metadata.name", "n" * 53, [f'metadata.name: Invalid value: "{"n" * 53}": must be no more than 52 characters']),
        ("spec.jobTemplate.spec.manualSelector", True, ['spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"']),
        ("spec.timeZone", "Europe/Berlin", []),
    ],
)  # fmt: skip
def test_cronjob(path: str, value: Any, messages: list[str]) -> None:
    assert complaints(CRONJOB, edited(CRON, path, value)) == messages


def test_cronjob_columns() -> None:
    tree = {**CRON, "status": {"lastScheduleTime": "2026-01-01T00:04:00Z"}}
    assert row(CRONJOB, tree) == ["x", "*/5 * * * *", "<none>", "False", 0, "60s", "5m", "c", "nginx:1.19", "<none>"]


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_indexes(a: set[int], b: set[int]) -> None:
    def text(values: set[int]) -> str:
        runs: list[list[int]] = []
        for value in sorted(values):
            if runs and runs[-1][-1] == value - 1:
                runs[-1].append(value)
            else:
                runs.append([value])
        return ",".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)

    left, right = indexes.parse_intervals(text(a), 41), indexes.parse_intervals(text(b), 41)
    assert indexes.count(left) == len(a)
    assert indexes.first_common(left, right) == min(a & b, default=None)
