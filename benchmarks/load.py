"""Clients that cost little: prebuilt HTTP/1.1 requests over TLS connections, no HTTP library, no decoding.

They run in the benchmark's own process, apart from the server.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from benchmarks.frame import percentile
from benchmarks.servers import Target

Next = Callable[[], "bytes | None"]
CHUNKS = 1 << 60
_LAST = b"\r\n0\r\n\r\n"


def request_bytes(method: str, path: str, body: bytes = b"", media: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nUser-Agent: bench/1\r\n"
    if body:
        head += f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Outcome:
    """What a drive saw. ``latencies`` in seconds, unsorted; ``codes``: answers by HTTP code."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.codes: dict[int, int] = {}
        self.elapsed = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.elapsed if self.elapsed else 0.0

    def ms(self, share: float) -> float:
        return percentile(sorted(self.latencies), share) * 1000

    def expect(self, code: int) -> None:
        if set(self.codes) != {code}:
            raise SystemExit(f"expected only {code}, got {self.codes}")


class Peer(asyncio.Protocol):
    """A connection that answers each finished response with the next request; None from ``following`` ends it."""

    def __init__(self, following: Next, outcome: Outcome) -> None:
        self.following = following
        self.outcome = outcome
        self.left = -1
        self.head = b""
        self.code = 0
        self.sent_at = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def next(self) -> None:
        data = self.following()
        if data is None:
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.left < 0:
            data = self.head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.head = data
                return
            self.code = int(data[9:12])
            at = data.find(b"Content-Length: ", 0, end)
            # Without a length the answer comes in chunks: then only its end is looked for.
            self.left = int(data[at + 16 : data.index(b"\r\n", at)]) if at >= 0 else CHUNKS
            self.head = b""
            data = data[end + 4 :]
        if self.left == CHUNKS:
            self.head = self.head[-len(_LAST) :] + data[-len(_LAST) :]
            if self.head.endswith(_LAST):
                self.left, self.head = 0, b""
        else:
            self.left -= len(data)
        if self.left <= 0:
            self.left = -1
            self.outcome.latencies.append(time.perf_counter() - self.sent_at)
            self.outcome.codes[self.code] = self.outcome.codes.get(self.code, 0) + 1
            self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def connect(target: Target, make: Callable[[], asyncio.Protocol], count: int) -> list[Any]:
    """So many connections, their handshakes done."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(50)

    async def one() -> Any:
        async with gate:
            _, protocol = await loop.create_connection(make, "127.0.0.1", target.port, ssl=target.context)
            return protocol

    return await asyncio.gather(*(one() for _ in range(count)))


async def drive(target: Target, following: Next | bytes, clients: int, seconds: float) -> Outcome:
    """``clients`` connections, each with one request under way, for ``seconds``."""
    outcome = Outcome()
    stop_at = 0.0

    def still() -> bytes | None:
        if time.perf_counter() >= stop_at:
            return None
        return following if isinstance(following, bytes) else following()

    peers: list[Peer] = await connect(target, lambda: Peer(still, outcome), clients)
    start = time.perf_counter()
    stop_at = start + seconds
    for peer in peers:
        peer.next()
    await asyncio.gather(*(p.closed for p in peers))
    outcome.elapsed = time.perf_counter() - start
    return outcome


async def paced(target: Target, following: Next, per_s: float, seconds: float, clients: int = 32) -> Outcome:
    """Requests at a steady pace, whatever the answers do, on a pool of connections."""
    outcome = Outcome()
    idle: list[Peer] = []

    class Pooled(Peer):
        def next(self) -> None:
            idle.append(self)

        def send(self, data: bytes) -> None:
            self.sent_at = time.perf_counter()
            self.transport.write(data)

    peers: list[Pooled] = await connect(target, lambda: Pooled(following, outcome), clients)
    idle.extend(peers)
    start = time.perf_counter()
    sent = missed = 0
    while (now := time.perf_counter() - start) < seconds:
        due = int(now * per_s) - sent
        for _ in range(due):
            sent += 1
            if not idle:
                missed += 1
                continue
            data = following()
            if data is not None:
                idle.pop().send(data)  # type: ignore[attr-defined]
        await asyncio.sleep(0.002)
    while len(idle) < clients:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    outcome.elapsed = time.perf_counter() - start
    for peer in peers:
        peer.transport.close()
    return outcome


async def fetch(target: Target, path: str) -> bytes:
    """One GET, the whole body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, ssl=target.context, limit=1 << 26)
    writer.write(request_bytes("GET", path).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    await reader.readuntil(b"\r\n\r\n")
    body = await reader.read()
    writer.close()
    return body


_REVISION = re.compile(rb'"type":"[A-Z]+","object":\{[^{]*"metadata":\{"resourceVersion":"(\d+)"')
_SENT = re.compile(rb'"sent":"([0-9.]+)"')


class Watching(asyncio.Protocol):
    """Counts the events of a watch; with ``checked`` their order and age too.

    An event's age is the time since its ``sent`` value (a reading of the monotonic clock, the same in all processes).
    """

    def __init__(self, path: str, checked: bool = False) -> None:
        self.path = path
        self.checked = checked
        self.count = 0
        self.rest = b""
        self.last = 0
        self.disordered = 0
        self.lags: list[float] = []
        self.lost = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(request_bytes("GET", self.path))

    def data_received(self, data: bytes) -> None:
        # Every event ends in "}\n"; the chunk's own line ends are "\r\n".
        if not self.checked:
            self.count += data.count(b"}\n")
            if self.rest and data[:1] == b"\n":
                self.count += 1
            self.rest = b"}" if data[-1:] == b"}" else b""
            return
        now = time.perf_counter()
        data = self.rest + data
        end = data.rfind(b"}\n") + 2
        if end < 2:
            self.rest = data
            return
        self.rest = data[end:]
        whole = data[:end]
        revisions = [int(r) for r in _REVISION.findall(whole)]
        self.count += len(revisions)
        for rev in revisions:
            if rev <= self.last:
                self.disordered += 1
            self.last = rev
        self.lags.extend(now - float(s) for s in _SENT.findall(whole))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
