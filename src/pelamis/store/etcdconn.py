"""gRPC on one HTTP/2 connection: as little of both as etcd needs, since a general library costs more than etcd does.

Calls are pipelined: the frames of all calls made in one turn of the loop leave in one write, and answers are taken as
they come. Request headers are made once per method. Response headers nearly always repeat, and a block that consists of
indexed fields alone does not change the decoder's table, so such blocks are decoded once.

A connection on which nothing came for a while is pinged; one that does not answer is given up, so a peer that vanished
without a word (power, firewall) is noticed within ``QUIET_S + PING_S``.

What went wrong says what may be done: ``NotSent`` was never carried out and can be repeated; after any other ``Lost``
nobody knows; ``RpcError`` is the peer's own answer.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Callable
from struct import Struct
from typing import Any
from urllib.parse import unquote

from hpack import Decoder
from hpack.exceptions import HPACKError

CALL_S = 10.0
"""A call that is not answered for so long has failed."""
CONNECT_S = 5.0
QUIET_S, PING_S = 10.0, 5.0
"""etcd refuses peers that ping more often than every 5 s."""

INVALID_ARGUMENT, RESOURCE_EXHAUSTED, OUT_OF_RANGE, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 3, 8, 11, 12, 14, 16

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 0x20
_REFUSED, _CANCEL = 7, 8
_HEAD = Struct(">BHBBI")
_MESSAGE = Struct(">BI")
_NUMBER = Struct(">I")
_SETTING = Struct(">HI")
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_STREAM_WINDOW = 64 << 20
_CONNECTION_WINDOW = (1 << 31) - 1
_FIRST_WINDOW = 65_535


class Lost(Exception):
    """No answer came; the call may have been carried out."""


class NotSent(Lost):
    """The call was certainly not carried out."""


class RpcError(Exception):
    """The peer answered with an error. code: a gRPC status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message or f"gRPC status {code}")
        self.code = code
        self.message = message


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def _text(value: bytes) -> bytes:
    """A string of HPACK, as it is (no Huffman code)."""
    size = len(value)
    if size < 127:
        return bytes((size,)) + value
    out = bytearray((127,))
    size -= 127
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out) + value


def _literal(name: str, value: str) -> bytes:
    return b"\0" + _text(name.encode()) + _text(value.encode())


Settle = Callable[[bytes, "asyncio.Future[bytes]"], None]


class Call:
    """One call in flight. ``ended``: the answer of a unary call; of a stream b"" when the peer has ended it."""

    __slots__ = (
        "_connection", "_on_message", "_settle", "buffer", "code", "due", "ended", "message", "number", "rest", "taken",
        "window",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, number: int, window: int, due: float, on_message: Callable[[bytes], None] | None
    ) -> None:
        self._connection = connection
        self._on_message = on_message
        self._settle: Settle | None = None
        self.taken = 0
        """Received, and not yet given back to the peer's window."""
        self.number = number
        self.window = window
        self.due = due
        self.ended: asyncio.Future[bytes] = connection.loop.create_future()
        self.buffer: bytes | bytearray = b""
        """What came and is not a whole message yet; once in several pieces a bytearray, which grows cheaply."""
        self.rest = b""
        """What the peer's window does not let out yet."""
        self.code = -1
        self.message = ""

    def send(self, message: bytes) -> None:
        self._connection._send(self, message, end=False)

    def cancel(self) -> None:
        """Tell the peer that nobody waits any more; nothing when it is over."""
        self._connection._cancel(self)

    def _take(self, data: bytes) -> None:
        if self.buffer:
            if isinstance(self.buffer, bytes):
                self.buffer = bytearray(self.buffer)
            self.buffer += data
            have = len(self.buffer)
            if self._on_message is None or have < 5 or have < 5 + _MESSAGE.unpack_from(self.buffer)[1]:
                return
            data = bytes(self.buffer)
        elif self._on_message is None:
            self.buffer = data
            return
        at = 0
        while len(data) - at >= 5:
            end = at + 5 + _MESSAGE.unpack_from(data, at)[1]
            if end > len(data):
                break
            self._on_message(data[at + 5 : end])
            at = end
        self.buffer = data[at:]

    def _finish(self) -> None:
        if self.ended.done():
            return
        if self.code != 0:
            lost = Lost("the answer broke off") if self.code < 0 else RpcError(self.code, self.message)
            self.ended.set_exception(lost)
        elif self._settle is not None:
            self._settle(bytes(memoryview(self.buffer)[5:]), self.ended)
        else:
            self.ended.set_result(bytes(memoryview(self.buffer)[5:]) if self._on_message is None else b"")

    def _fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)


