"""Cluster IPs out of ServiceCIDRs that are made while the server runs."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.apiserver.harness import running

CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
SERVICES = "/api/v1/namespaces/default/services"
MORE = {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.222.0.0/29"]}}
NO = "failed to allocate IP 10.222.0.3: the provided network does not match the current range"


def service(name: str, ip: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **({"clusterIP": ip} if ip else {})}}


def test_addresses_of_a_range_while_it_is_ready() -> None:
    async def main() -> None:
        async with running(service_cidrs=("10.96.0.0/30",)) as harness:

            async def make(name: str, ip: str = "") -> tuple[int, Any]:
                code, made = await harness.request("POST", SERVICES, service(name, ip))
                return code, made["spec"]["clusterIP"] if code == 201 else made["message"]

            async def ready(status: str) -> None:
                _, found = await harness.request("GET", f"{CIDRS}/more")
                found["status"] = {"conditions": [CONDITION | {"status": status}]}
                assert (await harness.request("PUT", f"{CIDRS}/more/status", found))[0] == 200

            # without a reason, as upstream's controllers write it
            CONDITION = {"type": "Ready", "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            assert (await harness.request("POST", CIDRS, MORE))[0] == 201
            code, why = await make("early", "10.222.0.3")
            assert code == 422 and NO in why
            await ready("True")
            assert await make("mine", "10.222.0.3") == (201, "10.222.0.3")
            code, why = await make("again", "10.222.0.3")
            assert code == 422 and "provided IP is already allocated" in why
            found = [await make(f"s{i}") for i in range(6)]  # one is left of the server's own, then five of the other
            assert [code for code, _ in found] == [201] * 6 and found[0][1] == "10.96.0.2"
            assert {ip for _, ip in found[1:]} == {f"10.222.0.{n}" for n in (1, 2, 4, 5, 6)}
            assert (await make("full"))[0] == 500
            await ready("False")
            await harness.request("DELETE", f"{SERVICES}/mine")
            assert (await make("mine", "10.222.0.3"))[0] == 422

    asyncio.run(main())
