"""PodTopologyLabels: a pod carries the zone and the region of its node, so that it can read them about itself.

Pods that are bound get them with the binding (``subresources.binding``); those that are created on a node, here.
"""

from __future__ import annotations

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


def topology_of(objects: Objects, node: str) -> dict[str, str]:
    found = objects.view("nodes").collection.get("", node) if node else None
    if found is None:
        return {}
    labels = found.labels  # read without the rest of the node
    return {name: labels[name] for name in LABELS if name in labels}


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    found = topology_of(objects, (write.tree.get("spec") or {}).get("nodeName") or "")
    if found:
        meta = write.tree["metadata"]
        meta["labels"] = {**(meta.get("labels") or {}), **found}


PLUGIN = Plugin("PodTopologyLabels", frozenset(("pods",)), mutate=_mutate)
