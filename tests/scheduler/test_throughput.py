"""The workloads of the benchmark, small: all of their pods get to a node, so what is measured is what is claimed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

throughput = pytest.importorskip("benchmarks.scheduler_throughput")


def _small(workload: throughput.Workload) -> throughput.Workload:  # type: ignore[name-defined]
    nodes = 20
    small = replace(workload, nodes=nodes, running=min(workload.running, 4 if not workload.churn else 40), count=10)
    if workload.churn is not None or workload.pod is throughput.high:
        small = replace(small, running=4 * nodes)
    if workload.pod is throughput.with_claim:
        small = replace(small, objects=throughput.volumes(10, not workload.binder, nodes))
    if workload.pod is throughput.daemon:
        small = replace(small, nodes=10)  # pod i names node i
    return small


@pytest.mark.slow
@pytest.mark.parametrize("workload", throughput.WORKLOADS, ids=lambda w: w.name)
def test_all_pods_are_bound(workload: throughput.Workload) -> None:  # type: ignore[name-defined]
    small = _small(workload)
    measured = asyncio.run(throughput.measure(small, small.count, durable=False))
    assert measured.own > 0
