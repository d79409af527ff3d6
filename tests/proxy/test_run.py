"""The proxy's promise about pods that are on their way out, over the recorded packet filter and a fake client."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.proxy.rules import Settings
from pelamis.proxy.run import Proxy


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


class FakeView:
    """Objects by key, all in one namespace; ``put`` tells the subscribers."""

    synced = True

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Any] = {}
        self.subscribers: list[Any] = []

    def subscribe(self, fn: Any) -> Any:
        self.subscribers.append(fn)
        return lambda: None

    def list(self, namespace: str = "") -> list[Any]:
        return list(self.objects.values())

    def get(self, namespace: str, name: str) -> Any:
        return self.objects.get((namespace, name))

    def by_index(self, index: str, value: str) -> Sequence[Any]:
        return tuple(self.objects.values())

    def put(self, obj: Any) -> None:
        key = (obj.metadata.namespace, obj.metadata.name)
        old, self.objects[key] = self.objects.get(key), obj
        for fn in self.subscribers:
            fn(key, old, obj)


class FakeClient:
    def __init__(self) -> None:
        self.views: dict[str, FakeView] = {}

    def view(self, kind: Any, **_: Any) -> FakeView:
        return self.views.setdefault(kind.plural, FakeView())


def endpoints(**conditions: bool) -> Any:
    import msgspec

    tree = {
        "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": {"kind": "Pod", "uid": "u1"}},
        ],
    }
    return msgspec.convert(tree, SLICE.type)


@pytest.mark.parametrize("conditions", [{"ready": True}, {"ready": False}])
def test_withdrawn_waits_for_the_transaction(conditions: dict[str, bool]) -> None:
    async def main() -> None:
        client, held = FakeClient(), Held()
        settings = Settings("t", "node", "br0", ("10.0.0.0/16",), "10.0.0.0/24")
        proxy = Proxy(client, client, held, settings)  # type: ignore[arg-type]
        client.view(SLICE).put(endpoints(**conditions))
        task = asyncio.create_task(proxy.run())
        await proxy.synced.wait()
        await proxy.withdrawn("default", "another")  # nothing offers it
        leaving = asyncio.create_task(proxy.withdrawn("default", "u1"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not leaving.done()
        client.view(SLICE).put(endpoints(ready=False, serving=True, terminating=True))
        await leaving
        assert proxy.leaving == {}
        task.cancel()

    asyncio.run(main())
