"""The proxy's promise about pods on their way out, over a recorded packet filter and the API server in memory."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pelamis.api.core.wellknown import SERVICE_NAME
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.apiserver.user import User
from pelamis.client.types import Patch
from pelamis.proxy.rules import Settings
from pelamis.proxy.run import Proxy
from tests.apiserver.memory import MemoryServer


class Held:
    """A packet filter whose transactions end when the test says so."""

    def __init__(self) -> None:
        self.applied: list[Any] = []
        self.open = asyncio.Event()
        self.open.set()

    async def apply(self, commands: Any) -> None:
        await self.open.wait()
        self.applied.append(commands)

    async def forget_udp(self, *_: Any) -> None: ...


def endpoints(**conditions: bool) -> dict[str, Any]:
    return {
        "metadata": {"name": "web-1", "namespace": "default", "labels": {SERVICE_NAME: "web"}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": {"kind": "Pod", "uid": "u1"}},
        ],
    }


@pytest.mark.parametrize("conditions", [{"ready": True}, {"ready": False}])
def test_withdrawn_waits_for_the_transaction(conditions: dict[str, bool]) -> None:
    async def main() -> None:
        server, held = await MemoryServer(time.time).start(), Held()
        client = server.client("system:kube-proxy", "proxy")
        node = server.client(User("system:node:node", ("system:nodes",)), "proxy")
        settings = Settings("t", "node", "br0", ("10.0.0.0/16",), "10.0.0.0/24")
        proxy = Proxy(client, node, held, settings)  # type: ignore[arg-type]
        await server.put(SLICE, endpoints(**conditions))
        task = asyncio.create_task(proxy.run())
        await proxy.synced.wait()
        await proxy.withdrawn("default", "another")  # nothing offers it
        leaving = asyncio.create_task(proxy.withdrawn("default", "u1"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not leaving.done()
        changed = {"endpoints": endpoints(ready=False, serving=True, terminating=True)["endpoints"]}
        await server.do(Patch(SLICE, "default", "web-1", changed))
        await leaving
        assert proxy.leaving == {}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.stop()

    asyncio.run(main())
