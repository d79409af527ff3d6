"""The runner: group commit, continuations, retries, the own-write barrier, start without polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.configmap import ConfigMap
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.meta import ObjectMeta
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.base import errors
from pelamis.client.types import Create, Outcome, Patch
from pelamis.reconcile.plan import Found, Plan, Read
from pelamis.reconcile.runner import Runner
from pelamis.reconcile.spec import Controller, Watch
from pelamis.sim.loop import now, run
from tests.apiserver.memory import MemoryServer


def copier(reconcile: Callable[[Any, float], Plan], **more: Any) -> Controller:
    def gather(views: Any, key: Any) -> Any:
        source = views(CONFIGMAP).get(*key)
        return None if source is None or key[0] != "n" else (source, views(SECRET).get(*key), views.memo(key))

    return Controller("copier", (Watch(CONFIGMAP), Watch(SECRET)), gather, reconcile, **more)


def copy(world: Any, at: float) -> Plan:
    source, copied, _ = world
    if copied is not None:
        return Plan()
    return Plan(actions=(Create(SECRET, {"metadata": {"name": source.metadata.name, "namespace": "n"}}),))


def start(server: MemoryServer, controller: Controller) -> asyncio.Task[None]:
    client = server.client(LOOPBACK_USER, "controllers")
    return asyncio.ensure_future(Runner(controller, client, clock=now, cpu=lambda: 0.0).run())


def config(name: str) -> Create:
    return Create(CONFIGMAP, ConfigMap(metadata=ObjectMeta(name=name, namespace="n")))


def test_keys_of_one_turn_share_a_commit_and_idle_costs_nothing() -> None:
    async def main() -> None:
        server = await MemoryServer(now).start("n")
        await server.do(*(config(f"c{i}") for i in range(50)))
        task = start(server, copier(copy))
        await asyncio.sleep(1)
        assert [len(c) for c in server.commits] == [50]
        await asyncio.sleep(100_000)
        assert len(server.commits) == 1
        task.cancel()

    run(main())


def test_a_key_does_not_run_before_it_sees_its_own_write() -> None:
    async def main() -> None:
        server = await MemoryServer(now, lag_s=5.0).start("n")
        runs: list[float] = []

        def reconcile(world: Any, at: float) -> Plan:
            runs.append(at)
            return copy(world, at)

        task = start(server, copier(reconcile))
        await server.do(config("a"))
        await asyncio.sleep(5.5)
        await server.do(Patch(CONFIGMAP, "n", "a", {"data": {"x": "y"}}))
        await asyncio.sleep(30)
        assert len(server.objects(SECRET)) == 1
        assert len(server.commits) == 1, "no second create was tried"
        assert len(runs) >= 2
        task.cancel()

    run(main())


def test_continuation_errors_memo_and_time() -> None:
    async def main() -> None:
        server = await MemoryServer(now).start("n")
        seen: list[tuple[float, Any]] = []

        def reconcile(world: Any, at: float) -> Plan:
            seen.append((round(at - START, 3), world[2]))
            if len(seen) <= 3:
                return Plan(error="not yet", memo=len(seen))

            def then(outcomes: Sequence[Outcome]) -> Plan:
                assert outcomes[0].obj.data == {"step": "1"}
                return Plan(actions=(Patch(CONFIGMAP, "n", "a", {"data": {"step": "2"}}),), requeue_at=at + 60)

            if len(seen) == 4:
                return Plan(actions=(Patch(CONFIGMAP, "n", "a", {"data": {"step": "1"}}),), on_outcomes=then)
            return Plan(requeue_at=START + 60 if at < START + 60 else None)

        START = now()
        await server.do(config("a"))
        task = start(server, copier(reconcile))
        await asyncio.sleep(61)
        assert [m for _, m in seen[:5]] == [None, 1, 2, 3, 3]
        assert [t for t, _ in seen[:4]] == [0.0, 0.005, 0.015, 0.035]
        assert server.get(CONFIGMAP, "n", "a").data == {"step": "2"}
        assert seen[-1][0] == 60.0
        task.cancel()

    run(main())


def test_a_defect_in_one_key_stops_no_other() -> None:
    async def main() -> None:
        server = await MemoryServer(now).start("n")

        def reconcile(world: Any, at: float) -> Plan:
            if world[0].metadata.name == "bad":
                raise ZeroDivisionError
            return copy(world, at)

        await server.do(config("bad"), config("good"))
        task = start(server, copier(reconcile))
        await asyncio.sleep(1)
        assert [s.metadata.name for s in server.objects(SECRET)] == ["good"]
        assert not task.done()
        task.cancel()

    run(main())


def test_an_unreachable_server_is_tried_again() -> None:
    async def main() -> None:
        server = await MemoryServer(now).start("n")
        await server.do(config("a"))
        broken = errors.Unavailable("down")
        server.faults.script = lambda component, action: broken
        task = start(server, copier(copy))
        await asyncio.sleep(3)
        server.faults.script = None
        await asyncio.sleep(5)
        assert len(server.objects(SECRET)) == 1
        task.cancel()

    run(main())


def test_a_plan_of_continuations_alone_is_carried_out() -> None:
    async def main() -> None:
        server = await MemoryServer(now).start("n")
        await server.do(config("a"))
        task = start(server, copier(lambda world, at: Plan(then=copy(world, at).actions)))
        await asyncio.sleep(1)
        assert len(server.objects(SECRET)) == 1
        task.cancel()

    run(main())


def test_dear_keys_rest_and_their_changes_are_looked_at_together() -> None:
    """Counted in runs, on virtual time: a hundred changes of each key within a second."""

    def runs(cost_s: float, keys: int = 1, *, late: bool = False) -> int:
        ran: list[tuple[str, str]] = []
        spent = 0.0

        def reconcile(world: Any, at: float) -> Plan:
            nonlocal spent
            spent += cost_s
            ran.append((world[0].metadata.name, world[0].data.get("k", "")))
            return Plan()

        def cpu() -> float:
            return now() + spent + (now() * 10 if late else 0.0)

        async def main() -> None:
            server = await MemoryServer(now).start("n")
            names = [f"c{i}" for i in range(keys)]
            await server.do(*map(config, names))
            client = server.client(LOOPBACK_USER, "controllers")
            task = asyncio.ensure_future(Runner(copier(reconcile), client, clock=now, cpu=cpu).run())
            for i in range(100):
                await asyncio.sleep(0.01)
                for name in names:
                    await server.do(Patch(CONFIGMAP, "n", name, {"data": {"k": str(i)}}))
            during = len(ran)
            await asyncio.sleep(keys)
            assert dict(ran) == dict.fromkeys(names, "99")  # the last change is seen by all
            task.cancel()
            return during

        return run(main())

    assert runs(0.0001) == 100
    assert runs(0.003) < 60
    assert runs(0.003, late=True) < 70
    # a loop that has more to do than it can gives them their share, not more: the first two runs of a key are free
    for keys in (10, 100):
        assert runs(0.003, keys, late=True) <= 2 * keys + 0.2 / 0.003 + 1
    # one with time to spare does the work
    assert runs(0.003, 10) > 300


def test_what_a_plan_reads_is_handed_to_its_continuation_and_holds_up_nobody() -> None:
    async def fetch(path: str, *, query: Any = None) -> Any:
        await asyncio.sleep(10)
        if path == "/gone":
            raise errors.NotFound("metrics", "", "gone")
        if path == "/lost":
            raise OSError("no route")
        return {"path": path, **query}

    async def main() -> None:
        server = await MemoryServer(now).start("n")
        found: list[Found] = []
        done: dict[str, float] = {}

        def reconcile(world: Any, at: float) -> Plan:
            source, _, memo = world
            if source.metadata.name != "slow":
                done[source.metadata.name] = at
                return Plan()
            if memo is not None:
                done["slow"] = at
                return Plan()

            def on_reads(answers: Sequence[Found]) -> Plan:
                found.extend(answers)
                return Plan(memo="read", requeue_at=at)

            return Plan(reads=(Read("/a", (("k", "v"),)), Read("/gone"), Read("/lost")), on_reads=on_reads)

        await server.do(config("slow"), config("quick"))
        client = server.client(LOOPBACK_USER, "controllers")
        client.fetch = fetch  # type: ignore[method-assign]
        task = asyncio.ensure_future(Runner(copier(reconcile), client, clock=now, cpu=lambda: 0.0).run())
        begin = now()
        await asyncio.sleep(30)
        assert done["quick"] - begin < 1
        assert 10 <= done["slow"] - begin < 11
        assert found == [
            Found({"path": "/a", "k": "v"}),
            Found(None, 'metrics "gone" not found'),
            Found(None, "cannot reach the server: no route"),
        ]
        task.cancel()

    run(main())
