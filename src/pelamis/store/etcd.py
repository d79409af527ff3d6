"""etcd v3 as the store: the same keys as upstream, shared with other API servers, upstream's ones included.

Each op is a transaction of its own, so each write has its own revision, as upstream's have. One watch over all keys
feeds the sinks; a commit is answered when that watch has passed its revision, so whoever got a reply finds it in every
view.
The watch covers keys of others too (they only advance the revision), so every revision is heard of and none has to be
asked for. When the connection breaks it goes on at the next endpoint, from the revision after the last one seen.

What a broken connection leaves unknown is said so: the write raises Unavailable and is not repeated, for it may have
happened. Reads are repeated.

Keys that expire get a lease; keys written within a short time share one, as in upstream, because a lease costs etcd
more than a key.
"""

from __future__ import annotations

import asyncio
import logging
import ssl as tls
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from grpclib.client import Channel
from grpclib.const import Cardinality, Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, StreamTerminatedError

from pelamis.store import etcdwire as wire
from pelamis.store.feed import Feed
from pelamis.store.types import (
    Closed,
    Compacted,
    Done,
    Event,
    Item,
    Missed,
    Op,
    Page,
    Put,
    Sink,
    StoreFull,
    Subscription,
    Unavailable,
    Unusable,
)

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
READ_ATTEMPTS = 4
RETRY_S = 0.2
PAGE = 2_000
"""Items asked for at once by a range without a limit."""
PARALLEL = 128
LEASE_KEYS = 1_000
LEASE_SHARE_S = 60
"""Keys with the same life share a lease for so long, or for a twentieth of their life if that is less."""

_ALL = b"\0"
R = TypeVar("R")
_BROKEN = (StreamTerminatedError, OSError, TimeoutError)


class _Bytes(CodecBase):
    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


