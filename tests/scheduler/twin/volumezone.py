"""VolumeZone."""

from __future__ import annotations

from .basics import Tree, labels, namespace
from .world import World

GA = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
KEYS = [*GA, *GA.values()]


def _bound(pod: Tree) -> list[str]:
    """Of claims that are named, not of ephemeral volumes."""
    volumes = pod["spec"].get("volumes") or []
    return [v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v]


def before(world: World, pod: Tree) -> str | set[str] | None:
    for claim_name in _bound(pod):
        wanted = world.claims[namespace(pod), claim_name]["spec"].get("volumeName", "")
        if wanted and wanted not in world.volumes:
            return f'persistentvolume "{wanted}" not found'
    return None


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    own = labels(node)
    if not any(k in own for k in KEYS):
        return None
    for claim_name in _bound(pod):
        volume = world.volumes.get(world.claims[namespace(pod), claim_name]["spec"].get("volumeName", ""))
        for key in KEYS:
            if volume is None or key not in labels(volume):
                continue
            value = own.get(key, own.get(GA.get(key, key)))
            if value not in labels(volume)[key].split("__"):
                return ["node(s) had no available volume zone"], False
    return None
