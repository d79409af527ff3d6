"""Leader election: one leader at a time, a take-over when it is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.base import errors
from pelamis.reconcile.leader import LostLease, lead
from pelamis.sim.loop import now, run
from tests.sim.fake_client import FakeClient, FakeServer


def test_one_leads_and_the_other_takes_over() -> None:
    async def main() -> None:
        server = FakeServer(now)
        leading: list[str] = []

        def candidate(name: str) -> asyncio.Task[None]:
            async def work() -> None:
                leading.append(name)
                try:
                    await asyncio.sleep(10_000)
                finally:
                    leading.remove(name)

            client: Any = FakeClient(server)
            return asyncio.ensure_future(lead(client, "kube-system", "x", name, work, clock=now))

        a = candidate("a")
        await asyncio.sleep(1)
        b = candidate("b")
        await asyncio.sleep(100)
        assert leading == ["a"]
        a.cancel()
        await asyncio.wait([a])
        await asyncio.sleep(1)
        assert leading == ["b"], "an orderly end gives the lease back"
        lease = server.get(LEASE, "kube-system", "x")
        assert (lease.spec.holderIdentity, lease.spec.leaseTransitions) == ("b", 1)
        c = candidate("c")
        await asyncio.sleep(5)
        server.refuse = lambda action: errors.Unavailable("no")
        await asyncio.sleep(11)
        with pytest.raises(BaseExceptionGroup) as caught:
            await b
        assert caught.group_contains(LostLease) if hasattr(caught, "group_contains") else True
        server.refuse = lambda action: None
        await asyncio.sleep(20)
        assert leading == ["c"]
        c.cancel()

    run(main())
