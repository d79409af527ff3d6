"""Endpoints of a Service with ``topology-mode: Auto`` on a simulated cluster of zones."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.kubelet.hollow.node import HollowNode
from pelamis.sim import loop
from pelamis.sim.cluster import Cluster

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "web",
        "namespace": "default",
        "annotations": {"service.kubernetes.io/topology-mode": "Auto"},
    },
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}


def deployment(replicas: int) -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        },
    }


def test_zones_get_their_share_once_there_are_two() -> None:
    async def main() -> None:
        async with Cluster(seed=5, nodes=[HollowNode("a", zone="a"), HollowNode("b", zone="b")]) as cluster:

            def hints() -> Counter[str]:
                found = [e for s in cluster.objects(SLICE, "default") for e in s.endpoints]
                return Counter(z.name for e in found if e.hints is not None for z in e.hints.forZones)

            await cluster.apply(SERVICE, deployment(12))
            await cluster.run(30)
            assert hints() == {"a": 6, "b": 6}
            cluster.nodes.add_node(HollowNode("c", zone="c"))
            await cluster.run(30)
            assert hints() == {"a": 4, "b": 4, "c": 4}
            cluster.nodes.remove_node("b")
            cluster.nodes.remove_node("c")
            await cluster.run(600)
            assert not hints()
            reasons = {e.reason for e in cluster.objects(EVENT) if e.involvedObject.kind == "Service"}
            assert {"TopologyAwareHintsEnabled", "TopologyAwareHintsDisabled"} <= reasons

    loop.run(main())
