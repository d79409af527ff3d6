"""A Deployment's steps, case by case: its ReplicaSets in; sizes, conditions, events and the next look out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.deployment import Deployment
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.replicaset import ReplicaSet
from pelamis.api.core.pod.pod import Pod
from pelamis.base import errors
from pelamis.base.clock import rfc3339
from pelamis.client.types import Create, Delete, Outcome, Update
from pelamis.controllers import deployment
from pelamis.reconcile import rollout
from tests.api.made import of

NOW = 1_700_000_000.0
LABELS = {"a": "b"}


def template(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": image}]}}


def declared(
    replicas: int, *, surge: Any = "25%", unavailable: Any = "25%", recreate: bool = False, **more: Any
) -> Any:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    meta = {"name": "d", "namespace": "n", "uid": "u", "generation": 1, "annotations": more.pop("annotations", {})}
    status = {"observedGeneration": 1, **more.pop("status", {})}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": LABELS},
        "template": template("new"),
        "strategy": {"type": "Recreate"} if recreate else rolling,
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        **more,
    }
    return of(Deployment, {"metadata": meta, "spec": spec, "status": status})


def owned(
    name: str, replicas: int, available: int = -1, *, desired: int = -1, most: int = 0, age: float = 0, **more: Any
) -> Any:
    """A ReplicaSet named after its image; ``new`` has the Deployment's template. desired: -1 = the annotation fits."""
    available = replicas if available < 0 else available
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "n",
        "uid": name,
        "creationTimestamp": rfc3339(NOW - 1000 - age),
        "labels": LABELS,
        "annotations": {deployment.REVISION: more.pop("revision", "1"), **more.pop("annotations", {})},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u", "controller": True}
        ],
    }
    if desired >= 0:
        meta["annotations"] |= {deployment.DESIRED: str(desired), deployment.MAXIMUM: str(most or desired)}
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template(more.pop("image", name))}
    status = {"replicas": more.pop("actual", replicas), "readyReplicas": available, "availableReplicas": available}
    return of(ReplicaSet, {"metadata": meta, "spec": spec, "status": {**status, **more}})


def plan_of(one: Any, sets: list[Any], **more: Any) -> Any:
    return deployment.reconcile(deployment.World(one, sets, **more), NOW)


def sizes(one: Any, sets: list[Any], **more: Any) -> dict[str, int | None]:
    """What is written: name to replicas; ``+`` is the new ReplicaSet, None = deleted."""
    before = {s.metadata.name: s.spec.replicas for s in sets}
    out: dict[str, int | None] = {}
    for a in plan_of(one, sets, **more).actions:
        if isinstance(a, Create):
            out["+"] = a.obj.spec.replicas
        elif isinstance(a, Delete):
            out[a.name] = None
        elif isinstance(a, Update) and a.kind is REPLICASET and before[a.obj.metadata.name] != a.obj.spec.replicas:
            out[a.obj.metadata.name] = a.obj.spec.replicas
    return out


COMPLETE = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}


