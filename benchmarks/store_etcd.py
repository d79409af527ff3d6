"""Writes through the etcd store, beside bare puts of the same bytes over the same connection.

The store adds to a put: the comparison, the watch that feeds the sinks, and waiting for it. The aim: at least half of
the bare puts. Needs ``etcd`` on the PATH (Debian: etcd-server).
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time

import uvloop
from benchmarks.frame import Row, skipped, table

from pelamis.store import etcdwire as wire
from pelamis.store.etcd import EtcdStore
from pelamis.store.etcdconn import connect
from pelamis.store.types import Put, Unusable

VALUE = b"x" * 1000
CLIENT, PEER = "http://127.0.0.1:23790", "http://127.0.0.1:23800"


async def rate(clients: int, total: int, put: object) -> float:
    async def one(who: int) -> None:
        for i in range(total // clients):
            await put(f"/registry/configmaps/{who}/{i}")  # type: ignore[operator]

    start = time.perf_counter()
    await asyncio.gather(*(one(who) for who in range(clients)))
    return total / (time.perf_counter() - start)


async def _measure(total: int) -> list[Row]:
    out = []
    with tempfile.TemporaryDirectory() as place:
        command = ["etcd", "--data-dir", place, "--listen-client-urls", CLIENT, "--advertise-client-urls", CLIENT]
        command += ["--listen-peer-urls", PEER, "--initial-advertise-peer-urls", PEER]
        process = subprocess.Popen(  # noqa: ASYNC220
            [*command, "--initial-cluster", f"default={PEER}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            store = EtcdStore([CLIENT])
            for _ in range(50):
                try:
                    await store.open()
                    break
                except Unusable:
                    await asyncio.sleep(0.1)
            store.watch("/registry/", store.rev + 1, lambda events: None)

            connection = await connect("127.0.0.1", 23790, None)

            async def bare(key: str) -> None:
                request = wire.txn_request(b"", wire.op_put(b"/bare" + key.encode(), VALUE), b"")
                await connection.call(wire.TXN, request)

            async def ours(key: str) -> None:
                await store.commit([Put(key, VALUE, expect=0)])

            for clients in (1, 64):
                through = await rate(clients, total, lambda key, c=clients: ours(f"{key}/{c}"))
                await store.close()
                # Bare puts must not pay for our watch.
                direct = await rate(clients, total, bare)
                store = EtcdStore([CLIENT])
                await store.open()
                ratio = through / direct
                shown = (f"{through:,.0f}/s", f"bare {direct:,.0f}/s")
                aim = ("≥ 0.50", ratio >= 0.5) if clients > 1 else ("", None)
                out.append(Row(f"etcd puts, {clients} committers", *shown, ratio, *aim))
            await store.close()
        finally:
            process.terminate()
            process.wait()
    return out


def rows() -> list[Row]:
    if shutil.which("etcd") is None:
        return [skipped("etcd puts", "needs etcd (Debian: etcd-server)")]
    return uvloop.run(_measure(4000))


if __name__ == "__main__":
    print(table(rows()))
