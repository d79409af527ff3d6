"""ImageLocality."""

from __future__ import annotations

from .basics import Tree
from .world import World

MB = 1024 * 1024


def _normalized(image: str) -> str:
    return image if image.rfind(":") > image.rfind("/") else image + ":latest"


def _images(node: Tree) -> dict[str, int]:
    return {n: i["sizeBytes"] for i in node["status"].get("images") or [] for n in i["names"]}


def score(world: World, pod: Tree, node: Tree, feasible: list[Tree]) -> int:
    containers = [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
    total = 0
    for container in containers:
        image = _normalized(container["image"])
        size = _images(node).get(image)
        if size is not None:
            having = sum(1 for n in world.nodes if image in _images(n))
            total += int(size * (having / len(world.nodes)))
    least, most = 23 * MB, 1000 * MB * len(containers)
    return 100 * (min(max(total, least), most) - least) // (most - least)
