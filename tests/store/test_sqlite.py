"""What the SQLite store promises beyond the contract: crashes, full disks, foreign files, silence when idle."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from pelamis.store.schema import FILE, connect
from pelamis.store.sqlite import SqliteStore
from pelamis.store.types import Closed, Done, Event, Put, StoreFull, Unusable


async def opened(path: Path) -> SqliteStore:
    store = SqliteStore(path)
    await store.open()
    return store


def test_concurrent_commits_share_a_sync(tmp_path: Path) -> None:
    async def main() -> None:
        store = await opened(tmp_path)
        await asyncio.gather(*(store.commit([Put(f"/{i}", b"x")]) for i in range(200)))
        assert store.syncs <= 3
        answers = await store.commit([Put(f"/{i}", b"y") for i in range(1000)])
        assert [a.rev for a in answers if isinstance(a, Done)] == list(range(202, 1202))
        await store.close()

    asyncio.run(main())


def test_patient_writes_wait_for_company(tmp_path: Path) -> None:
    async def main() -> None:
        store = await opened(tmp_path)

        def patient(i: int, seconds: float) -> asyncio.Task[list[Any]]:
            return asyncio.create_task(store.commit([Put(f"/{i}", b"x", patience_s=seconds)]))

        async def turns() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        tasks = [patient(i, 3600.0) for i in range(3)]
        await turns()
        tasks.append(patient(3, 3600.0))
        await turns()
        assert store.syncs == 0 and not any(task.done() for task in tasks)
        assert await store.commit([Put("/now", b"y")]) == [Done(6)]
        assert [(await task)[0].rev for task in tasks] == [2, 3, 4, 5] and store.syncs == 1
        assert await patient(4, 0.001) == [Done(7)] and store.syncs == 2  # by itself, in the end
        last = patient(5, 3600.0)
        await turns()
        await store.compact(5)
        assert await last == [Done(8)] and store.syncs == 3
        left = patient(6, 3600.0)
        await turns()
        await store.close()
        with pytest.raises(Closed):
            await left

    asyncio.run(main())


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    async def main() -> None:
        store = await opened(tmp_path)
        seen: list[Event] = []
        store.watch("/", 2, seen.extend)
        await store.commit([Put("/a", b"1")])
        assert store._writer is not None
        pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
        store._writer.execute(f"PRAGMA max_page_count={pages + 2}")
        results = await asyncio.gather(
            *(store.commit([Put(f"/big/{i}", b"x" * 100_000)]) for i in range(3)), return_exceptions=True
        )
        assert [type(r) for r in results] == [StoreFull] * 3
        assert ((await store.range("/")).items[0].key, store.rev, len(seen)) == ("/a", 2, 1)
        store._writer.execute("PRAGMA max_page_count=1000000")
        assert await store.commit([Put("/b", b"2")]) == [Done(3)]
        await store.close()

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_really_full_disk(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], check=True)

    async def main() -> None:
        store = await opened(tmp_path / "data")
        acknowledged = 0
        with pytest.raises(StoreFull):
            while True:
                await store.commit([Put(f"/k/{acknowledged}", b"x" * 50_000)])
                acknowledged += 1
        assert len((await store.range("/k/")).items) == acknowledged > 10
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmp_path)], check=True)
        await store.commit([Put("/k/after", b"")])
        await store.close()
        store = await opened(tmp_path / "data")
        assert len((await store.range("/k/")).items) == acknowledged + 1
        await store.close()

    try:
        asyncio.run(main())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_broken_disk_ends_the_store(tmp_path: Path) -> None:
    class Broken:
        in_transaction = False

        def execute(self, sql: str, *args: Any) -> Any:
            raise sqlite3.OperationalError("disk I/O error")

    async def main() -> None:
        store = await opened(tmp_path)
        await store.commit([Put("/a", b"1")])
        real, store._writer = store._writer, Broken()  # type: ignore[assignment]
        with pytest.raises(Closed, match="can no longer be written"):
            await store.commit([Put("/b", b"1")])
        with pytest.raises(Closed):
            await store.commit([Put("/b", b"1")])
        assert (await store.range("/")).items[0].key == "/a"
        store._writer = real
        await store.close()

    asyncio.run(main())


def _other_format(path: Path) -> None:
    asyncio.run(_touch(path))
    with sqlite3.connect(path / FILE) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    connection.close()


async def _touch(path: Path) -> None:
    await (await opened(path)).close()


def _not_a_store(path: Path) -> None:
    (path / FILE).write_bytes(b"no database" * 1000)


def _other_database(path: Path) -> None:
    with sqlite3.connect(path / FILE) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_other_format, "data format 99, and this version reads format 1"),
        (_not_a_store, "is not a store of this program"),
        (_other_database, "is not a store of this program"),
    ],
)
def test_a_foreign_directory_is_explained(tmp_path: Path, spoil: Any, message: str) -> None:
    spoil(tmp_path)
    with pytest.raises(Unusable, match=message):
        asyncio.run(_touch(tmp_path))


@pytest.mark.parametrize(("first", "shown"), [(0, [4096, 3906]), (8192, [8192, 1953])])
def test_a_file_keeps_its_page_size(tmp_path: Path, first: int, shown: list[int]) -> None:
    if first:
        old = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        for statement in (f"PRAGMA page_size={first}", "PRAGMA journal_mode=WAL", "CREATE TABLE t (x)"):
            old.execute(statement)
        old.close()
    connection = connect(tmp_path / FILE)
    assert [connection.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_size", "wal_autocheckpoint")] == shown
    assert connection.execute("PRAGMA secure_delete").fetchone() == (2,)
    connection.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    async def main() -> None:
        store = await opened(tmp_path)
        with pytest.raises(Unusable, match="in use by another running server"):
            await opened(tmp_path)
        await store.close()
        await (await opened(tmp_path)).close()

    asyncio.run(main())


def test_idle_is_idle(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        store = await opened(tmp_path)
        await store.commit([Put("/a", b"1")])
        await asyncio.sleep(0)
        assert not store._busy and store._messages.empty()
        assert not loop._scheduled  # type: ignore[attr-defined]
        assert [t.name for t in threading.enumerate() if t.name == "pelamis-store"] == ["pelamis-store"]
        await store.close()
        assert not [t for t in threading.enumerate() if t.name == "pelamis-store"]

    asyncio.run(main())


WRITER = """
import asyncio, sys
from pelamis.store.sqlite import SqliteStore
from pelamis.store.types import Put

