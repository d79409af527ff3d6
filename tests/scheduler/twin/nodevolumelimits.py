"""NodeVolumeLimits."""

from __future__ import annotations

from .basics import Tree, claim_names, name, namespace
from .world import World


def _volumes(world: World, pod: Tree) -> set[tuple[str, str]]:
    """(driver, volume)"""
    out = set()
    for claim_name in claim_names(pod):
        claim = world.claims.get((namespace(pod), claim_name))
        if claim is None:
            continue
        volume = world.volumes.get(claim["spec"].get("volumeName", ""))
        if volume is not None:
            if "csi" in volume["spec"]:
                out.add((volume["spec"]["csi"]["driver"], volume["spec"]["csi"]["volumeHandle"]))
            continue
        of = world.classes.get(claim["spec"].get("storageClassName") or "")
        if of is not None:
            out.add((of["provisioner"], f"{namespace(pod)}/{claim_name}"))
    return out


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    csi_node = world.csi_nodes.get(name(node))
    if csi_node is None:
        return None
    attached: set[tuple[str, str]] = set()
    for other in world.pods_on(node):
        attached |= _volumes(world, other)
    for attachment in world.attachments:
        volume = world.volumes.get(attachment["spec"]["source"].get("persistentVolumeName", ""))
        if attachment["spec"]["nodeName"] == name(node) and volume is not None and "csi" in volume["spec"]:
            attached.add((volume["spec"]["csi"]["driver"], volume["spec"]["csi"]["volumeHandle"]))
    more = _volumes(world, pod) - attached
    for driver in csi_node["spec"]["drivers"]:
        limit = (driver.get("allocatable") or {}).get("count")
        new = sum(1 for v in more if v[0] == driver["name"])
        if limit is not None and new and sum(1 for v in attached if v[0] == driver["name"]) + new > limit:
            return ["node(s) exceed max volume count"], True
    return None
