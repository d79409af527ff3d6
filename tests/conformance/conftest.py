"""One server for all conformance tests of a module, and a client whose calls are synchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from pelamis.api.enablement import Enablement
from pelamis.net.httpclient import HttpPool
from tests.apiserver.harness import Harness, running

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Api:
    def __init__(self, loop: asyncio.AbstractEventLoop, harness: Harness) -> None:
        self.loop = loop
        self.harness = harness
        self.pool = HttpPool(harness.url, harness.context(harness.admin))

    def raw(
        self, method: str, path: str, body: Any = None, *, type: str = JSON, accept: str = JSON
    ) -> tuple[int, dict[str, str], bytes]:
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        headers = [("Accept", accept), *([("Content-Type", type)] if data else [])]
        return self.loop.run_until_complete(self.pool.fetch(method, path, headers=headers, body=data, timeout_s=30.0))

    def __call__(self, method: str, path: str, body: Any = None, *, type: str = JSON) -> tuple[int, Any]:
        status, headers, data = self.raw(method, path, body, type=type)
        if headers.get("content-type", "").startswith("text/plain"):
            return status, {"message": data.decode()}
        return status, msgspec.json.decode(data) if data else None

    def ok(self, method: str, path: str, body: Any = None, *, type: str = JSON) -> Any:
        status, tree = self(method, path, body, type=type)
        assert status in (200, 201, 202), f"{method} {path}: {status} {tree.get('message')}"
        return tree

    def events(self, path: str, until: Callable[[str, Any], bool]) -> list[tuple[str, Any]]:
        """What a watch sends up to the event that is waited for."""

        async def read() -> list[tuple[str, Any]]:
            out = []
            response = await self.pool.request("GET", path)
            async with asyncio.timeout(30):
                async for line in response.lines():
                    event = msgspec.json.decode(line)
                    out.append((event["type"], event["object"]))
                    if until(*out[-1]):
                        break
            response.close()
            return out

        return self.loop.run_until_complete(read())


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """RUNTIME_CONFIG of the module: which API versions are served."""
    loop = asyncio.new_event_loop()
    served = getattr(request.module, "RUNTIME_CONFIG", "")
    context = running(registry=Enablement(served).registry() if served else None)
    out = Api(loop, loop.run_until_complete(context.__aenter__()))
    out.ok("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    try:
        yield out
    finally:
        loop.run_until_complete(out.pool.close())
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()
