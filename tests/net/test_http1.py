"""The HTTP server over real loopback sockets, byte for byte."""

# ruff: noqa: ASYNC110

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.net.http1 import Request, Response, Stream
from pelamis.net.httpconnection import Connection
from pelamis.net.httpserver import Server

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Server], Awaitable[None]]


def handler(request: Request) -> Response | Awaitable[Response | None] | None:
    match request.path:
        case "/echo":
            text = f"{request.method} {request.query} {len(request.body)}"
            return Response(200, text.encode(), "text/plain")
        case "/large":
            return Response(200, [b"x" * 1000] * 5000, "text/plain")
        case "/boom":
            raise RuntimeError("boom")
        case "/later":
            return later(request)
        case "/stream":
            stream = request.stream(200, "text/plain")
            stream.write(b"one")
            stream.write_framed(stream.frame(b"two"))
            stream.close()
            return None
        case "/up":
            taken = request.take_over((("Connection", "Upgrade"), ("Upgrade", "websocket")))
            taken.start(Echo())
            return None
    return Response(404, b"nothing here", "text/plain")


async def later(request: Request) -> Response:
    await asyncio.sleep(0)
    if request.body_too_large:
        return Response(413, b"too large", "text/plain")
    return Response(200, b"later " + request.body, "text/plain")


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())  # type: ignore[attr-defined]


def run(talk: Talk, **kwargs: object) -> None:
    async def main() -> None:
        server = Server(handler, **kwargs)  # type: ignore[arg-type]
        port = await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(10):
                await talk(reader, writer, server)
        finally:
            writer.close()
            await server.close(0.1)

    asyncio.run(main())


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(lines[0].split()[1]), headers, body


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (b"GET /echo?a=b HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"GET a=b 0"),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 200, b"POST  3"),
        (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 200, b"POST  3"),
        (b"GET /%65cho HTTP/1.1\r\n\r\n", 200, b"GET  0"),
        (b"GET http://h/echo?q HTTP/1.1\r\n\r\n", 200, b"GET q 0"),
        (b"GET /later HTTP/1.1\r\n\r\n", 200, b"later "),
        (b"GET /stream HTTP/1.1\r\n\r\n", 200, b"onetwo"),
        (b"GET /large HTTP/1.1\r\n\r\n", 200, b"x" * 5_000_000),
        (b"GET /boom HTTP/1.1\r\n\r\n", 500, b"Internal Server Error\n"),
        (b"GET /none HTTP/1.1\r\n\r\n", 404, b"nothing here"),
        (b"nonsense\r\n\r\n", 400, None),
        (b"POST /later HTTP/1.1\r\nContent-Length: 99\r\n\r\n" + b"y" * 99, 413, b"too large"),
        (b"GET /echo HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 200, b"GET  0"),
    ],
)
def test_one_request(sent: bytes, status: int, body: bytes | None) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server) -> None:
        writer.write(sent)
        code, _, got = await answer(reader)
        assert code == status
        assert body is None or got == body

    run(talk, body_limit=50)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server) -> None:
        paths = ["/later", "/echo?1", "/stream", "/large", "/echo?2"] * 10
        writer.write(b"".join(f"GET {p} HTTP/1.1\r\n\r\n".encode() for p in paths))
        bodies = [(await answer(reader))[2] for _ in paths]
        assert bodies[:5] == [b"later ", b"GET 1 0", b"onetwo", b"x" * 5_000_000, b"GET 2 0"]
        assert bodies[5:10] == bodies[:5]

    run(talk)


def test_upgrade_hands_over_the_bytes_that_followed() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server) -> None:
        writer.write(b"GET /up HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst ")
        status, headers, _ = await answer(reader)
        assert (status, headers["upgrade"]) == (101, "websocket")
        assert await reader.readexactly(6) == b"FIRST "
        writer.write(b"then")
        assert await reader.readexactly(4) == b"THEN"

    run(talk)


def test_refused_upgrade_leaves_the_connection_usable() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server) -> None:
        writer.write(b"GET /echo HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (await answer(reader))[0] == 200
        writer.write(b"GET /echo?z HTTP/1.1\r\n\r\n")
        assert (await answer(reader))[2] == b"GET z 0"

    run(talk)


def test_expect_continue() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server) -> None:
        writer.write(b"POST /later HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"ok")
        assert (await answer(reader))[2] == b"later ok"

    run(talk)


def test_connection_close_is_honoured_and_announced() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server) -> None:
        writer.write(b"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n")
        _, headers, _ = await answer(reader)
        assert headers["connection"] == "close"
        assert await reader.read() == b""

    run(talk)


