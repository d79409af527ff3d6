"""Client and server on each kind of event loop and transport: what is read goes through buffers that many share."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from pelamis.net import tls
from pelamis.net.http1 import Request, Response
from pelamis.net.httpclient import HttpPool
from pelamis.net.httpserver import Server

SIZES = (0, 10, 5_000, 70_000, 700_000)


class Shout(asyncio.Protocol):
    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(b"hello ")

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


def handler(request: Request) -> Response | None:
    if request.path == "/up":
        request.take_over((("Connection", "Upgrade"), ("Upgrade", "raw"))).start(Shout())
        return None
    return Response(200, request.body)


async def exchanges(pool: HttpPool, seed: int) -> None:
    """Bodies of many sizes, then a raw connection."""
    chance = random.Random(seed)
    for size in SIZES:
        body = chance.randbytes(size)
        assert (await pool.fetch("POST", "/x", body=body))[2] == body
    upgraded = await pool.upgrade("/up", "raw")
    sent = b"abc" + b"x" * 300_000
    upgraded.writer.write(sent)
    assert await upgraded.reader.readexactly(6 + len(sent)) == b"hello " + sent.upper()
    upgraded.writer.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("secure", [False, True])
def test_many_at_a_time(run: Callable[[Coroutine[Any, Any, None]], None], secure: bool) -> None:
    async def main() -> None:
        scheme, ours, theirs = "http", None, None
        if secure:
            authority = tls.Authority(tls.new_authority("test", time.time()))
            pair = authority.issue("127.0.0.1", time.time(), hosts=("127.0.0.1",), server=True)
            scheme, ours, theirs = "https", tls.server_context(pair), tls.client_context(authority.pair.cert)
        server = Server(handler)
        port = await server.listen("127.0.0.1", 0, ours)
        pool = HttpPool(f"{scheme}://127.0.0.1:{port}", theirs)
        try:
            await asyncio.gather(*(exchanges(pool, seed) for seed in range(8)))
        finally:
            await pool.close()
            await server.close(0)

    run(main())
