"""DefaultPreemption: on which nodes which pods of lower priority would have to go, and which node is the best."""

from __future__ import annotations

from dataclasses import dataclass

from . import cycle
from .basics import Tree, is_empty, labels, name, namespace, selects
from .world import World

FOREVER = "9999"


@dataclass
class Candidate:
    victims: list[Tree]
    violations: int


def priority(pod: Tree) -> int:
    return int(pod["spec"].get("priority") or 0)


def start(pod: Tree) -> str:
    return str(pod["status"].get("startTime") or FOREVER)


def _with(world: World, pods: list[Tree]) -> World:
    return World(**{**vars(world), "pods": pods, "nominated": []})


def fits(world: World, pod: Tree, node: Tree) -> bool:
    """With the pods that wait for the node, if they are as important as this one, and without them."""
    waiting = [p for p, to in world.nominated if to == name(node) and priority(p) >= priority(pod)]
    waiting = [p for p in waiting if p["metadata"]["uid"] != pod["metadata"]["uid"]]
    there = [{**p, "spec": {**p["spec"], "nodeName": name(node)}} for p in waiting]
    return all(cycle.judge(_with(world, [*world.pods, *more]), pod, node) is None for more in (there, []))


def _splits(world: World, pods: list[Tree]) -> tuple[list[Tree], list[Tree]]:
    left = {name(b) + "/" + namespace(b): b["status"]["disruptionsAllowed"] for b in world.budgets}
    breaking: list[Tree] = []
    others: list[Tree] = []
    for pod in pods:
        breaks = False
        for budget in world.budgets:
            selector = budget["spec"].get("selector")
            if not labels(pod) or namespace(budget) != namespace(pod) or is_empty(selector):
                continue
            if not selects(selector, labels(pod)) or name(pod) in (budget["status"].get("disruptedPods") or {}):
                continue
            key = name(budget) + "/" + namespace(budget)
            left[key] -= 1
            breaks = breaks or left[key] < 0
        (breaking if breaks else others).append(pod)
    return breaking, others


def on_node(world: World, pod: Tree, node: Tree) -> Candidate | None:
    potential = [p for p in world.pods_on(node) if priority(p) < priority(pod)]
    kept = [p for p in world.pods if p not in potential]
    if not potential or not fits(_nominated(world, kept), pod, node):
        return None
    potential.sort(key=lambda p: (-priority(p), start(p)))
    breaking, others = _splits(world, potential)
    victims, violations = [], 0
    for group in (breaking, others):
        for one in group:
            if fits(_nominated(world, [*kept, one]), pod, node):
                kept.append(one)
            else:
                victims.append(one)
                violations += group is breaking
    return Candidate(sorted(victims, key=lambda p: (-priority(p), start(p))), violations)


def _nominated(world: World, pods: list[Tree]) -> World:
    return World(**{**vars(world), "pods": pods})


def best(found: dict[str, Candidate]) -> set[str]:
    """The nodes that are left when each criterion has had its say."""
    left = set(found)

    def least(cost: dict[str, object]) -> None:
        nonlocal left
        lowest = min(cost[n] for n in left)  # type: ignore[type-var]
        left = {n for n in left if cost[n] == lowest}

    least({n: c.violations for n, c in found.items()})
    least({n: max(priority(v) for v in c.victims) for n, c in found.items()})
    least({n: sum(priority(v) + 2**31 for v in c.victims) for n, c in found.items()})
    least({n: len(c.victims) for n, c in found.items()})
    latest = {}
    for n in left:
        highest = max(priority(v) for v in found[n].victims)
        latest[n] = min(start(v) for v in found[n].victims if priority(v) == highest)
    top = max(latest.values())
    return {n for n in left if latest[n] == top}