class EtcdStore:
    """endpoints: ``http://host:port`` or ``https://host:port``; ssl: the context for the latter."""

    def __init__(self, endpoints: Sequence[str], ssl: tls.SSLContext | None = None) -> None:
        if not endpoints:
            raise ValueError("no endpoint of etcd was given")
        self._endpoints = list(endpoints)
        self._ssl = ssl
        self._at = 0
        self._channel: Channel | None = None
        self._channel_at = -1
        self._feed = Feed(self._past, 1)
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._compacted = 0
        self._leases: dict[int, tuple[int, float, int]] = {}
        self._slots = asyncio.Semaphore(PARALLEL)
        self._failed = "the store is not open"

    # Life

    async def open(self) -> None:
        self._failed = ""
        try:
            rev = (await self._read(wire.RANGE, wire.range_request(_ALL, count_only=True), wire.read_range)).rev
            if rev > 1:
                # A watch from the beginning either brings events or is refused with the last compacted revision.
                async with asyncio.timeout(REQUEST_TIMEOUT_S), self._watching(1) as answers:
                    async for answer in answers:
                        if answer.events or answer.canceled:
                            self._compacted = answer.compacted
                            break
        except (Unavailable, *_BROKEN, GRPCError) as error:
            self._failed = "the store is not open"
            raise Unusable(
                f"etcd cannot be reached at {', '.join(self._endpoints)}: {error}. "
                "Check that it runs, and the address, certificates and keys given with --datastore."
            ) from error
        self._feed.rev = rev
        self._watcher = asyncio.get_running_loop().create_task(self._watch_forever(), name="watch of etcd")

    async def close(self) -> None:
        self._fail("the store is closed")
        self._feed.close()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        self._drop_channel()

    @property
    def rev(self) -> int:
        return self._feed.rev

    def _fail(self, why: str) -> None:
        self._failed = self._failed or why
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(Closed(self._failed))

    # Writing

    async def commit(self, ops: Sequence[Op]) -> list[Done | Missed]:
        if self._failed:
            raise Closed(self._failed)
        answers: list[Done | Missed | None] = [None] * len(ops)
        chains: dict[str, list[int]] = {}
        for i, op in enumerate(ops):
            chains.setdefault(op.key, []).append(i)

        async def follow(chain: list[int]) -> None:
            for i in chain:
                answers[i] = await self._write(ops[i])

        if len(chains) == 1:
            await follow(next(iter(chains.values())))
        else:
            results = await asyncio.gather(*(follow(c) for c in chains.values()), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        await self._reached(max((a.rev for a in answers if isinstance(a, Done)), default=0))
        return [answer for answer in answers if answer is not None]

    async def _write(self, op: Op) -> Done | Missed:
        key = _encoded(op.key)
        if isinstance(op, Put):
            lease = await self._lease(op.ttl_s) if op.ttl_s else 0
            success = wire.op_put(key, op.value, lease)
            condition = wire.compare(key, wire.EQUAL, mod_rev=op.expect) if op.expect is not None else b""
        else:
            success = wire.op_delete(key)
            if op.expect is None:
                condition = wire.compare(key, wire.NOT_EQUAL)
            else:
                condition = wire.compare(key, wire.EQUAL, mod_rev=op.expect)
        request = wire.txn_request(condition, success, wire.op_range(key) if condition else b"")
        async with self._slots:
            try:
                answer = wire.read_txn(await self._call(wire.TXN, request))
            except GRPCError as error:
                raise _refusal(error) from error
            except _BROKEN as error:
                self._next_endpoint()
                raise Unavailable(f"etcd did not answer: {error or type(error).__name__}") from error
        return Done(answer.rev) if answer.succeeded else Missed(answer.current)

    async def _lease(self, ttl_s: int) -> int:
        now = asyncio.get_running_loop().time()
        lease, until, used = self._leases.get(ttl_s, (0, 0.0, 0))
        if not lease or now >= until or used >= LEASE_KEYS:
            share = min(LEASE_SHARE_S, ttl_s // 20)
            lease, used = await self._read(wire.LEASE_GRANT, wire.lease_request(ttl_s + share), wire.read_lease), 0
            until = now + share
        self._leases[ttl_s] = (lease, until, used + 1)
        return lease

    async def compact(self, rev: int) -> None:
        if self._failed:
            raise Closed(self._failed)
        rev = min(rev, self._feed.rev)
        if rev <= self._compacted:
            return
        await self._feed.caught_up()
        try:
            await self._read(wire.COMPACT, wire.compact_request(rev), len)
        except Compacted:
            pass  # another server was faster
        self._compacted = max(self._compacted, rev)

    # Reading

    async def get(self, key: str, rev: int = 0) -> Item | None:
        self._check(rev)
        found = await self._read(wire.RANGE, wire.range_request(_encoded(key), rev=rev), wire.read_range, rev)
        return found.items[0] if found.items else None

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, rev: int = 0) -> Page:
        self._check(rev)
        end = _end(prefix)
        items: list[Item] = []
        while True:
            start = max(_encoded(after) + b"\0" if after else b"", _encoded(prefix) or _ALL)
            request = wire.range_request(start, end, limit=limit or PAGE, rev=rev)
            found = await self._read(wire.RANGE, request, wire.read_range, rev)
            rev = rev or found.rev
            items += found.items
            if limit or not found.more:
                return Page(items, rev, found.more, max(found.total - len(found.items), 0))
            after = found.items[-1].key

    async def current_rev(self) -> int:
        self._check(0)
        return (await self._read(wire.RANGE, wire.range_request(_ALL, count_only=True), wire.read_range)).rev

    def watch(self, prefix: str, from_rev: int, sink: Sink) -> Subscription:
        self._check(0)
        if from_rev <= self._compacted:
            raise Compacted(from_rev, self._compacted)
        return self._feed.watch(prefix, from_rev, sink)

    def _check(self, rev: int) -> None:
        if self._failed:
            raise Closed(self._failed)
        if rev and rev < self._compacted:
            raise Compacted(rev, self._compacted)

    async def _past(self, first: int, last: int) -> Sequence[Event]:
        events: list[Event] = []
        while not events and not self._failed:
            try:
                async with self._watching(first) as answers:
                    async for answer in answers:
                        if answer.canceled:
                            raise Compacted(first, answer.compacted)
                        events += answer.events
                        if events and (events[-1].rev >= last or len(events) >= PAGE):
                            break
            except (*_BROKEN, GRPCError):
                await asyncio.sleep(RETRY_S)
        return events

    # The watch that feeds everything

    async def _watch_forever(self) -> None:
        while not self._failed:
            try:
                async with self._watching(self._feed.rev + 1) as answers:
                    async for answer in answers:
                        if answer.canceled:
                            if answer.compacted:
                                self._fail("etcd was compacted past what this server has seen: start it again")
                                log.error("%s", self._failed)
                                return
                            break
                        self._heard(answer)
            except (*_BROKEN, GRPCError) as error:
                log.warning("the watch of etcd at %s broke: %s", self._endpoints[self._at], error)
            self._next_endpoint()
            await asyncio.sleep(RETRY_S)

    def _heard(self, answer: wire.WatchAnswer) -> None:
        if not answer.events:
            return
        rev = answer.events[-1].rev
        self._feed.publish(answer.events, rev)
        late: list[tuple[int, asyncio.Future[None]]] = []
        for wanted, future in self._waiting:
            if wanted > rev:
                late.append((wanted, future))
            elif not future.done():
                future.set_result(None)
        self._waiting = late

    async def _reached(self, rev: int) -> None:
        if rev > self._feed.rev:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((rev, future))
            await future

    @asynccontextmanager
    async def _watching(self, from_rev: int) -> AsyncIterator[AsyncIterator[wire.WatchAnswer]]:
        async with self._open_channel().request(wire.WATCH, Cardinality.STREAM_STREAM, bytes, bytes) as stream:
            await stream.send_message(wire.watch_request(_ALL, _ALL, from_rev))

            async def answers() -> AsyncIterator[wire.WatchAnswer]:
                while (data := await stream.recv_message()) is not None:
                    answer = wire.read_watch(data)
                    yield answer

            yield answers()
            await stream.cancel()

    # Calls

    async def _read(self, method: str, request: bytes, read: Callable[[bytes], R], rev: int = 0) -> R:
        for attempt in range(READ_ATTEMPTS):
            try:
                return read(await self._call(method, request))
            except GRPCError as error:
                if error.status is not Status.UNAVAILABLE or attempt == READ_ATTEMPTS - 1:
                    raise _refusal(error, rev, self._compacted) from error
            except _BROKEN as error:
                if attempt == READ_ATTEMPTS - 1:
                    raise Unavailable(f"etcd did not answer: {error or type(error).__name__}") from error
            self._next_endpoint()
            await asyncio.sleep(RETRY_S * attempt)
        raise AssertionError("unreachable")

    async def _call(self, method: str, request: bytes) -> bytes:
        channel = self._open_channel()
        async with channel.request(method, Cardinality.UNARY_UNARY, bytes, bytes, timeout=REQUEST_TIMEOUT_S) as stream:
            await stream.send_message(request, end=True)
            answer = await stream.recv_message()
        return answer or b""

    def _open_channel(self) -> Channel:
        if self._channel is None or self._channel_at != self._at:
            self._drop_channel()
            parts = urlsplit(self._endpoints[self._at])
            secure: Any = (self._ssl or True) if parts.scheme == "https" else None
            self._channel = Channel(parts.hostname, parts.port or 2379, ssl=secure, codec=_Bytes())
            self._channel_at = self._at
        return self._channel

    def _drop_channel(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _next_endpoint(self) -> None:
        if len(self._endpoints) > 1:
            self._at = (self._channel_at + 1) % len(self._endpoints)


def _refusal(error: GRPCError, rev: int = 0, compacted: int = 0) -> Exception:
    text = error.message or error.status.name
    if error.status is Status.OUT_OF_RANGE and "compacted" in text:
        return Compacted(rev, max(compacted, rev + 1))
    if error.status is Status.RESOURCE_EXHAUSTED and "space exceeded" in text:
        return StoreFull(f"etcd is full ({text}): compact and defragment it, or raise its quota")
    return Unavailable(f"etcd refused: {text}")


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _end(prefix: str) -> bytes:
    """The smallest key greater than everything that starts with ``prefix``; all keys for the empty one."""
    data = _encoded(prefix)
    return data[:-1] + bytes((data[-1] + 1,)) if data else _ALL
