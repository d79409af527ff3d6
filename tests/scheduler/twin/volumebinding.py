"""VolumeBinding."""

from __future__ import annotations

from .basics import Tree, claim_names, expression, labels, name, namespace, node_selector, quantity, selects
from .world import World

BOUND = "pv.kubernetes.io/bind-completed"
SELECTED = "volume.kubernetes.io/selected-node"


def _annotations(obj: Tree) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def _waits(world: World, claim: Tree) -> bool:
    of = world.classes.get(claim["spec"].get("storageClassName") or "")
    return of is not None and of.get("volumeBindingMode") == "WaitForFirstConsumer"


def _is_bound(claim: Tree) -> bool:
    return bool(claim["spec"].get("volumeName")) and BOUND in _annotations(claim)


def before(world: World, pod: Tree) -> str | set[str] | None:
    at_once = False
    for claim_name in claim_names(pod):
        claim = world.claims.get((namespace(pod), claim_name))
        if claim is None:
            return f'persistentvolumeclaim "{claim_name}" not found'
        if claim["status"].get("phase") == "Lost":
            volume = claim["spec"].get("volumeName", "")
            return f'persistentvolumeclaim "{claim_name}" bound to non-existent persistentvolume "{volume}"'
        if claim["metadata"].get("deletionTimestamp"):
            return f'persistentvolumeclaim "{claim_name}" is being deleted'
        at_once |= not _is_bound(claim) and (bool(claim["spec"].get("volumeName")) or not _waits(world, claim))
    return "pod has unbound immediate PersistentVolumeClaims" if at_once else None


def _size(obj: Tree) -> object:
    spec = obj["spec"]
    amounts = spec.get("capacity") or (spec.get("resources") or {}).get("requests") or {}
    return quantity(amounts.get("storage", "0"))


def _reaches(volume: Tree, node: Tree) -> bool:
    return node_selector((volume["spec"].get("nodeAffinity") or {}).get("required"), node)


def _find(world: World, claim: Tree, node: Tree, taken: list[str]) -> Tree | None:
    spec = claim["spec"]
    fitting = []
    for volume in world.volumes.values():
        own = volume["spec"]
        if name(volume) in taken or volume["metadata"].get("deletionTimestamp") or not _reaches(volume, node):
            continue
        if _size(volume) < _size(claim):  # type: ignore[operator]
            continue
        if own.get("volumeMode", "Filesystem") != spec.get("volumeMode", "Filesystem"):
            continue
        ref = own.get("claimRef")
        if ref is not None:
            if (ref["name"], ref["namespace"]) == (name(claim), namespace(claim)):
                return volume
            continue
        if volume["status"].get("phase") != "Available":
            continue
        if own.get("storageClassName", "") != (spec.get("storageClassName") or ""):
            continue
        if "selector" in spec and not selects(spec["selector"], labels(volume)):
            continue
        if set(spec["accessModes"]) <= set(own["accessModes"]):
            fitting.append(volume)
    return min(fitting, key=_size, default=None)  # type: ignore[arg-type]


def _can_make(world: World, claim: Tree, node: Tree) -> bool:
    of = world.classes.get(claim["spec"].get("storageClassName") or "")
    if of is None or of["provisioner"] == "kubernetes.io/no-provisioner":
        return False
    terms = of.get("allowedTopologies") or []
    return not terms or any(
        all(expression({**e, "operator": "In"}, labels(node)) for e in t["matchLabelExpressions"]) for t in terms
    )


def _has_room(world: World, claim: Tree, node: Tree) -> bool:
    of = claim["spec"]["storageClassName"]
    if world.classes[of]["provisioner"] not in world.counting_drivers:
        return True
    for capacity in world.capacities:
        limit = capacity.get("maximumVolumeSize", capacity.get("capacity"))
        if capacity["storageClassName"] != of or limit is None or "nodeTopology" not in capacity:
            continue
        enough = quantity(limit) >= _size(claim)  # type: ignore[operator]
        if enough and selects(capacity["nodeTopology"], labels(node)):
            return True
    return False


def filter(world: World, pod: Tree, node: Tree) -> tuple[list[str], bool] | None:
    claims = [world.claims[namespace(pod), c] for c in claim_names(pod)]
    reasons = []
    for claim in claims:
        if _is_bound(claim) and not _reaches(world.volumes[claim["spec"]["volumeName"]], node):
            reasons = ["node(s) didn't match PersistentVolume's node affinity"]
    waiting = [c for c in claims if not _is_bound(c)]
    selected = [c for c in waiting if SELECTED in _annotations(c)]
    found = all(_annotations(c)[SELECTED] == name(node) for c in selected)
    taken: list[str] = []
    to_make = list(selected)
    if found:
        for claim in sorted((c for c in waiting if c not in selected), key=_size):  # type: ignore[arg-type]
            volume = _find(world, claim, node, taken)
            if volume is None:
                to_make.append(claim)
            else:
                taken.append(name(volume))
        for claim in to_make:
            if not _can_make(world, claim, node):
                found = False
                break
            if not _has_room(world, claim, node):
                return [*reasons, "node(s) did not have enough free storage"], False
    if not found:
        reasons.append("node(s) didn't find available persistent volumes to bind")
    return (reasons, False) if reasons else None
