"""Durable puts per second, beside the same rows written with bare sqlite3 in transactions of the same size.

The peer is a loop over ``INSERT`` and ``COMMIT`` with the same settings (WAL, synchronous=FULL) that checks nothing,
keeps no history and tells nobody. The aim: at least half of it in groups of 16 and more.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

import uvloop
from benchmarks.frame import Row, table

from pelamis.store.sqlite import SqliteStore
from pelamis.store.types import Put

VALUE = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{},"data":{"x":"' + b"x" * 900 + b'"}}'


def bare(directory: Path, group: int, total: int) -> float:
    connection = sqlite3.connect(directory / f"bare{group}.db", isolation_level=None)
    for pragma in ("page_size=4096", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=3906"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE log (rev INTEGER PRIMARY KEY, key TEXT, value BLOB)")
    connection.execute("CREATE INDEX log_key ON log (key, rev)")
    start = time.perf_counter()
    for first in range(0, total, group):
        connection.execute("BEGIN")
        for i in range(first, min(first + group, total)):
            connection.execute("INSERT INTO log (key, value) VALUES (?, ?)", (f"/registry/configmaps/ns/{i}", VALUE))
        connection.execute("COMMIT")
    took = time.perf_counter() - start
    connection.close()
    return total / took


async def groups(store: SqliteStore, name: str, group: int, total: int) -> float:
    start = time.perf_counter()
    for first in range(0, total, group):
        last = min(first + group, total)
        await store.commit([Put(f"/registry/configmaps/{name}/{i}", VALUE, expect=0) for i in range(first, last)])
    return total / (time.perf_counter() - start)


async def clients(store: SqliteStore, count: int, total: int) -> float:
    async def one(who: int) -> None:
        for i in range(total // count):
            await store.commit([Put(f"/registry/configmaps/c{who}/{i}", VALUE, expect=0)])

    start = time.perf_counter()
    await asyncio.gather(*(one(who) for who in range(count)))
    return total / (time.perf_counter() - start)


async def _measure() -> list[Row]:
    out = []

    def add(what: str, ours: float, peer: float, aim: bool) -> None:
        ratio = ours / peer
        shown = (f"{ours:,.0f}/s", f"sqlite3 {peer:,.0f}/s")
        out.append(Row(f"durable puts, {what}", *shown, ratio, "≥ 0.50" if aim else "", ratio >= 0.5 if aim else None))

    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        store = SqliteStore(directory / "store")
        await store.open()
        for group, total in ((1, 1000), (16, 8000), (128, 20000)):
            peer = bare(directory, group, total)
            add(f"groups of {group}", await groups(store, f"g{group}", group, total), peer, group >= 16)
        peer = bare(directory, 64, 20000)
        add("64 committers", await clients(store, 64, 20000), peer, True)
        await store.close()
    return out


def rows() -> list[Row]:
    return uvloop.run(_measure())


if __name__ == "__main__":
    print(table(rows()))
