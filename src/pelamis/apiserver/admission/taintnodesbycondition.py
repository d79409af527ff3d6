"""TaintNodesByCondition: a new node takes no pods until the node lifecycle controller has seen it ready."""

from __future__ import annotations

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

_TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    spec = write.tree.setdefault("spec", {})
    taints = spec.get("taints") or []
    if not any(t.get("key") == _TAINT["key"] and t.get("effect") == _TAINT["effect"] for t in taints):
        spec["taints"] = [*taints, dict(_TAINT)]


PLUGIN = Plugin("TaintNodesByCondition", frozenset(("nodes",)), mutate=_mutate)
