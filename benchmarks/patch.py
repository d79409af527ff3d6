"""Patches and field ownership, each against its limit in microseconds on one core of an AMD EPYC.

The peer for scale is ``copy.deepcopy`` of the same
Deployment, which a write path that copies its input would pay at least once.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import msgspec
from benchmarks.codec import pod
from benchmarks.frame import Row, below, table

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.openapi import OpenAPI
from pelamis.api.patchschema import schema
from pelamis.api.registry import builtin
from pelamis.apiserver.discovery import Discovery
from pelamis.base import jsonpatch, mergepatch, smp, ssa

Tree = dict[str, Any]
APPS, PODS = schema(DEPLOYMENT), schema(POD)


def timed(fn: Callable[[], object], budget_s: float = 0.5) -> float:
    """Microseconds of one call, the best of five rounds."""
    fn()
    start = time.perf_counter()
    fn()
    count = max(1, int(budget_s / 5 / max(time.perf_counter() - start, 1e-6)))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(count):
            fn()
        best = min(best, (time.perf_counter() - start) / count)
    return best * 1e6


def deployment() -> Tree:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": pod()["spec"]["containers"]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


def rows() -> list[Row]:
    new = pod()
    applied = deployment()
    live = ssa.apply(None, applied, "one", schema=APPS, force=False, api_version="apps/v1", now=1.0)
    other = {**applied, "spec": {**applied["spec"], "replicas": 4}}
    scaled = {**live, "spec": {**live["spec"], "replicas": 5}}
    order = [{"name": "web"}, {"name": "side"}]
    inner = {"$setElementOrder/containers": order, "containers": [{"name": "web", "image": "nginx:2"}]}
    strategic = {"spec": {"template": {"spec": inner}}}
    registry = builtin()
    discovery = Discovery(registry)
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    def create() -> None:
        ssa.update_managed(None, dict(new), "kubectl-create", schema=PODS, api_version="v1", now=1.0)

    def update() -> None:
        ssa.update_managed(live, dict(scaled), "scaler", schema=APPS, api_version="apps/v1", now=2.0)

    def apply(tree: Tree) -> None:
        ssa.apply(live, tree, "one", schema=APPS, force=False, api_version="apps/v1", now=2.0)

    work: list[tuple[str, float, Callable[[], object]]] = [
        (f"managedFields, create of a Pod of {len(msgspec.json.encode(new))} bytes", 80, create),
        ("managedFields, update of a Deployment", 80, update),
        ("apply of a Deployment, one field changed", 400, lambda: apply(other)),
        ("apply of a Deployment, nothing changed", 400, lambda: apply(applied)),
        ("strategic merge patch of an image", 60, lambda: smp.apply(live, strategic, APPS)),
        ("merge patch of replicas", 10, lambda: mergepatch.apply(live, {"spec": {"replicas": 7}})),
        (
            "JSON patch of replicas",
            20,
            lambda: jsonpatch.apply(live, [{"op": "replace", "path": "/spec/replicas", "value": 7}]),
        ),
        ("aggregated discovery, cached", 10, lambda: discovery.answer("/apis", accept)),
        ("OpenAPI v2, the whole document", 500_000, lambda: OpenAPI(registry).answer("/openapi/v2", "", "gzip")),
        ("OpenAPI v3, all documents", 500_000, lambda: OpenAPI(registry).answer("/openapi/v3", "", "gzip")),
    ]
    peer = timed(lambda: copy.deepcopy(live))  # noqa: TID251
    note = f"deepcopy of the Deployment takes {peer:.0f} µs"
    return [below(name, timed(fn), limit, "µs", note if i == 0 else "") for i, (name, limit, fn) in enumerate(work)]


if __name__ == "__main__":
    print(table(rows()))
