"""componentstatuses: who is asked, and what is said of them."""

from __future__ import annotations

import time
from typing import Any

from pelamis.base.clock import rfc3339_micro
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import run

PATH = "/api/v1/componentstatuses"


def test_health_of_components() -> None:
    async def scenario(h: Harness) -> None:
        async def listed(query: str = "") -> dict[str, Any]:
            status, tree = await h.request("GET", f"{PATH}{query}")
            assert (status, tree["kind"]) == (200, "ComponentStatusList")
            return {i["metadata"]["name"]: i["conditions"] for i in tree["items"]}

        found = await listed()
        assert list(found) == ["controller-manager", "scheduler", "etcd-0"]
        assert found["etcd-0"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
        refused = 'Get "https://127.0.0.1:10259/healthz": dial tcp 127.0.0.1:10259: connect: connection refused'
        assert found["scheduler"] == [{"type": "Healthy", "status": "False", "message": refused}]
        now = rfc3339_micro(time.time())
        spec = {"holderIdentity": "a", "renewTime": now, "acquireTime": now, "leaseDurationSeconds": 15}
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
        assert (await h.request("POST", leases, {"metadata": {"name": "kube-scheduler"}, "spec": spec}))[0] == 201
        h.server.component_statuses.checks["controller-manager"] = lambda: ""
        assert all(c[0]["status"] == "True" for c in (await listed()).values())
        assert list(await listed("?fieldSelector=metadata.name%3Detcd-0")) == ["etcd-0"]
        assert list(await listed("?labelSelector=a%3Db")) == []
        status, headers, _ = await h.raw("GET", f"{PATH}/etcd-0")
        assert (status, headers["warning"]) == (200, '299 - "v1 ComponentStatus is deprecated in v1.19+"')
        status, error = await h.request("GET", f"{PATH}/x")
        assert (status, error["message"]) == (404, 'componentstatuses "x" not found')
        table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        _, shown = await h.request("GET", PATH, headers=table)
        assert [r["cells"][:3] for r in shown["rows"]][2] == ["etcd-0", "Healthy", "ok"]

    run(scenario)
