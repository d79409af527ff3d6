"""The cluster's DNS server: UDP and TCP on the DNS Service's address, answers from the zone, the rest from upstream.

Each node answers its own pods: the address lives on the node's loopback interface, so no packet is translated.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence

from pelamis.dns.answer import Zone
from pelamis.dns.message import (
    FORMERR,
    IN,
    NOERROR,
    NOTIMP,
    REFUSED,
    SERVFAIL,
    Malformed,
    Question,
    Record,
    answers,
    encode_name,
    parse,
    response,
)

log = logging.getLogger(__name__)
_UPSTREAM_S = 2.0
"""How long one upstream server may take for an answer."""
_CACHE_S, _CACHE_SIZE = 30.0, 10_000
_TCP_IDLE_S = 10.0


def upstreams(resolv_conf: str, own: str) -> list[str]:
    """The nameservers of a resolv.conf, without ourselves."""
    words = [line.split() for line in resolv_conf.splitlines()]
    return [w[1] for w in words if len(w) > 1 and w[0] == "nameserver" and w[1] != own and "%" not in w[1]][:3]


class Upstream:
    """Asks other servers, in turn; answers are kept for at most 30 s, the same question is asked once at a time."""

    def __init__(self, servers: Sequence[str], clock: Callable[[], float]) -> None:
        self.servers = list(servers)
        self.clock = clock
        self.cache: OrderedDict[tuple[bytes, bool], tuple[float, bytes]] = OrderedDict()
        self.asking: dict[tuple[bytes, bool], asyncio.Future[bytes | None]] = {}

    async def ask(self, query: bytes, question: Question, tcp: bool) -> bytes | None:
        """The answer's bytes with our question's id; None when nobody answered."""
        key = (question.raw, tcp)
        kept = self.cache.get(key)
        if kept is not None and kept[0] > self.clock():
            return query[:2] + kept[1][2:]
        future = self.asking.get(key)
        if future is None:
            future = asyncio.ensure_future(self._fetch(query, tcp))
            self.asking[key] = future
            future.add_done_callback(lambda _: self.asking.pop(key, None))
        answer = await asyncio.shield(future)
        if answer is None:
            return None
        if answer[3] & 15 in (NOERROR, 3) and not answer[2] & 2:
            self.cache[key] = (self.clock() + _CACHE_S, answer)
            self.cache.move_to_end(key)
            while len(self.cache) > _CACHE_SIZE:
                self.cache.popitem(last=False)
        return query[:2] + answer[2:]

    async def _fetch(self, query: bytes, tcp: bool) -> bytes | None:
        for server in self.servers:
            try:
                async with asyncio.timeout(_UPSTREAM_S):
                    return await (_ask_tcp(server, query) if tcp else _ask_udp(server, query))
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                continue
        return None


class _One(asyncio.DatagramProtocol):
    def __init__(self, number: bytes) -> None:
        self.number = number
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] == self.number and len(data) >= 12 and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _ask_udp(server: str, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _One(query[:2]), remote_addr=(server, 53))
    try:
        transport.sendto(query)
        return await protocol.answer
    finally:
        transport.close()


async def _ask_tcp(server: str, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, 53)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        size = struct.unpack(">H", await reader.readexactly(2))[0]
        return await reader.readexactly(size)
    finally:
        writer.close()


class Server:
    """``start`` binds; ``stop`` closes. ``serial`` gives the zone's serial number (the views' revision)."""

    def __init__(self, zone: Zone, upstream: Upstream) -> None:
        self.zone = zone
        self.upstream = upstream
        self.udp: asyncio.DatagramTransport | None = None
        self.tcp: asyncio.Server | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int = 53) -> None:
        loop = asyncio.get_running_loop()
        self.udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(address, port))
        if port == 0:
            port = self.udp.get_extra_info("sockname")[1]
        self.tcp = await asyncio.start_server(self._serve_tcp, address, port)

    async def stop(self) -> None:
        if self.udp:
            self.udp.close()
        if self.tcp:
            self.tcp.close()
        for task in list(self.tasks):
            task.cancel()

    def local(self, question: Question, limit: int) -> bytes | None:
        """The answer that needs nobody else, None when upstream must be asked."""
        if question.opcode:
            return response(question, NOTIMP, authoritative=False, limit=limit)
        if question.klass != IN:
            return response(question, REFUSED, authoritative=False, limit=limit)
        answer = self.zone.answer(question.name, question.type)
        if answer is None or answer.chase:
            return None
        authority = () if answer.answers else (self.zone.soa(self.zone.services.revision & 0xFFFFFFFF),)
        return response(question, answer.code, answer.answers, authority, answer.extra, limit=limit)

    async def remote(self, query: bytes, question: Question, tcp: bool, limit: int) -> bytes:
        answer = self.zone.answer(question.name, question.type)
        if answer is None:
            found = await self.upstream.ask(query, question, tcp) if self.upstream.servers else None
            return found or response(question, SERVFAIL, authoritative=False, limit=limit)
        chased = await self._chase(answer.chase, question, tcp)
        return response(question, answer.code, (*answer.answers, *chased), limit=limit)

    async def _chase(self, name: str, question: Question, tcp: bool) -> tuple[Record, ...]:
        """The records of an ExternalName's target: stub resolvers do not follow an alias by themselves."""
        own = self.zone.answer(name, question.type)
        if own is not None:
            return own.answers
        if not self.upstream.servers:
            return ()
        query = struct.pack(">6H", question.id, 0x0100, 1, 0, 0, 0)
        query += encode_name(name) + struct.pack(">2H", question.type, IN)
        found = await self.upstream.ask(query, parse(query), tcp)
        try:
            return answers(found) if found else ()
        except Malformed:
            return ()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(_TCP_IDLE_S):
                    size = struct.unpack(">H", await reader.readexactly(2))[0]
                    query = await reader.readexactly(size)
                try:
                    question = parse(query)
                except Malformed:
                    return
                answer = self.local(question, 65535) or await self.remote(query, question, True, 65535)
                writer.write(struct.pack(">H", len(answer)) + answer)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        try:
            question = parse(data)
        except Malformed:
            if len(data) >= 12 and not data[2] & 0x80:
                self.transport.sendto(data[:2] + struct.pack(">5H", 0x8000 | FORMERR, 0, 0, 0, 0), addr)
            return
        answer = self.server.local(question, question.payload)
        if answer is not None:
            self.transport.sendto(answer, addr)
            return
        task = asyncio.ensure_future(self._later(data, question, addr))
        self.server.tasks.add(task)
        task.add_done_callback(self.server.tasks.discard)

    async def _later(self, data: bytes, question: Question, addr: tuple[str, int]) -> None:
        answer = await self.server.remote(data, question, False, question.payload)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(answer, addr)
