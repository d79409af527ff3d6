"""Rounds of the autoscaler case by case, and whole courses on a simulated cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace as changed

from pelamis.api import codec
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.autoscaling.horizontalpodautoscaler import KIND as AUTOSCALER
from pelamis.api.autoscaling.scale import Scale, ScaleSpec, ScaleStatus
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.meta import ObjectMeta
from pelamis.base.clock import rfc3339
from pelamis.base.errors import Conflict
from pelamis.client.types import Outcome
from pelamis.controllers.horizontalpodautoscaler import reconcile
from pelamis.reconcile.plan import Found, Plan
from pelamis.reconcile.scalemetrics import Memory, Target, World, go_selector, reads
from pelamis.sim import loop
from pelamis.sim.cluster import Cluster

NOW = 1_800_000_000.0
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
QUEUE = {
    "type": "External",
    "external": {
        "metric": {"name": "queue", "selector": {"matchLabels": {"q": "a"}}},
        "target": {"type": "AverageValue", "averageValue": "10"},
    },
}
RPS = {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
HITS = {
    "type": "Object",
    "object": {
        "metric": {"name": "hits"},
        "describedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main"},
        "target": {"type": "Value", "value": "2k"},
    },
}
BUSY = {
    "type": "ContainerResource",
    "containerResource": {
        "name": "cpu",
        "container": "c",
        "target": {"type": "AverageValue", "averageValue": "100m"},
    },
}


def hpa(metrics: Sequence[Any] = (CPU,), **spec: Any) -> Any:
    tree = {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v2",
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": list(metrics),
            **spec,
        },
    }
    return codec.from_tree(AUTOSCALER, tree)


def pods(count: int) -> list[Any]:
    return [
        codec.from_tree(
            POD,
            {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": {"name": f"p{i}", "namespace": "ns", "labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]},
                "status": {
                    "phase": "Running",
                    "startTime": rfc3339(NOW - 4000),
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW - 3990)}],
                },
            },
        )
        for i in range(count)
    ]


def usage(*milli: int) -> Found:
    items = [
        {
            "metadata": {"name": f"p{i}", "namespace": "ns"},
            "timestamp": rfc3339(NOW),
            "window": "15s",
            "containers": [{"name": "c", "usage": {"cpu": f"{m}m", "memory": "1Mi"}}],
        }
        for i, m in enumerate(milli)
    ]
    return Found({"items": items})


def world(obj: Any, current: int, answers: Sequence[Found] = (), *, selector: str = "app=web", **more: Any) -> World:
    scale = Scale(
        metadata=ObjectMeta(name="web", namespace="ns", resourceVersion="7"),
        spec=ScaleSpec(replicas=current),
        status=ScaleStatus(replicas=current, selector=selector),
    )
    given: dict[str, Any] = {"pods": pods(current), "rivals": ("web",), "custom": "v1beta2", **more}
    given.setdefault("resources", {("networking.k8s.io", "Ingress"): "ingresses.networking.k8s.io"})
    found = World(obj, Target(DEPLOYMENT, scale), memory=Memory(), **given)
    memory = Memory(answers=dict(zip(reads(found), answers, strict=False)))
    return World(obj, Target(DEPLOYMENT, scale), memory=memory, **given)


def carried(w: World, *outcomes: Outcome) -> tuple[Plan, Mapping[str, tuple[str, str]], Any, int | None]:
    """(the last plan but one, its conditions, its status, the scale that was written)."""
    plan = reconcile(w, NOW)
    scaled = None
    if plan.actions and plan.actions[0].kind is DEPLOYMENT:
        scaled = plan.actions[0].obj["spec"]["replicas"]
        assert plan.on_outcomes is not None
        plan = plan.on_outcomes(outcomes or (Outcome(9, None),))
    status = plan.actions[0].obj.status if plan.actions else w.hpa.status
    return plan, {c.type: (c.status, c.reason) for c in status.conditions}, status, scaled


def reasons(plan: Plan) -> list[str]:
    return [e.reason for e in plan.events]


def test_a_round_reads_first_then_decides_on_what_is_there_then() -> None:
    w = world(hpa((CPU, BUSY, QUEUE, RPS, HITS)), 2)
    first = reconcile(World(w.hpa, w.target, (), (), Memory(), w.custom, w.resources), NOW)
    assert [(r.path, dict(r.query)) for r in first.reads] == [
        ("/apis/metrics.k8s.io/v1beta1/namespaces/ns/pods", {"labelSelector": "app=web"}),
        ("/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/queue", {"labelSelector": "q=a"}),
        ("/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/rps", {"labelSelector": "app=web"}),
        ("/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/ingresses.networking.k8s.io/main/hits", {}),
    ]
    assert first.on_reads is not None
    again = first.on_reads([usage(1), usage(2), usage(3), usage(4)])
    assert again.requeue_at == NOW
    assert len(again.memo.answers) == 4


def test_what_is_written_when_it_scales() -> None:
    plan, conditions, status, scaled = carried(world(hpa(), 2, [usage(100, 120)]))
    assert scaled == 4  # without behaviour: twice as many, or four
    assert conditions == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("True", "ScaleUpLimit"),
        "ScaledToZero": ("False", "NotScaledToZero"),
    }
    assert (status.currentReplicas, status.desiredReplicas, status.lastScaleTime) == (2, 4, rfc3339(NOW))
    current = status.currentMetrics[0].resource.current
    assert (current.averageUtilization, current.averageValue) == (110, "110m")
    note = plan.events[-1]
    wanted = "New size: 4; reason: cpu resource utilization (percentage of request) above target"
    assert (note.type, note.reason, note.message) == ("Normal", "SuccessfulRescale", wanted)
    assert plan.requeue_at == NOW + 15


def test_a_refused_scale_is_told() -> None:
    refused = Outcome(0, None, Conflict("deployments", "apps", "web"))
    plan, conditions, status, _ = carried(world(hpa(), 2, [usage(100, 120)]), refused)
    assert conditions["AbleToScale"] == ("False", "FailedUpdateScale")
    assert reasons(plan) == ["FailedRescale"]
    assert status.lastScaleTime is None


VALUE = {"items": [{"metricName": "x", "value": "95"}]}
HIT = {"items": [{"describedObject": {"name": "main"}, "metric": {"name": "hits"}, "value": "6k"}]}
IDLE = Found({"items": [{"metricName": "x", "value": "0"}]})
EACH = {"items": [{"describedObject": {"name": f"p{i}"}, "value": "30"} for i in range(2)]}


@pytest.mark.parametrize(
    ("metric", "answer", "scaled", "shown"),
    [
        (QUEUE, VALUE, 10, ("External", {"averageValue": "47500m"})),
        (RPS, EACH, 6, ("Pods", {"averageValue": "30"})),
        (HITS, HIT, 6, ("Object", {"value": "6k"})),
        (BUSY, usage(300, 100).tree, 4, ("ContainerResource", {"averageValue": "200m"})),
    ],
)
def test_each_kind_of_metric(metric: Any, answer: Any, scaled: int, shown: Any) -> None:
    _, conditions, status, found = carried(world(hpa((metric,)), 2, [Found(answer)]))
    assert conditions["ScalingActive"] == ("True", "ValidMetricFound")
    assert found == min(scaled, 4)
    tree = codec.to_tree(status.currentMetrics[0])
    name = shown[0][:1].lower() + shown[0][1:]
    assert (tree["type"], tree[name]["current"]) == shown


@pytest.mark.parametrize(
    ("metric", "answer", "reason", "text"),
    [
        (CPU, Found(None, "gone"), "FailedGetResourceMetric", "unable to fetch metrics from resource metrics API"),
        (CPU, Found({"items": []}), "FailedGetResourceMetric", "no metrics returned from resource metrics API"),
        (BUSY, Found({"items": [{"metadata": {"name": "p0", "namespace": "ns"}}]}), "FailedGetContainerResourceMetric",
         "container c not present in metrics for pod ns/p0"),
        (QUEUE, Found(None, "gone"), "FailedGetExternalMetric", "unable to get external metric ns/queue/&LabelSelector{"
         "MatchLabels:map[string]string{q: a,},MatchExpressions:[]LabelSelectorRequirement{},}: unable to fetch"),
        (RPS, Found(None, "gone"), "FailedGetPodsMetric", "unable to get metric rps: unable to fetch metrics from"),
        (HITS, Found(None, "gone"), "FailedGetObjectMetric", "custom metrics API: gone on Ingress ns/main"),
    ],
)  # fmt: skip
def test_a_metric_that_cannot_be_had(metric: Any, answer: Found, reason: str, text: str) -> None:
    plan, conditions, _, scaled = carried(world(hpa((metric,)), 2, [answer]))
    assert scaled is None
    assert conditions["ScalingActive"] == ("False", reason)
    assert reasons(plan) == [reason, "FailedComputeMetricsReplicas"]
    assert text in plan.events[0].message
    assert plan.events[1].message.startswith("invalid metrics (1 invalid out of 1), first error is: failed to get ")


def test_metrics_that_fail_beside_others_only_let_it_grow() -> None:
    lost = Found(None, "gone")
    up, conditions, _, scaled = carried(world(hpa((CPU, QUEUE)), 2, [usage(100, 120), lost]))
    assert scaled == 4
    assert conditions["ScalingActive"] == ("True", "ValidMetricFound")
    down, conditions, status, scaled = carried(world(hpa((CPU, QUEUE)), 2, [usage(1, 1), lost]))
    assert scaled is None
    assert conditions["ScalingActive"] == ("False", "FailedGetExternalMetric")
    assert [m.type for m in status.currentMetrics] == ["Resource", ""]
    assert reasons(up)[0] == reasons(down)[0] == "FailedGetExternalMetric"


@pytest.mark.parametrize(
    ("current", "more", "scaled", "condition"),
    [
        (0, {}, None, ("ScalingActive", ("False", "ScalingDisabled"))),
        (14, {}, 10, ("AbleToScale", ("True", "SucceededRescale"))),
        (1, {"minReplicas": 3}, 3, ("AbleToScale", ("True", "SucceededRescale"))),
    ],
)
def test_what_needs_no_metrics(current: int, more: Any, scaled: int | None, condition: Any) -> None:
    plan, conditions, _, found = carried(world(hpa(**more), current))
    assert found == scaled
    assert conditions[condition[0]] == condition[1]
    assert not plan.reads


@pytest.mark.parametrize(
    ("selector", "rivals", "reason", "event"),
    [
        ("", ("web",), "InvalidSelector", "SelectorRequired"),
        ("a in (", ("web",), "InvalidSelector", "InvalidSelector"),
        ("app=web", ("other", "web"), "AmbiguousSelector", "AmbiguousSelector"),
    ],
)
def test_selectors_that_name_no_pods_for_sure(selector: str, rivals: Any, reason: str, event: str) -> None:
    w = world(hpa(), 2, [usage(100, 100)], selector=selector, rivals=rivals)
    plan, conditions, _, scaled = carried(w)
    assert scaled is None
    assert conditions["ScalingActive"] == ("False", reason)
    assert reasons(plan) == [event, "FailedComputeMetricsReplicas"]


_DOUBLE = {"type": "Percent", "value": 100, "periodSeconds": 15}
_UP = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [{**_DOUBLE, "type": "Pods", "value": 4}]}
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [_DOUBLE]}, "scaleUp": _UP}


def asleep(obj: Any) -> Any:
    """As it is after it scaled its target to zero."""
    return changed(obj, status=carried(world(obj, 1, [IDLE]))[2])


@pytest.mark.parametrize(
    ("least", "was_asleep", "answer", "scaled", "conditions"),
    [
        (0, False, IDLE, None, {"ScalingActive": ("False", "ScalingDisabled")}),
        (0, True, IDLE, None, {"ScaledToZero": ("True", "ScaledToZero")}),
        (0, True, Found(VALUE), 4, {"ScaledToZero": ("False", "NotScaledToZero")}),
        (3, True, IDLE, 3, {"ScaledToZero": ("False", "NotScaledToZero")}),
    ],
)
def test_a_target_of_none(least: int, was_asleep: bool, answer: Found, scaled: int | None, conditions: Any) -> None:
    """Switched off by somebody it stays off; what its autoscaler scaled to zero wakes with its work."""
    obj = hpa((QUEUE,), minReplicas=0, behavior=AT_ONCE)
    if was_asleep:
        obj = asleep(obj)
    obj = changed(obj, spec=changed(obj.spec, minReplicas=least))
    _, found, _, replicas = carried(world(obj, 0, [answer]))
    assert replicas == scaled
    assert conditions.items() <= found.items()


def test_work_that_ends_scales_to_zero() -> None:
    _, conditions, status, scaled = carried(world(hpa((QUEUE,), minReplicas=0, behavior=AT_ONCE), 1, [IDLE]))
    assert scaled == 0
    assert conditions["ScaledToZero"] == ("True", "ScaledToZero")
    assert (status.currentReplicas, status.desiredReplicas) == (1, 0)


def test_a_target_that_is_not_there() -> None:
    w = World(hpa(), Target(problem='deployments/scale.apps "web" not found'), (), (), Memory())
    plan, conditions, status, _ = carried(w)
    assert conditions == {"AbleToScale": ("False", "FailedGetScale")}
    assert reasons(plan) == ["FailedGetScale"]
    assert status.conditions[0].message.endswith('current scale: deployments/scale.apps "web" not found')


def test_selectors_as_go_prints_them() -> None:
    assert go_selector(None) == "nil"


# -- on a cluster

DEPLOY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {
                "labels": {"app": "web"},
                "annotations": {"hollow.pelamis.dev/cpu-total": "0s=150m,10m=1000m,20m=150m"},
            },
            "spec": {
                "containers": [{"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "100m"}}}],
                "terminationGracePeriodSeconds": 0,
            },
        },
    },
}
TARGET = {"type": "AverageValue", "averageValue": "100m"}
SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
        "minReplicas": 3,
        "maxReplicas": 10,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "100m"}},
            }
        ],
    },
}


def test_a_spike_scales_from_3_to_10_and_back_after_the_window() -> None:
    seen: list[tuple[float, int]] = []

    async def main() -> None:
        async with Cluster(seed=3, nodes=3) as cluster:
            await cluster.apply(DEPLOY, SCALER)

            def changed(key: Any, old: Any, new: Any) -> None:
                if new is not None and (not seen or seen[-1][1] != new.spec.replicas):
                    seen.append((cluster.now, new.spec.replicas))

            cluster.server.objects.view(DEPLOYMENT.resource).subscribe(changed)
            await cluster.run(2400)
            found = cluster.get(AUTOSCALER, "default", "web")
            assert {c.type: c.status for c in found.status.conditions}["AbleToScale"] == "True"
            rescales = [e for e in cluster.objects(EVENT) if e.reason == "SuccessfulRescale"]
            assert sum(max(e.count, 1) for e in rescales) == len(seen) - 1

    loop.run(main())
    replicas = [n for _, n in seen]
    top = replicas.index(10)
    assert replicas[0] == 3
    assert replicas[: top + 1] == sorted(replicas[: top + 1])
    assert replicas[-1] == 3
    assert 600 < seen[top][0] < 800
    assert 1200 + 285 < seen[top + 1][0] < 1200 + 400  # five minutes after the last recommendation of ten


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lamps.home.example"},
    "spec": {
        "group": "home.example",
        "names": {"plural": "lamps", "singular": "lamp", "kind": "Lamp", "listKind": "LampList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.bulbs",
                        "statusReplicasPath": ".status.bulbs",
                        "labelSelectorPath": ".status.selector",
                    },
                },
            }
        ],
    },
}


def test_a_custom_resource_is_scaled() -> None:
    async def main() -> None:
        async with Cluster(seed=4, nodes=1) as cluster:
            await cluster.apply(CRD)
            await cluster.run(2)
            lamp = {"apiVersion": "home.example/v1", "kind": "Lamp", "metadata": {"name": "a", "namespace": "default"}}
            ref = {"kind": "Lamp", "name": "a", "apiVersion": "home.example/v1"}
            scaler = {**SCALER, "spec": {**SCALER["spec"], "scaleTargetRef": ref, "minReplicas": 2}}
            await cluster.apply({**lamp, "spec": {"bulbs": 1}}, scaler)
            await cluster.run(5)
            kind = cluster.kind_of(lamp)
            assert cluster.get(kind, "default", "a").tree["spec"] == {"bulbs": 2}
            await cluster.run(20)
            found = cluster.get(AUTOSCALER, "default", "web")
            assert {c.type: c.reason for c in found.status.conditions} == {
                "AbleToScale": "SucceededGetScale",
                "ScalingActive": "InvalidSelector",
                "ScaledToZero": "NotScaledToZero",
            }

    loop.run(main())
