"""Namespaces, owners, nodes and endpoints on a simulated cluster."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.endpoints import KIND as ENDPOINTS
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.serviceaccount import KIND as SERVICEACCOUNT
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.base.clock import rfc3339, rfc3339_micro
from pelamis.client.types import Create, Delete, Patch
from pelamis.controllers import Options, controllers
from pelamis.reconcile.podstate import is_ready
from pelamis.sim.loop import now, run

from .cluster import Cluster
from .test_workloads import manifest

KINDS = (NAMESPACE, POD, SERVICE, ENDPOINTS, SLICE, CONFIGMAP, SERVICEACCOUNT, REPLICASET, DEPLOYMENT, NODE, LEASE)


def cluster(**options: Any) -> Cluster:
    ranges = (("10.244.0.0/16", 24),)
    return Cluster(controllers(Options(ca_bundle="PEM", node_ranges=ranges)), kinds=KINDS, **options)


def namespace(name: str = "default") -> Create:
    return Create(NAMESPACE, {"metadata": {"name": name}, "spec": {"finalizers": ["kubernetes"]}})


def beat(sim: Cluster, name: str) -> None:
    """What a kubelet does every 10 s."""
    server = sim.server
    if server.get(LEASE, "kube-node-lease", name) is None:
        server.do(Create(LEASE, {"metadata": {"name": name, "namespace": "kube-node-lease"}}))
    spec = {"holderIdentity": name, "renewTime": rfc3339_micro(now())}
    server.do(Patch(LEASE, "kube-node-lease", name, {"spec": spec}))
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": rfc3339(now())}
    server.do(Patch(NODE, "", name, {"status": {"conditions": [ready]}}, "strategic", "status"))


def taints(sim: Cluster, name: str) -> set[tuple[str, str]]:
    return {(t.key.rpartition("/")[2], t.effect) for t in sim.server.get(NODE, "", name).spec.taints}


@pytest.mark.parametrize("how", ["Background", "Foreground", "Orphan"])
def test_deleting_a_deployment(how: Any) -> None:
    async def main() -> None:
        sim = cluster()
        sim.start()
        sim.server.do(namespace(), Create(DEPLOYMENT, manifest()))
        await sim.settle(30)
        gone: list[str] = []
        for kind in (POD, REPLICASET, DEPLOYMENT):
            sim.server.view(kind).subscribe(
                lambda key, old, new, k=kind: gone.append(k.plural) if new is None else None, replay=False
            )
        sim.server.do(Delete(DEPLOYMENT, "default", "web", propagation=how))
        await sim.settle(60)
        assert not sim.server.objects(DEPLOYMENT)
        if how == "Orphan":
            (left,) = sim.server.objects(REPLICASET)
            assert not left.metadata.ownerReferences
            assert len(sim.pods()) == 3
            sim.server.do(Create(DEPLOYMENT, manifest()))
            await sim.settle(30)
            (adopted,) = sim.server.objects(REPLICASET)
            assert adopted.metadata.uid == left.metadata.uid
            assert adopted.metadata.ownerReferences[0].name == "web"
        else:
            assert not sim.server.objects(REPLICASET)
            assert not sim.pods()
            order = list(dict.fromkeys(gone))
            assert order[0] == ("pods" if how == "Foreground" else "deployments")

    run(main())


def test_namespace_is_filled_and_emptied() -> None:
    async def main() -> None:
        sim = cluster()
        sim.start()
        sim.server.do(namespace("team"))
        await sim.settle(5)
        assert sim.server.get(SERVICEACCOUNT, "team", "default") is not None
        assert sim.server.get(CONFIGMAP, "team", "kube-root-ca.crt").data == {"ca.crt": "PEM"}
        tree = manifest()
        tree["metadata"]["namespace"] = "team"
        held = {"metadata": {"name": "held", "namespace": "team", "finalizers": ["example.com/hold"]}}
        sim.server.do(Create(DEPLOYMENT, tree), Create(CONFIGMAP, held))
        await sim.settle(30)
        sim.server.do(Delete(NAMESPACE, "", "team"))
        await sim.settle(60)
        found = sim.server.get(NAMESPACE, "", "team")
        conditions = {c.type: (c.status, c.message) for c in found.status.conditions}
        assert conditions["NamespaceContentRemaining"] == (
            "True",
            "Some resources are remaining: configmaps. has 1 resource instances",
        )
        assert conditions["NamespaceFinalizersRemaining"][1].endswith("example.com/hold in 1 resource instances")
        assert not sim.pods()
        sim.server.do(Patch(CONFIGMAP, "team", "held", {"metadata": {"finalizers": None}}))
        await sim.settle(10)
        assert sim.server.get(NAMESPACE, "", "team") is None

    run(main())


def test_silent_node_is_tainted_and_its_pods_replaced() -> None:
    async def main() -> None:
        sim = cluster(nodes=("node-1", "node-2", "node-3"))
        sim.start()
        sim.server.do(namespace())
        tree = manifest(3)
        seconds = [
            {"key": f"node.kubernetes.io/{k}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for k in ("not-ready", "unreachable")
        ]
        tree["spec"]["template"]["spec"]["tolerations"] = seconds
        alive = {"node-1", "node-2", "node-3"}

        async def pass_time(duration: float) -> None:
            for _ in range(int(duration / 10)):
                for name in sorted(alive):
                    beat(sim, name)
                await sim.settle(10)

        await pass_time(20)
        assert {n.spec.podCIDR for n in sim.server.objects(NODE)} == {f"10.244.{i}.0/24" for i in range(3)}
        sim.server.do(Create(DEPLOYMENT, tree))
        await pass_time(30)
        alive.discard("node-2")
        sim.nodes.remove("node-2")
        await pass_time(70)
        node = sim.server.get(NODE, "", "node-2")
        ready = next(c for c in node.status.conditions if c.type == "Ready")
        assert (ready.status, ready.reason) == ("Unknown", "NodeStatusUnknown")
        assert taints(sim, "node-2") == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
        (stuck,) = [p for p in sim.pods() if p.spec.nodeName == "node-2"]
        assert not is_ready(stuck)
        await pass_time(300)
        assert not [p for p in sim.pods() if p.spec.nodeName == "node-2"]
        assert sum(is_ready(p) for p in sim.pods()) == 3
        assert {"NodeNotReady", "TaintManagerEviction", "RegisteredNode"} <= {
            e.reason for e in sim.server.objects(EVENT)
        }
        alive.add("node-2")
        await pass_time(20)
        assert taints(sim, "node-2") == set()
        alive.clear()
        await pass_time(0)
        await sim.settle(200)
        assert all(taints(sim, f"node-{i}") == {("unreachable", "NoSchedule")} for i in (1, 2, 3)), (
            "all down: no eviction"
        )

    run(main())


def test_pods_of_a_node_that_is_gone_are_collected() -> None:
    async def main() -> None:
        sim = cluster(nodes=("node-1", "node-2"))
        sim.start()
        sim.server.do(namespace(), Create(DEPLOYMENT, manifest(4)))
        await sim.settle(20)
        sim.nodes.remove("node-1")
        sim.server.do(Delete(NODE, "", "node-1"))
        await sim.settle(35)
        assert [p for p in sim.pods() if p.spec.nodeName == "node-1"], "not before the quarantine is over"
        await sim.settle(30)
        assert not [p for p in sim.pods() if p.spec.nodeName == "node-1"]
        assert len(sim.pods()) == 4

    run(main())


def test_endpoints_follow_readiness() -> None:
    async def main() -> None:
        sim = cluster()
        sim.start()
        service = {
            "metadata": {"name": "web", "namespace": "default", "labels": {"team": "a"}},
            "spec": {
                "clusterIP": "10.96.0.9",
                "ipFamilies": ["IPv4"],
                "selector": {"app": "web"},
                "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
            },
        }
        sim.server.do(namespace(), Create(SERVICE, service))
        await sim.settle(1)
        (empty,) = sim.server.objects(SLICE)
        assert (empty.endpoints, empty.ports) == ((), ())
        sim.server.do(Create(DEPLOYMENT, manifest(1)))
        await sim.settle(20)
        (one,) = sim.server.objects(SLICE)
        (endpoint,) = one.endpoints
        assert (endpoint.addresses, endpoint.nodeName, endpoint.conditions.ready) == (("10.244.0.9",), "node-1", True)
        assert (one.ports[0].name, one.ports[0].port) == ("http", 8080)
        assert one.metadata.labels["kubernetes.io/service-name"] == "web"
        assert one.metadata.labels["team"] == "a"
        (subset,) = sim.server.get(ENDPOINTS, "default", "web").subsets
        assert [a.ip for a in subset.addresses] == ["10.244.0.9"]
        (pod,) = sim.pods()
        sim.server.do(Delete(POD, "default", pod.metadata.name))
        await sim.settle(0.5)
        (one,) = sim.server.objects(SLICE)
        ending = next(e for e in one.endpoints if e.targetRef.uid == pod.metadata.uid)
        assert (ending.conditions.ready, ending.conditions.serving, ending.conditions.terminating) == (
            False,
            True,
            True,
        )
        await sim.settle(20)
        sim.server.do(Delete(SERVICE, "default", "web"))
        await sim.settle(5)
        assert not sim.server.objects(SLICE)
        assert not sim.server.objects(ENDPOINTS)

    run(main())
