"""The Service that pods find the API by comes back when somebody deletes it."""

import asyncio

import pytest

from pelamis.api.core.endpoints import KIND as ENDPOINTS
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.client.types import Delete

from .harness import running


@pytest.mark.parametrize("kind", [SERVICE, ENDPOINTS, SLICE], ids=lambda kind: kind.plural)
def test_what_is_deleted_is_made_again(kind: object) -> None:
    async def scene() -> None:
        async with asyncio.timeout(20), running() as rig:
            server = rig.server
            server.config.advertise_address = "192.0.2.7"
            await server.bootstrap.endpoints()
            client = server.client("admin", "system:masters")
            view = client.view(kind, namespace="default")
            before = view.get("default", "kubernetes")
            again = asyncio.Event()
            view.subscribe(lambda key, old, new: new and new.metadata.uid != before.metadata.uid and again.set())
            (outcome,) = await client.commit([Delete(kind, "default", "kubernetes")])
            assert outcome.error is None
            await again.wait()
            after = view.get("default", "kubernetes")
            if kind is SERVICE:
                assert after.spec.clusterIP == before.spec.clusterIP

    asyncio.run(scene())
