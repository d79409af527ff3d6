"""Pods with resource claims on a simulated cluster: from the template to running, and back."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.resource.devicetaintrule import KIND as RULE
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.client.types import Delete, Patch
from pelamis.sim.cluster import Cluster
from pelamis.sim.loop import run

Tree = dict[str, Any]
DRIVER = "gpu.example.com"
API = "resource.k8s.io/v1"


def device_class(name: str = "gpu", **spec: Any) -> Tree:
    selector = {"cel": {"expression": f'device.driver == "{DRIVER}"'}}
    return {
        "kind": "DeviceClass",
        "apiVersion": API,
        "metadata": {"name": name},
        "spec": {"selectors": [selector], **spec},
    }


def gpus(node: str, number: int, **more: Any) -> Tree:
    devices = [{"name": f"gpu-{i}", **more} for i in range(number)]
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": devices}
    return {"kind": "ResourceSlice", "apiVersion": API, "metadata": {"name": f"{node}-gpus"}, "spec": spec}


def request(**more: Any) -> Tree:
    return {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu", **more}}]}}


def template(name: str = "one") -> Tree:
    meta = {"name": name, "namespace": "default"}
    return {"kind": "ResourceClaimTemplate", "apiVersion": API, "metadata": meta, "spec": {"spec": request()}}


def claim(name: str, **more: Any) -> Tree:
    meta = {"name": name, "namespace": "default"}
    return {"kind": "ResourceClaim", "apiVersion": API, "metadata": meta, "spec": request(**more)}


def pod(name: str, **claims: str) -> Tree:
    """claims: entry to ``claim`` or ``template:name``."""
    entries = []
    for entry, what in claims.items():
        if what.startswith("template:"):
            entries.append({"name": entry, "resourceClaimTemplateName": what.removeprefix("template:")})
        else:
            entries.append({"name": entry, "resourceClaimName": what})
    container = {"name": "c", "image": "img", "resources": {"claims": [{"name": entry} for entry in claims]}}
    spec = {"containers": [container], "resourceClaims": entries, "terminationGracePeriodSeconds": 1}
    meta = {"name": name, "namespace": "default"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec}


def phase(cluster: Cluster, name: str) -> str:
    found = cluster.get(POD, "default", name)
    return found.status.phase if found is not None else ""


def events(cluster: Cluster, reason: str) -> list[str]:
    return [e.note if hasattr(e, "note") else e.message for e in cluster.objects(EVENT) if e.reason == reason]


async def reached(cluster: Cluster, within_s: float = 60.0, **wanted: str) -> None:
    await cluster.until(lambda: all(phase(cluster, name) == p for name, p in wanted.items()), within_s)
    assert {name: phase(cluster, name) for name in wanted} == wanted


def devices_of(found: Any) -> list[str]:
    allocation = found.status.allocation
    return [f"{r.pool}/{r.device}" for r in allocation.devices.results] if allocation is not None else []


def test_from_the_template_to_running_and_back() -> None:
    async def main() -> None:
        async with Cluster(nodes=2) as cluster:
            await cluster.apply(device_class(), gpus("node-1", 1), gpus("node-2", 1), template())
            await cluster.apply(*(pod(name, gpu="template:one") for name in ("a", "b", "c")))
            await cluster.run(30)
            running = [n for n in "abc" if phase(cluster, n) == "Running"]
            assert len(running) == 2
            (waiting,) = set("abc") - {*running}
            claims = {c.metadata.ownerReferences[0].name: c for c in cluster.objects(CLAIM)}
            assert sorted(devices_of(claims[n])[0] for n in running) == ["node-1/gpu-0", "node-2/gpu-0"]
            assert not any(cluster.get(POD, "default", n).status.nominatedNodeName for n in running)
            one = claims[running[0]]
            assert one.metadata.name.startswith(f"{running[0]}-gpu-")
            assert one.metadata.annotations["resource.kubernetes.io/pod-claim-name"] == "gpu"
            assert one.metadata.finalizers == ("resource.kubernetes.io/delete-protection",)
            assert [c.name for c in one.status.reservedFor] == [running[0]]
            assert not devices_of(claims[waiting])
            why = cluster.get(POD, "default", waiting).status.conditions[0]
            assert why.message.startswith("0/2 nodes are available: 2 cannot allocate all claims.")
            # a device that is given back goes to who waits for it
            await cluster.do(Delete(POD, "default", running[0]))
            await reached(cluster, **{waiting: "Running"})
            await cluster.run(30)
            assert {c.metadata.ownerReferences[0].name for c in cluster.objects(CLAIM)} == {running[1], waiting}

    run(main())


def test_a_claim_that_pods_share_is_given_back_with_the_last_of_them() -> None:
    async def main() -> None:
        async with Cluster(nodes=2) as cluster:
            await cluster.apply(device_class(), gpus("node-2", 1), pod("a", gpu="shared"))
            await cluster.run(20)
            assert phase(cluster, "a") == "Pending"
            assert not events(cluster, "FailedScheduling"), "it is not looked at before its claim is there"
            await cluster.apply(claim("shared"))
            await reached(cluster, a="Running")
            await cluster.apply(pod("b", gpu="shared"))
            await reached(cluster, b="Running")
            assert cluster.get(POD, "default", "b").spec.nodeName == "node-2"
            assert {c.name for c in cluster.get(CLAIM, "default", "shared").status.reservedFor} == {"a", "b"}
            await cluster.do(Delete(POD, "default", "a"))
            await cluster.run(20)
            left = cluster.get(CLAIM, "default", "shared")
            assert [c.name for c in left.status.reservedFor] == ["b"]
            assert devices_of(left) == ["node-2/gpu-0"]
            await cluster.do(Delete(CLAIM, "default", "shared"))
            await cluster.run(5)
            assert cluster.get(CLAIM, "default", "shared") is not None, "it is in use"
            await cluster.do(Delete(POD, "default", "b"))
            await cluster.run(20)
            assert cluster.get(CLAIM, "default", "shared") is None

    run(main())


def test_devices_that_have_to_be_made_ready() -> None:
    async def main() -> None:
        async with Cluster(nodes=2) as cluster:
            conditions = {"bindsToNode": True, "bindingConditions": ["ready"], "bindingFailureConditions": ["broken"]}
            await cluster.apply(device_class(), gpus("node-1", 1, **conditions), gpus("node-2", 1, **conditions))
            await cluster.apply(claim("c"), pod("a", gpu="c"))
            await cluster.run(10)
            found = cluster.get(CLAIM, "default", "c")
            first = devices_of(found)[0]
            assert phase(cluster, "a") == "Pending"
            assert len(events(cluster, "BindingConditionsPending")) == 1
            await cluster.do(_condition(first, "broken"))
            await cluster.run(30)
            found = cluster.get(CLAIM, "default", "c")
            assert devices_of(found), "it has got devices anew"
            assert not found.status.devices
            failed = "device binding failed: claim=c, reason=Because, message="
            assert any(failed in text for text in events(cluster, "FailedScheduling"))
            await cluster.do(_condition(devices_of(found)[0], "ready"))
            await reached(cluster, a="Running")

    run(main())


def _condition(device: str, type: str) -> Patch:
    pool, _, name = device.partition("/")
    condition = {
        "type": type,
        "status": "True",
        "reason": "Because",
        "message": "it is",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"driver": DRIVER, "pool": pool, "device": name, "conditions": [condition]}
    return Patch(CLAIM, "default", "c", {"status": {"devices": [status]}}, "merge", "status")


def test_extended_resources_come_from_devices() -> None:
    async def main() -> None:
        async with Cluster(nodes=2) as cluster:
            await cluster.apply(device_class(extendedResourceName="example.com/gpu"), gpus("node-2", 2))
            tree = pod("a")
            resources = {name: {"example.com/gpu": "2"} for name in ("requests", "limits")}
            tree["spec"]["containers"][0]["resources"] = resources
            await cluster.apply(tree)
            await reached(cluster, a="Running")
            status = cluster.get(POD, "default", "a").status.extendedResourceClaimStatus
            assert status.resourceClaimName.startswith("a-extended-resources-")
            (mapping,) = status.requestMappings
            assert (mapping.containerName, mapping.resourceName) == ("c", "example.com/gpu")
            found = cluster.get(CLAIM, "default", status.resourceClaimName)
            assert devices_of(found) == ["node-2/gpu-0", "node-2/gpu-1"]
            tree["metadata"]["name"] = "b"
            await cluster.apply(tree)
            await cluster.run(20)
            assert phase(cluster, "b") == "Pending"
            await cluster.do(Delete(POD, "default", "a"))
            await reached(cluster, b="Running")

    run(main())


def _rule(name: str, effect: str, **selector: str) -> Tree:
    spec = {"deviceSelector": selector, "taint": {"key": "broken", "effect": effect}}
    return {"kind": "DeviceTaintRule", "apiVersion": API, "metadata": {"name": name}, "spec": spec}


def _progress(cluster: Cluster, rule: str) -> tuple[str, str, str]:
    (found,) = cluster.get(RULE, "", rule).status.conditions
    return found.status, found.reason, found.message


def test_pods_leave_devices_with_a_taint() -> None:
    async def main() -> None:
        async with Cluster(nodes=2) as cluster:
            await cluster.apply(device_class(), gpus("node-1", 1), gpus("node-2", 1), template())
            patient = {"key": "broken", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
            await cluster.apply(claim("patient", tolerations=[patient]), pod("b", gpu="patient"))
            await reached(cluster, b="Running")
            await cluster.apply(pod("a", gpu="template:one"))
            await reached(cluster, a="Running")
            await cluster.apply(_rule("trial", "None", driver=DRIVER))
            await cluster.run(5)
            status, reason, message = _progress(cluster, "trial")
            assert (status, reason) == ("False", "NoEffect")
            assert message.startswith(
                "2 published devices selected. 2 allocated devices selected. 2 pods would be evicted in 1 namespace if"
            )
            await cluster.apply(_rule("all", "NoExecute", driver=DRIVER))
            await cluster.run(5)
            assert (phase(cluster, "a"), phase(cluster, "b")) == ("", "Running")
            assert _progress(cluster, "all")[:2] == ("True", "PodsPendingEviction")
            await cluster.run(70)
            assert phase(cluster, "b") == ""
            assert _progress(cluster, "all") == ("False", "Completed", "2 pods evicted since starting the controller.")
            assert events(cluster, "DeviceTaintManagerEviction") == ["Marking for deletion"] * 2
            await cluster.apply(pod("c", gpu="template:one"))
            await cluster.run(20)
            assert phase(cluster, "c") == "Pending"
            await cluster.do(Delete(RULE, "", "all"))
            await reached(cluster, c="Running")

    run(main())


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_given_twice(seed: int) -> None:
    async def main() -> None:
        async with Cluster(nodes=3, seed=seed, mirror=True) as cluster:
            await cluster.apply(device_class(), *(gpus(f"node-{i}", 2) for i in (1, 2, 3)), template(), claim("shared"))
            for i in range(12):
                await cluster.apply(pod(f"p{i}", gpu="template:one", **({"more": "shared"} if i % 4 == 0 else {})))
            for i in range(12):
                await cluster.run(7)
                if i in (3, 6):
                    await cluster.crash("scheduler", 3.0)
                gone = f"p{i}"
                await cluster.do(Delete(POD, "default", gone))
                given = [d for c in cluster.objects(CLAIM) for d in devices_of(c)]
                assert len(given) == len({*given})
            assert await cluster.until(lambda: not cluster.objects(POD), 120)
            await cluster.run(60)
            assert [c.metadata.name for c in cluster.objects(CLAIM)] == ["shared"]
            assert not cluster.get(CLAIM, "default", "shared").status.reservedFor
            assert not devices_of(cluster.get(CLAIM, "default", "shared"))

    run(main())
