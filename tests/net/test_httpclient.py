"""The HTTP client against our own server on loopback, and against a scripted peer that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from pelamis.net.http1 import Request, Response
from pelamis.net.httpclient import ConnectionFailed, HttpPool, Refused, block
from pelamis.net.httpserver import Server

Use = Callable[[HttpPool], Awaitable[None]]


def handler(request: Request) -> Response | None:
    match request.path:
        case "/echo":
            return Response(200, request.method.encode() + b" " + request.body, headers=(("X-A", "1"), ("X-A", "2")))
        case "/stream":
            stream = request.stream()
            for part in (b"one\ntw", b"o\n\nthr", b"ee"):
                stream.write(part)
            stream.close()
            return None
        case "/endless":
            request.stream().write(b"first")
            return None
        case "/up":
            request.take_over((("Connection", "Upgrade"), ("Upgrade", "raw"))).start(Shout())
            return None
    return Response(404, b"no")


class Shout(asyncio.Protocol):
    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.transport.write(b"hello ")

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


def with_server(use: Use) -> None:
    async def main() -> None:
        server = Server(handler)
        port = await server.listen("127.0.0.1", 0)
        pool = HttpPool(f"http://127.0.0.1:{port}")
        try:
            await use(pool)
        finally:
            await pool.close()
            await server.close(0)

    asyncio.run(main())


def with_peer(answers: Sequence[bytes | None], use: Use) -> None:
    """A peer that sends the next answer for each request head; None = closes. One entry per request."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while left:
                await reader.readuntil(b"\r\n\r\n")
                answer = left.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                if b"Connection: close" in answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        pool = HttpPool(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base", headers=(("X-All", "y"),))
        try:
            await use(pool)
        finally:
            await pool.close()
            server.close()

    asyncio.run(main())


def test_exchanges_reuse_one_connection() -> None:
    async def use(pool: HttpPool) -> None:
        for body in (b"", b"x" * 100_000, b"y" * 3_000_000):
            status, headers, data = await pool.fetch("POST", "/echo", body=body)
            assert (status, headers["x-a"], data) == (200, "1, 2", b"POST " + body)
        given = await pool.ask("POST", "/echo", headers=block([("X-B", "c")]), body=b"z")
        assert (given.status, given.headers["x-a"], given.body) == (200, "1, 2", b"POST z")
        assert (await pool.fetch("GET", "/none"))[0] == 404
        assert await pool.fetch("HEAD", "/echo") == (200, (await pool.request("HEAD", "/echo")).headers, b"")
        assert len(pool._all) <= 1

    with_server(use)


def test_bodies_stream_in_lines() -> None:
    async def use(pool: HttpPool) -> None:
        response = await pool.request("GET", "/stream")
        assert [line async for line in response.lines()] == [b"one", b"two", b"", b"three"]
        response = await pool.request("GET", "/endless")
        assert await response.read_some() == b"first"
        response.close()
        with pytest.raises(ConnectionFailed):
            await response.read_some()

    with_server(use)


def test_upgrade_keeps_what_came_with_the_head() -> None:
    async def use(pool: HttpPool) -> None:
        upgraded = await pool.upgrade("/up", "raw")
        upgraded.writer.write(b"abc")
        assert await upgraded.reader.readexactly(9) == b"hello ABC"
        upgraded.writer.close()
        with pytest.raises(Refused) as caught:
            await pool.upgrade("/none", "raw")
        assert (caught.value.status, caught.value.body) == (404, b"no")

    with_server(use)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answers", "method", "expected"),
    [
        ([OK, None, OK], "GET", [b"ok", b"ok"]),  # closed while idle: sent again
        ([OK, None, OK], "POST", [b"ok", ConnectionFailed]),  # it may have been done
        ([None], "GET", [ConnectionFailed]),  # a new connection is not tried twice
        ([b"HTTP/1.1 100 Continue\r\nX-B: 1\r\n\r\n" + OK], "POST", [b"ok"]),
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end"], "GET", [b"to the end"]),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort"], "GET", [ConnectionFailed]),
        ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "GET", [ConnectionFailed]),
        ([b"HTTP/1.1 204 No Content\r\n\r\n", OK], "GET", [b"", b"ok"]),
        ([OK + b"HTTP/1.1 500 No\r\nX-A: ", OK], "GET", [b"ok", b"ok"]),  # more than it said is no part of the next
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_what_peers_do(answers: Sequence[bytes | None], method: str, expected: Sequence[Any], whole: bool) -> None:
    async def ask(pool: HttpPool, body: bytes) -> bytes:
        if whole:
            return (await pool.fetch(method, "/x", body=body))[2]
        return await (await pool.request(method, "/x", body=body)).read()

    async def use(pool: HttpPool) -> None:
        for wanted in expected:
            if isinstance(wanted, bytes):
                assert await ask(pool, b"" if method == "GET" else b"b") == wanted
            else:
                with pytest.raises(wanted):
                    await ask(pool, b"")

    with_peer(answers, use)


def test_timeouts_and_line_ends() -> None:
    async def use(pool: HttpPool) -> None:
        with pytest.raises(TimeoutError):
            await pool.fetch("GET", "/x", timeout_s=0.01)
        with pytest.raises(ValueError, match="line end"):
            await pool.fetch("GET", "/x", headers=[("A", "b\r\nC: d")])

    with_peer([b"", b""], use)


def test_who_is_cancelled_late_leaves_the_connection_to_the_next() -> None:
    async def use(pool: HttpPool) -> None:
        first = asyncio.create_task(pool.fetch("POST", "/a"))
        back = asyncio.Event()
        give_back = pool._give_back

        def given(connection: Any) -> None:
            give_back(connection)
            second.append(asyncio.create_task(pool.fetch("POST", "/b")))
            asyncio.get_running_loop().call_soon(first.cancel)
            back.set()

        second: list[asyncio.Task[Any]] = []
        pool._give_back = given  # type: ignore[method-assign]
        await back.wait()
        pool._give_back = give_back  # type: ignore[method-assign]
        await asyncio.wait((first,))
        assert (await second[0])[2] == b"ok"

    with_peer([OK, OK, OK], use)
