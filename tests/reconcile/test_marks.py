"""What controllers write beside a condition or a taint: the generation that it is about, and the time."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api.core.node import Node
from pelamis.api.core.pod.pod import Pod
from pelamis.reconcile.nodehealth import no_schedule_taints
from pelamis.reconcile.podstate import disrupted

NOW, SHOWN = 1_700_000_000.0, "2023-11-14T22:13:20Z"


def of(kind: Any, tree: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=kind)


def test_a_pod_that_is_to_go_says_of_which_generation() -> None:
    for generation, shown in ((3, 3), (0, None)):
        pod = of(Pod, {"metadata": {"name": "p", "generation": generation}, "spec": {"containers": []}})
        (target,) = disrupted(pod, "DeletionByPodGC", "why", NOW)["conditions"]
        assert (target["reason"], target.get("observedGeneration"), target["lastTransitionTime"]) == (
            "DeletionByPodGC",
            shown,
            SHOWN,
        )


def test_a_taint_that_keeps_pods_away_says_since_when() -> None:
    taints = no_schedule_taints(of(Node, {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}), NOW)
    assert taints is not None
    assert [(t.key, t.effect, t.timeAdded) for t in taints] == [
        ("node.kubernetes.io/unschedulable", "NoSchedule", SHOWN)
    ]
