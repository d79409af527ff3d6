"""What external load balancers are answered."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec

from pelamis.api.core.service import Service
from pelamis.proxy.health import HealthChecks, check_of
from tests.proxy.test_rules import slice_of


def service(**spec: Any) -> Any:
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000, **spec}
    return msgspec.convert({"metadata": {"name": "web", "namespace": "a"}, "spec": spec}, Service)


def test_endpoints_of_this_node_count() -> None:
    slices = [slice_of(("10.0.0.1", "n1", True), ("10.0.0.2", "n2", True), ("10.0.0.3", "n1", False))]
    assert check_of(service(), slices, "n1") == (31000, 1)
    assert check_of(service(), slices, "n3") == (31000, 0)
    assert check_of(service(externalTrafficPolicy="Cluster"), slices, "n1") == (0, 0)
    assert check_of(None, slices, "n1") == (0, 0)


async def _ask(port: int) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body)


def test_the_port_answers_while_it_is_wanted() -> None:
    async def main() -> None:
        free = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = free.sockets[0].getsockname()[1]
        checks = HealthChecks("127.0.0.1")
        await checks.set(("a", "web"), port, 1)  # taken: it is told in the log and goes on
        free.close()
        await free.wait_closed()
        await checks.set(("a", "web"), port, 2)
        status, body = await _ask(port)
        assert (status, body["localEndpoints"]) == (200, 2)
        await checks.set(("a", "web"), port, 0)
        assert (await _ask(port))[0] == 503
        await checks.set(("a", "web"), 0, 0)
        try:
            await _ask(port)
        except OSError:
            pass
        else:
            raise AssertionError("nobody should answer")
        await checks.close()

    asyncio.run(main())