async def write(store, who):
    n = 0
    while True:
        [done] = await store.commit([Put(f"/{who}/{n % 50}", b"%d" % n)])
        print(who, n, done.rev, flush=True)
        n += 1

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    compact = 0
    async with asyncio.TaskGroup() as tasks:
        for who in range(8):
            tasks.create_task(write(store, who))
        while True:
            await asyncio.sleep(0.02)
            await store.compact(store.rev - 100)

asyncio.run(main())
"""


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    script = tmp_path / "writer.py"
    script.write_text(textwrap.dedent(WRITER))
    data = tmp_path / "data"
    latest: dict[str, tuple[int, int]] = {}
    newest = 1
    for round in range(12):
        child = subprocess.Popen([sys.executable, str(script), str(data)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for i, line in enumerate(child.stdout):
            if not line.endswith("\n"):
                break  # cut short by the kill
            who, n, rev = (int(x) for x in line.split())
            latest[f"/{who}/{n % 50}"] = (n, rev)
            newest = max(newest, rev)
            if i == 150 + round * 37:
                child.send_signal(signal.SIGKILL)
        child.wait()

        async def check(newest: int) -> None:
            store = await opened(data)
            assert store.rev >= newest
            held = {item.key: item for item in (await store.range("/")).items}
            for key, (n, rev) in latest.items():
                # The item may be one unacknowledged write further, never behind.
                assert held[key].mod_rev >= rev
                assert held[key].mod_rev > rev or held[key].value == b"%d" % n
            for key, item in held.items():
                latest[key] = (int(item.value), item.mod_rev)
            await store.close()

        asyncio.run(check(newest))
