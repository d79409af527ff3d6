"""NodePorts."""

from __future__ import annotations

from .basics import Tree
from .world import World

ANY = "0.0.0.0"


def ports(pod: Tree) -> list[tuple[str, str, int]]:
    out = []
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *sidecars]:
        for p in container.get("ports") or []:
            if p.get("hostPort"):
                out.append((p.get("hostIP") or ANY, p.get("protocol") or "TCP", p["hostPort"]))
    return out


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    for ip, protocol, port in ports(pod):
        for other in world.pods_on(node):
            for ip2, protocol2, port2 in ports(other):
                if (protocol, port) == (protocol2, port2) and (ip == ip2 or ANY in (ip, ip2)):
                    return ["node(s) didn't have free ports for the requested pod ports"], True
    return None
