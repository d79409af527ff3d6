"""The metrics API: figures from samples, what is read when, and that it is served like any other group."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pelamis.apiserver.metricsapi.sampler import RESOLUTION_S, STALE_S, Sampler
from pelamis.apiserver.metricsapi.summary import (
    ContainerSummary,
    Cpu,
    Memory,
    MemorySummaries,
    NodeSummary,
    PodReference,
    PodSummary,
    Summary,
)
from pelamis.apiserver.metricsapi.usage import PodUsage, Usage, node_usage, pod_usage, sample
from pelamis.base.clock import rfc3339
from pelamis.sim import loop
from tests.apiserver.extension import reached
from tests.apiserver.harness import running

START = 1_800_000_000.0


def summary(cpu_s: float, *, since: float = START - 100, containers: int = 1, whole: bool = True) -> Summary:
    def one(i: int) -> ContainerSummary:
        cpu = Cpu(int(cpu_s * 1e9)) if whole or i else None
        return ContainerSummary(f"c{i}", rfc3339(since), cpu, Memory(2 << 20))

    pod = PodSummary(PodReference("p", "ns"), tuple(one(i) for i in range(containers)))
    return Summary(NodeSummary(Cpu(int(cpu_s * 2e9)), Memory(1 << 30)), (pod,))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (summary(10), summary(25), PodUsage(START + 15, 15, {"c0": Usage(10**9, 2 << 20)})),
        (summary(25), summary(10), None),
        (summary(10, containers=0), summary(25), None),
        (summary(9), summary(6, since=START + 3), PodUsage(START + 15, 12, {"c0": Usage(500_000_000, 2 << 20)})),
        (summary(9), summary(6, since=START + 8), None),
        (summary(10), summary(25, whole=False), None),
        (
            summary(10, containers=2),
            summary(25, containers=2),
            PodUsage(START + 15, 15, {"c0": Usage(10**9, 2 << 20), "c1": Usage(10**9, 2 << 20)}),
        ),
    ],
)
def test_two_samples_make_a_rate(old: Summary, new: Summary, expected: Any) -> None:
    assert pod_usage(sample(old, START), sample(new, START + 15), ("ns", "p")) == expected


def test_a_node_is_as_its_pods() -> None:
    found = node_usage(sample(summary(10), START), sample(summary(25), START + 15))
    assert found is not None
    assert found.usage == Usage(2 * 10**9, 1 << 30)
    assert node_usage(sample(summary(25), START), sample(summary(10), START + 15)) is None


def test_what_is_read_and_when() -> None:
    reads: list[tuple[str, float]] = []

    async def main() -> None:
        clock = loop.current().clock

        async def of(node: str) -> Summary | None:
            reads.append((node, clock()))
            return None if node == "dead" else summary(clock() - START + 10**6)

        sampler = Sampler(MemorySummaries(of), clock)
        at = clock()
        await asyncio.gather(sampler.fresh(["a", "dead"]), sampler.fresh(["a"]))
        assert [n for n, _ in reads] == ["a", "dead", "a"]  # two of a, shared by both who asked
        assert clock() == at + 1
        assert sampler.pair("dead") is None
        reads.clear()
        await asyncio.sleep(5)
        await sampler.fresh(["a", "dead"])
        assert not reads
        await asyncio.sleep(RESOLUTION_S - 6)
        await sampler.fresh(["a"])
        assert [n for n, _ in reads] == ["a"]
        old, new = sampler.pair("a") or (None, None)
        assert old is not None
        assert new is not None
        assert new.at - old.at == RESOLUTION_S - 1
        await asyncio.sleep(STALE_S + 1)
        reads.clear()
        await sampler.fresh(["a"])
        assert len(reads) == 2
        await asyncio.sleep(600)
        assert sampler.pair("a") is None
        assert len(reads) == 2
        await sampler.close()

    loop.run(main())


async def _group() -> None:
    steps = iter(range(1, 1000))
    source = MemorySummaries(lambda node: summary(next(steps)) if node == "n1" else None)
    async with running(summaries=source, disable_admission=("ServiceAccount",)) as h:
        for name in ("n1", "n2"):
            await h.request("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": {"n": name}}})
            pod = {"nodeName": name, "containers": [{"name": "c0", "image": "i"}]}
            for pod_name in ("p", "q"):
                full = pod_name if name == "n1" else f"{pod_name}2"
                await h.request("POST", "/api/v1/namespaces", {"metadata": {"name": "ns"}})
                body = {"metadata": {"name": full, "labels": {"app": full}}, "spec": pod}
                await h.request("POST", "/api/v1/namespaces/ns/pods", body)
        base = "/apis/metrics.k8s.io/v1beta1"
        status, found = await h.request("GET", f"{base}/nodes")
        assert (status, found["kind"]) == (200, "NodeMetricsList")
        (node,) = found["items"]
        assert (node["metadata"]["name"], node["metadata"]["labels"], node["usage"]["memory"]) == (
            "n1",
            {"n": "n1"},
            "1Gi",
        )
        assert node["usage"]["cpu"].endswith("n") or node["usage"]["cpu"].isdigit()
        status, found = await h.request("GET", f"{base}/pods?labelSelector=app%3Dp")
        assert [p["metadata"]["name"] for p in found["items"]] == ["p"]
        assert [c["name"] for c in found["items"][0]["containers"]] == ["c0"]
        status, found = await h.request("GET", f"{base}/pods?labelSelector=app%3Dq")
        assert found["items"] == []
        status, found = await h.request("GET", f"{base}/namespaces/ns/pods/p")
        assert (status, found["kind"]) == (200, "PodMetrics")
        for path, text in (
            (f"{base}/namespaces/ns/pods/q", 'podmetrics.metrics.k8s.io "ns/q" not found'),
            (f"{base}/nodes/n2", 'nodemetrics.metrics.k8s.io "n2" not found'),
        ):
            status, found = await h.request("GET", path)
            assert (status, found["message"]) == (404, text)
        status, _ = await h.request("DELETE", f"{base}/nodes/n1")
        assert status == 405
        table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        status, found = await h.request("GET", f"{base}/pods", headers=table)
        assert [c["name"] for c in found["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
        assert found["rows"][0]["cells"][0] == "p"
        status, found = await h.request("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io")
        assert status == 200
        status, found = await h.request("GET", f"/openapi/v3{base}")
        assert "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics" in found["components"]["schemas"]
        local = await h.server.client("system:serviceaccount:kube-system:horizontal-pod-autoscaler").fetch(
            f"{base}/namespaces/ns/pods", query={"labelSelector": "app=p"}
        )
        assert [p["metadata"]["name"] for p in local["items"]] == ["p"]


SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"


async def _replaced() -> None:
    async with running(summaries=MemorySummaries(lambda node: None)) as h:
        path = "/apis/metrics.k8s.io/v1beta1/nodes"

        async def shown(local: bool) -> None:
            def holds(obj: Any) -> bool:
                return obj is not None and (obj.spec.service is None) is local

            await reached(h, "apiservices.apiregistration.k8s.io", "", "v1beta1.metrics.k8s.io", holds)

        await shown(True)
        patch = {"spec": {"service": {"namespace": "kube-system", "name": "metrics-server"}}}
        merge = {"Content-Type": "application/merge-patch+json"}
        status, _ = await h.request("PATCH", SERVICE, {**patch}, headers=merge)
        assert status == 200
        status, _, _ = await h.raw("GET", path)
        assert status == 503
        status, _ = await h.request("DELETE", SERVICE)
        assert status == 200
        await shown(True)
        status, found = await h.request("GET", path)
        assert (status, found["items"]) == (200, [])


@pytest.mark.parametrize("case", [_group, _replaced])
def test_it_is_a_group_of_the_api_until_another_server_provides_it(case: Any) -> None:
    asyncio.run(case())
