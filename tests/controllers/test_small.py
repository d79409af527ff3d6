"""Small controllers, case by case: the world in, the actions out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pelamis.api.core.endpoints import Endpoints
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.resourcequota import ResourceQuota
from pelamis.api.policy.poddisruptionbudget import PodDisruptionBudget
from pelamis.api.rbac.clusterrole import ClusterRole
from pelamis.api.storage.volumeattributesclass import VolumeAttributesClass
from pelamis.client.types import Create, Update
from pelamis.controllers import (
    clusterroleaggregation,
    disruption,
    endpointslicemirroring,
    nodelifecycle,
    pvcprotection,
    resourcequota,
    tainteviction,
    vacprotection,
)
from pelamis.reconcile import rollout
from pelamis.reconcile.jobpolicy import Backoff, format_indexes, matched_success, parse_indexes
from pelamis.reconcile.podstate import deletion_order
from tests.api.made import of

NOW = 1_700_000_000.0


def pod(name: str, *, ready: bool = True, **more: Any) -> Any:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2023-11-14T00:00:00Z"}
    status = {"phase": "Running", "conditions": [condition], **more.pop("status", {})}
    meta = {"name": name, "namespace": "n", "uid": name, **more.pop("meta", {})}
    return of(Pod, metadata=meta, spec={"containers": [], **more}, status=status)


@pytest.mark.parametrize(
    ("text", "indexes"), [("", set()), ("1", {1}), ("1,2", {1, 2}), ("1-3", {1, 2, 3}), ("0,2-5,9", {0, 2, 3, 4, 5, 9})]
)
def test_index_sets_are_written_as_upstream_does(text: str, indexes: set[int]) -> None:
    assert parse_indexes(text) == indexes
    assert format_indexes(indexes) == text


def test_job_back_off_counts_failures_since_the_last_success() -> None:
    b = Backoff().after([], [NOW, NOW + 1])
    assert (b.failures, b.until()) == (2, NOW + 21)
    assert b.after([NOW + 5], []).until() == 0.0
    assert Backoff(20, NOW).until() == NOW + 600


@pytest.mark.parametrize(
    ("rule", "succeeded", "met"),
    [
        ({"succeededIndexes": "0-2"}, {0, 1, 2}, True),
        ({"succeededIndexes": "0-2"}, {0, 1}, False),
        ({"succeededCount": 2}, {7, 9}, True),
        ({"succeededIndexes": "0-4", "succeededCount": 2}, {3, 9}, False),
    ],
)
def test_success_policy(rule: dict[str, Any], succeeded: set[int], met: bool) -> None:
    from pelamis.api.batch.job import SuccessPolicyRule

    assert bool(matched_success([of(SuccessPolicyRule, **rule)], succeeded)) is met


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "expected"),
    [
        ("25%", "25%", 10, (3, 2)),
        ("25%", "25%", 1, (1, 0)),
        (0, "25%", 1, (0, 1)),
        (0, 0, 5, (0, 1)),
        (2, "50%", 5, (2, 2)),
    ],
)
def test_fenceposts(surge: Any, unavailable: Any, replicas: int, expected: tuple[int, int]) -> None:
    from pelamis.api.apps.deployment import Deployment

    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    d = of(Deployment, spec={"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}})
    assert rollout.fenceposts(d) == expected


def test_scaling_in_the_middle_of_a_rollout_is_proportional() -> None:
    from pelamis.api.apps.deployment import Deployment

    rolling = {"maxSurge": 3, "maxUnavailable": 2}
    d = of(Deployment, spec={"replicas": 15, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}})
    sizes = [rollout.Size("old", 8, 8, 8, 1.0, 13), rollout.Size("new", 5, 0, 5, 2.0, 13)]
    assert rollout.proportionally(d, 13, sizes) == {"old": 11, "new": 7}


def test_pods_are_given_up_in_upstreams_order() -> None:
    pods = [
        pod("cheap", nodeName="a", meta={"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}),
        pod("fine", nodeName="a"),
        pod("unready", ready=False, nodeName="a"),
        pod("pending", ready=False, nodeName="a", status={"phase": "Pending"}),
        pod("unassigned", ready=False, status={"phase": "Pending"}),
    ]
    assert [p.metadata.name for p in deletion_order(pods, {}, NOW)] == [
        "unassigned",
        "pending",
        "unready",
        "cheap",
        "fine",
    ]


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0.0),
        ([{"operator": "Exists"}], None),
        ([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}], 30.0),
        ([{"key": "k", "value": "v", "effect": "NoExecute", "tolerationSeconds": -1}], 0.0),
        ([{"key": "k", "value": "other", "effect": "NoExecute"}], 0.0),
    ],
)
def test_patience_with_a_taint(tolerations: list[Any], seconds: float | None) -> None:
    from pelamis.api.core.node import Taint
    from pelamis.api.core.pod.affinity import Toleration

    taint = Taint(key="k", value="v", effect="NoExecute")
    assert tainteviction.patience([of(Toleration, **t) for t in tolerations], [taint]) == seconds


@pytest.mark.parametrize(
    ("ready", "total", "rate"), [(5, 5, 0.1), (0, 5, None), (2, 5, 0.0), (20, 60, 0.01), (3, 5, 0.1)]
)
def test_eviction_slows_down_with_the_zone(ready: int, total: int, rate: float | None) -> None:
    assert nodelifecycle.rate(["True"] * ready + ["Unknown"] * (total - ready)) == rate


def test_budget_counts_healthy_pods_and_spares_disrupted_ones() -> None:
    tree = {"metadata": {"name": "b", "namespace": "n", "generation": 2}, "spec": {"minAvailable": 2, "selector": {}}}
    pods = [pod("a"), pod("b"), pod("c"), pod("d", ready=False)]
    world = disruption.World(of(PodDisruptionBudget, **tree), pods, {}, [])
    (update,) = disruption.reconcile(world, NOW).actions
    assert isinstance(update, Update)
    status = update.obj.status
    assert (status.expectedPods, status.desiredHealthy, status.currentHealthy, status.disruptionsAllowed) == (
        4,
        2,
        3,
        1,
    )
    assert status.conditions[0].reason == "SufficientPods"
    status_tree = {"disruptedPods": {"a": "2023-11-14T22:13:00Z"}}
    world = disruption.World(of(PodDisruptionBudget, **tree, status=status_tree), pods, {}, [])
    plan = disruption.reconcile(world, NOW)
    assert plan.actions[0].obj.status.disruptionsAllowed == 0  # type: ignore[union-attr]
    assert plan.requeue_at == NOW - 20 + 121
    share = {"metadata": {"name": "b"}, "spec": {"maxUnavailable": "30%", "selector": {}}}
    world = disruption.World(of(PodDisruptionBudget, **share), pods, {"owner": 4}, [])
    assert disruption.reconcile(world, NOW).actions[0].obj.status.desiredHealthy == 2  # type: ignore[union-attr]


def test_roles_are_joined_without_doubles() -> None:
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    other = {"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}
    whole = of(ClusterRole, metadata={"name": "view"}, rules=[])
    parts = [
        of(ClusterRole, metadata={"name": "b"}, rules=[rule, other]),
        of(ClusterRole, metadata={"name": "a"}, rules=[rule]),
    ]
    (patch,) = clusterroleaggregation.reconcile((whole, parts), NOW).actions
    assert patch.body == {"rules": [rule, other]}  # type: ignore[union-attr]


def test_claim_is_protected_while_used() -> None:
    fresh = of(PersistentVolumeClaim, metadata={"name": "c", "namespace": "n"})
    (update,) = pvcprotection.reconcile(pvcprotection.World(fresh, False), NOW).actions
    assert update.obj.metadata.finalizers == (pvcprotection.FINALIZER,)  # type: ignore[union-attr]
    meta = {"name": "c", "deletionTimestamp": "2023-11-14T00:00:00Z", "finalizers": [pvcprotection.FINALIZER]}
    doomed = of(PersistentVolumeClaim, metadata=meta)
    assert not pvcprotection.reconcile(pvcprotection.World(doomed, True), NOW).actions
    (update,) = pvcprotection.reconcile(pvcprotection.World(doomed, False), NOW).actions
    assert update.obj.metadata.finalizers == ()  # type: ignore[union-attr]


def test_quota_shows_what_is_used() -> None:
    quota = of(ResourceQuota, metadata={"name": "q"}, spec={"hard": {"pods": "5", "requests.memory": "1Gi"}})
    container = {"name": "c", "resources": {"requests": {"memory": "64Mi"}}}
    pods = [pod(name, containers=[container]) for name in "ab"]
    (update,) = resourcequota.reconcile(resourcequota.World(quota, [("pods", pods)], 0.0), NOW).actions
    assert update.obj.status.used == {"pods": "2", "requests.memory": "128Mi"}  # type: ignore[union-attr]


def test_a_quota_is_counted_anew_when_a_pod_comes_into_its_scope() -> None:
    hard = {"pods": "5"}
    quotas = [
        of(ResourceQuota, metadata={"name": name, "namespace": "d"}, spec={"hard": hard, "scopes": scopes})
        for name, scopes in (("ends", ["Terminating"]), ("stays", ["NotTerminating"]), ("all", []))
    ]

    class Quotas:
        def __len__(self) -> int:
            return len(quotas)

        def list(self, namespace: str) -> list[Any]:
            return quotas

    spec = {"containers": [{"name": "c", "image": "i"}]}
    before = of(Pod, metadata={"name": "p", "namespace": "d"}, spec=spec)
    after = of(Pod, metadata={"name": "p", "namespace": "d"}, spec={**spec, "activeDeadlineSeconds": 9})
    every: Any = resourcequota.CONTROLLER.every
    assert every(lambda kind: Quotas(), POD, before, after) == [("d", "ends"), ("d", "stays")]
    assert every(lambda kind: Quotas(), POD, before, before) == []


def test_a_shared_quota_is_lowered_only_once_the_count_has_stood() -> None:
    quota = of(
        ResourceQuota,
        metadata={"name": "q"},
        spec={"hard": {"pods": "9"}},
        status={"hard": {"pods": "9"}, "used": {"pods": "2"}},
    )
    world = resourcequota.World(quota, [("pods", [pod("a")])], 0.0, shared=True)
    plan = resourcequota.reconcile(world, NOW)
    assert not plan.actions and plan.requeue_at == NOW + resourcequota.LOWER_S
    counted_at, lower = plan.memo
    again = replace(world, counted_at=counted_at, lower=lower)
    assert not resourcequota.reconcile(again, NOW + 1).actions
    (update,) = resourcequota.reconcile(again, NOW + resourcequota.LOWER_S).actions
    assert isinstance(update, Update) and update.obj.status.used == {"pods": "1"}
    more = replace(world, objects=[("pods", [pod("a"), pod("b"), pod("c")])])
    (update,) = resourcequota.reconcile(more, NOW).actions
    assert isinstance(update, Update) and update.obj.status.used == {"pods": "3"}


def test_endpoints_written_by_hand_are_mirrored() -> None:
    subsets = [{"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": [{"name": "x", "port": 80}]}]
    endpoints = of(Endpoints, metadata={"name": "e", "namespace": "n", "uid": "u"}, subsets=subsets)
    plan = endpointslicemirroring.reconcile(endpointslicemirroring.World(endpoints, []), NOW)
    assert [a.obj.addressType for a in plan.actions if isinstance(a, Create)] == ["IPv4", "IPv6"]
    made = [a.obj for a in plan.actions if isinstance(a, Create)]
    assert not endpointslicemirroring.reconcile(endpointslicemirroring.World(endpoints, made), NOW).actions


@pytest.mark.parametrize(
    ("spec", "status", "names"),
    [
        ({}, {}, set()),
        ({"volumeAttributesClassName": "a"}, {"currentVolumeAttributesClassName": "b"}, {"a", "b"}),
        ({}, {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "c", "status": "Pending"}}, {"c"}),
    ],
)
def test_a_class_of_volume_attributes_stays_while_it_is_named(spec: Any, status: Any, names: set[str]) -> None:
    assert vacprotection.named(of(PersistentVolumeClaim, spec=spec, status=status)) == names
    kept = {"name": "a", "finalizers": [vacprotection.FINALIZER], "deletionTimestamp": "2023-11-14T00:00:00Z"}
    world = vacprotection.World(of(VolumeAttributesClass, metadata=kept), used=True)
    assert not vacprotection.reconcile(world, NOW).actions
    (update,) = vacprotection.reconcile(vacprotection.World(world.cls, used=False), NOW).actions
    assert isinstance(update, Update) and update.obj.metadata.finalizers == ()
