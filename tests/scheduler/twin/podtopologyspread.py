"""PodTopologySpread."""

from __future__ import annotations

import math

from .basics import Tree, is_empty, labels, namespace, node_matches, selects, taints, tolerates
from .world import World

REASON = "node(s) didn't match pod topology spread constraints"
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def _own(pod: Tree, action: str) -> list[Tree]:
    return [c for c in pod["spec"].get("topologySpreadConstraints") or [] if c["whenUnsatisfiable"] == action]


def _selects(c: Tree, pod: Tree, other: Tree) -> bool:
    """The constraint's selector, with the pod's own values of the labels in matchLabelKeys."""
    if not selects(c.get("labelSelector"), labels(other)):
        return False
    own = labels(pod)
    return all(labels(other).get(k) == own[k] for k in c.get("matchLabelKeys") or [] if k in own)


def _count(world: World, c: Tree, pod: Tree, node: Tree) -> int:
    if is_empty(c.get("labelSelector")) and not any(k in labels(pod) for k in c.get("matchLabelKeys") or []):
        return 0
    return sum(
        1
        for p in world.pods_on(node)
        if namespace(p) == namespace(pod) and not p["metadata"].get("deletionTimestamp") and _selects(c, pod, p)
    )


def _included(c: Tree, pod: Tree, node: Tree) -> bool:
    if c.get("nodeAffinityPolicy", "Honor") == "Honor" and not node_matches(pod, node):
        return False
    if c.get("nodeTaintsPolicy", "Ignore") == "Honor":
        hard = [t for t in taints(node) if t["effect"] in ("NoSchedule", "NoExecute")]
        return all(tolerates(pod, t) for t in hard)
    return True


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    constraints = _own(pod, "DoNotSchedule")
    for c in constraints:
        key = c["topologyKey"]
        if key not in labels(node):
            return [REASON + " (missing required label)"], False
        domains: dict[str, int] = {}
        for other in world.nodes:
            if all(d["topologyKey"] in labels(other) for d in constraints) and _included(c, pod, other):
                value = labels(other)[key]
                domains[value] = domains.get(value, 0) + _count(world, c, pod, other)
        least = min(domains.values(), default=2**31 - 1)
        if len(domains) < (c.get("minDomains") or 1):
            least = 0
        own = 1 if _selects(c, pod, pod) else 0
        if domains.get(labels(node)[key], 0) + own - least > c["maxSkew"]:
            return [REASON], True
    return None


def _defaults(world: World, pod: Tree) -> list[Tree]:
    selector = world.default_selector(pod)
    if is_empty(selector):
        return []
    return [
        {"topologyKey": HOSTNAME, "maxSkew": 3, "labelSelector": selector},
        {"topologyKey": ZONE, "maxSkew": 5, "labelSelector": selector},
    ]


def score(world: World, pod: Tree, node: Tree, feasible: list[Tree]) -> int | None:
    """-1: the node lacks a label and is left out."""
    strict = bool(pod["spec"].get("topologySpreadConstraints"))
    constraints = _own(pod, "ScheduleAnyway") if strict else _defaults(world, pod)
    if not constraints:
        return None

    def complete(n: Tree) -> bool:
        return not strict or all(c["topologyKey"] in labels(n) for c in constraints)

    if not complete(node):
        return -1
    total = 0.0
    candidates = [n for n in feasible if complete(n)]
    for c in constraints:
        key = c["topologyKey"]
        value = labels(node).get(key)
        if value is None:
            continue
        if key == HOSTNAME:
            domains, count = len(candidates), _count(world, c, pod, node)
        else:
            domains = len({labels(n).get(key, "") for n in candidates})
            count = sum(
                _count(world, c, pod, n)
                for n in world.nodes
                if complete(n) and labels(n).get(key) == value and _included(c, pod, n)
            )
        total += float(count) * math.log(domains + 2) + float(c["maxSkew"] - 1)
    return math.floor(total + 0.5)


def normalize(scores: dict[str, int]) -> dict[str, int]:
    counted = [v for v in scores.values() if v >= 0]
    most, least = max(counted, default=0), min(counted, default=0)
    if most == 0:
        return {k: 0 if v < 0 else 100 for k, v in scores.items()}
    return {k: 0 if v < 0 else 100 * (most + least - v) // most for k, v in scores.items()}
