"""The server side of WebSocket (RFC 6455) over a connection that HTTP has handed over. Framing is wsproto's."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

from pelamis.net.http1 import Request, TakenOver

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BUFFER = 1024 * 1024


def offered(request: Request) -> list[str]:
    """The subprotocols that the client offers, in its order."""
    text = request.headers.get("sec-websocket-protocol", "")
    return [word.strip() for word in text.split(",") if word.strip()]


def handshake(request: Request, protocol: str) -> list[tuple[str, str]]:
    """The headers of the 101 answer; ``protocol`` "" when the client offered none."""
    key = request.headers.get("sec-websocket-key", "").encode()
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    if protocol:
        headers.append(("Sec-WebSocket-Protocol", protocol))
    return headers


class WebSocket(asyncio.Protocol):
    """Messages of one connection. ``receive`` returns None once the peer has closed or is gone."""

    def __init__(self, taken: TakenOver) -> None:
        from wsproto import frame_protocol  # and with it h11 and email: not for a server that nobody has attached to

        self.wire: Any = frame_protocol
        self.frames = frame_protocol.FrameProtocol(client=False, extensions=[])
        self.transport: asyncio.Transport | None = taken.transport
        self.messages: deque[bytes] = deque()
        self.size = 0
        self.parts: list[bytes] = []
        self.ended = False
        self.closing = False
        self.waiter: asyncio.Future[None] | None = None
        self.room: asyncio.Future[None] | None = None
        self.paused = False
        self.on_end: Callable[[], None] | None = None
        """Called once, when the peer has closed or is gone."""
        self.on_writable: Callable[[], None] | None = None
        taken.start(self)

    # messages

    async def receive(self) -> bytes | None:
        while not self.messages:
            if self.ended:
                return None
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        message = self.messages.popleft()
        self.size -= len(message)
        if self.size < _BUFFER and self.transport is not None:
            self.transport.resume_reading()
        return message

    async def send(self, data: bytes, *, text: bool = False) -> None:
        """Raises ConnectionResetError when the peer is gone."""
        if self.transport is None or self.closing:
            raise ConnectionResetError("the WebSocket is closed")
        payload = data.decode() if text else data
        self.transport.write(self.frames.send_data(payload, fin=True))
        if self.room is not None:
            await self.room

    def post(self, data: bytes, *, text: bool = False) -> bool:
        """``send`` without waiting; False once the peer falls behind (see ``on_writable``) or is gone."""
        if self.transport is None or self.closing:
            return False
        self.transport.write(self.frames.send_data(data.decode() if text else data, fin=True))
        return not self.paused

    def close(self, code: int = 1000) -> None:
        if self.transport is not None and not self.closing:
            self.closing = True
            self.transport.write(self.frames.close(self.wire.CloseReason(code)))
            self.transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        return None

    def data_received(self, data: bytes) -> None:
        try:
            self.frames.receive_bytes(data)
            for frame in self.frames.received_frames():
                self._frame(frame.opcode, frame.payload, frame.message_finished)
        except self.wire.ParseFailed as error:
            self.close(int(error.code))
            self._end()

    def _frame(self, opcode: Any, payload: object, finished: bool) -> None:
        known = self.wire.Opcode
        if opcode is known.PING and self.transport is not None:
            assert isinstance(payload, bytes | bytearray)
            self.transport.write(self.frames.pong(bytes(payload)))
        elif opcode is known.CLOSE:
            self.close()
            self._end()
        elif opcode in (known.TEXT, known.BINARY, known.CONTINUATION):
            self.parts.append(payload.encode() if isinstance(payload, str) else bytes(payload))  # type: ignore[call-overload]
            if finished:
                message = b"".join(self.parts)
                self.parts.clear()
                self.messages.append(message)
                self.size += len(message)
                if self.size >= _BUFFER and self.transport is not None:
                    self.transport.pause_reading()
                self._wake()

    def pause_writing(self) -> None:
        self.paused = True
        if self.room is None:
            self.room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self.paused = False
        if self.room is not None and not self.room.done():
            self.room.set_result(None)
        self.room = None
        if self.on_writable is not None and self.transport is not None:
            self.on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.resume_writing()
        self._end()

    def _end(self) -> None:
        ended, self.ended = self.ended, True
        self._wake()
        if not ended and self.on_end is not None:
            self.on_end()

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
        self.waiter = None
