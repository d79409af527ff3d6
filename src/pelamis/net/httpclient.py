"""A small HTTP/1.1 client for one origin: keep-alive, streamed bodies, upgrades to raw streams.

``HttpPool(url, ssl)`` keeps idle connections for reuse; ``request`` returns when the head of the answer is there, and
the body is read at the caller's pace (a reader that falls behind pauses the socket). ``ask`` and ``fetch`` are the
whole exchange: one wait, one wake-up. ``upgrade`` hands out the raw connection, with whatever the server has already
sent after its head.

A connection that the server closed while it was idle is replaced without a word: a request that can be repeated
(GET, HEAD) is sent again once if nothing of an answer had come. Everything else that goes wrong is an OSError.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

HIGH_WATER = 1 << 20
_READ = memoryview(bytearray(256 << 10))
KEEP_IDLE = 64
CONNECT_TIMEOUT_S = 10.0

Headers = Iterable[tuple[str, str]] | bytes
"""Pairs, or what ``block`` makes of them: for headers that go with many requests."""


def block(headers: Iterable[tuple[str, str]]) -> bytes:
    """The lines of a request's head. Raises ValueError."""
    lines = []
    for name, value in headers:
        if "\r" in value or "\n" in value:
            raise ValueError(f"a line end in the header {name}")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")


class ConnectionFailed(ConnectionError):
    """The connection broke before the exchange was complete, or the peer does not speak HTTP."""


