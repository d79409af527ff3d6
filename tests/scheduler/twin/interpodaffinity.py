"""InterPodAffinity."""

from __future__ import annotations

from .basics import Tree, labels, namespace, selects
from .world import World

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
HARD_WEIGHT = 1


def _terms(pod: Tree, kind: str, how: str) -> list[Tree]:
    return ((pod["spec"].get("affinity") or {}).get(kind) or {}).get(how) or []


def term_selects(world: World, owner: Tree, term: Tree, pod: Tree) -> bool:
    """Whether a term of ``owner`` selects the pod."""
    names = term.get("namespaces") or []
    selector = term.get("namespaceSelector")
    if not names and selector is None:
        names = [namespace(owner)]
    if namespace(pod) not in names and not selects(selector, world.namespaces.get(namespace(pod), {})):
        return False
    return selects(term.get("labelSelector"), labels(pod))


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    required = _terms(pod, "podAffinity", REQUIRED)
    if required and not _near(world, pod, node, required):
        return ["node(s) didn't match pod affinity rules"], False
    for term in _terms(pod, "podAntiAffinity", REQUIRED):
        if any(term_selects(world, pod, term, p) for p in _domain(world, node, term["topologyKey"])):
            return ["node(s) didn't match pod anti-affinity rules"], True
    for other_node in world.nodes:
        for other in world.pods_on(other_node):
            for term in _terms(other, "podAntiAffinity", REQUIRED):
                key = term["topologyKey"]
                near = key in labels(node) and labels(node)[key] == labels(other_node).get(key)
                if near and term_selects(world, other, term, pod):
                    return ["node(s) didn't satisfy existing pods anti-affinity rules"], True
    return None


def _domain(world: World, node: Tree, key: str) -> list[Tree]:
    """The pods on nodes with the same value of the label."""
    value = labels(node).get(key)
    if value is None:
        return []
    return [p for n in world.nodes if labels(n).get(key) == value for p in world.pods_on(n)]


def _near(world: World, pod: Tree, node: Tree, terms: list[Tree]) -> bool:
    def all_select(other: Tree) -> bool:
        return all(term_selects(world, pod, t, other) for t in terms)

    if any(t["topologyKey"] not in labels(node) for t in terms):
        return False
    if all(any(all_select(p) for p in _domain(world, node, t["topologyKey"])) for t in terms):
        return True
    keys = {t["topologyKey"] for t in terms}
    for other_node in world.nodes:
        if keys & set(labels(other_node)) and any(all_select(p) for p in world.pods_on(other_node)):
            return False
    return all_select(pod)  # the first of its group


def score(world: World, pod: Tree, node: Tree, feasible: list[Tree]) -> int:
    total = 0
    own = labels(node)
    for other_node in world.nodes:
        there = labels(other_node)

        def same(term: Tree, there: dict[str, str] = there) -> bool:
            key = term["topologyKey"]
            return key in own and own[key] == there.get(key)

        for other in world.pods_on(other_node):
            for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
                for t in _terms(pod, kind, PREFERRED):
                    if same(t["podAffinityTerm"]) and term_selects(world, pod, t["podAffinityTerm"], other):
                        total += sign * t["weight"]
                for t in _terms(other, kind, PREFERRED):
                    if same(t["podAffinityTerm"]) and term_selects(world, other, t["podAffinityTerm"], pod):
                        total += sign * t["weight"]
            for term in _terms(other, "podAffinity", REQUIRED):
                if same(term) and term_selects(world, other, term, pod):
                    total += HARD_WEIGHT
    return total


def normalize(scores: dict[str, int]) -> dict[str, int]:
    most, least = max(scores.values()), min(scores.values())
    if most == least:
        return dict.fromkeys(scores, 0)
    return {k: int(100.0 * (float(v - least) / float(most - least))) for k, v in scores.items()}