class Connection(asyncio.Protocol):
    """``await connect(…)`` makes one. ``usable``: new calls may be made."""

    def __init__(self, authority: str, secure: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.usable = True
        self.token = ""
        """Of a user who logged in; sent with every call."""
        self._head = b"\x83" + (b"\x87" if secure else b"\x86") + b"\x01" + _text(authority.encode())
        self._tail = b"\x0f\x10" + _text(b"application/grpc") + _literal("te", "trailers")
        self._blocks: dict[tuple[str, bool, str], bytes] = {}
        self._transport: Any = None
        self._calls: dict[int, Call] = {}
        self._next = 1
        self._out: list[bytes] = []
        self._in = b""
        self._greeted = False
        self._decoder = Decoder()
        self._known: dict[bytes, list[tuple[str, str]]] = {}
        self._header: tuple[int, int, bytes] | None = None
        self._window = self._first_window = _FIRST_WINDOW
        self._frame_size = 16_384
        self._received = 0
        self._heard_at = self.loop.time()
        self._ping_at: float | None = None
        self._alive = self.loop.call_later(QUIET_S, self._look_after)
        self._timer: asyncio.TimerHandle | None = None

    # -- calls

    async def call(self, method: str, request: bytes, settle: Settle | None = None) -> bytes:
        """settle(answer, future): sets the result of the future, now or later. Raises Lost, RpcError."""
        call = self._open(method, None, leader=False)
        call._settle = settle
        self._send(call, request, end=True)
        try:
            return await call.ended
        except asyncio.CancelledError:
            call.cancel()
            raise

    def stream(self, method: str, on_message: Callable[[bytes], None]) -> Call:
        """A call with messages both ways, until ``cancel``. It fails too when etcd's member loses its leader.

        An exception of on_message ends the call with that exception.
        """
        return self._open(method, on_message, leader=True)

    def _open(self, method: str, on_message: Callable[[bytes], None] | None, leader: bool) -> Call:
        if not self.usable:
            raise NotSent("the connection is closed")
        number, self._next = self._next, self._next + 2
        due = self.loop.time() + CALL_S if on_message is None else float("inf")
        call = self._calls[number] = Call(self, number, self._first_window, due, on_message)
        key = (method, leader, self.token)
        block = self._blocks.get(key)
        if block is None:
            block = self._head + b"\x04" + _text(method.encode()) + self._tail
            if leader:
                block += _literal("hasleader", "true")
            if self.token:
                block += _literal("token", self.token)
            self._blocks[key] = block
        self._write(_frame(_HEADERS, _END_HEADERS, number, block))
        if on_message is None and self._timer is None:
            self._timer = self.loop.call_at(due, self._expire)
        return call

    def _expire(self) -> None:
        """Fails the calls whose time is over. They are in order of their time."""
        self._timer = None
        now = self.loop.time()
        for call in list(self._calls.values()):
            if call.due <= now:
                call._fail(Lost(f"no answer within {CALL_S:.0f} s"))
                call.cancel()
            elif call.due < float("inf"):
                self._timer = self.loop.call_at(call.due, self._expire)
                return

    def _send(self, call: Call, message: bytes, *, end: bool) -> None:
        data = _MESSAGE.pack(0, len(message)) + message
        size = len(data)
        if not call.rest and size <= self._window and size <= call.window and size <= self._frame_size:
            self._window -= size
            call.window -= size
            self._write(_frame(_DATA, _END_STREAM if end else 0, call.number, data))
            return
        # One message at a time waits: streams send single small ones.
        call.rest += data
        self._pump(call, end=end)

    def _pump(self, call: Call, *, end: bool) -> None:
        while call.rest:
            size = min(len(call.rest), self._window, call.window, self._frame_size)
            if size <= 0:
                return
            part, call.rest = call.rest[:size], call.rest[size:]
            self._window -= size
            call.window -= size
            self._write(_frame(_DATA, _END_STREAM if end and not call.rest else 0, call.number, part))

    def _pump_all(self) -> None:
        for call in list(self._calls.values()):
            if call.rest:
                self._pump(call, end=call._on_message is None)

    def _cancel(self, call: Call) -> None:
        if self._calls.pop(call.number, None) is not None:
            self._write(_frame(_RST, 0, call.number, _NUMBER.pack(_CANCEL)))
            call.ended.cancel()
        self._close_if_idle()

    # -- writing

    def _write(self, frame: bytes) -> None:
        if not self._out:
            self.loop.call_soon(self._flush)
        self._out.append(frame)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and out:
            self._transport.write(b"".join(out))

    # -- life

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        # No pushes; a wide window for each stream and the widest for all together.
        settings = _SETTING.pack(2, 0) + _SETTING.pack(4, _STREAM_WINDOW)
        grown = _NUMBER.pack(_CONNECTION_WINDOW - _FIRST_WINDOW)
        transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, grown))

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_up(Lost(f"the connection broke: {exc}" if exc else "the peer closed the connection"))

    def retire(self) -> None:
        """No new calls; those in flight may end."""
        self.usable = False
        for call in list(self._calls.values()):
            if call._on_message is not None:
                call._fail(Lost("the connection is given up"))
                call.cancel()
        self._close_if_idle()

    def close(self) -> None:
        self._flush()
        self._give_up(Lost("the connection was closed"))

    def _close_if_idle(self) -> None:
        if not self.usable and not self._calls and self._transport is not None:
            self.close()

    def _give_up(self, error: Exception) -> None:
        self.usable = False
        self._alive.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call._fail(error)
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.close()

    def _look_after(self) -> None:
        """Asks a connection that has been quiet whether it lives."""
        now = self.loop.time()
        if self._ping_at is not None and self._heard_at <= self._ping_at:
            if self._transport is not None:
                self._transport.abort()
            self._give_up(Lost(f"the peer has been silent for {now - self._heard_at:.0f} s"))
            return
        self._ping_at = None
        wait = self._heard_at + QUIET_S - now
        if wait <= 0:
            self._ping_at, wait = now, PING_S
            self._write(_frame(_PING, 0, 0, b"pelamis\0"))
        self._alive = self.loop.call_later(wait, self._look_after)

    # -- reading

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        if self._in:
            data = self._in + data
        at, size = 0, len(data)
        while size - at >= 9:
            high, low, kind, flags, number = _HEAD.unpack_from(data, at)
            if not self._greeted:
                if kind != _SETTINGS or number:
                    self._give_up(NotSent("it does not speak HTTP/2 (is it etcd's address for clients?)"))
                    return
                self._greeted = True
            end = at + 9 + (high << 16 | low)
            if end > size:
                break
            payload = data[at + 9 : end]
            at = end
            try:
                self._on_frame(kind, flags, number & 0x7FFFFFFF, payload)
            except (HPACKError, IndexError, ValueError) as error:
                self._give_up(Lost(f"the peer sent what cannot be understood: {error}"))
                return
        self._in = data[at:]

    def _on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == _DATA:
            self._on_data(flags, number, payload)
        elif kind == _HEADERS:
            if flags & _PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            if flags & _PRIORITY:
                payload = payload[5:]
            self._on_headers(number, flags, payload)
        elif kind == _CONTINUATION and self._header is not None:
            number, first, block = self._header
            self._on_headers(number, first | flags, block + payload)
        elif kind == _RST:
            call = self._calls.pop(number, None)
            if call is not None:
                code = _NUMBER.unpack(payload)[0]
                call._fail((NotSent if code == _REFUSED else Lost)(f"the peer ended the call (HTTP/2 code {code})"))
        elif kind == _SETTINGS and not flags & _ACK:
            self._on_settings(payload)
        elif kind == _PING and not flags & _ACK:
            self._write(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            self._on_goaway(payload)
        elif kind == _WINDOW:
            grown = _NUMBER.unpack(payload)[0] & 0x7FFFFFFF
            if number == 0:
                self._window += grown
                self._pump_all()
            elif (call := self._calls.get(number)) is not None:
                call.window += grown
                if call.rest:
                    self._pump(call, end=call._on_message is None)

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._received += size
        if self._received > _CONNECTION_WINDOW // 2:
            self._write(_frame(_WINDOW, 0, 0, _NUMBER.pack(self._received)))
            self._received = 0
        call = self._calls.get(number)
        if call is None:
            return
        if flags & _PADDED:
            payload = payload[1 : size - payload[0]]
        call.taken += size
        if call.taken > _STREAM_WINDOW // 4 and not flags & _END_STREAM:
            self._write(_frame(_WINDOW, 0, number, _NUMBER.pack(call.taken)))
            call.taken = 0
        try:
            call._take(payload)
        except Exception as error:
            call._fail(error)
            call.cancel()
            return
        if flags & _END_STREAM:
            self._ended(call)

    def _on_headers(self, number: int, flags: int, block: bytes) -> None:
        if not flags & _END_HEADERS:
            self._header = (number, flags, block)
            return
        self._header = None
        found = self._known.get(block)
        if found is None:
            found = [(str(name), str(value)) for name, value in self._decoder.decode(block)]
            if min(block, default=0) >= 0x80 and 0xFF not in block:
                self._known[block] = found
            else:
                self._known.clear()
        call = self._calls.get(number)
        if call is None:
            return
        for name, value in found:
            if name == "grpc-status":
                call.code = int(value)
            elif name == "grpc-message":
                call.message = unquote(value)
            elif name == ":status" and value != "200":
                call.code, call.message = UNAVAILABLE, f"HTTP status {value}"
        if flags & _END_STREAM:
            self._ended(call)

    def _ended(self, call: Call) -> None:
        self._calls.pop(call.number, None)
        call._finish()
        self._close_if_idle()

    def _on_settings(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            name, value = _SETTING.unpack_from(payload, at)
            if name == 4:
                for call in self._calls.values():
                    call.window += value - self._first_window
                self._first_window = value
            elif name == 5:
                self._frame_size = value
            elif name == 1:
                continue  # the table of a peer's decoder: we use none
        self._write(_frame(_SETTINGS, _ACK, 0))
        self._pump_all()

    def _on_goaway(self, payload: bytes) -> None:
        last = _NUMBER.unpack_from(payload)[0] & 0x7FFFFFFF
        for number, call in list(self._calls.items()):
            if number > last:
                del self._calls[number]
                call._fail(NotSent("the peer is closing"))
        self.retire()


async def connect(host: str, port: int, ssl: tls.SSLContext | None) -> Connection:
    """Raises OSError (ssl.SSLError is one), TimeoutError."""
    loop = asyncio.get_running_loop()
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    options: dict[str, Any] = {"ssl": ssl, "server_hostname": host} if ssl is not None else {}
    async with asyncio.timeout(CONNECT_S):
        _, made = await loop.create_connection(lambda: Connection(authority, ssl is not None), host, port, **options)
    return made