class Response:
    """Read the body to its end or ``close``. whole: it is handed out when all of it is there."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_done",
        "_error",
        "_headers",
        "_lines",
        "_size",
        "_waiter",
        "_whole",
        "status",
    )

    def __init__(self, connection: _Connection, whole: bool = False) -> None:
        self._connection = connection
        self._whole = whole
        self._chunks: list[bytes] = []
        self._size = 0
        self._done = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0
        self._lines: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Lower-case names, repeated ones joined by ``, ``."""
        found = self._headers
        if found is None:
            found = self._headers = {}
            for name, value in self._lines:
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                found[key] = f"{found[key]}, {text}" if key in found else text
        return found

    @property
    def body(self) -> bytes:
        """What has arrived of it: all, of a whole answer."""
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises OSError when the connection breaks in the middle."""
        while True:
            chunk = await self.read_some()
            if not chunk:
                return
            yield chunk

    async def read_some(self) -> bytes:
        """What has arrived, at least one byte; empty at the end of the body."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._done:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._connection.resume()
        return data

    async def lines(self) -> AsyncIterator[bytes]:
        """The body cut at line ends, which are dropped."""
        rest: list[bytes] = []
        async for chunk in self.chunks():
            if b"\n" not in chunk:
                rest.append(chunk)
                continue
            first, *more = chunk.split(b"\n")
            yield b"".join((*rest, first))
            rest = [more.pop()] if more else []
            for line in more:
                yield line
        if any(rest):
            yield b"".join(rest)

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])

    def close(self) -> None:
        """No more of the body is wanted: the connection is given up unless the body has ended."""
        if not self._done:
            self._connection.abort()

    def _feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        if self._whole:
            return
        if self._size > HIGH_WATER:
            self._connection.pause()
        self._wake()

    def _end(self, error: Exception | None = None) -> None:
        self._done = True
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Upgraded:
    """A raw connection after 101. ``reader`` gets what had already come after the head first."""

    __slots__ = ("headers", "reader", "writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        self.reader = reader
        self.writer = writer
        self.headers = headers


class Refused(Exception):
    """The server answered an upgrade with something other than 101."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"upgrade refused with status {status}: {body[:500].decode(errors='replace')}")
        self.status = status
        self.headers = headers
        self.body = body


class HttpPool:
    """url: ``https://host:port``, ``http://…`` or ``unix:/path``. headers are sent with every request.

    ``authority``: what it sends as ``Host``. keep_idle: how many connections are kept while nobody asks anything.
    """

    def __init__(
        self,
        url: str,
        ssl: tls.SSLContext | None = None,
        *,
        headers: Headers = (),
        server_hostname: str = "",
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        keep_idle: int = KEEP_IDLE,
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self._unix = parts.path if parts.scheme == "unix" else ""
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme == "https":
            self._ssl: tls.SSLContext | None = ssl or tls.create_default_context()
        else:
            self._ssl = None
        self._server_hostname = server_hostname or self._host
        self.authority = parts.netloc.rpartition("@")[2] or "localhost"
        self._base = "" if self._unix else parts.path.rstrip("/")
        self._shared = f" HTTP/1.1\r\nHost: {self.authority}\r\n".encode("latin-1") + _encoded(headers)
        """How all heads go on after method and target."""
        self._connect_timeout_s = connect_timeout_s
        self._keep_idle = keep_idle
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._closed = False

    async def request(
        self, method: str, target: str, *, headers: Headers = (), body: bytes = b"", timeout_s: float | None = None
    ) -> Response:
        """target: path and query, percent-encoded. timeout_s: until the head of the answer. Raises OSError."""
        if timeout_s is None:
            return await self._exchange(method, target, headers, body)
        async with asyncio.timeout(timeout_s):
            return await self._exchange(method, target, headers, body)

    async def fetch(
        self,
        method: str,
        target: str,
        *,
        headers: Headers = (),
        body: bytes = b"",
        timeout_s: float | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and the whole body. Raises OSError (TimeoutError among them)."""
        response = await self.ask(method, target, headers=headers, body=body, timeout_s=timeout_s)
        return response.status, response.headers, response.body

    async def ask(
        self, method: str, target: str, *, headers: Headers = (), body: bytes = b"", timeout_s: float | None = None
    ) -> Response:
        """The same, as one: its headers need not be read."""
        if timeout_s is None:
            return await self._exchange(method, target, headers, body, whole=True)
        async with asyncio.timeout(timeout_s):
            return await self._exchange(method, target, headers, body, whole=True)

    async def upgrade(
        self,
        target: str,
        protocol: str,
        *,
        method: str = "GET",
        headers: Headers = (),
        timeout_s: float | None = CONNECT_TIMEOUT_S,
    ) -> Upgraded:
        """protocol: the value of ``Upgrade``. Raises Refused with the answer when it is not 101, or OSError."""
        async with asyncio.timeout(timeout_s):
            connection = await self._connect()
            more = block((("Connection", "Upgrade"), ("Upgrade", protocol))) + _encoded(headers)
            try:
                response = await connection.send(method, self._head(method, target, more, b""), b"")
                if response.status != 101:
                    raise Refused(response.status, response.headers, await response.read())
                reader, writer = connection.release()
            except BaseException:
                connection.abort()
                raise
            return Upgraded(reader, writer, response.headers)

    async def close(self) -> None:
        self._closed = True
        for connection in tuple(self._all):
            connection.abort()

    async def _exchange(
        self, method: str, target: str, headers: Headers, body: bytes, *, whole: bool = False
    ) -> Response:
        head = self._head(method, target, headers, body)
        connection = self._take_idle()
        reused = connection is not None
        if connection is None:
            connection = await self._connect()
        try:
            return await connection.send(method, head, body, whole)
        except ConnectionFailed:
            if not reused or method not in ("GET", "HEAD") or connection.heard:
                raise
        connection = await self._connect()
        return await connection.send(method, head, body, whole)

    def _head(self, method: str, target: str, headers: Headers, body: bytes) -> bytes:
        begin = f"{method} {self._base}{target}".encode("latin-1")
        if body or method in ("POST", "PUT", "PATCH"):
            return b"%b%b%bContent-Length: %d\r\n\r\n" % (begin, self._shared, _encoded(headers), len(body))
        return b"%b%b%b\r\n" % (begin, self._shared, _encoded(headers))

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> _Connection:
        if self._closed:
            raise ConnectionFailed("the client is closed")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_timeout_s):
            if self._unix:
                _, connection = await loop.create_unix_connection(lambda: _Connection(self), self._unix)
            else:
                extra: dict[str, Any] = {"server_hostname": self._server_hostname} if self._ssl is not None else {}
                _, connection = await loop.create_connection(
                    lambda: _Connection(self), self._host, self._port, ssl=self._ssl, **extra
                )
        return connection

    def _opened(self, connection: _Connection) -> None:
        self._all.add(connection)

    def _lost(self, connection: _Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _give_back(self, connection: _Connection) -> None:
        if self._closed or len(self._idle) >= self._keep_idle:
            connection.abort()
        else:
            self._idle.append(connection)


def _encoded(headers: Headers) -> bytes:
    return headers if isinstance(headers, bytes) else block(headers)


class _Connection(asyncio.BufferedProtocol):
    """One socket, one exchange at a time. Its parser goes from one answer to the next.

    All connections of the process are read into one buffer, used up before anything else is read: a transport
    that has to make a buffer for each read makes one of 256 KB, which costs as much as all else that an answer does.
    """

    def __init__(self, pool: HttpPool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._response: Response | None = None
        self._head: asyncio.Future[Response] | None = None
        self._headed = False
        """The head of the answer is there."""
        self._headless = False
        self._paused = False
        self._framed = False
        self._leftover = b""
        self._upgraded = False
        self.heard = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, method: str, head: bytes, body: bytes, whole: bool = False) -> Response:
        """The answer as soon as its head is there, or when it is whole."""
        if self._transport is None:
            raise ConnectionFailed("the connection is closed")
        response = self._response = Response(self, whole)
        self._headed = False
        self._head = asyncio.get_running_loop().create_future()
        self._headless = method == "HEAD"
        self._framed = False
        self.heard = False
        if len(body) < 65536:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        try:
            return await self._head
        except BaseException:
            if self._response is response:  # else it is over, and the connection may have the next one by now
                self.abort()
            raise

    def pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def release(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The socket leaves the pool as a pair of streams."""
        transport = self._transport
        if transport is None:
            raise ConnectionFailed("the connection closed after the upgrade")
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._leftover:
            reader.feed_data(self._leftover)
        self._transport = None
        self._pool._lost(self)
        if self._paused:
            transport.resume_reading()
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass
        self._pool._opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        data = _READ[:nbytes]
        if self._upgraded:
            self._leftover += data
            return
        if self._parser is None or self._response is None:
            self.abort()  # an answer that nobody asked for
            return
        self.heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded = True
            self._leftover = bytes(data[upgrade.args[0] :])
            # Nothing is lost between the head and the new owner: reading stops until it has taken over.
            self.pause()
        except httptools.HttpParserError as error:
            self._fail(ConnectionFailed(f"{self._pool.url} sent something that is not HTTP: {error}"))
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._pool._lost(self)
        response = self._response
        if response is not None and self._headed and not self._framed and error is None:
            self._response = None
            self._over(response)  # a body that ends with the connection
        else:
            self._fail(ConnectionFailed(f"the connection to {self._pool.url} was lost: {error or 'closed by peer'}"))

    def _fail(self, error: Exception) -> None:
        response, self._response = self._response, None
        if self._head is not None and not self._head.done():
            self._head.set_exception(error)
        elif response is not None:
            response._end(error)

    # httptools

    def on_message_begin(self) -> None:
        if self._response is None:
            self.abort()  # more than was asked for: what is left of it would become part of the next answer

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._response is None:
            return
        self._response._lines.append((name, value))
        if len(name) in (14, 17) and name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        response = self._response
        status = self._parser.get_status_code()
        if response is None or (100 <= status < 200 and status != 101):
            return
        response.status = status
        if status in (101, 204, 304):
            self._framed = True
        self._headed = True
        if not response._whole and self._head is not None and not self._head.done():
            self._head.set_result(response)
        if self._headless:
            self._response = None
            self._over(response)
            self.abort()  # the parser would wait for a body

    def _over(self, response: Response) -> None:
        response._end()
        if response._whole and self._head is not None and not self._head.done():
            self._head.set_result(response)

    def on_body(self, data: bytes) -> None:
        if self._response is not None:
            self._response._feed(data)

    def on_message_complete(self) -> None:
        response = self._response
        if response is None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            if status != 101:
                response._lines.clear()
            elif response._whole:
                self._over(response)
            return
        keep = self._parser.should_keep_alive() and self._framed
        self._response = None
        # Before the reader wakes up, so that its next request finds this connection.
        if keep and self.usable:
            self.resume()
            self._pool._give_back(self)
        self._over(response)
        if not keep:
            self.abort()
