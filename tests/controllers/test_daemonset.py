"""A DaemonSet's steps, case by case: nodes and pods in, the pods to make and to delete out."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.daemonset import DaemonSet
from pelamis.api.core.node import Node
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.client.types import Create, Delete
from pelamis.controllers import daemonset
from pelamis.reconcile.revision import POD_HASH, history
from tests.api.made import of

NOW = 1_700_000_000.0
LABELS = {"a": "b"}


def declared(image: str, *, surge: Any = 0, unavailable: Any = 1, strategy: str = "RollingUpdate", **spec: Any) -> Any:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    update = {"type": strategy, **(rolling if strategy == "RollingUpdate" else {})}
    body = {"selector": {"matchLabels": LABELS}, "template": template, "updateStrategy": update}
    return of(DaemonSet, {"metadata": {"name": "d", "namespace": "n", "uid": "u", "generation": 1}, "spec": body})


def digest(one: Any) -> str:
    return history(one, DAEMONSET, (), POD_HASH, LABELS).update.metadata.labels[POD_HASH]


def node(name: str, *taints: tuple[str, str], **labels: str) -> Any:
    spec = {"taints": [{"key": key, "effect": effect} for key, effect in taints]}
    return of(Node, {"metadata": {"name": name, "labels": labels}, "spec": spec})


def pod(one: Any, where: str, state: str = "ready", *, name: str = "", at: str = "2023-11-14T00:00:00Z") -> Any:
    meta: dict[str, Any] = {
        "name": name or f"d-{where}",
        "namespace": "n",
        "uid": name or where,
        "creationTimestamp": at,
        "labels": {**LABELS, POD_HASH: digest(one)},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}
        ],
    }
    if state == "leaving":
        meta["deletionTimestamp"] = at
    phase = {"failed": "Failed", "succeeded": "Succeeded"}.get(state, "Running")
    condition = {"type": "Ready", "status": str(state == "ready"), "lastTransitionTime": at}
    spec = {"containers": [], "nodeName": where}
    return of(Pod, {"metadata": meta, "spec": spec, "status": {"phase": phase, "conditions": [condition]}})


def run(one: Any, nodes: list[Any], pods: list[Any], backoff: Any = None) -> list[str]:
    plan = daemonset.reconcile(daemonset.World(one, pods, nodes, [], lambda name: None, backoff or {}), NOW)
    out = []
    for action in plan.actions:
        if isinstance(action, Create) and action.kind is POD:
            out.append(f"+{daemonset.node_of(action.obj)}")
        elif isinstance(action, Delete) and action.kind is POD:
            out.append(f"-{action.name}")
    return out


OLD, NEW = declared("old"), declared("new")
A, B, C = node("a"), node("b"), node("c")
CORDONED = ("node.kubernetes.io/unschedulable", "NoSchedule")


@pytest.mark.parametrize(
    ("one", "nodes", "pods", "steps"),
    [
        (NEW, [A, B], [], ["+a", "+b"]),
        (NEW, [A, B], [pod(NEW, "a")], ["+b"]),
        (NEW, [A], [pod(NEW, "a"), pod(NEW, "gone")], []),  # the pod garbage collector takes that one
        (NEW, [A], [pod(NEW, "a", "leaving")], []),
        (NEW, [A], [pod(NEW, "a", "failed")], ["-d-a"]),
        (NEW, [A], [pod(NEW, "a", "succeeded")], ["-d-a"]),
        (NEW, [A], [pod(NEW, "a"), pod(NEW, "a", name="later", at="2023-11-14T01:00:00Z")], ["-later"]),
        # which nodes
        (NEW, [node("a", ("k", "NoSchedule"))], [], []),
        (NEW, [node("a", ("k", "NoSchedule"))], [pod(NEW, "a")], []),
        (NEW, [node("a", ("k", "NoExecute"))], [pod(NEW, "a")], ["-d-a"]),
        (NEW, [node("a", CORDONED, ("node.kubernetes.io/not-ready", "NoExecute"))], [], ["+a"]),
        (declared("new", nodeSelector={"disk": "fast"}), [A, node("b", disk="fast")], [], ["+b"]),
        (declared("new", nodeName="b"), [A, B], [], ["+b"]),
        # one at a time, those that are not available first and for free
        (NEW, [A, B, C], [pod(OLD, "a"), pod(OLD, "b"), pod(OLD, "c")], ["-d-a"]),
        (NEW, [A, B, C], [pod(OLD, "a"), pod(NEW, "b", "starting"), pod(OLD, "c")], []),
        (NEW, [A, B, C], [pod(OLD, "a"), pod(NEW, "b"), pod(OLD, "c", "starting")], ["-d-c"]),
        (
            declared("new", unavailable="50%"),
            [A, B, C],
            [pod(OLD, "a"), pod(OLD, "b"), pod(OLD, "c")],
            ["-d-a", "-d-b"],
        ),
        (declared("new", strategy="OnDelete"), [A, B], [pod(OLD, "a"), pod(OLD, "b")], []),
        # with surge the new pod comes first; the old one goes when the new one is available
        (declared("new", surge=1, unavailable=0), [A, B], [pod(OLD, "a"), pod(OLD, "b")], ["+a"]),
        (
            declared("new", surge=1, unavailable=0),
            [A, B],
            [pod(OLD, "a"), pod(NEW, "a", "starting", name="new-a"), pod(OLD, "b")],
            [],
        ),
        (
            declared("new", surge=1, unavailable=0),
            [A, B],
            [pod(OLD, "a"), pod(NEW, "a", name="new-a"), pod(OLD, "b")],
            ["-d-a"],
        ),
    ],
)
def test_steps(one: Any, nodes: list[Any], pods: list[Any], steps: list[str]) -> None:
    assert run(one, nodes, pods) == steps


def test_a_pod_that_fails_again_is_replaced_later_and_later() -> None:
    assert run(NEW, [A], [pod(NEW, "a", "failed")], {"a": (2.0, NOW - 1)}) == []
    assert run(NEW, [A], [pod(NEW, "a", "failed")], {"a": (2.0, NOW - 3)}) == ["-d-a"]


def test_while_surging_a_node_counts_as_updated_when_the_old_pod_has_gone() -> None:
    one = declared("new", surge=1, unavailable=0)
    old, new = pod(OLD, "a", name="d-old"), pod(one, "a", name="d-new", at="2023-11-14T01:00:00Z")
    for pods, updated in (([old, new], 0), ([new], 1)):
        plan = daemonset.reconcile(daemonset.World(one, pods, [A], [], lambda name: None, {}), NOW)
        status = next(a.obj.status for a in plan.actions if getattr(a, "subresource", "") == "status")
        assert status.updatedNumberScheduled == updated
