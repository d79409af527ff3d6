"""The client side of SPDY/3.1, as kubelets and container runtimes speak it for exec, attach and port-forward.

A ``Session`` runs over an upgraded connection. Headers are compressed with one zlib stream per direction that starts
from the dictionary of the SPDY specification. Peers of this family do no flow control (they neither send nor wait for
window updates), so back-pressure is the socket's: a stream whose reader falls behind pauses the session.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections import deque
from collections.abc import Mapping

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin "
).split()
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(word)) + word.replace("_", " ").encode() for word in _WORDS) + _TAIL.encode()
)
"""The SPDY/3 header dictionary; its Adler-32 is 0xe3c6a7c2."""

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
_CANCEL = 5
_BUFFER = 256 * 1024


class SpdyError(ConnectionError):
    """The peer refused a stream, or what it sends is not SPDY/3.1."""


class Stream:
    """One stream of a session. Reads give b"" once the peer has sent its last byte or the session has ended."""

    def __init__(self, session: Session, number: int) -> None:
        self.session = session
        self.number = number
        self.replied: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.chunks: deque[bytes] = deque()
        self.size = 0
        self.ended = False
        self.closed = False
        self.waiter: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        while not self.chunks:
            if self.ended:
                return b""
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        data = b"".join(self.chunks)
        self.chunks.clear()
        self.size = 0
        self.session.relieved()
        return data

    async def write(self, data: bytes) -> None:
        """Raises OSError when the session has ended."""
        if self.closed:
            return
        await self.session.send_data(self.number, data, 0)

    async def close(self) -> None:
        """No more bytes will come from this side."""
        if not self.closed:
            self.closed = True
            await self.session.send_data(self.number, b"", FIN)

    def reset(self) -> None:
        """Gives the stream up in both directions."""
        self.session.send(RST_STREAM, 0, struct.pack(">II", self.number, _CANCEL))
        self.end()

    def feed(self, data: bytes) -> None:
        self.chunks.append(data)
        self.size += len(data)
        self.wake()

    def end(self) -> None:
        self.ended = True
        self.wake()
        if not self.replied.done():
            self.replied.set_exception(SpdyError("the peer refused the stream"))
            self.replied.exception()  # whoever waits sees it; nobody waiting is fine

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
        self.waiter = None


class Session:
    """``run`` must be a task of the owner for as long as the session is used; ``close`` ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.streams: dict[int, Stream] = {}
        self.next = 1
        self.deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 8, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
        self.inflate = zlib.decompressobj(15, DICTIONARY)
        self.room = asyncio.Event()
        self.room.set()

    async def open(self, headers: Mapping[str, str], *, finished: bool = False) -> Stream:
        """A new stream, once the peer has accepted it. Raises SpdyError when it has not."""
        stream = Stream(self, self.next)
        self.next += 2
        self.streams[stream.number] = stream
        stream.closed = finished
        body = struct.pack(">IIBB", stream.number, 0, 0, 0) + self._pack(headers)
        self.send(SYN_STREAM, FIN if finished else 0, body)
        await self.writer.drain()
        await stream.replied
        return stream

    def send(self, kind: int, flags: int, body: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body)

    async def send_data(self, number: int, data: bytes, flags: int) -> None:
        for start in range(0, max(1, len(data)), 65536):
            part = data[start : start + 65536]
            last = start + 65536 >= len(data)
            self.writer.write(struct.pack(">II", number, (flags if last else 0) << 24 | len(part)) + part)
        await self.writer.drain()

    def _pack(self, headers: Mapping[str, str]) -> bytes:
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                block += struct.pack(">I", len(text)) + text
        return self.deflate.compress(block) + self.deflate.flush(zlib.Z_SYNC_FLUSH)

    def relieved(self) -> None:
        if all(stream.size < _BUFFER for stream in self.streams.values()):
            self.room.set()

    async def run(self) -> None:
        """Reads frames until the connection ends; then every stream ends."""
        try:
            while True:
                await self.room.wait()
                head = await self.reader.readexactly(8)
                first, second = struct.unpack(">II", head)
                flags, size = second >> 24, second & 0xFFFFFF
                body = await self.reader.readexactly(size)
                if not first & 0x80000000:
                    self._data(first & 0x7FFFFFFF, flags, body)
                elif first >> 16 & 0x7FFF == 3:
                    self._control(first & 0xFFFF, flags, body)
                else:
                    raise SpdyError("the peer does not speak SPDY/3")
        except (asyncio.IncompleteReadError, OSError, zlib.error):
            pass
        finally:
            self.close()

    def close(self) -> None:
        for stream in list(self.streams.values()):
            stream.end()
        self.streams.clear()
        self.room.set()
        self.writer.close()

    def _data(self, number: int, flags: int, body: bytes) -> None:
        stream = self.streams.get(number)
        if stream is None:
            return
        if body:
            stream.feed(body)
            if stream.size >= _BUFFER:
                self.room.clear()
        if flags & FIN:
            stream.end()

    def _control(self, kind: int, flags: int, body: bytes) -> None:
        if kind == PING:
            self.send(PING, 0, body)
            return
        if kind in (SYN_REPLY, HEADERS, SYN_STREAM):
            self.inflate.decompress(body[10 if kind == SYN_STREAM else 4 :])  # keeps the shared state in step
        if kind in (SYN_REPLY, RST_STREAM, HEADERS):
            stream = self.streams.get(struct.unpack_from(">I", body)[0] & 0x7FFFFFFF)
            if stream is None:
                return
            if kind == SYN_REPLY and not stream.replied.done():
                stream.replied.set_result(None)
            if kind == RST_STREAM or flags & FIN:
                stream.end()
                if kind == RST_STREAM:
                    self.streams.pop(stream.number, None)
