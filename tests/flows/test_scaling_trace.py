"""Golden trace of the autoscaler: a spike, more pods, the stabilisation window, fewer pods."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.autoscaling.horizontalpodautoscaler import KIND as AUTOSCALER
from pelamis.api.core.event import KIND as EVENT
from pelamis.client.types import Create
from pelamis.controllers import deployment, horizontalpodautoscaler, replicaset
from pelamis.sim.loop import run
from tests.sim.flow import Flow

LABELS = {"app": "web"}
LOAD = {"hollow.pelamis.dev/cpu-total": "0s=600m,5m=2400m,10m=600m"}
WEB = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS, "annotations": LOAD},
            "spec": {"containers": [{"name": "c", "image": "web:1", "resources": {"requests": {"cpu": "500m"}}}]},
        },
    },
}
TARGET = {"type": "Utilization", "averageUtilization": 50}
SCALER = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 3,
        "maxReplicas": 12,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": TARGET}}],
    },
}
GOLDEN = """
   0  3 create events ScalingReplicaSet
   0  3 create events SuccessfulCreate x3
   0  3 update horizontalpodautoscalers/status
   0  3 create events FailedGetResourceMetric, create events FailedComputeMetricsReplicas
  16  3 update horizontalpodautoscalers/status
 301  3 update horizontalpodautoscalers/status
 316  3 update deployments/scale
 316  6 update horizontalpodautoscalers/status
 316  6 create events SuccessfulRescale
 316  6 create events ScalingReplicaSet
 316  6 create events SuccessfulCreate x3
 331  6 update deployments/scale
 331 10 update horizontalpodautoscalers/status
 331 10 create events SuccessfulRescale
 331 10 create events ScalingReplicaSet
 331 10 create events SuccessfulCreate x4
 346 10 update horizontalpodautoscalers/status
 361 10 update horizontalpodautoscalers/status
 601 10 update horizontalpodautoscalers/status
 616 10 update horizontalpodautoscalers/status
 901 10 update deployments/scale
 901  3 update horizontalpodautoscalers/status
 901  3 create events SuccessfulRescale
 901  3 create events ScalingReplicaSet
 901  3 create events SuccessfulDelete x7
 916  3 update horizontalpodautoscalers/status
""".strip("\n")
"""Seconds, replicas wanted before the write, and the write. The load is four times as much from 300 s to 600 s; what
was needed in the last five minutes is kept."""


def _shown(action: Any) -> str:
    sub = getattr(action, "subresource", "")
    what = f"{type(action).__name__.lower()} {action.kind.plural}" + (f"/{sub}" if sub else "")
    if action.kind is EVENT and isinstance(action, Create):
        return f"{what} {action.obj.reason}" if not isinstance(action.obj, dict) else f"{what} {action.obj['reason']}"
    return what


def spike() -> str:
    """What the autoscaler writes, and how many pods are declared after it."""
    lines: list[str] = []

    async def main() -> None:
        modules = (deployment, replicaset, horizontalpodautoscaler)
        async with Flow([m.CONTROLLER for m in modules], nodes=("n1", "n2")) as sim:
            began = sim.now

            def heard(component: str, process: str, actions: Any) -> None:
                mine = [a for a in actions if a.kind in (AUTOSCALER, EVENT) or getattr(a, "subresource", "") == "scale"]
                if component == "controllers" and mine:
                    counts = Counter(_shown(a) for a in mine)
                    texts = ", ".join(f"{text} x{n}" if n > 1 else text for text, n in counts.items())
                    replicas = sim.get(DEPLOYMENT, "default", "web").spec.replicas
                    at = f"{sim.now - began:.0f}"
                    lines.append(f"{at:>4} {replicas:>2} {texts}")

            sim.door.heard = heard
            await sim.do(Create(DEPLOYMENT, WEB), Create(AUTOSCALER, SCALER))
            await sim.run(1200)

    run(main())
    return "\n".join(lines)


def test_a_spike() -> None:
    assert spike() == GOLDEN
