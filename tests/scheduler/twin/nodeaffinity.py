"""NodeAffinity."""

from __future__ import annotations

from .basics import Tree, default_normalize, node_affinity, node_matches, node_term
from .world import World


def before(world: World, pod: Tree) -> str | set[str] | None:
    required = node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return None
    names: set[str] = set()
    for term in required["nodeSelectorTerms"]:
        own: set[str] | None = None
        for e in term.get("matchFields") or []:
            if e["key"] == "metadata.name" and e["operator"] == "In":
                own = set(e["values"]) if own is None else own & set(e["values"])
        if own is None:
            return None
        names |= own
    return names or "pod affinity terms conflict"


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    return None if node_matches(pod, node) else (["node(s) didn't match Pod's node affinity/selector"], False)


def score(world: World, pod: Tree, node: Tree, feasible: list[Tree]) -> int:
    terms = node_affinity(pod).get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return sum(t["weight"] for t in terms if node_term(t["preference"], node))


def normalize(scores: dict[str, int]) -> dict[str, int]:
    return default_normalize(scores)
