"""VolumeRestrictions."""

from __future__ import annotations

from .basics import Tree, claim_names, namespace
from .world import World


def _clash(a: Tree, b: Tree) -> bool:
    for kind, same in (
        ("gcePersistentDisk", lambda x, y: x["pdName"] == y["pdName"]),
        ("awsElasticBlockStore", lambda x, y: x["volumeID"] == y["volumeID"]),
        ("iscsi", lambda x, y: x["iqn"] == y["iqn"]),
        (
            "rbd",
            lambda x, y: (
                bool(set(x["monitors"]) & set(y["monitors"])) and (x["pool"], x["image"]) == (y["pool"], y["image"])
            ),
        ),
    ):
        if kind in a and kind in b:
            both_read = bool(a[kind].get("readOnly")) and bool(b[kind].get("readOnly"))
            return same(a[kind], b[kind]) and (kind == "awsElasticBlockStore" or not both_read)
    return False


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    for volume in pod["spec"].get("volumes") or []:
        for other in world.pods_on(node):
            if any(_clash(volume, v) for v in other["spec"].get("volumes") or []):
                return ["node(s) had no available disk"], True
    for claim in claim_names(pod):
        found = world.claims.get((namespace(pod), claim))
        if found is None or "ReadWriteOncePod" not in found["spec"]["accessModes"]:
            continue
        for other in world.pods:
            if namespace(other) == namespace(pod) and claim in claim_names(other):
                text = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
                return [text], True
    return None
