"""What an HTTP/1.1 server and its handler exchange: a request, an answer, and the two other ways to answer.

The one ``Handler`` gets each complete ``Request`` (see ``net.httpconnection`` for when) and may return

* a ``Response``: it is sent in the same turn of the loop, without a task: the fast path of every read from memory;
* an awaitable of one, which gets a task;
* ``None``: it took care of the answer itself. It called ``request.stream()`` (the owner writes and closes the stream)
  or ``request.take_over()`` (the raw transport after ``101 Switching Protocols``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from pelamis.net.headerlines import header_lines

if TYPE_CHECKING:
    from pelamis.net.httpconnection import Connection

BODY_LIMIT = 3 * 1024 * 1024

Headers = Sequence[tuple[str, str]]

STATUS_LINE = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
STATUS_LINE[422] = b"HTTP/1.1 422 Unprocessable Entity\r\n"
_date_cache: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    global _date_cache
    now = int(time.time())
    if _date_cache[0] != now:
        _date_cache = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _date_cache[1]


class Response:
    """A whole answer. ``body``: bytes, or a sequence of them that is sent in order. ``close``: end the connection.

    ``lines``: further headers, as they are sent (see ``header_lines``).
    """

    __slots__ = ("body", "close", "content_type", "headers", "lines", "status")

    def __init__(
        self,
        status: int = 200,
        body: bytes | Sequence[bytes] = b"",
        content_type: str = "application/json",
        headers: Headers = (),
        close: bool = False,
        lines: bytes = b"",
    ) -> None:
        self.status = status
        self.lines = lines
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


def _parsed(query: str) -> Sequence[tuple[str, str]]:
    """Clients ask for the same again and again; what is long (a selector, where a list goes on) is hardly repeated."""
    return _known(query) if len(query) <= 100 else parse_qsl(query, keep_blank_values=True)


@lru_cache(maxsize=1_000)
def _known(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True))


class Request:
    """One request. ``headers``: lower-case names, repeated ones joined by ``, ``; ``fields`` keeps them apart.

    ``path`` is percent-decoded, ``raw_path`` is not; ``query`` is the raw text after ``?``. ``upgrade``: the lower-case
    protocol of an ``Upgrade`` request. ``body_too_large``: the body passed the limit and was not kept.
    """

    # What few requests change is said once, by the class.
    method = ""
    raw_path = ""
    path = ""
    query = ""
    version = "1.1"
    body: bytes = b""
    body_too_large = False
    keep_alive = True
    upgrade = ""
    cancel_on_disconnect = False
    received_at = 0.0
    _query_items: Sequence[tuple[str, str]] | None = None

    def __init__(self, connection: Connection, fields: list[tuple[bytes, bytes]], headers: dict[str, str]) -> None:
        self.connection = connection
        self.fields = fields
        self.headers = headers

    def aim(self, target: str) -> None:
        """target: of the request's first line."""
        if not target.startswith("/") and "://" in target:
            after = target.split("://", 1)[1]
            target = "/" + after.partition("/")[2]
        raw, _, self.query = target.partition("?")
        self.raw_path = raw
        self.path = unquote(raw, errors="surrogateescape") if "%" in raw else raw

    def all(self, name: str) -> list[str]:
        """Every value of a header that may be repeated, in order, unsplit."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.fields if key.lower() == wanted]

    def query_items(self) -> Sequence[tuple[str, str]]:
        if self._query_items is None:
            self._query_items = _parsed(self.query) if self.query else ()
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


@lru_cache(maxsize=100)
def _content_type(value: str) -> bytes:
    return header_lines((("Content-Type", value),)) if value else b""


def encode_head(
    status: int, headers: Headers, content_type: str, length: int | None, *, close: bool, lines: bytes = b""
) -> bytes:
    """The head of a response; length None = chunked, negative = no body. lines: more headers, as they are sent."""
    line = STATUS_LINE.get(status) or f"HTTP/1.1 {status} Status\r\n".encode()
    if headers:
        lines = header_lines(headers) + lines
    if length is None:
        size = b"Transfer-Encoding: chunked\r\n"
    else:
        size = b"Content-Length: %d\r\n" % length if length >= 0 else b""
    end = b"Connection: close\r\n\r\n" if close else b"\r\n"
    return b"%b%b%b%b%b%b" % (line, _date(), lines, _content_type(content_type), size, end)
