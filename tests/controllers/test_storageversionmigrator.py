"""What the storage version migrator does about one migration, case by case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.storagemigration.storageversionmigration import StorageVersionMigration
from pelamis.base.clock import rfc3339
from pelamis.base.errors import Conflict, Forbidden, Internal, NotFound, StatusError
from pelamis.client.types import Outcome, Patch, Update
from pelamis.controllers.storageversionmigrator import BATCH, Progress, World, reconcile

NOW = 1_700_000_000.0


def migration(rev: str = "50", age_s: float = 5.0, resource: str = "configmaps") -> StorageVersionMigration:
    mark = {"type": "Running", "status": "True", "lastTransitionTime": rfc3339(NOW), "reason": "r", "message": ""}
    tree = {
        "metadata": {"name": "m", "uid": "u", "creationTimestamp": rfc3339(NOW - age_s)},
        "spec": {"resource": {"resource": resource}},
        "status": {"resourceVersion": rev, "conditions": [mark]},
    }
    return msgspec.json.decode(msgspec.json.encode(tree), type=StorageVersionMigration)


def said(actions: Any) -> dict[str, str]:
    (update,) = actions
    assert isinstance(update, Update)
    return {c.type: c.message for c in update.obj.status.conditions}


def progress(count: int) -> Progress:
    return Progress("u", tuple((("n", f"c{i}"), i + 1) for i in range(count)), count + 5)


@pytest.mark.parametrize(
    ("rev", "age_s", "failed"),
    [
        ("", 5.0, ""),
        ("", 61.0, "resource does not exist in discovery"),
        ("50", 61.0, "migration encountered unhandled error: unable to obtain GVR from discovery"),
    ],
)
def test_a_resource_that_nobody_serves_fails_after_a_minute(rev: str, age_s: float, failed: str) -> None:
    plan = reconcile(World(migration(rev, age_s), False, None, None), NOW)
    if not failed:
        assert (plan.actions, plan.requeue_at) == ((), NOW - age_s + 60)
    else:
        assert said(plan.actions)["Failed"] == failed


def test_a_resource_without_the_verbs_fails() -> None:
    kind = replace(CONFIGMAP, verbs=("get", "list"))
    plan = reconcile(World(migration(""), False, None, kind, 7), NOW)
    assert said(plan.actions)["Failed"] == (
        'resource "/v1, Resource=configmaps" does not support discovery operations: [update patch list]'
    )


def test_the_checkpoint_is_the_revision_of_the_view() -> None:
    plan = reconcile(World(migration(""), False, None, CONFIGMAP, 7), NOW)
    (update,) = plan.actions
    assert isinstance(update, Update) and update.obj.status.resourceVersion == "7"
    assert reconcile(World(migration("9"), False, None, CONFIGMAP, 7), NOW).wait == ((CONFIGMAP, 9),)


def test_events_wait_for_ever_as_upstream() -> None:
    plan = reconcile(World(migration(resource="events"), False, None, EVENT, 60, progress(1)), NOW)
    assert plan.error == "no monitor found for resource /v1, Resource=events"


FORBIDDEN = Forbidden("configmaps", "", "c1", "no")
CASES: list[tuple[int, dict[int, StatusError], dict[str, str], int]] = [
    # objects, errors, what is said, how many are left
    (BATCH + 3, {}, {}, 3),
    (3, {0: Conflict("configmaps", "", "c0"), 2: NotFound("configmaps", "", "c2")}, {}, 0),
    (
        3,
        {1: Internal("boom")},
        {
            "Running": "The migration is running, 1/8 objects not yet migrated; "
            "transient error: Internal error occurred: boom"
        },
        1,
    ),
    (
        BATCH + 3,
        {1: FORBIDDEN},
        {
            "Running": f"The migration is running, 4/{BATCH + 8} objects not yet migrated",
            "Failed": f"4/{BATCH + 8} not yet migrated. migration encountered unhandled error: {FORBIDDEN.message}",
        },
        0,
    ),
]


@pytest.mark.parametrize(("count", "errors", "words", "left"), CASES)
def test_a_part(count: int, errors: dict[int, StatusError], words: dict[str, str], left: int) -> None:
    world = World(migration(), False, None, CONFIGMAP, 60, progress(count))
    plan = reconcile(world, NOW)
    patches = plan.actions
    assert all(isinstance(p, Patch) and p.type == "merge" for p in patches) and len(patches) == min(count, BATCH)
    first = patches[0]
    assert isinstance(first, Patch)
    assert first.body == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"resourceVersion": "1"}}
    assert plan.on_outcomes is not None
    after = plan.on_outcomes([Outcome(0, None, errors.get(i)) for i in range(len(patches))])
    assert (said(after.actions) if after.actions else {}) == words
    assert len(after.memo.left) == left if after.memo is not None else left == 0
    if words and after.memo is not None:
        assert after.on_outcomes is not None and after.on_outcomes([]).error == "Internal error occurred: boom"


def test_when_nothing_is_left_it_has_succeeded() -> None:
    plan = reconcile(World(migration(), False, None, CONFIGMAP, 60, Progress("u", (), 8)), NOW)
    assert said(plan.actions) == {
        "Running": "The migration is running, 8 objects verified migrated",
        "Succeeded": "Migration completed",
    }
