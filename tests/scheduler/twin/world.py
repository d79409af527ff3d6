"""A cluster as plain API trees, and the same as a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.codec import from_tree
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.policy.poddisruptionbudget import KIND as BUDGET
from pelamis.api.storage.csidriver import KIND as DRIVER
from pelamis.api.storage.csinode import KIND as CSI_NODE
from pelamis.api.storage.csistoragecapacity import KIND as CAPACITY
from pelamis.api.storage.storageclass import KIND as CLASS
from pelamis.api.storage.volumeattachment import KIND as ATTACHMENT
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot

Tree = dict[str, Any]


@dataclass
class World:
    """pods: those on nodes. nominated: pods that wait for a node, with its name."""

    nodes: list[Tree] = field(default_factory=list)
    pods: list[Tree] = field(default_factory=list)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    services: list[Tree] = field(default_factory=list)
    replicasets: list[Tree] = field(default_factory=list)
    claims: dict[tuple[str, str], Tree] = field(default_factory=dict)
    volumes: dict[str, Tree] = field(default_factory=dict)
    classes: dict[str, Tree] = field(default_factory=dict)
    csi_nodes: dict[str, Tree] = field(default_factory=dict)
    attachments: list[Tree] = field(default_factory=list)
    capacities: list[Tree] = field(default_factory=list)
    counting_drivers: set[str] = field(default_factory=set)
    """Drivers that tell how much space they have."""
    budgets: list[Tree] = field(default_factory=list)
    nominated: list[tuple[Tree, str]] = field(default_factory=list)

    def pods_on(self, node: Tree) -> list[Tree]:
        return [p for p in self.pods if p["spec"]["nodeName"] == node["metadata"]["name"]]

    def default_selector(self, pod: Tree) -> Tree:
        """Of the pods that belong with this one: those that its Services and its owner select."""
        own, namespace = pod["metadata"].get("labels") or {}, pod["metadata"]["namespace"]
        wanted: dict[str, str] = {}
        for service in self.services:
            selector = service["spec"].get("selector") or {}
            its = selector and service["metadata"]["namespace"] == namespace
            if its and all(own.get(k) == v for k, v in selector.items()):
                wanted |= selector
        expressions = [{"key": k, "operator": "In", "values": [v]} for k, v in wanted.items()]
        for ref in pod["metadata"].get("ownerReferences") or []:
            for owner in self.replicasets:
                if (owner["metadata"]["namespace"], owner["metadata"]["name"]) == (namespace, ref["name"]):
                    selector = owner["spec"]["selector"]
                    pairs = (selector.get("matchLabels") or {}).items()
                    expressions += [{"key": k, "operator": "In", "values": [v]} for k, v in pairs]
                    expressions += selector.get("matchExpressions") or []
        return {"matchExpressions": expressions}

    def snapshot(self) -> Snapshot:
        out = Snapshot(capacity=4)
        for name, labels in self.namespaces.items():
            out.set_namespace(name, labels)
        for service in self.services:
            meta = service["metadata"]
            out.workloads.set_service(meta["namespace"], meta["name"], from_tree(SERVICE, service))
        for owner in self.replicasets:
            meta = owner["metadata"]
            out.workloads.set_owner("ReplicaSet", meta["namespace"], meta["name"], from_tree(REPLICASET, owner))
        out.storage.classes.update({k: from_tree(CLASS, v) for k, v in self.classes.items()})
        out.storage.csi_nodes.update({k: from_tree(CSI_NODE, v) for k, v in self.csi_nodes.items()})
        out.storage.volumes.update({k: from_tree(VOLUME, v) for k, v in self.volumes.items()})
        out.storage.claims.update({k: from_tree(CLAIM, v) for k, v in self.claims.items()})
        for attachment in self.attachments:
            out.storage.attachments[attachment["metadata"]["name"]] = from_tree(ATTACHMENT, attachment)
        for name in self.counting_drivers:
            driver = {"metadata": {"name": name}, "spec": {"storageCapacity": True}}
            out.storage.drivers[name] = from_tree(DRIVER, driver)
        for capacity in self.capacities:
            key = ("default", capacity["metadata"]["name"])
            out.storage.capacities[key] = from_tree(CAPACITY, capacity)
        for budget in self.budgets:
            meta = budget["metadata"]
            out.budgets[meta["namespace"], meta["name"]] = from_tree(BUDGET, budget)
        for node in self.nodes:
            out.set_node(from_tree(NODE, node))
        for pod in self.pods:
            out.add_pod(info_of(pod), pod["spec"]["nodeName"])
        for pod, name in self.nominated:
            out.nominate(info_of(pod), name)
        return out


def info_of(pod: Tree) -> PodInfo:
    return PodInfo(from_tree(POD, pod))
