"""Scheduling decisions per second on columns, beside the same checks made node by node in plain Python.

1,000 nodes in three zones, some tainted; 5,000 pods of 50 Deployments, each with requests, a toleration, a node
selector or nothing, spread softly over zones and hosts. Both sides decide and count every pod; the naive twin gets
fewer pods, as it takes long. It filters (taints, selector, resources) and scores (least allocated, balance, spreading)
with the same formulas, over all nodes.
"""

from __future__ import annotations

import math
import random
import time
from typing import Any

import msgspec
from benchmarks.frame import Row, shown, table

from pelamis.api.core.node import Node
from pelamis.api.core.pod.pod import Pod
from pelamis.scheduler.core import decide
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.toleration import keeps_off

AIM_RATIO = 5.0
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def _struct(kind: Any, tree: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=kind)


def make_nodes(count: int) -> list[Node]:
    out = []
    for i in range(count):
        taints = [{"key": "pool", "value": "gpu", "effect": "NoSchedule"}] if i % 10 == 0 else []
        labels = {HOST: f"n{i}", ZONE: f"z{i % 3}", "disk": "ssd" if i % 2 else "hdd"}
        allocatable = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
        tree = {"metadata": {"name": f"n{i}", "labels": labels}, "spec": {"taints": taints}}
        out.append(_struct(Node, {**tree, "status": {"allocatable": allocatable}}))
    return out


def make_pods(count: int) -> list[Pod]:
    draw = random.Random(5)
    out = []
    for i in range(count):
        app = i % 50
        selector = {"matchLabels": {"app": f"a{app}"}}
        spread = [
            {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
            for key, skew in ((HOST, 3), (ZONE, 5))
        ]
        requests = {"cpu": f"{draw.choice((50, 100, 250))}m", "memory": f"{draw.choice((64, 128, 512))}Mi"}
        spec: dict[str, Any] = {
            "containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}],
            "topologySpreadConstraints": spread,
        }
        if app % 5 == 0:
            spec["tolerations"] = [{"key": "pool", "operator": "Exists"}]
        if app % 4 == 0:
            spec["nodeSelector"] = {"disk": "ssd"}
        meta = {"name": f"p{i}", "namespace": "default", "uid": f"u{i}", "labels": {"app": f"a{app}"}}
        out.append(_struct(Pod, {"metadata": meta, "spec": spec}))
    return out


def with_columns(nodes: list[Node], pods: list[Pod]) -> float:
    snapshot = Snapshot()
    for node in nodes:
        snapshot.set_node(node)
    draw = random.Random(1).random
    began = time.perf_counter()
    for pod in pods:
        info = PodInfo(pod)
        decision = decide(snapshot, PLUGINS, info, draw=draw)
        assert decision.node
        snapshot.add_pod(info, decision.node)
    return len(pods) / (time.perf_counter() - began)


class NaiveNode:
    def __init__(self, node: Node) -> None:
        self.node = node
        self.cpu, self.memory = 16000, 64 << 30
        self.used_cpu = self.used_memory = 0
        self.apps: dict[str, int] = {}
        self.pods = 0


def node_by_node(nodes: list[Node], pods: list[Pod]) -> float:
    world = [NaiveNode(n) for n in nodes]
    draw = random.Random(1)
    began = time.perf_counter()
    for pod in pods:
        info = PodInfo(pod)
        cpu, memory = info.nonzero
        app = pod.metadata.labels["app"]
        fit = []
        for naive in world:
            labels = naive.node.metadata.labels
            if naive.node.spec.unschedulable or keeps_off(pod.spec.tolerations, naive.node.spec.taints):
                continue
            if any(labels.get(k) != v for k, v in pod.spec.nodeSelector.items()):
                continue
            if naive.pods >= 110 or naive.used_cpu + cpu > naive.cpu or naive.used_memory + memory > naive.memory:
                continue
            fit.append(naive)
        zones: dict[str, int] = {}
        for naive in world:
            labels = naive.node.metadata.labels
            if all(labels.get(k) == v for k, v in pod.spec.nodeSelector.items()):
                zones[labels[ZONE]] = zones.get(labels[ZONE], 0) + naive.apps.get(app, 0)
        host_weight, zone_weight = math.log(len(fit) + 2), math.log(len(zones) + 2)
        spread = []
        for naive in fit:
            zone = naive.node.metadata.labels[ZONE]
            spread.append(round(naive.apps.get(app, 0) * host_weight + 2 + zones[zone] * zone_weight + 4))
        most, least = max(spread), min(spread)
        best: list[NaiveNode] = []
        top = -1
        for naive, value in zip(fit, spread, strict=True):
            free_cpu = (naive.cpu - naive.used_cpu - cpu) * 100 // naive.cpu
            free_memory = (naive.memory - naive.used_memory - memory) * 100 // naive.memory
            part = abs((naive.used_cpu + cpu) / naive.cpu - (naive.used_memory + memory) / naive.memory) / 2
            score = (free_cpu + free_memory) // 2 + int((1 - part) * 100) + 2 * (100 * (most + least - value) // most)
            if score > top:
                top, best = score, [naive]
            elif score == top:
                best.append(naive)
        chosen = best[int(draw.random() * len(best))]
        chosen.used_cpu += cpu
        chosen.used_memory += memory
        chosen.pods += 1
        chosen.apps[app] = chosen.apps.get(app, 0) + 1
    return len(pods) / (time.perf_counter() - began)


def rows(count: int = 1000, wanted: int = 5000) -> list[Row]:
    nodes, pods = make_nodes(count), make_pods(wanted)
    out = []
    fast = with_columns(nodes, pods)
    slow = node_by_node(nodes, pods[: max(50, wanted // 20)])
    name = f"scheduler decisions, {count:,} nodes"
    ours, peer = shown(fast, "/s"), f"node by node {shown(slow, '/s')}"
    out.append(Row(name, ours, peer, fast / slow, f"≥ {AIM_RATIO:.0f} ×", fast / slow >= AIM_RATIO))
    return out


if __name__ == "__main__":
    print(table(rows()))