@pytest.mark.parametrize(
    ("one", "sets", "written"),
    [
        # the new ReplicaSet begins with as much as the surge leaves
        (declared(3), [], {"+": 3}),
        (declared(10), [owned("old", 10)], {"+": 3}),
        (declared(10, surge=0, unavailable=1), [owned("old", 10)], {"+": 0}),
        (declared(10, surge="100%", unavailable=0), [owned("old", 10)], {"+": 10}),
        (declared(0), [], {"+": 0}),
        # then it grows before old ones shrink
        (declared(10), [owned("old", 8), owned("new", 3, 3)], {"new": 5}),
        (declared(10), [owned("old", 8), owned("new", 5, 3)], {"old": 5}),
        (declared(10), [owned("old", 8), owned("new", 5, 0)], {}),  # nothing may go
        (declared(10), [owned("old", 8, 6), owned("new", 5, 2)], {"old": 6}),  # what is broken goes for free
        (declared(10), [owned("old", 8), owned("new", 5, 5)], {"old": 3}),
        (declared(10), [owned("old", 0), owned("new", 10)], {}),
        (declared(1, surge=0, unavailable=0), [owned("old", 1)], {"+": 0}),
        (declared(1, surge=0, unavailable=0), [owned("old", 1), owned("new", 0)], {"old": 0}),
        # rollover: the oldest of the old go first
        (
            declared(10, surge=0, unavailable=5),
            [owned("old", 5, age=9), owned("mid", 5, age=5), owned("new", 0)],
            {"old": 0},
        ),
        (declared(10), [owned("old", 8, age=9), owned("mid", 5, 0, age=5), owned("new", 0)], {"mid": 0}),
        # rolled back: an older ReplicaSet has the template again
        (declared(3), [owned("x", 3, image="other"), owned("old", 0, image="new", age=5)], {"old": 1}),
        # scaled while one ReplicaSet is active
        (declared(5), [owned("new", 3, desired=3)], {"new": 5}),
        (declared(2), [owned("new", 3, desired=3)], {"new": 2}),
        (declared(0), [owned("new", 3, desired=3)], {"new": 0}),
        # scaled in the middle of a rollout: in proportion, what is left over to the largest
        (
            declared(20, status={"replicas": 13}),
            [owned("old", 8, desired=10, most=13), owned("new", 5, 0, desired=10, most=13)],
            {"old": 15, "new": 10},
        ),
        (
            declared(5, status={"replicas": 13}),
            [owned("old", 8, desired=10, most=13), owned("new", 5, 0, desired=10, most=13)],
            {"old": 4, "new": 3},
        ),
        (
            declared(0, status={"replicas": 13}),
            [owned("old", 8, desired=10, most=13), owned("new", 5, desired=10, most=13)],
            {"old": 0, "new": 0},
        ),
        # all of the new one is there: old ones are no longer needed
        (declared(3), [owned("old", 1, desired=2), owned("new", 3, desired=3)], {"old": 0}),
        # paused: scaled, but not rolled
        (declared(3, paused=True), [owned("old", 3)], {}),
        (declared(3, paused=True), [], {}),
        (declared(5, paused=True), [owned("old", 3, desired=3)], {"old": 5}),
        # recreated: down first, then up, when no pod is left
        (declared(3, recreate=True), [owned("old", 3)], {"old": 0}),
        (declared(3, recreate=True), [owned("old", 0, actual=2)], {}),
        (declared(3, recreate=True), [owned("old", 0)], {"+": 3}),
        (declared(3, recreate=True), [owned("old", 0), owned("new", 0)], {"new": 3}),
        # history
        (
            declared(3, revisionHistoryLimit=1, status=COMPLETE),
            [owned("new", 3, revision="4"), *(owned(f"o{i}", 0, revision=str(i)) for i in (1, 2, 3))],
            {"o1": None, "o2": None},
        ),
        (
            declared(3, revisionHistoryLimit=0, status=COMPLETE),
            [owned("new", 3, revision="4"), owned("o1", 0, actual=1), owned("o2", 0, revision="2")],
            {"o2": None},
        ),
        (
            declared(3, revisionHistoryLimit=0),
            [owned("new", 3, 2), owned("o1", 0)],
            {},
        ),  # only when the rollout is complete
    ],
)
def test_sizes(one: Any, sets: list[Any], written: dict[str, int | None]) -> None:
    assert sizes(one, sets) == written


def test_recreate_waits_for_pods_that_still_run() -> None:
    old = owned("old", 0)
    running, done = (of(Pod, {"metadata": {"name": "p"}, "status": {"phase": p}}) for p in ("Running", "Failed"))
    assert sizes(declared(3, recreate=True), [old], pods={"old": [running]}) == {}
    assert sizes(declared(3, recreate=True), [old], pods={"old": [done]}) == {"+": 3}


