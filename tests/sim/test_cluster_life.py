"""Namespaces, owners, nodes and endpoints on a simulated cluster."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.endpoints import KIND as ENDPOINTS
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.serviceaccount import KIND as SERVICEACCOUNT
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.client.types import Create, Delete, Patch
from pelamis.reconcile.podstate import is_ready
from pelamis.sim.cluster import CA
from pelamis.sim.loop import run
from tests.sim.flow import Flow

from .test_workloads import manifest


def flow(**options: Any) -> Flow:
    return Flow(None, **options)


def namespace(name: str = "default") -> Create:
    return Create(NAMESPACE, {"metadata": {"name": name}, "spec": {"finalizers": ["kubernetes"]}})


def taints(sim: Flow, name: str) -> set[tuple[str, str]]:
    return {(t.key.rpartition("/")[2], t.effect) for t in sim.get(NODE, "", name).spec.taints}


@pytest.mark.parametrize("how", ["Background", "Foreground", "Orphan"])
def test_deleting_a_deployment(how: Any) -> None:
    async def main() -> None:
        async with flow() as sim:
            await sim.do(Create(DEPLOYMENT, manifest()))
            await sim.run(30)
            gone: list[str] = []
            for kind in (POD, REPLICASET, DEPLOYMENT):
                sim.subscribe(kind, lambda key, old, new, k=kind: gone.append(k.plural) if new is None else None)
            await sim.do(Delete(DEPLOYMENT, "default", "web", propagation=how))
            await sim.run(60)
            assert not sim.objects(DEPLOYMENT)
            if how == "Orphan":
                (left,) = sim.objects(REPLICASET)
                assert not left.metadata.ownerReferences
                assert len(sim.mine()) == 3
                await sim.do(Create(DEPLOYMENT, manifest()))
                await sim.run(30)
                (adopted,) = sim.objects(REPLICASET)
                assert adopted.metadata.uid == left.metadata.uid
                assert adopted.metadata.ownerReferences[0].name == "web"
            else:
                assert not sim.objects(REPLICASET)
                assert not sim.mine()
                order = list(dict.fromkeys(gone))
                assert order[0] == ("pods" if how == "Foreground" else "deployments")

    run(main())


def test_namespace_is_filled_and_emptied() -> None:
    async def main() -> None:
        async with flow() as sim:
            await sim.do(namespace("team"))
            await sim.run(5)
            assert sim.get(SERVICEACCOUNT, "team", "default") is not None
            assert sim.get(CONFIGMAP, "team", "kube-root-ca.crt").data == {"ca.crt": CA}
            tree = manifest()
            tree["metadata"]["namespace"] = "team"
            held = {"metadata": {"name": "held", "namespace": "team", "finalizers": ["example.com/hold"]}}
            await sim.do(Create(DEPLOYMENT, tree), Create(CONFIGMAP, held))
            await sim.run(30)
            await sim.do(Delete(NAMESPACE, "", "team"))
            await sim.run(60)
            found = sim.get(NAMESPACE, "", "team")
            conditions = {c.type: (c.status, c.message) for c in found.status.conditions}
            assert conditions["NamespaceContentRemaining"] == (
                "True",
                "Some resources are remaining: configmaps. has 1 resource instances",
            )
            assert conditions["NamespaceFinalizersRemaining"][1].endswith("example.com/hold in 1 resource instances")
            assert not sim.mine()
            await sim.do(Patch(CONFIGMAP, "team", "held", {"metadata": {"finalizers": None}}))
            await sim.run(10)
            assert sim.get(NAMESPACE, "", "team") is None

    run(main())


def test_silent_node_is_tainted_and_its_pods_replaced() -> None:
    async def main() -> None:
        async with flow(nodes=("node-1", "node-2", "node-3")) as sim:
            tree = manifest(3)
            seconds = [
                {
                    "key": f"node.kubernetes.io/{k}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
                for k in ("not-ready", "unreachable")
            ]
            tree["spec"]["template"]["spec"]["tolerations"] = seconds
            assert {n.spec.podCIDR for n in sim.objects(NODE)} == {f"10.244.{i}.0/24" for i in range(3)}
            await sim.do(Create(DEPLOYMENT, tree))
            await sim.run(30)
            sim.nodes.stop_node("node-2")
            await sim.run(70)
            node = sim.get(NODE, "", "node-2")
            ready = next(c for c in node.status.conditions if c.type == "Ready")
            assert (ready.status, ready.reason) == ("Unknown", "NodeStatusUnknown")
            assert taints(sim, "node-2") == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
            (stuck,) = [p for p in sim.mine() if p.spec.nodeName == "node-2"]
            assert not is_ready(stuck)
            await sim.run(300)
            left = [p for p in sim.mine() if p.spec.nodeName == "node-2"]
            assert all(p.metadata.deletionTimestamp for p in left), "nobody confirms that they have ended"
            assert sum(is_ready(p) for p in sim.mine()) == 3
            assert {"NodeNotReady", "TaintManagerEviction", "RegisteredNode"} <= set(sim.told())
            sim.nodes.start_node("node-2")
            await sim.run(40)
            assert taints(sim, "node-2") == set()
            assert len(sim.mine()) == 3
            for i in (1, 2, 3):
                sim.nodes.stop_node(f"node-{i}")
            sim.horizon = sim.now
            await sim.run(200)
            assert all(taints(sim, f"node-{i}") == {("unreachable", "NoSchedule")} for i in (1, 2, 3)), (
                "all down: no eviction"
            )

    run(main())


def test_pods_of_a_node_that_is_gone_are_collected() -> None:
    async def main() -> None:
        async with flow(nodes=("node-1", "node-2")) as sim:
            await sim.do(Create(DEPLOYMENT, manifest(4)))
            await sim.run(20)
            sim.nodes.remove_node("node-1")
            await sim.do(Delete(NODE, "", "node-1"))
            await sim.run(35)
            assert [p for p in sim.mine() if p.spec.nodeName == "node-1"], "not before the quarantine is over"
            await sim.run(30)
            assert not [p for p in sim.mine() if p.spec.nodeName == "node-1"]
            assert len(sim.mine()) == 4

    run(main())


def test_endpoints_follow_readiness() -> None:
    async def main() -> None:
        async with flow() as sim:
            service = {
                "metadata": {"name": "web", "namespace": "default", "labels": {"team": "a"}},
                "spec": {
                    "clusterIP": "10.96.0.9",
                    "ipFamilies": ["IPv4"],
                    "selector": {"app": "web"},
                    "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
                },
            }
            await sim.do(Create(SERVICE, service))
            await sim.run(1)
            (empty,) = sim.objects(SLICE)
            assert (empty.endpoints, empty.ports) == ((), ())
            tree = manifest(1)
            tree["spec"]["template"]["metadata"]["annotations"] = {"hollow.pelamis.dev/stop": "5s"}
            await sim.do(Create(DEPLOYMENT, tree))
            await sim.run(20)
            (one,) = sim.objects(SLICE)
            (endpoint,) = one.endpoints
            ip = sim.mine()[0].status.podIP
            assert (endpoint.addresses, endpoint.nodeName, endpoint.conditions.ready) == (
                (ip,),
                "node-1",
                True,
            )
            assert (one.ports[0].name, one.ports[0].port) == ("http", 8080)
            assert one.metadata.labels["kubernetes.io/service-name"] == "web"
            assert one.metadata.labels["team"] == "a"
            (subset,) = sim.get(ENDPOINTS, "default", "web").subsets
            assert [a.ip for a in subset.addresses] == [ip]
            (pod,) = sim.mine()
            await sim.do(Delete(POD, "default", pod.metadata.name))
            await sim.run(0.5)
            (one,) = sim.objects(SLICE)
            ending = next(e for e in one.endpoints if e.targetRef.uid == pod.metadata.uid)
            assert (ending.conditions.ready, ending.conditions.serving, ending.conditions.terminating) == (
                False,
                True,
                True,
            )
            await sim.run(20)
            await sim.do(Delete(SERVICE, "default", "web"))
            await sim.run(5)
            assert not sim.objects(SLICE)
            assert not sim.objects(ENDPOINTS)

    run(main())
