"""HorizontalPodAutoscaler v1 and v2, and Scale."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api.apps import DEPLOYMENT
from pelamis.api.autoscaling.horizontalpodautoscaler import KIND as V2
from pelamis.api.autoscaling.hpaconversion import BEHAVIOR, METRICS, from_hub, to_hub
from pelamis.api.autoscaling.scale import Scale, ScaleSpec, scale_of, scaled, validate
from tests.api.made import SELECTOR, TEMPLATE, completed, made

QUEUE = {
    "type": "External",
    "external": {"metric": {"name": "depth"}, "target": {"type": "AverageValue", "averageValue": "30"}},
}


def copied(tree: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree))


def test_defaults() -> None:
    spec = completed(V2, {"spec": {"maxReplicas": 3, "behavior": {"scaleDown": {"selectPolicy": "Min"}}}})["spec"]
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert "stabilizationWindowSeconds" not in spec["behavior"]["scaleDown"]
    assert spec["behavior"]["scaleDown"]["selectPolicy"] == "Min"


def test_other_metrics_travel_in_annotations() -> None:
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    behavior = {"scaleUp": {"selectPolicy": "Max"}}
    tree: dict[str, Any] = {"metadata": {"annotations": {"a": "b"}}, "spec": {"maxReplicas": 3}, "status": {}}
    tree["spec"].update(metrics=[QUEUE, cpu], behavior=behavior)
    old = copied(tree)
    from_hub(old)
    assert old["spec"] == {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
    annotations = old["metadata"]["annotations"]
    assert annotations[METRICS] == '[{"type":"External","external":{"metricName":"depth","targetAverageValue":"30"}}]'
    assert set(annotations) == {"a", METRICS, BEHAVIOR}
    rules = '{"StabilizationWindowSeconds":null,"SelectPolicy":"Max","Policies":null,"Tolerance":null}'
    assert annotations[BEHAVIOR] == '{"ScaleUp":' + rules + ',"ScaleDown":null}'
    to_hub(old)
    assert old["spec"] == tree["spec"]
    assert old["metadata"] == tree["metadata"]


def test_broken_annotations_are_ignored() -> None:
    tree: dict[str, Any] = {"metadata": {"annotations": {METRICS: "{"}}, "spec": {}}
    to_hub(tree)
    assert tree["spec"] == {}
    assert tree["metadata"] == {}


def test_scale() -> None:
    obj = made(DEPLOYMENT, {"spec": {"selector": SELECTOR, "template": TEMPLATE, "replicas": 2}})
    scale = scale_of(obj)
    assert (scale.spec.replicas, scale.status.selector, scale.metadata.name) == (2, "app=web", "x")
    assert scaled(obj, Scale(spec=ScaleSpec(replicas=7))).spec.replicas == 7
    assert [str(e) for e in validate(Scale(spec=ScaleSpec(replicas=-1)))] == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]