@pytest.mark.parametrize(
    ("sizes_before", "actual", "replicas", "after"),
    [
        ([("a", 5, 1.0), ("b", 5, 2.0)], 10, 11, {"a": 5, "b": 6}),  # the newer of equal ones grows
        ([("a", 5, 1.0), ("b", 5, 2.0)], 10, 9, {"a": 4, "b": 5}),  # the older of equal ones shrinks
        ([("a", 5, 1.0), ("b", 5, 1.0)], 10, 11, {"a": 5, "b": 6}),  # of one second: by name
        ([("a", 5, 1.0), ("b", 5, 1.0)], 10, 9, {"a": 4, "b": 5}),
        ([("a", 50, 1.0), ("b", 25, 2.0), ("c", 25, 3.0)], 100, 200, {"a": 100, "b": 50, "c": 50}),
        ([("a", 1, 1.0), ("b", 1, 2.0)], 0, 4, {"a": 1, "b": 3}),  # nothing to go by
    ],
)
def test_proportions(sizes_before: Any, actual: int, replicas: int, after: dict[str, int]) -> None:
    active = [rollout.Size(name, n, n, n, born) for name, n, born in sizes_before]
    assert rollout.proportionally(declared(replicas, surge=0), actual, active) == after


def status_after(one: Any, sets: list[Any]) -> Any:
    for a in plan_of(one, sets).actions:
        if isinstance(a, Update) and a.kind is DEPLOYMENT:
            return a.obj.status
    return one.status


def progress(reason: str, ago: float, status: str = "True") -> dict[str, Any]:
    at = rfc3339(NOW - ago)
    return {
        "type": "Progressing",
        "status": status,
        "reason": reason,
        "lastUpdateTime": at,
        "lastTransitionTime": at,
    }


def with_progress(reason: str, ago: float, **counts: int) -> dict[str, Any]:
    return {"conditions": [progress(reason, ago)], **counts}


MID = {"replicas": 3, "updatedReplicas": 3, "unavailableReplicas": 3}


@pytest.mark.parametrize(
    ("one", "sets", "expected"),
    [
        (declared(3), [], ("True", "NewReplicaSetCreated")),
        (declared(3), [owned("new", 3, 0)], ("True", "ReplicaSetUpdated")),
        (declared(3), [owned("new", 3)], ("True", "NewReplicaSetAvailable")),
        (
            declared(3, status=with_progress("ReplicaSetUpdated", 10, **MID)),
            [owned("new", 3, 1)],
            ("True", "ReplicaSetUpdated"),
        ),
        (
            declared(3, status=with_progress("ReplicaSetUpdated", 599, **MID)),
            [owned("new", 3, 0)],
            ("True", "ReplicaSetUpdated"),
        ),
        (
            declared(3, status=with_progress("ReplicaSetUpdated", 601, **MID)),
            [owned("new", 3, 0)],
            ("False", "ProgressDeadlineExceeded"),
        ),
        # it was complete once: pods that fail later are no failed rollout
        (
            declared(3, status=with_progress("NewReplicaSetAvailable", 9999, **MID)),
            [owned("new", 3, 0)],
            ("True", "NewReplicaSetAvailable"),
        ),
        (
            declared(3, status=with_progress("ProgressDeadlineExceeded", 9, **MID)),
            [owned("new", 3)],
            ("True", "NewReplicaSetAvailable"),
        ),
        (declared(3, paused=True), [owned("old", 3)], ("Unknown", "DeploymentPaused")),
        (
            declared(3, status=with_progress("DeploymentPaused", 9999, **MID)),
            [owned("new", 3, 0)],
            ("Unknown", "DeploymentResumed"),
        ),
        (declared(3, progressDeadlineSeconds=2**31 - 1), [owned("new", 3)], None),
    ],
)
def test_progress(one: Any, sets: list[Any], expected: tuple[str, str] | None) -> None:
    found = [(c.status, c.reason) for c in status_after(one, sets).conditions if c.type == "Progressing"]
    assert found == ([expected] if expected else [])


def test_the_deadline_is_looked_at_a_second_later() -> None:
    one = declared(3, status=with_progress("ReplicaSetUpdated", 100, **MID))
    plan = plan_of(one, [owned("new", 3, 0)])
    after = plan.on_outcomes([Outcome(1, a.obj) for a in plan.actions]) if plan.on_outcomes else plan
    assert after.requeue_at == NOW + 501


