"""NodeUnschedulable."""

from __future__ import annotations

from .basics import Tree, tolerates
from .world import World


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if node["spec"].get("unschedulable") and not tolerates(pod, taint):
        return ["node(s) were unschedulable"], False
    return None
