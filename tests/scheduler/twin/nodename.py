"""NodeName."""

from __future__ import annotations

from .basics import Tree, name
from .world import World


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    wanted = pod["spec"].get("nodeName", "")
    return (["node(s) didn't match the requested node name"], False) if wanted not in ("", name(node)) else None
