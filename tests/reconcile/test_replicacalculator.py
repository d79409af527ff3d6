"""The cases are those that upstream's own tests of the calculator name; figures are thousandths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pelamis.api import codec
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.base.clock import rfc3339
from pelamis.reconcile.replicacalculator import (
    Metrics,
    PodMetric,
    Tolerances,
    Unable,
    average_replicas,
    per_pod_replicas,
    utilization_replicas,
    value_replicas,
)

NOW = 1_800_000_000.0
T, F = True, False


def pods(
    count: int,
    *,
    ready: Sequence[bool] = (),
    request: Sequence[str] = (),
    phases: Sequence[str] = (),
    hot: Sequence[bool] = (),
    going: Sequence[bool] = (),
) -> list[Pod]:
    """hot: started a moment ago, within the initialization of its CPU figures. A pod not ready has never been."""
    out = []
    for i in range(count):
        fresh = bool(hot) and hot[i]
        is_ready = not ready or ready[i]
        started = NOW - (3 if fresh else 3600)
        changed = NOW - 1 if fresh else started + (5 if not is_ready else 60)
        resources = {"requests": {"cpu": request[i]}} if request and request[i] else {}
        tree: dict[str, Any] = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": f"p{i}", "namespace": "ns"},
            "spec": {"containers": [{"name": "c", "resources": resources}]},
            "status": {
                "phase": phases[i] if phases else "Running",
                "startTime": rfc3339(started),
                "conditions": [
                    {"type": "Ready", "status": str(is_ready), "lastTransitionTime": rfc3339(changed)},
                ],
            },
        }
        if going and going[i]:
            tree["metadata"]["deletionTimestamp"] = rfc3339(NOW)
        out.append(codec.from_tree(POD, tree))
    return out


def samples(*levels: int) -> Metrics:
    return {f"p{i}": PodMetric(level, NOW) for i, level in enumerate(levels)}


ONE = ("1",) * 9
UTILIZATION = {
    # current, levels, pods, target -> replicas, percent, average
    "scale up": (3, (300, 500, 700), pods(3, request=ONE), 30, (5, 50, 500)),
    "unready, less scale": (3, (300, 500, 700), pods(3, request=ONE, ready=(F, T, T)), 30, (4, 60, 600)),
    "hot, less scale": (3, (300, 500, 700), pods(3, request=ONE, hot=(T, F, F)), 30, (4, 60, 600)),
    "unready, no scale": (3, (400, 500, 700), pods(3, request=ONE, ready=(T, F, F)), 30, (3, 40, 400)),
    "hot, no scale": (3, (400, 500, 700), pods(3, request=ONE, hot=(F, T, T)), 30, (3, 40, 400)),
    "failed pods": (
        2,
        (500, 700),
        pods(4, request=ONE, ready=(T, T, F, F), phases=("Running", "Running", "Failed", "Failed")),
        30,
        (4, 60, 600),
    ),
    "pods that go": (
        2,
        (500, 700, 300, 900),
        pods(4, request=ONE, going=(F, F, T, T)),
        30,
        (4, 60, 600),
    ),
    "scale down": (5, (100, 300, 500, 250, 250), pods(5, request=ONE), 50, (3, 28, 280)),
    "scale down, unready": (
        5,
        (100, 300, 500, 250, 250),
        pods(5, request=ONE, ready=(T, T, T, F, F)),
        50,
        (2, 30, 300),
    ),
    "tolerance": (3, (1010, 1030, 1020), pods(3, request=("900m", "1", "1100m")), 100, (3, 102, 1020)),
    "superfluous metrics": (4, (4000, 9500, 3000, 7000, 3200, 2000), pods(4, request=ONE), 100, (24, 587, 5875)),
    "missing metrics": (4, (400, 95), pods(4, request=ONE), 100, (3, 24, 247)),
    "missing, equal": (2, (1000,), pods(2, request=ONE), 100, (2, 100, 1000)),
    "missing, greater": (2, (1900,), pods(2, request=ONE), 100, (2, 190, 1900)),
    "missing, less": (2, (600,), pods(2, request=ONE), 100, (2, 60, 600)),
    "missing, unready, no change": (3, (100, 450), pods(3, request=ONE, ready=(F, T, T)), 50, (3, 45, 450)),
    "missing, unready, up": (3, (100, 2000), pods(3, request=ONE, ready=(F, T, T)), 50, (4, 200, 2000)),
    "missing, unready, down": (4, (100, 100, 100), pods(4, request=ONE, ready=(F, T, T, T)), 50, (3, 10, 100)),
    "pending pods": (
        1,
        (600,),
        pods(3, request=ONE, phases=("Running", "Pending", "Pending")),
        30,
        (1, 60, 600),
    ),
}


@pytest.mark.parametrize("name", UTILIZATION)
def test_utilization(name: str) -> None:
    current, levels, who, target, expected = UTILIZATION[name]
    assert utilization_replicas(current, target, "cpu", who, samples(*levels), Tolerances(), NOW) == expected


@pytest.mark.parametrize(
    ("who", "metrics", "text"),
    [
        ([], samples(1), "no pods returned by selector while calculating replica count"),
        (pods(1, request=("",)), samples(1), "missing request for cpu in container c of Pod p0"),
        (pods(2, request=ONE), {}, "did not receive metrics for targeted pods (pods might be unready)"),
        (pods(1, request=ONE, ready=(F,)), samples(9), "did not receive metrics for targeted pods"),
        (pods(1, request=ONE), {"other": PodMetric(1)}, "no metrics returned matched known pods"),
    ],
)
def test_what_cannot_be_said(who: list[Pod], metrics: Metrics, text: str) -> None:
    with pytest.raises(Unable, match=text.replace("(", r"\(").replace(")", r"\)")):
        utilization_replicas(1, 50, "cpu", who, metrics, Tolerances(), NOW)


@pytest.mark.parametrize(
    ("current", "levels", "who", "target", "expected"),
    [
        (3, (20000, 10000, 30000), pods(3), 15000, (4, 20000)),
        (3, (50000, 10000, 30000), pods(3, ready=(T, T, F), hot=(F, F, T)), 15000, (6, 30000)),
        (5, (12000,) * 5, pods(5), 20000, (3, 12000)),
        (3, (20666, 20777, 20222), pods(3), 20000, (3, 20555)),
        (3, (30000,), pods(3, phases=("Running", "Running", "Pending")), 15000, (3, 30000)),
        (3, (6000,), pods(3), 15000, (3, 6000)),
    ],
)
def test_averages(
    current: int, levels: tuple[int, ...], who: list[Pod], target: int, expected: tuple[int, int]
) -> None:
    assert average_replicas(current, target, "", who, samples(*levels), Tolerances(), NOW) == expected


@pytest.mark.parametrize(
    ("current", "value", "target", "who", "expected"),
    [
        (3, 20000, 15000, pods(3), 4),
        (3, 50000, 10000, pods(3, ready=(F, T, F)), 5),
        (1, 8600, 4400, pods(1), 2),
        (0, 25000, 10000, [], 3),
        (0, 0, 10000, [], 0),
        (3, 10900, 10000, [], 3),
        (5, 12000, 20000, pods(5), 3),
    ],
)
def test_one_value(current: int, value: int, target: int, who: list[Pod], expected: int) -> None:
    assert value_replicas(current, target, value, who, Tolerances()) == expected


@pytest.mark.parametrize(
    ("current", "value", "target", "expected"),
    [
        (3, 8600, 2150, (4, 2867)),
        (5, 6000, 2000, (3, 1200)),
        (4, 8600, 2150, (4, 2150)),
        (0, 6000, 2000, (3, 6000)),
        (0, 0, 2000, (0, 0)),
    ],
)
def test_one_value_by_pod(current: int, value: int, target: int, expected: tuple[int, int]) -> None:
    assert per_pod_replicas(current, target, value, Tolerances()) == expected


def test_each_direction_has_its_tolerance() -> None:
    limits = Tolerances(down=0.5, up=0.0)
    assert value_replicas(4, 1000, 600, pods(4), limits) == 4
    assert value_replicas(4, 1000, 400, pods(4), limits) == 2
    assert value_replicas(4, 1000, 1010, pods(4), limits) == 5
