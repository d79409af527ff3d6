"""Disruption budgets, case by case: pods and the scales of their controllers in; what may be evicted out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from pelamis.api.apiextensions.custom import kind_of
from pelamis.api.apiextensions.customresourcedefinition import KIND as DEFINITION
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.replicationcontroller import KIND as REPLICATIONCONTROLLER
from pelamis.api.custom import Custom
from pelamis.api.policy.poddisruptionbudget import KIND as BUDGET
from pelamis.base.clock import rfc3339
from pelamis.client.types import Patch, Update
from pelamis.controllers import disruption

NOW = 1_700_000_000.0
LABELS = {"a": "b"}


def of(kind: Any, tree: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=kind.type)


CRD = of(
    DEFINITION,
    {
        "metadata": {"name": "rings.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "rings", "singular": "ring", "kind": "Ring", "listKind": "RingList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    "subresources": {"scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
                }
            ],
        },
    },
)
RING = kind_of(CRD, "v1")


class Picture:
    """Views of what is given."""

    def __init__(self, *objects: tuple[Any, Any]) -> None:
        self.objects = objects

    def __call__(self, kind: Any) -> Any:
        return _View([o for k, o in self.objects if k is kind])

    def every(self) -> Sequence[Any]:
        return (POD, DEPLOYMENT, REPLICASET, JOB, REPLICATIONCONTROLLER, RING)

    def memo(self, key: Any) -> Any:
        return None


class _View:
    def __init__(self, objects: list[Any]) -> None:
        self.objects = objects

    def __len__(self) -> int:
        return len(self.objects)

    def list(self, namespace: str = "") -> list[Any]:
        return self.objects

    def get(self, namespace: str, name: str) -> Any:
        return next((o for o in self.objects if o.metadata.name == name), None)


def ref(kind: Any, name: str, uid: str = "") -> list[dict[str, Any]]:
    version = kind if isinstance(kind, str) else kind.api_version
    word = "Thing" if isinstance(kind, str) else kind.kind
    return [{"apiVersion": version, "kind": word, "name": name, "uid": uid or name, "controller": True}]


def pod(name: str, owner: Any = (), *, ready: bool = True, leaving: bool = False) -> tuple[Any, Any]:
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "n",
        "uid": name,
        "labels": LABELS,
        "ownerReferences": list(owner),
    }
    if leaving:
        meta["deletionTimestamp"] = rfc3339(NOW)
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
    return POD, of(POD, {"metadata": meta, "spec": {"containers": []}, "status": status})


def sized(kind: Any, name: str, replicas: int | None, owner: Any = ()) -> tuple[Any, Any]:
    meta = {"name": name, "namespace": "n", "uid": name, "ownerReferences": list(owner)}
    if kind is RING:
        tree = {"apiVersion": "example.com/v1", "kind": "Ring", "metadata": meta, "spec": {"size": replicas}}
        return kind, Custom(msgspec.json.encode(tree))
    return kind, of(kind, {"metadata": meta, "spec": {} if replicas is None else {"replicas": replicas}})


def budget(status: Any = None, **spec: Any) -> tuple[Any, Any]:
    tree = {"metadata": {"name": "b", "namespace": "n", "generation": 3}, "status": status or {}}
    return BUDGET, of(BUDGET, {**tree, "spec": {"selector": {"matchLabels": LABELS}, **spec}})


def result(*objects: tuple[Any, Any]) -> tuple[Any, list[str]]:
    """(expected, desired, healthy, allowed) as written, and what was told."""
    plan = disruption.reconcile(disruption.gather(Picture(*objects), ("n", "b")), NOW)
    (update,) = plan.actions
    assert isinstance(update, Update)
    s = update.obj.status
    told = [s.conditions[-1].reason, *(e.reason for e in plan.events)]
    return (s.expectedPods, s.desiredHealthy, s.currentHealthy, s.disruptionsAllowed), told


SET = ref(REPLICASET, "r")
THREE = [pod(n, SET) for n in "xyz"]


@pytest.mark.parametrize(
    ("objects", "numbers", "told"),
    [
        ([budget(minAvailable=2), *THREE], (3, 2, 3, 1), ["SufficientPods"]),
        ([budget(minAvailable=3), *THREE], (3, 3, 3, 0), ["InsufficientPods"]),
        ([budget(minAvailable=2), *THREE[:2], pod("z", ready=False)], (3, 2, 2, 0), ["InsufficientPods"]),
        ([budget(minAvailable=1), *THREE[:2], pod("z", leaving=True)], (3, 1, 2, 1), ["SufficientPods"]),
        ([budget(minAvailable=0)], (0, 0, 0, 0), ["InsufficientPods", "NoPods"]),
        # shares are of what the controllers want
        ([budget(maxUnavailable=1), sized(REPLICASET, "r", 3), *THREE], (3, 2, 3, 1), ["SufficientPods"]),
        ([budget(maxUnavailable="34%"), sized(REPLICASET, "r", 3), *THREE], (3, 1, 3, 2), ["SufficientPods"]),
        ([budget(minAvailable="50%"), sized(REPLICASET, "r", 3), *THREE], (3, 2, 3, 1), ["SufficientPods"]),
        ([budget(maxUnavailable=9), sized(REPLICASET, "r", 3), *THREE], (3, 0, 3, 3), ["SufficientPods"]),
        ([budget(maxUnavailable=1), sized(REPLICASET, "r", None), THREE[0]], (1, 0, 1, 1), ["SufficientPods"]),
        # a Deployment above counts in place of its ReplicaSet
        (
            [
                budget(maxUnavailable=1),
                sized(REPLICASET, "r", 3, ref(DEPLOYMENT, "d")),
                sized(DEPLOYMENT, "d", 5),
                *THREE,
            ],
            (5, 4, 3, 0),
            ["InsufficientPods"],
        ),
        (
            [
                budget(maxUnavailable=1),
                sized(REPLICASET, "r", 3, ref(DEPLOYMENT, "d", "other")),
                sized(DEPLOYMENT, "d", 5),
                *THREE,
            ],
            (3, 2, 3, 1),
            ["SufficientPods"],
        ),
        # but nothing else above it does
        (
            [budget(maxUnavailable=1), sized(REPLICASET, "r", 3, ref(RING, "g")), sized(RING, "g", 9), *THREE],
            (3, 2, 3, 1),
            ["SufficientPods"],
        ),
        # any kind with a scale
        (
            [budget(maxUnavailable=1), (DEFINITION, CRD), sized(RING, "g", 2), pod("x", ref(RING, "g"))],
            (2, 1, 1, 0),
            ["InsufficientPods"],
        ),
        (
            [
                budget(maxUnavailable=1),
                sized(REPLICASET, "r", 3),
                sized(REPLICATIONCONTROLLER, "c", 2),
                *THREE,
                pod("w", ref(REPLICATIONCONTROLLER, "c")),
            ],
            (5, 4, 4, 0),
            ["InsufficientPods"],
        ),
        # pods of nobody
        ([budget(maxUnavailable=1), pod("x")], (0, 0, 1, 0), ["InsufficientPods", "UnmanagedPods"]),
        ([budget(minAvailable=0), pod("x")], (1, 0, 1, 1), ["SufficientPods"]),
    ],
)
def test_numbers(objects: list[Any], numbers: Any, told: list[str]) -> None:
    assert result(*objects) == (numbers, told)


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        (
            [pod("x", ref(JOB, "j")), (JOB, of(JOB, {"metadata": {"name": "j", "uid": "j"}}))],
            "jobs.batch does not implement the scale subresource",
        ),
        ([pod("x", ref("example.com/v1", "t"))], 'no matches for kind "Thing" in version "example.com/v1"'),
        ([pod("x", SET)], 'found no controllers for pod "x"'),
        ([pod("x", ref(REPLICASET, "r", "old")), sized(REPLICASET, "r", 3)], 'found no controllers for pod "x"'),
        (
            [(DEFINITION, CRD), pod("x", ref(RING, "g")), sized(RING, "g", None)],
            'the spec replicas field ".spec.size" does not exist',
        ),
    ],
)
def test_nothing_is_evicted_while_nobody_knows(objects: list[Any], why: str) -> None:
    before = {"observedGeneration": 2, "disruptionsAllowed": 1, "expectedPods": 4}
    plan = disruption.reconcile(disruption.gather(Picture(budget(before, maxUnavailable=1), *objects), ("n", "b")), NOW)
    (update,) = plan.actions
    assert isinstance(update, Update)
    status = update.obj.status
    (told,) = status.conditions
    assert (status.disruptionsAllowed, status.expectedPods, status.observedGeneration) == (0, 4, 2)
    assert (told.status, told.reason, told.message, told.observedGeneration) == ("False", "SyncFailed", why, 2)
    (note,) = plan.events
    assert note.reason == "CalculateExpectedPodCountFailed" and note.message.endswith(why)
    again = disruption.World(update.obj, (), {}, (), why)
    assert not disruption.reconcile(again, NOW + 9).actions


@pytest.mark.parametrize(("ago", "healthy", "told"), [(119, 1, []), (120, 1, []), (121, 2, ["NotDeleted"])])
def test_a_pod_that_was_let_go_counts_again_after_two_minutes(ago: int, healthy: int, told: list[str]) -> None:
    one = budget({"disruptedPods": {"x": rfc3339(NOW - ago), "gone": rfc3339(NOW)}}, minAvailable=1)
    numbers, (_, *reasons) = result(one, pod("x"), pod("y"))
    assert numbers[2] == healthy and reasons == told


@pytest.mark.parametrize(
    ("condition", "leaving", "ago", "reset"),
    [
        ({"reason": "EvictionByEvictionAPI"}, False, 120, True),
        ({"reason": "EvictionByEvictionAPI"}, False, 119, False),
        ({"reason": "EvictionByEvictionAPI"}, True, 999, False),
        ({"reason": "TerminationByKubelet"}, False, 999, False),
        ({"status": "False"}, False, 999, False),
    ],
)
def test_a_mark_that_came_to_nothing_is_taken_back(condition: Any, leaving: bool, ago: int, reset: bool) -> None:
    _, one = pod("x", leaving=leaving)
    mark = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": rfc3339(NOW - ago), **condition}
    status = of(POD, {"metadata": {}, "spec": {"containers": []}, "status": {"conditions": [mark]}}).status
    plan = disruption.reconcile(disruption.Target(msgspec.structs.replace(one, status=status)), NOW)
    assert bool(plan.actions) is reset and all(isinstance(a, Patch) for a in plan.actions)
    assert plan.requeue_at == (NOW + 1 if ago == 119 else None)


def test_a_pod_of_two_budgets_is_told() -> None:
    other = of(BUDGET, {"metadata": {"name": "c", "namespace": "n"}, "spec": {"selector": {"matchLabels": LABELS}}})
    both, one = (budget(), (BUDGET, other)), (budget(),)
    for budgets, told in ((both, ["MultiplePodDisruptionBudgets"]), (one, [])):
        plan = disruption.reconcile(disruption.gather(Picture(*budgets, pod("x")), ("n", "/x")), NOW)
        assert [e.reason for e in plan.events] == told
    text = 'Pod "n"/"x" matches multiple PodDisruptionBudgets.  Chose "b" arbitrarily.'
    (note,) = disruption.reconcile(disruption.gather(Picture(*both, pod("x")), ("n", "/x")), NOW).events
    assert note.message == text
    assert [k for k in disruption._pod_keys(Picture(*both), None, pod("x")[1]) if k[1] == "/x"] == [("n", "/x")]
