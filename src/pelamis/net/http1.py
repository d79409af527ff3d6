"""An HTTP/1.1 server: one protocol object per connection, no framework.

Theory of operation. ``Server`` listens (TCP, TLS or a Unix socket) and makes a ``Connection`` for each peer. httptools
parses; a complete message (head and body, bounded by a limit) becomes a ``Request`` and goes to the one ``handler``:

* a plain function that returns a ``Response`` is answered in the same turn of the loop, without a task: that is the
  fast path of every read from memory;
* a handler that returns an awaitable gets a task;
* ``None`` means that the handler took care of the answer itself: it called ``request.stream()`` (the owner writes and
  closes the stream) or ``request.take_over()`` (the raw transport after ``101 Switching Protocols``).

Pipelined requests are queued and answered one after another; reading pauses while the queue is long. Responses
larger than ``_SLICE`` are written in slices that respect the peer's pace, so a slow reader never makes us buffer a
large list. A task is cancelled when the peer goes away only if the request said so (``cancel_on_disconnect``): a write
that has begun is finished.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import httptools

from pelamis.net.peercert import shown

log = logging.getLogger("pelamis.http")

BODY_LIMIT = 3 * 1024 * 1024
HEAD_LIMIT = 1024 * 1024
IDLE_S = 90.0
HEAD_S = 32.0
_SLICE = 256 * 1024
_HIGH_WATER = 256 * 1024
_QUEUE = 16

Headers = Sequence[tuple[str, str]]

_STATUS_LINE = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_NAMES: dict[bytes, str] = {}
"""Names of headers as they were sent, to lower case."""
_STATUS_LINE[422] = b"HTTP/1.1 422 Unprocessable Entity\r\n"
_date_cache: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    global _date_cache
    now = int(time.time())
    if _date_cache[0] != now:
        _date_cache = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _date_cache[1]


def _name(key: bytes) -> str:
    name = key.decode("latin-1").lower()
    if len(_NAMES) < 1_000 and len(key) < 100:
        _NAMES[key] = name
    return name


class Response:
    """A whole answer. ``body``: bytes, or a sequence of them that is sent in order. ``close``: end the connection."""

    __slots__ = ("body", "close", "content_type", "headers", "status")

    def __init__(
        self,
        status: int = 200,
        body: bytes | Sequence[bytes] = b"",
        content_type: str = "application/json",
        headers: Headers = (),
        close: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.close = close


Handler = Callable[["Request"], "Response | Awaitable[Response | None] | None"]


class PeerGone(ConnectionResetError):
    """The peer closed the connection while we were answering."""


class Stream:
    """A response body of unknown length (chunked), written by its owner, who must ``close`` it.

    ``write`` never blocks; it returns False once the peer falls behind: then await ``drain`` (or set ``on_writable``)
    before writing more. ``on_lost`` is called once when the peer goes away or the server shuts down; a stream that has
    been lost ignores writes.
    """

    __slots__ = ("_connection", "_drained", "_open", "chunked", "on_lost", "on_writable")

    def __init__(self, connection: Connection, chunked: bool) -> None:
        self._connection = connection
        self.chunked = chunked
        self.on_lost: Callable[[], None] | None = None
        self.on_writable: Callable[[], None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._open = True

    @property
    def open(self) -> bool:
        return self._open

    @property
    def writable(self) -> bool:
        return self._open and not self._connection.paused

    def frame(self, data: bytes) -> bytes:
        """``data`` as one chunk: made once, it can be given to ``write_framed`` of many streams."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data

    def write(self, data: bytes) -> bool:
        return self.write_framed(self.frame(data)) if data else self.writable

    def write_framed(self, data: bytes) -> bool:
        connection = self._connection
        if not self._open or connection.transport is None:
            return False
        connection.transport.write(data)
        return not connection.paused

    async def drain(self) -> None:
        """Wait until the peer has caught up. Raises PeerGone."""
        while self._open and self._connection.paused:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        if not self._open:
            raise PeerGone("the peer has closed the connection")

    def close(self) -> None:
        """End the body; the connection goes on to its next request."""
        if not self._open:
            return
        self._open = False
        self._wake()
        transport = self._connection.transport
        if transport is not None:
            if self.chunked:
                transport.write(b"0\r\n\r\n")
            self._connection.finished(close=not self.chunked)

    def abort(self) -> None:
        """Drop the connection without ending the body: the peer sees a broken response."""
        connection = self._connection
        if connection.transport is not None:
            connection.transport.abort()

    def _wake(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def resumed(self) -> None:
        self._wake()
        if self._open and self.on_writable is not None:
            self.on_writable()

    def lost(self) -> None:
        if self._open:
            self._open = False
            self._wake()
            if self.on_lost is not None:
                self.on_lost()


class TakenOver:
    """The raw connection after an upgrade. ``leftover``: bytes that the peer had already sent past its request.

    ``transport`` is the new owner's; ``start(protocol)`` makes it deliver to ``protocol`` (leftover first).
    """

    __slots__ = ("leftover", "transport")

    def __init__(self, transport: asyncio.Transport, leftover: bytes) -> None:
        self.transport = transport
        self.leftover = leftover

    def start(self, protocol: asyncio.Protocol) -> None:
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if self.leftover:
            data, self.leftover = self.leftover, b""
            protocol.data_received(data)
        self.transport.resume_reading()


class Request:
    """One request. ``headers``: lower-case names, repeated ones joined by ``, ``; ``fields`` keeps them apart.

    ``path`` is percent-decoded, ``raw_path`` is not; ``query`` is the raw text after ``?``. ``upgrade``: the lower-case
    protocol of an ``Upgrade`` request. ``body_too_large``: the body passed the limit and was not kept.
    """

    __slots__ = (
        "_query_items",
        "body",
        "body_too_large",
        "cancel_on_disconnect",
        "connection",
        "fields",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "raw_path",
        "received_at",
        "upgrade",
        "version",
    )

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.method = ""
        self.raw_path = ""
        self.path = ""
        self.query = ""
        self.version = "1.1"
        self.fields: list[tuple[bytes, bytes]] = []
        self.headers: dict[str, str] = {}
        self.body: bytes = b""
        self.body_too_large = False
        self.keep_alive = True
        self.upgrade = ""
        self.cancel_on_disconnect = False
        self.received_at = 0.0
        self._query_items: list[tuple[str, str]] | None = None

    def all(self, name: str) -> list[str]:
        """Every value of a header that may be repeated, in order, unsplit."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.fields if key.lower() == wanted]

    def query_items(self) -> list[tuple[str, str]]:
        if self._query_items is None:
            self._query_items = parse_qsl(self.query, keep_blank_values=True) if self.query else []
        return self._query_items

    def query_first(self, name: str, default: str = "") -> str:
        return next((v for k, v in self.query_items() if k == name), default)

    @property
    def peer_cert(self) -> bytes | None:
        """The client certificate in DER form, if it is verified."""
        cert, chain = self.connection.peer
        return cert if chain else None

    @property
    def remote_ip(self) -> str:
        return self.connection.remote_ip

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What answers it, if that takes a task."""
        return self.connection.task

    def stream(self, status: int = 200, content_type: str = "application/json", headers: Headers = ()) -> Stream:
        """Send the head now and return the body to write. The handler then returns None."""
        return self.connection.start_stream(self, status, content_type, headers)

    def take_over(self, headers: Headers = (), status: int = 101) -> TakenOver:
        """Answer ``status`` with ``headers`` and hand out the raw connection. The handler then returns None."""
        return self.connection.take_over(status, headers)


def encode_head(status: int, headers: Headers, content_type: str, length: int | None, *, close: bool) -> bytes:
    """The head of a response; length None = chunked."""
    line = _STATUS_LINE.get(status) or f"HTTP/1.1 {status} Status\r\n".encode()
    text = [f"{name}: {value}\r\n" for name, value in headers]
    if content_type:
        text.append(f"Content-Type: {content_type}\r\n")
    if length is None:
        text.append("Transfer-Encoding: chunked\r\n")
    elif length >= 0:
        text.append(f"Content-Length: {length}\r\n")
    if close:
        text.append("Connection: close\r\n")
    return b"%b%b%b\r\n" % (line, _date(), "".join(text).encode("latin-1", "replace"))


class Connection(asyncio.Protocol):
    """One peer. ``state`` is for the handler: what it learnt about the peer, kept between requests."""

    __slots__ = (
        "_body",
        "_body_size",
        "_current",
        "_head_size",
        "_held",
        "_leftover",
        "_limit",
        "_loop",
        "_parser",
        "_peer",
        "_queue",
        "_reading",
        "_request",
        "_resume_waiter",
        "_server",
        "_stream",
        "_timer",
        "_touched",
        "_url",
        "paused",
        "remote_ip",
        "state",
        "task",
        "transport",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = server.loop
        self.transport: asyncio.Transport | None = None
        self.state: dict[str, Any] = {}
        self.paused = False
        self.remote_ip = ""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._request: Request | None = None
        self._current: Request | None = None
        self._queue: deque[Request] = deque()
        self._url = b""
        self._body: list[bytes] = []
        self._body_size = 0
        self._head_size = 0
        self._limit = 0
        self._leftover: bytes | None = None
        self._held: Request | None = None
        self._reading = True
        self._stream: Stream | None = None
        self.task: asyncio.Task[None] | None = None
        self._resume_waiter: asyncio.Future[None] | None = None
        self._peer: tuple[bytes | None, tuple[bytes, ...]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._touched = 0.0

    # --- transport events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.remote_ip = str(peer[0])
        self._server.connections.add(self)
        self._touched = self._loop.time()
        self._timer = self._loop.call_later(HEAD_S, self._check_idle)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.transport = None
        self._server.connections.discard(self)
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._resume_waiter is not None and not self._resume_waiter.done():
            self._resume_waiter.set_result(None)
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.lost()
        if self.task is not None and self._current is not None and self._current.cancel_on_disconnect:
            self.task.cancel()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self._resume_waiter is not None and not self._resume_waiter.done():
            self._resume_waiter.set_result(None)
        if self._stream is not None:
            self._stream.resumed()

    def eof_received(self) -> bool:
        # The peer will send nothing more; TLS cannot be half-closed, so the connection ends.
        return False

    def data_received(self, data: bytes) -> None:
        if self._leftover is not None:
            self._leftover += data
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if self.transport is not None:
                self._refuse(400, f"400 Bad Request: {error}")

    def _upgraded(self, rest: bytes) -> None:
        request, self._held = self._held, None
        if request is None:
            return
        if request.upgrade in ("websocket", "spdy/3.1"):
            self._leftover = rest
            self._dispatch(request)
            return
        # An upgrade that nobody here speaks (h2c): the request is an ordinary one, and so is what follows it.
        request.upgrade = ""
        self._parser = httptools.HttpRequestParser(self)
        self._dispatch(request)
        if rest:
            self.data_received(rest)

    def _check_idle(self) -> None:
        """One timer per connection, re-armed lazily: no work per request."""
        self._timer = None
        if self.transport is None:
            return
        now = self._loop.time()
        if self._current is not None or self._stream is not None:
            self._timer = self._loop.call_later(IDLE_S, self._check_idle)
            return
        limit = HEAD_S if self._request is not None else IDLE_S
        if now - self._touched >= limit:
            self.transport.close()
        else:
            self._timer = self._loop.call_later(self._touched + limit - now + 0.01, self._check_idle)

    # --- parser events

    def on_message_begin(self) -> None:
        self._request = Request(self)
        self._url = b""
        self._body = []
        self._body_size = 0
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._request is not None
        self._request.fields.append((name, value))
        self._head_size += len(name) + len(value) + 4
        if self._head_size > HEAD_LIMIT:
            self._count_head(0)

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_LIMIT and self.transport is not None:
            self._refuse(431, "431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        request = self._request
        assert request is not None
        parser = self._parser
        request.method = parser.get_method().decode("latin-1")
        request.version = parser.get_http_version()
        request.keep_alive = parser.should_keep_alive()
        headers = request.headers
        for key, field in request.fields:
            name = _NAMES.get(key) or _name(key)
            value = field.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        url = self._url.decode("utf-8", "surrogateescape")
        if not url.startswith("/") and "://" in url:
            after = url.split("://", 1)[1]
            url = "/" + after.partition("/")[2]
        raw, _, request.query = url.partition("?")
        request.raw_path = raw
        request.path = unquote(raw, errors="surrogateescape") if "%" in raw else raw
        if parser.should_upgrade():
            request.upgrade = headers.get("upgrade", "").lower()
        limit = self._server.body_limit
        self._limit = limit if isinstance(limit, int) else limit(request)
        if "expect" in headers and headers["expect"].lower() == "100-continue":
            length = headers.get("content-length", "0")
            if not (length.isdigit() and int(length) > self._limit) and self.transport is not None:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._body_size += len(data)
        if self._body_size <= self._limit:
            self._body.append(data)
            return
        request = self._request
        if request is not None and not request.body_too_large:
            # Answered at once; what else the peer sends of this body is dropped with the connection.
            request.body_too_large = True
            request.keep_alive = False
            self._body = []
            self._dispatch(request)

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        if request is None or request.body_too_large:
            return
        body = self._body
        if body:
            request.body = body[0] if len(body) == 1 else b"".join(body)
            self._body = []
        if request.upgrade:
            self._held = request  # dispatched by _upgraded, which knows the bytes that follow
        else:
            self._dispatch(request)

    def _refuse(self, status: int, text: str) -> None:
        transport = self.transport
        if transport is None:
            return
        body = text.encode()
        if self._current is None:
            transport.write(encode_head(status, (), "text/plain; charset=utf-8", len(body), close=True) + body)
        transport.close()

    # --- answering

    def _dispatch(self, request: Request) -> None:
        if self._current is not None:
            self._queue.append(request)
            if len(self._queue) >= _QUEUE and self._reading and self.transport is not None:
                self._reading = False
                self.transport.pause_reading()
            return
        self._run(request)

    def _run(self, request: Request) -> None:
        self._current = request
        request.received_at = self._loop.time()
        try:
            answer = self._server.handler(request)
        except Exception:
            log.exception("the handler failed on %s %s", request.method, request.raw_path)
            answer = Response(500, b"Internal Server Error\n", "text/plain; charset=utf-8", close=True)
        if answer is None:
            return
        if isinstance(answer, Response):
            body = answer.body
            if isinstance(body, bytes) and len(body) <= _SLICE:
                self._answer_small(request, answer, body)
                return
            self.task = self._loop.create_task(self._answer_large(request, answer), name="http-response")
        else:
            self.task = self._loop.create_task(self._answer_later(request, answer), name="http-request")
        self._server.tasks.add(self.task)
        self.task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._server.tasks.discard(task)
        if self.task is task:
            self.task = None

    def _answer_small(self, request: Request, answer: Response, body: bytes) -> None:
        transport = self.transport
        if transport is None:
            return
        close = answer.close or not request.keep_alive or self._server.draining
        status = answer.status
        bodyless = status == 304 or status == 204 or status < 200
        head = encode_head(status, answer.headers, answer.content_type, -1 if bodyless else len(body), close=close)
        transport.write(head if bodyless or request.method == "HEAD" else head + body)
        self.finished(close=close)

    async def _answer_large(self, request: Request, answer: Response) -> None:
        if self.transport is None:
            return
        body: Sequence[bytes] = (answer.body,) if isinstance(answer.body, bytes) else answer.body
        total = sum(map(len, body))
        if total <= _SLICE:
            self._answer_small(request, answer, b"".join(body))
            return
        close = answer.close or not request.keep_alive or self._server.draining
        self.transport.write(encode_head(answer.status, answer.headers, answer.content_type, total, close=close))
        if request.method != "HEAD":
            for number, piece in enumerate(_slices(body)):
                if self.paused:
                    await self._resume()
                elif number & 3 == 3:
                    # A peer that reads as fast as we encrypt never makes us pause: the others have to get their turn.
                    await asyncio.sleep(0)
                if self.transport is None:
                    return
                self.transport.write(piece)
        self.finished(close=close)

    async def _resume(self) -> None:
        while self.paused and self.transport is not None:
            self._resume_waiter = self._loop.create_future()
            await self._resume_waiter
        self._resume_waiter = None

    async def _answer_later(self, request: Request, awaitable: Awaitable[Response | None]) -> None:
        try:
            answer = await awaitable
        except asyncio.CancelledError:
            if self.transport is not None:
                self.transport.abort()
            raise
        except PeerGone:
            return
        except Exception:
            log.exception("the handler failed on %s %s", request.method, request.raw_path)
            if self._stream is not None:
                self._stream.abort()
                return
            answer = Response(500, b"Internal Server Error\n", "text/plain; charset=utf-8", close=True)
        if answer is not None and self.transport is not None:
            if isinstance(answer.body, bytes) and len(answer.body) <= _SLICE:
                self.task = None
                self._answer_small(request, answer, answer.body)
            else:
                await self._answer_large(request, answer)

    def start_stream(self, request: Request, status: int, content_type: str, headers: Headers) -> Stream:
        if self.transport is None:
            raise PeerGone("the peer has closed the connection")
        chunked = request.version != "1.0"
        stream = Stream(self, chunked)
        self._stream = stream
        close = not chunked or not request.keep_alive
        self.transport.write(encode_head(status, headers, content_type, None if chunked else -1, close=close))
        return stream

    def take_over(self, status: int, headers: Headers) -> TakenOver:
        transport = self.transport
        if transport is None:
            raise PeerGone("the peer has closed the connection")
        transport.pause_reading()
        line = _STATUS_LINE.get(status, b"HTTP/1.1 101 Switching Protocols\r\n")
        text = "".join(f"{name}: {value}\r\n" for name, value in headers)
        transport.write(b"%b%b\r\n" % (line, text.encode("latin-1", "replace")))
        self.transport = None
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return TakenOver(transport, self._leftover or b"")

    def finished(self, *, close: bool) -> None:
        """The current answer has been written: go on with the next request."""
        request = self._current
        self._stream = None
        self._current = None
        transport = self.transport
        if transport is None:
            return
        self._touched = self._loop.time()
        if close or self._server.draining or (request is not None and not request.keep_alive):
            transport.close()
            return
        if self._leftover is not None:
            # The upgrade was refused: what follows is plain HTTP again.
            rest, self._leftover = self._leftover, None
            self._parser = httptools.HttpRequestParser(self)
            if rest:
                self.data_received(rest)
        if self._queue:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        if self._current is None and self._queue and self.transport is not None:
            request = self._queue.popleft()
            if not self._reading and len(self._queue) < _QUEUE // 2:
                self._reading = True
                self.transport.resume_reading()
            self._run(request)

    def shut_down(self) -> None:
        """Idle: close now. Streaming: tell the owner. Otherwise the answer under way carries Connection: close."""
        if self._current is None and self.transport is not None:
            self.transport.close()
        elif self._stream is not None and self._stream.on_lost is not None:
            stream = self._stream
            callback, stream.on_lost = stream.on_lost, None
            assert callback is not None
            callback()
            stream.close()

    @property
    def peer(self) -> tuple[bytes | None, tuple[bytes, ...]]:
        """The client's certificate and its verified chain (see ``peercert.shown``)."""
        if self._peer is None:
            transport = self.transport
            self._peer = shown(transport.get_extra_info("ssl_object")) if transport is not None else (None, ())
        return self._peer


def _slices(parts: Iterable[bytes]) -> Iterable[bytes]:
    """Join small parts and cut large ones into pieces of about ``_SLICE``."""
    pending: list[bytes] = []
    size = 0
    for part in parts:
        if len(part) > _SLICE:
            if pending:
                yield b"".join(pending)
                pending, size = [], 0
            view = memoryview(part)
            for start in range(0, len(part), _SLICE):
                yield bytes(view[start : start + _SLICE])
            continue
        pending.append(part)
        size += len(part)
        if size >= _SLICE:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)


class Server:
    """Listens and answers with ``handler``. ``body_limit``: bytes, or a function of the request's head."""

    def __init__(self, handler: Handler, *, body_limit: int | Callable[[Request], int] = BODY_LIMIT) -> None:
        self.handler = handler
        self.body_limit = body_limit
        self.draining = False
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]
        self._servers: list[asyncio.AbstractServer] = []

    def _connection(self) -> Connection:
        return Connection(self)

    async def listen(self, host: str | None, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Returns the port (useful with 0). Raises OSError when the address is taken."""
        self.loop = asyncio.get_running_loop()
        server = await self.loop.create_server(
            self._connection,
            host,
            port,
            ssl=tls,
            backlog=1024,
            reuse_address=True,
            ssl_handshake_timeout=HEAD_S if tls else None,
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_on(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Answers on a socket that somebody else has bound; it stays theirs to close."""
        self.loop = asyncio.get_running_loop()
        handshake_s = HEAD_S if tls else None
        server = await self.loop.create_server(
            self._connection, sock=sock.dup(), ssl=tls, backlog=4096, ssl_handshake_timeout=handshake_s
        )
        self._servers.append(server)

    async def listen_unix(self, path: str, tls: ssl.SSLContext | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self._servers.append(await self.loop.create_unix_server(self._connection, path, ssl=tls, backlog=1024))

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task that the server owns: it is cancelled by ``close``."""
        task = self.loop.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def close(self, grace_s: float = 5.0) -> None:
        """Stop listening, let running requests end for ``grace_s``, then drop what is left."""
        self.draining = True
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.shut_down()
        if self.tasks:
            await asyncio.wait(list(self.tasks), timeout=grace_s)
        for task in list(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(list(self.tasks), timeout=1.0)
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()
        self._servers.clear()
