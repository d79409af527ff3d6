"""Leader election: one leader at a time, a take-over when it is gone. For faults see tests/sim/test_election.py."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.reconcile import leader
from pelamis.reconcile.leader import LostLease, keep_leading, lead
from pelamis.sim.cluster import Cluster
from pelamis.sim.faults import Rates
from pelamis.sim.link import Link
from pelamis.sim.loop import now, run


def test_one_leads_and_the_other_takes_over() -> None:
    async def main() -> None:
        leading: list[str] = []
        async with Cluster(nodes=0, run_controllers=(), run_scheduler=False) as cluster:
            link = Link(cluster.door, LOOPBACK_USER, "controllers", faults=cluster.faults, mirror=None)

            def candidate(name: str) -> asyncio.Task[None]:
                async def work() -> None:
                    leading.append(name)
                    try:
                        await asyncio.sleep(10_000)
                    finally:
                        leading.remove(name)

                return asyncio.ensure_future(lead(link, "kube-system", "x", name, work, clock=now))

            a = candidate("a")
            await asyncio.sleep(1)
            b = candidate("b")
            await asyncio.sleep(100)
            assert leading == ["a"]
            a.cancel()
            await asyncio.wait([a])
            await asyncio.sleep(1)
            assert leading == ["b"], "an orderly end gives the lease back"
            lease = cluster.get(LEASE, "kube-system", "x")
            assert (lease.spec.holderIdentity, lease.spec.leaseTransitions) == ("b", 1)
            c = candidate("c")
            await asyncio.sleep(5)
            cluster.faults.set(Rates(refuse=1.0))
            await asyncio.sleep(11)
            with pytest.raises(BaseExceptionGroup) as caught:
                await b
            assert caught.value.subgroup(LostLease) is not None
            cluster.faults.clear()
            await asyncio.sleep(20)
            assert leading == ["c"]
            c.cancel()
            await asyncio.wait([c])

    run(main())


def test_a_cancelled_candidate_ends_though_it_loses_the_lease_at_the_same_moment(monkeypatch: Any) -> None:
    calls: list[None] = []

    async def lost(*args: Any, **more: Any) -> None:
        calls.append(None)
        if len(calls) > 1:
            await asyncio.sleep(1000)

        async def fails() -> None:
            raise LostLease("x")

        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            asyncio.get_running_loop().call_soon(candidate[0].cancel)
            await asyncio.sleep(10)

    candidate: list[asyncio.Task[None]] = []

    async def main() -> None:
        nothing: Any = None
        candidate.append(asyncio.ensure_future(keep_leading(nothing, "ns", "x", "me", nothing, clock=now)))
        done, _ = await asyncio.wait(candidate, timeout=100)
        assert done

    monkeypatch.setattr(leader, "lead", lost)
    run(main())