@pytest.mark.parametrize(
    ("available", "expected"), [(2, ("False", "MinimumReplicasUnavailable")), (3, ("True", "MinimumReplicasAvailable"))]
)
def test_available(available: int, expected: tuple[str, str]) -> None:
    status = status_after(declared(4), [owned("new", 4, available)])
    assert [(c.status, c.reason) for c in status.conditions if c.type == "Available"] == [expected]
    assert (status.replicas, status.availableReplicas, status.unavailableReplicas) == (4, available, 4 - available)


def test_a_failure_of_a_replicaset_is_shown() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    status = status_after(declared(3), [owned("new", 3, 0, conditions=[failure])])
    assert [(c.reason, c.message) for c in status.conditions if c.type == "ReplicaFailure"] == [
        ("FailedCreate", "quota")
    ]
    one = declared(3, status={"conditions": [failure]})
    assert not [c for c in status_after(one, [owned("new", 3)]).conditions if c.type == "ReplicaFailure"]


def updated(one: Any, sets: list[Any], name: str) -> Any:
    return next(a.obj for a in plan_of(one, sets).actions if isinstance(a, Update) and a.obj.metadata.name == name)


def test_annotations_and_revisions() -> None:
    notes = {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "y", deployment.REVISION: "1"}
    one = declared(3, annotations=notes, minReadySeconds=5)
    back = owned("new", 0, revision="2", annotations={deployment.HISTORY: "1"}, age=9)
    new = updated(one, [back, owned("old", 3, revision="4")], "new")
    got = new.metadata.annotations
    assert (got[deployment.REVISION], got[deployment.HISTORY], got["note"]) == ("5", "1,2", "x")
    assert "kubectl.kubernetes.io/last-applied-configuration" not in got
    assert new.spec.minReadySeconds == 5
    assert updated(one, [back, owned("old", 3, revision="4")], "d").metadata.annotations[deployment.REVISION] == "5"


def test_a_taken_name_is_counted_and_a_refusal_is_told() -> None:
    one = declared(3)
    plan = plan_of(one, [])
    (create,) = [a for a in plan.actions if isinstance(a, Create)]
    stranger = owned(create.obj.metadata.name, 1, image="other")
    (update,) = plan_of(one, [], namesake=stranger).actions
    assert update.obj.status.collisionCount == 1
    again = plan_of(msgspec.structs.replace(one, status=update.obj.status), [])
    assert again.actions[0].obj.metadata.name != create.obj.metadata.name
    refused = errors.Forbidden("replicasets", "apps", "d-1", "exceeded quota")
    after = plan.on_outcomes([Outcome(0, None, refused), *(Outcome(1, a.obj) for a in plan.actions[1:])])
    (note,) = after.events
    message = f'Failed to create new replica set "{create.obj.metadata.name}": {refused.message}'
    assert (note.type, note.reason, note.message) == ("Warning", "ReplicaSetCreateError", message)
    (failed,) = [c for c in after.actions[0].obj.status.conditions if c.type == "Progressing"]
    assert (failed.status, failed.reason, failed.message) == ("False", "ReplicaSetCreateError", message)
    assert after.error
    ok = plan.on_outcomes([Outcome(1, a.obj) for a in plan.actions])
    assert [e.message for e in ok.events] == [f"Scaled up replica set {create.obj.metadata.name} from 0 to 3"]


def test_selecting_everything_is_refused() -> None:
    plan = plan_of(declared(3, selector={}), [])
    assert [e.reason for e in plan.events] == ["SelectingAll"] and not plan.actions


def test_one_that_is_being_deleted_only_counts() -> None:
    one = declared(3)
    meta = msgspec.structs.replace(one.metadata, deletionTimestamp=rfc3339(NOW))
    assert sizes(msgspec.structs.replace(one, metadata=meta), [owned("old", 3)]) == {}
