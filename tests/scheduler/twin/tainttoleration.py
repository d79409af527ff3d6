"""TaintToleration."""

from __future__ import annotations

from .basics import Tree, default_normalize, taints, tolerates
from .world import World


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    for taint in taints(node):
        if taint["effect"] in ("NoSchedule", "NoExecute") and not tolerates(pod, taint):
            return ["node(s) had untolerated taint(s)"], False
    return None


def score(world: World, pod: Tree, node: Tree, feasible: list[Tree]) -> int:
    soft = ("", "PreferNoSchedule")
    return sum(1 for t in taints(node) if t["effect"] == "PreferNoSchedule" and not tolerates(pod, t, soft))


def normalize(scores: dict[str, int]) -> dict[str, int]:
    return default_normalize(scores, reverse=True)
