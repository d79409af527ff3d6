"""The controllers that tidy up, case by case: namespaces, accounts, ended Jobs, quotas' scopes, sets of pods."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pelamis.api.apps.replicaset import ReplicaSet
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.batch.job import Job
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.configmap import ConfigMap
from pelamis.api.core.namespace import Namespace
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.replicationcontroller import ReplicationController
from pelamis.api.core.resourcequota import ResourceQuota
from pelamis.base import errors
from pelamis.base.clock import rfc3339
from pelamis.client.types import Create, Delete, Outcome, Patch, Update
from pelamis.controllers import (
    namespace,
    replicaset,
    replicationcontroller,
    resourcequota,
    serviceaccount,
    ttlafterfinished,
)
from pelamis.reconcile.replicas import World as Replicas
from tests.api.made import of
from tests.cache.made import view_of

NOW = 1_700_000_000.0
LABELS = {"a": "b"}


# Sets of pods


def pod(
    name: str, *, owner: str = "u", state: str = "ready", labels: Any = None, phase: str = "Running", **spec: Any
) -> Any:
    refs = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": owner, "controller": True}]
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "n",
        "uid": name,
        "labels": LABELS if labels is None else labels,
        "ownerReferences": refs if owner else [],
        "creationTimestamp": rfc3339(NOW - 100),
    }
    if state == "leaving":
        meta["deletionTimestamp"] = rfc3339(NOW)
    ready = {"type": "Ready", "status": str(state == "ready"), "lastTransitionTime": rfc3339(NOW - 60)}
    status = {"phase": phase, "conditions": [ready]}
    return of(Pod, {"metadata": meta, "spec": {"containers": [], "nodeName": "x", **spec}, "status": status})


def world(controller: Any, one: Any, pods: list[Any]) -> Replicas:
    """What the controller gathers where these are all pods."""
    view, owners = view_of(POD, *pods), view_of(controller.SHAPE.kind, one)
    views: Any = lambda kind: view if kind is POD else owners  # noqa: E731
    found = controller.gather(views, ("n", "r"))
    assert isinstance(found, Replicas)
    return found


def replicas(count: int | None = 2, *, conditions: Any = (), leaving: bool = False, **spec: Any) -> Any:
    meta: dict[str, Any] = {"name": "r", "namespace": "n", "uid": "u", "generation": 1}
    if leaving:
        meta["deletionTimestamp"] = rfc3339(NOW)
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": []}}
    body = {"selector": {"matchLabels": LABELS}, "template": template, **spec}
    if count is not None:
        body["replicas"] = count
    return of(ReplicaSet, {"metadata": meta, "spec": body, "status": {"conditions": list(conditions)}})


def steps(plan: Any) -> list[str]:
    out: list[str] = []
    for a in plan.actions:
        if isinstance(a, Create):
            out.append("+")
        elif isinstance(a, Delete):
            out.append(f"-{a.name}")
        elif isinstance(a, Patch):
            out.append(f"~{a.name}")
    return out


FAILED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}


@pytest.mark.parametrize(
    ("one", "pods", "expected"),
    [
        (replicas(), [], ["+", "+"]),
        (replicas(None), [], ["+"]),
        (replicas(0), [], []),
        (replicas(), [pod("p"), pod("q", phase="Failed"), pod("s", state="leaving")], ["+"]),
        (replicas(1), [pod("p"), pod("q", state="starting")], ["-q"]),
        (replicas(0), [pod("p")], ["-p"]),
        (replicas(leaving=True), [], []),
        (replicas(leaving=True), [pod("p", owner="")], []),
        # orphans are adopted, strangers left alone, those that no longer fit let go
        (replicas(1), [pod("p", owner="")], ["~p"]),
        (replicas(1), [pod("p", owner="other")], ["+"]),
        (replicas(1), [pod("p", labels={}), pod("q")], ["~p"]),
        (replicas(1), [pod("p", owner="", state="leaving"), pod("q")], []),
        # after a refusal one is tried alone
        (replicas(9, conditions=[FAILED]), [], ["+"]),
    ],
)
def test_replicas(one: Any, pods: list[Any], expected: list[str]) -> None:
    found = world(replicaset, one, pods)
    assert steps(replicaset.reconcile(found, NOW)) == expected
    assert steps(replicaset.reconcile(dataclasses.replace(found, facts=None), NOW)) == expected


@pytest.mark.parametrize(
    ("min_ready_s", "counts", "again"), [(0, (2, 1, 1), None), (60, (2, 1, 1), None), (61, (2, 1, 0), NOW + 1)]
)
def test_status_of_replicas(min_ready_s: int, counts: tuple[int, int, int], again: float | None) -> None:
    one = replicas(2, minReadySeconds=min_ready_s)
    pods = [pod("p"), pod("q", state="starting"), pod("s", state="leaving")]
    plan = replicaset.reconcile(world(replicaset, one, pods), NOW)
    status = next(a.obj.status for a in plan.actions if isinstance(a, Update))
    assert (status.replicas, status.readyReplicas, status.availableReplicas) == counts
    assert (status.terminatingReplicas, plan.requeue_at) == (1, again)


def test_a_refused_pod_is_told() -> None:
    plan = replicaset.reconcile(world(replicaset, replicas(1), []), NOW)
    refused = Outcome(0, None, errors.Forbidden("pods", "", "p", "exceeded quota"))
    assert plan.on_outcomes is not None
    after = plan.on_outcomes([refused if isinstance(a, Create) else Outcome(1, a.obj) for a in plan.actions])  # type: ignore[union-attr]
    (condition,) = after.actions[0].obj.status.conditions  # type: ignore[union-attr]
    assert (condition.reason, condition.status) == ("FailedCreate", "True")
    assert [(e.type, e.reason) for e in after.events] == [("Warning", "FailedCreate")] and after.error


def test_a_replicationcontroller_does_the_same() -> None:
    tree = {"metadata": {"name": "r", "namespace": "n", "uid": "u"}, "spec": {"replicas": 2, "selector": LABELS}}
    tree["spec"]["template"] = {"metadata": {"labels": LABELS}, "spec": {"containers": []}}  # type: ignore[index]
    one = of(ReplicationController, tree)
    assert steps(
        replicationcontroller.reconcile(world(replicationcontroller, one, [pod("p"), pod("q", owner="")]), NOW)
    ) == ["~q"]
    assert steps(replicationcontroller.reconcile(world(replicationcontroller, one, []), NOW)) == ["+", "+"]


def test_counting_and_claiming_see_the_same_pods() -> None:
    """The facts are taken when there is nothing to claim, and the pods themselves otherwise."""
    regular = [pod("p"), pod("q", state="leaving"), pod("o", owner="other"), pod("f", owner="", labels={"x": "y"})]
    assert len(world(replicaset, replicas(), regular).facts or ()) == 2
    for odd in (pod("l", labels={}), pod("f", owner="")):
        assert world(replicaset, replicas(), [*regular, odd]).facts is None


# Namespaces


def space(*conditions: Any) -> Any:
    tree = {"metadata": {"name": "n", "deletionTimestamp": rfc3339(NOW)}, "spec": {"finalizers": ["kubernetes"]}}
    return of(Namespace, {**tree, "status": {"phase": "Terminating", "conditions": list(conditions)}})


def settings(name: str, **meta: Any) -> Any:
    return of(ConfigMap, {"metadata": {"name": name, "namespace": "n", "uid": name, **meta}})


HELD = settings("h", finalizers=["example.com/x"], deletionTimestamp=rfc3339(NOW))


@pytest.mark.parametrize(
    ("content", "deleted", "remaining", "finalizers"),
    [
        (
            [(POD, [pod("p")]), (CONFIGMAP, [settings("c")])],
            ["-p"],
            "Some resources are remaining: configmaps. has 1 resource instances, pods. has 1 resource instances",
            "All content-preserving finalizers finished",
        ),
        (
            [(CONFIGMAP, [settings("c"), HELD])],
            ["-c"],
            "Some resources are remaining: configmaps. has 2 resource instances",
            "Some content in the namespace has finalizers remaining: example.com/x in 1 resource instances",
        ),
        ([], [], "All content successfully removed", "All content-preserving finalizers finished"),
    ],
)
def test_a_namespace_is_emptied(content: Any, deleted: list[str], remaining: str, finalizers: str) -> None:
    plan = namespace.reconcile(namespace.World(space(), content, ()), NOW)
    assert steps(plan) == deleted
    update = plan.actions[-1]
    assert isinstance(update, Update)
    said = {c.type: c.message for c in update.obj.status.conditions}
    assert (said["NamespaceContentRemaining"], said["NamespaceFinalizersRemaining"]) == (remaining, finalizers)
    assert plan.on_outcomes is not None
    after = plan.on_outcomes([Outcome(1, a.obj if isinstance(a, Update) else None) for a in plan.actions])
    assert [a.subresource for a in after.actions if isinstance(a, Update)] == ([] if content else ["finalize"])


def test_a_namespace_waits_for_views_and_tells_of_refusals() -> None:
    assert namespace.reconcile(namespace.World(space(), [], [(POD, 9)]), NOW).wait == [(POD, 9)]
    plan = namespace.reconcile(namespace.World(space(), [(CONFIGMAP, [settings("c")])], ()), NOW)
    assert plan.on_outcomes is not None
    refused = errors.Forbidden("configmaps", "", "c", "no")
    after = plan.on_outcomes([Outcome(0, None, refused), Outcome(1, plan.actions[-1].obj)])  # type: ignore[union-attr]
    said = {c.type: (c.status, c.reason) for c in after.actions[0].obj.status.conditions}  # type: ignore[union-attr]
    assert said["NamespaceDeletionContentFailure"] == ("True", "ContentDeletionFailed") and after.error


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (None, False),
        (errors.AlreadyExists("serviceaccounts", "", "default"), False),
        (errors.Forbidden("serviceaccounts", "", "default", "no"), True),
    ],
)
def test_each_namespace_has_an_account(error: Any, retried: bool) -> None:
    plan = serviceaccount.reconcile(serviceaccount.World(space(), ["default"]), NOW)
    (create,) = plan.actions
    assert isinstance(create, Create)
    assert (create.obj.metadata.namespace, create.obj.metadata.name) == ("n", "default")
    assert plan.on_outcomes is not None
    assert bool(plan.on_outcomes([Outcome(0, None, error)]).error) is retried


# Jobs that have ended


@pytest.mark.parametrize(
    ("type", "ago", "deleted", "again"),
    [
        ("Complete", 30, True, None),
        ("Failed", 31, True, None),
        ("Complete", 29, False, NOW + 1),
        ("Suspended", 99, False, None),
    ],
)
def test_a_job_goes_after_its_time(type: str, ago: int, deleted: bool, again: float | None) -> None:
    ended = {"type": type, "status": "True", "lastTransitionTime": rfc3339(NOW - ago)}
    meta = {"name": "j", "namespace": "n", "uid": "j", "resourceVersion": "7"}
    job = of(Job, {"metadata": meta, "spec": {"ttlSecondsAfterFinished": 30}, "status": {"conditions": [ended]}})
    plan = ttlafterfinished.reconcile(job, NOW)
    assert (bool(plan.actions), plan.requeue_at) == (deleted, again)
    if deleted:
        assert plan.actions[0] == Delete(JOB, "n", "j", uid="j", rev="7", propagation="Foreground")


# Quotas


SMALL = {"name": "c", "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}}
BEST_EFFORT = {"name": "c"}


@pytest.mark.parametrize(
    ("spec", "pods", "used"),
    [
        ({}, [{"containers": [SMALL]}, {"containers": [SMALL]}], {"pods": "2", "requests.cpu": "200m"}),
        # ended pods count only as objects
        ({}, [{"containers": [SMALL], "phase": "Failed"}], {"pods": "0", "count/pods": "1", "requests.cpu": "0"}),
        ({"scopes": ["BestEffort"]}, [{"containers": [SMALL]}, {"containers": [BEST_EFFORT]}], {"pods": "1"}),
        ({"scopes": ["NotBestEffort"]}, [{"containers": [SMALL]}, {"containers": [BEST_EFFORT]}], {"pods": "1"}),
        (
            {"scopes": ["Terminating"]},
            [{"containers": [], "activeDeadlineSeconds": 5}, {"containers": []}],
            {"pods": "1"},
        ),
        ({"scopes": ["NotTerminating"]}, [{"containers": [], "activeDeadlineSeconds": 5}], {"pods": "0"}),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
                }
            },
            [
                {"containers": [], "priorityClassName": "high"},
                {"containers": [], "priorityClassName": "low"},
                {"containers": []},
            ],
            {"pods": "1"},
        ),
        # what the pod asks for as a whole counts in place of its containers
        (
            {},
            [{"containers": [SMALL], "resources": {"requests": {"cpu": "1"}}, "overhead": {"cpu": "10m"}}],
            {"requests.cpu": "1010m"},
        ),
        # the largest step of the start counts if it is larger, and sidecars stay
        (
            {},
            [
                {
                    "containers": [SMALL],
                    "initContainers": [
                        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
                        {"name": "i", "resources": {"requests": {"cpu": "120m"}}},
                    ],
                }
            ],
            {"requests.cpu": "170m"},
        ),
    ],
)
def test_quotas(spec: Any, pods: list[Any], used: dict[str, str]) -> None:
    hard = dict.fromkeys(used, "9")
    quota = of(ResourceQuota, {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}})
    found = [
        of(Pod, {"metadata": {"name": "p"}, "status": {"phase": p.pop("phase", "Running")}, "spec": p})
        for p in (dict(p) for p in pods)
    ]
    plan = resourcequota.reconcile(resourcequota.World(quota, [("pods", found)], 0.0), NOW)
    (update,) = plan.actions
    assert isinstance(update, Update) and update.obj.status.used == used


def test_a_quota_is_counted_once_a_second() -> None:
    quota = of(ResourceQuota, {"spec": {"hard": {"pods": "9"}}, "status": {"hard": {"pods": "9"}}})
    plan = resourcequota.reconcile(resourcequota.World(quota, [], NOW - 0.5), NOW)
    assert not plan.actions and plan.requeue_at == NOW + 0.5
