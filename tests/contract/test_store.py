"""What every store promises, in one table of scenarios, and a random walk beside a naive twin."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pelamis.sim.loop import VirtualLoop, run
from pelamis.store.etcd import EtcdStore
from pelamis.store.memory import MemoryStore
from pelamis.store.sqlite import SqliteStore
from pelamis.store.types import Closed, Compacted, Delete, Done, Event, Missed, Put, Store
from tests.contract import etcd

Make = Callable[[Path], Store]
MAKERS: dict[str, Make] = {
    "memory": lambda path: MemoryStore(),
    "sqlite": lambda path: SqliteStore(path, now=lambda: 1e9 + asyncio.get_running_loop().time()),
}


class Seen(list[Event]):
    """A sink that remembers, and can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._came = asyncio.Event()

    def __call__(self, events: Sequence[Event]) -> None:
        self.extend(events)
        self._came.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._came.clear()
            await self._came.wait()


@pytest.fixture(params=[*MAKERS, pytest.param("etcd", marks=pytest.mark.slow)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Opens a new store; ``make.run`` runs the test, in virtual time where time is the store's own."""
    if request.param == "etcd":
        with etcd.server(tmp_path) as url:
            opener: Any = _opener(lambda: EtcdStore([url]))
            opener.run = asyncio.run
            yield opener
    else:
        opener = _opener(lambda: MAKERS[request.param](tmp_path))
        opener.run = partial(run, outside=True)
        yield opener


def _opener(make: Callable[[], Store]) -> Any:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        store = make()
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    return opened


def test_commit_answers_each_op_for_itself(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            assert store.rev == 1
            answers = await store.commit(
                [Put("/a", b"1", expect=0), Put("/a", b"2", expect=0), Put("/a", b"3", expect=2), Delete("/a", 9)]
            )
            assert (answers[0], answers[2]) == (Done(2), Done(3))
            for answer, value, rev in ((answers[1], b"1", 2), (answers[3], b"3", 3)):
                assert isinstance(answer, Missed)
                assert answer.current is not None
                assert answer.current[:4] == ("/a", value, 2, rev)
            assert await store.commit([Put("/b", b"4"), Delete("/b", expect=4), Put("/b", b"5", expect=0)]) == [
                Done(4),
                Done(5),
                Done(6),
            ]
            assert await store.commit([Delete("/c"), Delete("/c", expect=7)]) == [Missed(None), Missed(None)]
            assert store.rev == 6 == await store.current_rev()
            item = await store.get("/a")
            assert item is not None and item[:4] == ("/a", b"3", 2, 3)
            old = await store.get("/a", rev=2)
            assert old is not None and old.value == b"1"
            assert await store.get("/b", rev=5) is None
            assert await store.commit([]) == []

    make.run(main())


def test_range_is_ordered_bounded_and_at_one_revision(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            keys = [f"/r/{c}" for c in "dbace"] + ["/r", "/q/z", "/s/a"]
            await store.commit([Put(key, key.encode()) for key in keys])
            rev = store.rev
            assert [e.key for e in (await store.range("/r/b")).items] == ["/r/b"]
            await store.commit([Delete("/r/b"), Put("/r/c", b"new"), Put("/r/f", b"f")])
            then = await store.range("/r/", rev=rev)
            assert [i.key for i in then.items] == ["/r/a", "/r/b", "/r/c", "/r/d", "/r/e"]
            assert (then.rev, then.more) == (rev, False)
            now = await store.range("/r/")
            assert [i.value for i in now.items] == [b"/r/a", b"new", b"/r/d", b"/r/e", b"f"]
            first = await store.range("/r/", limit=2, rev=rev)
            assert (len(first.items), first.more) == (2, True)
            assert first.remaining in (3, -1)
            rest = await store.range("/r/", after=first.items[-1].key, limit=3, rev=rev)
            assert ([i.key for i in rest.items], rest.more) == (["/r/c", "/r/d", "/r/e"], False)
            assert len((await store.range("")).items) == 8
            assert (await store.range("/none/")).items == []

    make.run(main())


def test_long_range_yields_and_stays_at_its_revision(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            await store.commit([Put(f"/k/{i:04}", b"x") for i in range(900)])
            rev = store.rev
            page, _ = await asyncio.gather(store.range("/k/"), store.commit([Delete(f"/k/{i:04}") for i in range(900)]))
            assert (len(page.items), page.rev) == (900, rev)

    make.run(main())


def test_sinks_are_called_in_order_before_the_writer_is_answered(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            seen: list[Event] = []
            other: list[Event] = []
            store.watch("/a/", 2, seen.extend)
            subscription = store.watch("/b/", 2, other.extend)

            async def write(i: int) -> None:
                [answer] = await store.commit([Put(f"/a/{i}", b"v")])
                assert answer.rev in {e.rev for e in seen}

            await asyncio.gather(*(write(i) for i in range(50)))
            await store.commit([Put("/a/1", b"w"), Delete("/a/1")])
            await store.commit([Put("/b/1", b"x")])
            subscription.cancel()
            await store.commit([Put("/b/1", b"y")])
            revs = [e.rev for e in seen]
            assert revs == list(range(2, 54))
            modified, deleted = seen[-2:]
            assert (modified.value, modified.prev, deleted.value, deleted.prev) == (b"w", b"v", None, b"w")
            assert deleted.prev_rev == modified.rev and deleted.create_rev == modified.create_rev == modified.prev_rev
            assert [e.value for e in other] == [b"x"]

    make.run(main())


def test_watch_from_the_past_has_no_gap(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            await store.commit([Put(f"/k/{i % 7}", b"%d" % i) for i in range(1200)])
            seen = Seen()
            store.watch("/k/", 100, seen)
            for i in range(30):
                await store.commit([Put("/k/x", b"%d" % i)])
                await store.commit([Put("/other", b"")])
            await seen.until(lambda: bool(seen) and seen[-1].rev >= store.rev - 1)
            assert [e.rev for e in seen] == [*range(100, 1202), *range(1202, store.rev, 2)]
            assert all(e.prev is not None for e in seen[:1000])

    make.run(main())


def test_a_sink_that_fails_stops_nobody(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            reported: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
            seen: list[Event] = []
            store.watch("/", 2, lambda events: 1 // 0)
            store.watch("/", 2, seen.extend)
            await store.commit([Put("/a", b"")])
            await store.commit([Put("/a", b"")])
            assert (len(seen), len(reported)) == (2, 2)

    make.run(main())


def test_compaction_forgets_what_nobody_can_see(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            for op in (Put("/a", b"1"), Put("/a", b"2"), Put("/b", b"1"), Delete("/b"), Put("/a", b"3")):
                await store.commit([op])
            await store.compact(5)
            for asked in (store.get("/a", rev=4), store.range("/", rev=4)):
                with pytest.raises(Compacted) as caught:
                    await asked
                assert (caught.value.asked, caught.value.oldest) == (4, 5)
            with pytest.raises(Compacted):
                store.watch("/", 5, print)
            assert [i.value for i in (await store.range("/", rev=5)).items] == [b"2"]
            seen = Seen()
            store.watch("/", 6, seen)
            await store.commit([Delete("/a")])
            await seen.until(lambda: len(seen) >= 2)
            assert [(e.rev, e.prev) for e in seen] == [(6, b"2"), (7, b"3")]
            await store.compact(store.rev)
            await store.compact(3)
            assert (await store.range("/")).items == []
            assert await store.commit([Put("/b", b"again", expect=0)]) == [Done(8)]

    make.run(main())


def test_keys_expire_unless_written_again(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            seen = Seen()
            store.watch("/", 2, seen)
            await store.commit([Put("/keep", b"", ttl_s=1), Put("/keep", b"kept"), Put("/go", b"", ttl_s=2)])
            await seen.until(lambda: len(seen) == 4)
            assert (seen[3].key, seen[3].value, seen[3].prev) == ("/go", None, b"")
            assert (await store.range("/")).items[0].value == b"kept"

    make.run(main())


def test_closed_says_so(make: Any) -> None:
    async def main() -> None:
        async with make() as store:
            await store.close()
            for asked in (store.commit([Put("/a", b"")]), store.get("/a"), store.range("/"), store.current_rev()):
                with pytest.raises(Closed):
                    await asked

    make.run(main())


class Twin(RuleBasedStateMachine):
    """The store beside a list of all versions: what is read, answered and watched must be the same."""

    name = "memory"

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner(loop_factory=partial(VirtualLoop, outside=True))
        self.store = MAKERS[self.name](self.directory)
        self.runner.run(self.store.open())
        self.log: list[tuple[int, str, bytes | None]] = []
        self.compacted = 0
        self.seen: list[Event] = []
        self.runner.run(self._watch())

    async def _watch(self) -> None:
        self.store.watch("/", 2, self.seen.extend)

    def at(self, rev: int) -> dict[str, tuple[bytes, int]]:
        state: dict[str, tuple[bytes, int]] = {}
        for at, key, value in self.log:
            if at > rev:
                break
            if value is None:
                state.pop(key, None)
            else:
                state[key] = (value, at)
        return state

    @property
    def rev(self) -> int:
        return self.log[-1][0] if self.log else 1

    keys = st.sampled_from(["/a", "/a/b", "/b", "/c"])

    @rule(
        ops=st.lists(
            st.tuples(keys, st.one_of(st.none(), st.binary(max_size=3)), st.sampled_from(["any", "now", "absent"])),
            max_size=5,
        )
    )
    def commit(self, ops: list[tuple[str, bytes | None, str]]) -> None:
        before = self.at(self.rev)
        real: list[Any] = []
        for key, value, how in ops:
            held = before[key][1] if key in before else 0
            expect = {"any": None, "now": held, "absent": 0}[how]
            if value is None and expect == 0:
                expect = None
            real.append(Put(key, value, expect) if value is not None else Delete(key, expect))
        answers = self.runner.run(self.store.commit(real))
        assert len(answers) == len(real)
        for op, answer in zip(real, answers, strict=True):
            state = self.at(self.rev)
            held = state[op.key][1] if op.key in state else 0
            value = op.value if isinstance(op, Put) else None
            if (op.expect is None or op.expect == held) and (held or value is not None):
                assert answer == Done(self.rev + 1)
                self.log.append((self.rev + 1, op.key, value))
            else:
                assert isinstance(answer, Missed)
                found = (answer.current.value, answer.current.mod_rev) if answer.current else None
                assert found == state.get(op.key)

    @rule(back=st.integers(0, 6), limit=st.integers(0, 3), after=st.sampled_from(["", "/a", "/b"]))
    def read(self, back: int, limit: int, after: str) -> None:
        rev = max(self.rev - back, 1)
        if rev < self.compacted:
            return
        expected = sorted((k, *v) for k, v in self.at(rev).items() if k > after)
        page = self.runner.run(self.store.range("/", after=after, limit=limit, rev=rev))
        assert [(i.key, i.value, i.mod_rev) for i in page.items] == (expected[:limit] if limit else expected)
        assert page.more == (bool(limit) and len(expected) > limit)

    @rule(back=st.integers(0, 4))
    def compact(self, back: int) -> None:
        rev = max(self.rev - back, 1)
        self.runner.run(self.store.compact(rev))
        self.compacted = max(self.compacted, rev) if rev > self.compacted else self.compacted

    @rule()
    def reopen(self) -> None:
        if self.name == "memory":
            return
        self.runner.run(self.store.close())
        self.store = MAKERS[self.name](self.directory)
        self.runner.run(self.store.open())
        self.runner.run(self._rewatch())

    async def _rewatch(self) -> None:
        self.store.watch("/", self.rev + 1, self.seen.extend)

    @invariant()
    def watched_everything(self) -> None:
        if hasattr(self, "log"):
            assert [(e.rev, e.key, e.value) for e in self.seen] == self.log
            assert self.store.rev == self.rev

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.close()
            shutil.rmtree(self.directory)


class SqliteTwin(Twin):
    name = "sqlite"


_CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much]
TestMemoryTwin = Twin.TestCase
TestMemoryTwin.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=_CHECKS
)
TestSqliteTwin = SqliteTwin.TestCase
TestSqliteTwin.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=_CHECKS
)
