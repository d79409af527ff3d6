"""A watch over WebSocket: each event is a message, where plain HTTP has a line of a chunked body.

The client chooses by subprotocol: none for text frames of JSON, ``binary.k8s.io`` for binary frames,
``base64.binary.k8s.io`` for text frames in base64. Any other single subprotocol is accepted and means none.
A log is passed on in binary frames, or in base64, one for each piece that comes (``ByteSocket``).
``WatchSocket`` has the face of ``net.http1.Stream``, so that a watcher does not care which of them it writes to.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator

from pelamis.base.errors import BadRequest
from pelamis.net.http1 import PeerGone, Request
from pelamis.net.websocket import WebSocket, handshake, offered

BINARY = "binary.k8s.io"
BASE64 = "base64.binary.k8s.io"
TOKEN = "base64url.bearer.authorization.k8s.io."


def chosen(request: Request) -> str:
    """The subprotocol to speak. Raises BadRequest."""
    words = [w for w in offered(request) if not w.startswith(TOKEN)]
    for word in words:
        if word in (BINARY, BASE64):
            return word
    if len(words) > 1:
        raise BadRequest(f"unable to upgrade: none of the requested protocols is supported: {', '.join(words)}")
    return words[0] if words else ""


def frames(data: bytes) -> Iterator[bytes]:
    """The members of a stream whose frames begin with their length in four bytes."""
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        yield data[at:end]
        at = end


class WatchSocket:
    """framed: what is written are length-prefixed frames (protobuf), not lines. Raises BadRequest."""

    chunked = False

    def __init__(self, request: Request, *, framed: bool) -> None:
        if not request.headers.get("sec-websocket-key"):
            raise BadRequest("unable to upgrade: the header Sec-WebSocket-Key is missing")
        protocol = chosen(request)
        self._framed = framed
        self._base64 = protocol == BASE64
        self._text = (not framed and protocol != BINARY) or self._base64
        self.on_lost: Callable[[], None] | None = None
        self._on_writable: Callable[[], None] | None = None
        self._socket = WebSocket(request.take_over(handshake(request, protocol)))
        self._socket.on_end = self._lost
        self._room: asyncio.Future[None] | None = None

    @property
    def on_writable(self) -> Callable[[], None] | None:
        return self._on_writable

    @on_writable.setter
    def on_writable(self, fn: Callable[[], None] | None) -> None:
        self._on_writable = fn
        self._socket.on_writable = self._resumed

    @property
    def open(self) -> bool:
        return not self._socket.ended and not self._socket.closing

    @property
    def writable(self) -> bool:
        return self.open and not self._socket.paused

    def frame(self, data: bytes) -> bytes:
        return data

    def write(self, data: bytes) -> bool:
        return self.write_framed(data)

    def write_framed(self, data: bytes) -> bool:
        """``data``: any number of events."""
        for event in frames(data) if self._framed else data.splitlines(keepends=True):
            self._socket.post(base64.b64encode(event) if self._base64 else event, text=self._text)
        return self.writable

    async def drain(self) -> None:
        """Wait until the peer has caught up. Raises PeerGone."""
        while self.open and self._socket.paused:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await self._room
        if not self.open:
            raise PeerGone("the peer has closed the connection")

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        if self._socket.transport is not None:
            self._socket.transport.abort()

    def _resumed(self) -> None:
        self._wake()
        if self._on_writable is not None:
            self._on_writable()

    def _lost(self) -> None:
        self._wake()
        if self.on_lost is not None:
            self.on_lost()

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None


class ByteSocket(WatchSocket):
    """A plain stream of bytes; the first message is empty, and tells the client that it begins. Raises BadRequest."""

    def __init__(self, request: Request) -> None:
        super().__init__(request, framed=False)
        self._text = self._base64
        self.write(b"")

    def write(self, data: bytes) -> bool:
        self._socket.post(base64.b64encode(data) if self._base64 else data, text=self._text)
        return self.writable
