"""Passing an upgraded connection through to the runtime's streaming server, byte for byte, with back-pressure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from pelamis.net.http1 import PeerGone, Request, Response

HEAD_LIMIT = 64 * 1024
CONNECT_TIMEOUT_S = 10.0
_HOP = ("host", "connection", "upgrade", "authorization", "content-length", "transfer-encoding")


class Head(NamedTuple):
    status: int
    headers: list[tuple[str, str]]


class _End(asyncio.Protocol):
    """One side of the splice; bytes that arrive before it is joined are kept."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: asyncio.Transport | None = None
        self.kept = b""
        self.arrived = asyncio.Event()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.kept += data
            self.arrived.set()
        else:
            self.other.write(data)

    def eof_received(self) -> bool:
        if self.other is not None and self.other.can_write_eof() and not self.other.is_closing():
            self.other.write_eof()
            # TLS cannot be half-closed: answering True there would only be warned about.
            return self.transport is not None and self.transport.can_write_eof()
        return False

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.arrived.set()
        if self.other is not None:
            self.other.close()

    def join(self, other: asyncio.Transport) -> None:
        self.other = other
        if self.kept:
            other.write(self.kept)
            self.kept = b""
        if self.lost:
            other.close()


def parse_head(data: bytes) -> Head:
    """Raises ValueError."""
    first, *rest = data.decode("latin-1").split("\r\n")
    headers = []
    for line in rest:
        name, sign, value = line.partition(":")
        if sign:
            headers.append((name.strip(), value.strip()))
    return Head(int(first.split(" ")[1]), headers)


def request_head(request: Request, path: str, host: str) -> bytes:
    """The client's request as it goes to the streaming server: same method and upgrade, other path."""
    upgrade = request.headers.get("upgrade", "")
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", f"Upgrade: {upgrade}"]
    for name, value in request.fields:
        text = name.decode("latin-1")
        if text.lower() not in _HOP:
            lines.append(f"{text}: {value.decode('latin-1')}")
    lines += ["Content-Length: 0", "", ""] if request.method == "POST" else ["", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


async def splice(request: Request, url: str) -> Response | None:
    """Hand the client's upgraded connection to the server at ``url``; a Response when that one refuses."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, end = await loop.create_connection(_End, parts.hostname or "", parts.port or 80)
    except OSError as error:
        return _refusal(502, f"error dialing backend: {error}")
    assert end.transport is not None
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    end.transport.write(request_head(request, path, parts.netloc))
    while b"\r\n\r\n" not in end.kept and not end.lost and len(end.kept) < HEAD_LIMIT:
        end.arrived.clear()
        await end.arrived.wait()
    raw, sign, rest = end.kept.partition(b"\r\n\r\n")
    try:
        head = parse_head(raw)
    except (ValueError, IndexError):
        head = Head(502, [])
    if not sign or head.status != 101:
        return await _pass_refusal(end, head, rest)
    try:
        taken = request.take_over(_clean(head.headers))
    except PeerGone:
        end.transport.close()
        return None
    end.kept = rest
    client = _End()
    client.join(end.transport)
    taken.start(client)
    end.join(taken.transport)
    return None


def _clean(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in ("content-length", "date")]


async def _pass_refusal(end: _End, head: Head, body: bytes) -> Response:
    assert end.transport is not None
    length = next((int(v) for k, v in head.headers if k.lower() == "content-length" and v.isdigit()), 0)
    end.kept = body
    while len(end.kept) < min(length, HEAD_LIMIT) and not end.lost:
        end.arrived.clear()
        await end.arrived.wait()
    end.transport.close()
    kind = next((v for k, v in head.headers if k.lower() == "content-type"), "text/plain")
    return Response(head.status if head.status >= 400 else 502, end.kept, kind, close=True)


def _refusal(status: int, text: str) -> Response:
    return Response(status, text.encode(), "text/plain; charset=utf-8", close=True)
