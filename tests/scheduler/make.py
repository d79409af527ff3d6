"""Nodes and pods for the scheduler's tests, in few words."""

from __future__ import annotations

from typing import Any

from pelamis.api.codec import from_tree
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.scheduler.core import Decision, decide
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot


def node(name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **more: Any) -> Any:
    """more: labels, taints, unschedulable, images, and further resources."""
    labels = {"kubernetes.io/hostname": name, **more.pop("labels", {})}
    spec = {k: more.pop(k) for k in ("taints", "unschedulable") if k in more}
    images = more.pop("images", [])
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "100Gi", **more}
    status = {"allocatable": allocatable, "images": images}
    return from_tree(NODE, {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status})


def pod_tree(name: str, cpu: str = "", memory: str = "", **more: Any) -> dict[str, Any]:
    """more: namespace, labels, owner, priority, ports, requests, node, deleted, status; the rest goes into the spec."""
    meta: dict[str, Any] = {"name": name, "namespace": more.pop("namespace", "default"), "uid": f"uid-{name}"}
    meta["labels"] = more.pop("labels", {})
    if more.pop("deleted", False):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    if owner := more.pop("owner", None):
        meta["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "u", "controller": True, **owner}
        ]
    requests = {**({"cpu": cpu} if cpu else {}), **({"memory": memory} if memory else {}), **more.pop("requests", {})}
    container = {"name": "c", "image": more.pop("image", "img"), "resources": {"requests": requests}}
    if ports := more.pop("ports", None):
        container["ports"] = ports
    status = more.pop("status", {})
    if "node" in more:
        more["nodeName"] = more.pop("node")
    spec = {"schedulerName": "default-scheduler", "containers": [container], **more}
    return {"metadata": meta, "spec": spec, "status": status}


def pod(name: str, cpu: str = "", memory: str = "", **more: Any) -> PodInfo:
    return PodInfo(from_tree(POD, pod_tree(name, cpu, memory, **more)))


def cluster(*nodes: Any, pods: tuple[PodInfo, ...] = ()) -> Snapshot:
    """The pods are on the nodes that they name."""
    snapshot = Snapshot(capacity=2)
    for each in nodes:
        snapshot.set_node(each)
    for info in pods:
        snapshot.add_pod(info, info.pod.spec.nodeName)
    return snapshot


def place(snapshot: Snapshot, info: PodInfo, draw: float = 0.0) -> Decision:
    return decide(snapshot, PLUGINS, info, draw=lambda: draw)


def outcome(snapshot: Snapshot, info: PodInfo) -> str:
    """The node's name, or why there is none."""
    decision = place(snapshot, info)
    if decision.node:
        return decision.node
    assert decision.diagnosis is not None
    return decision.diagnosis.text().partition("available: ")[2]
