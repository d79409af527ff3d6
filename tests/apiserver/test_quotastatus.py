"""A quota whose controller is somebody else's: writes keep its status up, and are judged by it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.apiserver.harness import running

BASE = "/api/v1/namespaces/default"
QUOTA = {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "2"}}}


def test_writes_tell_the_status() -> None:
    async def main() -> None:
        async with running(quota_in_status=True) as harness:

            async def used() -> Any:
                _, found = await harness.request("GET", f"{BASE}/resourcequotas/q")
                return found["status"].get("used")

            assert (await harness.request("POST", f"{BASE}/resourcequotas", QUOTA))[0] == 201
            codes = []
            for name in "abc":
                codes.append((await harness.request("POST", f"{BASE}/configmaps", {"metadata": {"name": name}}))[0])
            assert (codes, await used()) == ([201, 201, 403], {"configmaps": "2"})
            _, found = await harness.request("GET", f"{BASE}/resourcequotas/q")
            assert "kube-apiserver" in {entry["manager"] for entry in found["metadata"]["managedFields"]}
            await harness.request("DELETE", f"{BASE}/configmaps/a")
            assert (await used()) == {"configmaps": "2"}  # what is freed is the controller's to count
            assert (await harness.request("POST", f"{BASE}/configmaps", {"metadata": {"name": "c"}}))[0] == 403

    asyncio.run(main())