def test_slow_reader_is_seen_and_loss_is_told() -> None:
    async def main() -> None:
        streams: list[Stream] = []
        lost = asyncio.Event()

        def serve(request: Request) -> None:
            stream = request.stream()
            stream.on_lost = lost.set
            streams.append(stream)

        server = Server(serve)
        port = await server.listen("127.0.0.1", 0)
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        async with asyncio.timeout(10):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            while not streams:
                await asyncio.sleep(0)
            while streams[0].write(b"z" * 65536):
                await asyncio.sleep(0)
            assert not streams[0].writable
            writer.transport.abort()
            await lost.wait()
            assert not streams[0].open
            await server.close(0.1)

    asyncio.run(main())


def test_a_task_that_never_began_is_forgotten_too() -> None:
    """The peer goes away in the turn of the loop in which its request was read."""

    async def main() -> None:
        def serve(request: Request) -> Awaitable[Response | None]:
            request.cancel_on_disconnect = True
            return asyncio.get_running_loop().create_future()

        server = Server(serve)
        server.loop = asyncio.get_running_loop()
        connection = Connection(server)
        connection.connection_made(Wire())
        connection.data_received(b"GET /later HTTP/1.1\r\n\r\n")
        assert len(server.tasks) == 1
        connection.connection_lost(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not server.tasks and connection.task is None

    asyncio.run(main())


class Wire(asyncio.Transport):
    """Keeps what is written; wrote(data) is called before write returns."""

    def __init__(self, wrote: Callable[[bytes], None] = lambda data: None) -> None:
        super().__init__()
        self.data = b""
        self.closing = False
        self._wrote = wrote

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += bytes(data)
        self._wrote(bytes(data))

    def close(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None


NAMES = st.sampled_from(["Accept", "accept", "ACCEPT", "X-A", "x-a", "X-B", "Impersonate-Group"])
VALUES = st.text(alphabet=st.sampled_from("ab,;= \u00e9"), max_size=6).map(str.strip)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.integers(1, 40))
def test_headers_are_joined_under_one_name(sent: list[tuple[str, str]], cut: int) -> None:
    got: list[Request] = []

    def serve(request: Request) -> Response:
        got.append(request)
        return Response()

    server = Server(serve)
    server.loop = asyncio.new_event_loop()
    try:
        connection = Connection(server)
        connection.connection_made(Wire())
        text = "GET /%61?b=c HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sent) + "\r\n"
        data = text.encode("latin-1")
        connection.data_received(data[:cut])
        connection.data_received(data[cut:])
        connection.connection_lost(None)
    finally:
        server.loop.close()
    joined: dict[str, list[str]] = {}
    for key, value in sent:
        joined.setdefault(key.lower(), []).append(value)
    (request,) = got
    assert request.headers == {key: ", ".join(values) for key, values in joined.items()}
    assert all(request.all(key) == values for key, values in joined.items())
    assert (request.method, request.path, request.raw_path, request.query) == ("GET", "/a", "/%61", "b=c")


def test_what_arrives_between_two_answers_waits_for_its_turn() -> None:
    async def main() -> None:
        server = Server(handler)
        server.loop = loop = asyncio.get_running_loop()
        connection = Connection(server)
        late = [b"GET /echo?c HTTP/1.1\r\n\r\n"]

        def wrote(data: bytes) -> None:
            if late:
                loop.call_soon(connection.data_received, late.pop())  # before the next of the queue is taken

        wire = Wire(wrote)
        connection.connection_made(wire)
        connection.data_received(b"GET /later HTTP/1.1\r\n\r\nGET /echo?b HTTP/1.1\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0)
        assert [wire.data.find(text) > 0 for text in (b"later ", b"GET b", b"GET c")] == [True] * 3
        assert wire.data.index(b"later ") < wire.data.index(b"GET b") < wire.data.index(b"GET c")
        connection.connection_lost(None)

    asyncio.run(main())


@pytest.mark.parametrize(
    "sent",
    [
        b"DELETE /echo HTTP/1.1\r\nX-A: " + b"a" * 2000 + b"\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\nDELETE /echo HTTP/1.1\r\n\r\n",
    ],
)
def test_nothing_is_done_after_the_last_answer(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pelamis.net.httpconnection.HEAD_LIMIT", 1000)
    done: list[str] = []

    def noted(request: Request) -> Response | Awaitable[Response | None] | None:
        done.append(request.method)
        return handler(request)

    async def main() -> None:
        server = Server(noted)
        server.loop = asyncio.get_running_loop()
        connection = Connection(server)
        connection.connection_made(Wire())
        connection.data_received(sent)
        await asyncio.sleep(0)
        connection.connection_lost(None)

    asyncio.run(main())
    assert "DELETE" not in done
