"""One peer of an HTTP/1.1 server: a protocol object per connection, no framework.

Theory of operation. httptools parses; a complete message (head and body, bounded by a limit) becomes a ``Request`` and
goes to the server's handler. Pipelined requests are queued and answered one after another; reading pauses while the
queue is long. Responses larger than ``_SLICE`` are written in slices that respect the peer's pace, so a slow reader
never makes us buffer a large list. A task is cancelled when the peer goes away only if the request said so
(``cancel_on_disconnect``): a write that has begun is finished.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import httptools

from pelamis.net.http1 import STATUS_LINE, Headers, PeerGone, Request, Response, Stream, TakenOver, encode_head
from pelamis.net.peercert import shown

if TYPE_CHECKING:
    from pelamis.net.httpserver import Server

log = logging.getLogger("pelamis.http")

HEAD_LIMIT = 1024 * 1024
IDLE_S = 90.0
HEAD_S = 32.0
_SLICE = 256 * 1024
_HIGH_WATER = 256 * 1024
_QUEUE = 16
_METHODS = {method.encode(): method for method in ("GET", "PUT", "POST", "PATCH", "DELETE")}
_NAMES: dict[bytes, str] = {}
"""Names of headers as they were sent, to lower case."""


def _name(key: bytes) -> str:
    name = key.decode("latin-1").lower()
    if len(_NAMES) < 1_000 and len(key) < 100:
        _NAMES[key] = name
    return name


def _joined(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """For every case: headers that are repeated become one."""
    headers: dict[str, str] = {}
    for key, field in fields:
        name, value = _name(key), field.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


_READ = memoryview(bytearray(256 << 10))
"""What is read into, by all connections: each has used up its part before another reads."""


class Connection(asyncio.BufferedProtocol):
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
            self.task.add_done_callback(self._task_done)  # it may not have begun
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

    def get_buffer(self, sizehint: int) -> memoryview:
        # A transport without such a buffer makes one of 256 KB for each read, and gives it back to the system after.
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(_READ[:nbytes])

    def data_received(self, data: memoryview | bytes) -> None:
        if self._leftover is not None:
            self._leftover += data
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(bytes(data[upgrade.args[0] :]))
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
        self._request = Request(self, [], {})
        self._url = b""
        self._body = []
        self._body_size = 0
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        self._url = self._url + url if self._url else url
        self._head_size += len(url)
        if self._head_size > HEAD_LIMIT:
            self._refuse_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._request is not None
        self._request.fields.append((name, value))
        self._head_size += len(name) + len(value) + 4
        if self._head_size > HEAD_LIMIT:
            self._refuse_head()

    def _refuse_head(self) -> None:
        if self.transport is not None:
            self._refuse(431, "431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        request = self._request
        assert request is not None
        parser = self._parser
        method = parser.get_method()
        request.method = _METHODS.get(method) or method.decode("latin-1")
        request.version = parser.get_http_version()
        request.keep_alive = parser.should_keep_alive()
        fields = request.fields
        try:
            headers = {_NAMES[key]: value.decode("latin-1") for key, value in fields}
            if len(headers) < len(fields):
                headers = _joined(fields)
        except KeyError:
            headers = _joined(fields)
        request.headers = headers
        request.aim(self._url.decode("utf-8", "surrogateescape"))
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
        if self.transport is None or self.transport.is_closing():
            return  # refused already, or nobody would hear the answer
        if self._current is not None or self._queue:
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
            self.task.add_done_callback(self._task_done)
        else:
            self.task = self._loop.create_task(self._answer_later(request, answer), name="http-request")
        self._server.tasks.add(self.task)

    def _task_done(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
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
        length = -1 if bodyless else len(body)
        head = encode_head(status, answer.headers, answer.content_type, length, close=close, lines=answer.lines)
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
        self.transport.write(
            encode_head(answer.status, answer.headers, answer.content_type, total, close=close, lines=answer.lines)
        )
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
        task = self.task
        try:
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
            if answer is None:
                return
            if isinstance(answer.body, bytes) and len(answer.body) <= _SLICE:
                self._answer_small(request, answer, answer.body)
            else:
                await self._answer_large(request, answer)
        finally:
            # By itself, as its last act: a callback would cost another turn of the loop.
            self._task_done(task)

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
        line = STATUS_LINE.get(status, b"HTTP/1.1 101 Switching Protocols\r\n")
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
