"""Nodes as the controllers judge them: readiness, taints, zones. Pure; shared by node lifecycle and taint eviction."""

from __future__ import annotations

from collections.abc import Sequence

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node, NodeCondition, Taint
from pelamis.api.core.wellknown import BETA_REGION, BETA_ZONE, REGION, ZONE
from pelamis.base.clock import rfc3339
from pelamis.client.types import Patch

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
_MANAGED = frozenset((*_BY_CONDITION.values(), UNSCHEDULABLE))


def condition(node: Node, type: str) -> NodeCondition | None:
    for c in node.status.conditions:
        if c.type == type:
            return c
    return None


def ready_status(node: Node) -> str:
    """``True``, ``False``, ``Unknown``; "" when the node says nothing."""
    c = condition(node, "Ready")
    return c.status if c is not None else ""


def no_schedule_taints(node: Node, now: float) -> tuple[Taint, ...] | None:
    """All taints of the node with the NoSchedule ones as its conditions want them; None if they are so already."""
    wanted = {
        _BY_CONDITION[c.type, c.status]: None for c in node.status.conditions if (c.type, c.status) in _BY_CONDITION
    }
    if node.spec.unschedulable:
        wanted[UNSCHEDULABLE] = None
    have = {t.key for t in node.spec.taints if t.effect == "NoSchedule" and t.key in _MANAGED}
    if have == set(wanted):
        return None
    kept = [t for t in node.spec.taints if t.effect != "NoSchedule" or t.key not in _MANAGED or t.key in wanted]
    return (*kept, *(Taint(key=key, effect="NoSchedule", timeAdded=rfc3339(now)) for key in wanted if key not in have))


def with_no_execute(node: Node, key: str, now: float) -> tuple[Taint, ...] | None:
    """All taints with ``key`` ("" = none) as the only health taint with NoExecute; None if they are so already."""
    have = {t.key for t in node.spec.taints if t.effect == "NoExecute" and t.key in (NOT_READY, UNREACHABLE)}
    if have == ({key} if key else set()):
        return None
    kept = [
        t for t in node.spec.taints if t.effect != "NoExecute" or t.key not in (NOT_READY, UNREACHABLE) or t.key == key
    ]
    if key and key not in have:
        kept.append(Taint(key=key, effect="NoExecute", timeAdded=rfc3339(now)))
    return tuple(kept)


def taint_patch(node: Node, taints: Sequence[Taint]) -> Patch:
    """Replaces the list, unless the node has changed meanwhile."""
    trees: list[dict[str, str]] = []
    for t in taints:
        tree = {"key": t.key, "effect": t.effect}
        if t.value:
            tree["value"] = t.value
        if t.timeAdded:
            tree["timeAdded"] = t.timeAdded
        trees.append(tree)
    body = {"spec": {"taints": trees}}
    return Patch(NODE, "", node.metadata.name, body, rev=node.metadata.resourceVersion)


def zone(node: Node) -> str:
    labels = node.metadata.labels
    region = labels.get(REGION)
    if region is None:
        region = labels.get(BETA_REGION, "")
    name = labels.get(ZONE)
    if name is None:
        name = labels.get(BETA_ZONE, "")
    return f"{region}:\x00:{name}" if region or name else ""
