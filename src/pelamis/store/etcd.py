"""etcd v3 as the store: the same keys as upstream, shared with other API servers, upstream's ones included.

Each op is a transaction of its own, so each write has its own revision, as upstream's have: a watch that goes on after
revision N must not have missed another change of the same N. What is gained by writing together is gained below, where
all calls of one turn of the loop leave in one packet (``etcdconn``). One watch over all keys feeds the sinks; a commit
is answered when that watch has passed its revision, so whoever got a reply finds it in every view. The watch covers
keys of others too (they only advance the revision), so every revision is heard of and none has to be asked for.

When the connection breaks, or the member behind it has lost its leader, it goes on at the next endpoint, from the
revision after the last one seen. When what lies between has been compacted away by others, the events are lost: each
subscriber is told (``lost``) and reads anew.

What a broken connection leaves unknown is said so: the write raises Unavailable and is not repeated, for it may have
happened. Writes that were certainly not sent, and reads, are repeated.

Keys that expire get a lease; keys written within a short time share one, as in upstream, because a lease costs etcd
more than a key.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import ssl as tls
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar
from urllib.parse import urlsplit

from pelamis.store import etcdconn
from pelamis.store import etcdwire as wire
from pelamis.store.etcdconn import Connection, Lost, NotSent, RpcError, connect
from pelamis.store.feed import Feed
from pelamis.store.types import (
    Closed,
    Compacted,
    Done,
    Event,
    Item,
    Missed,
    OnLost,
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

ATTEMPTS = 4
RETRY_S = 0.2
PAGE = 2_000
"""Items asked for at once by a range without a limit."""
PARALLEL = 512
LEASE_KEYS = 1_000
LEASE_SHARE_S = 60
"""Keys with the same life share a lease for so long, or for a twentieth of their life if that is less."""

_ALL = b"\0"
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Login:
    """A user of etcd's own authentication."""

    user: str
    password: str


_HUNG_UP = ("closed the connection", "connection is closed", "connection broke", "reset by peer", "ConnectionReset")
"""What is seen of a peer that is there but does not like what it hears."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "record layer", "Aborted", *_HUNG_UP)


class EtcdStore:
    """endpoints: ``http://host:port`` or ``https://host:port``; ssl: the context for the latter."""

    def __init__(self, endpoints: Sequence[str], ssl: tls.SSLContext | None = None, login: Login | None = None) -> None:
        if not endpoints:
            raise ValueError("no endpoint of etcd was given")
        self._endpoints = list(endpoints)
        self._ssl = ssl
        self._login = login
        self._at = 0
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._feed = Feed(self._past, 1)
        self._waiting: list[tuple[int, int, asyncio.Future[bytes], bytes]] = []
        """A heap: revision, order of arrival, who waits for it, and the answer it then gets."""
        self._arrivals = count()
        self._watcher: asyncio.Task[None] | None = None
        self._compacted = 0
        self._leases: dict[int, tuple[int, float, int]] = {}
        self._asked: asyncio.Task[int] | None = None
        self._next_ask: asyncio.Task[int] | None = None
        self._slots = asyncio.Semaphore(PARALLEL)
        self._failed = "the store is not open"
        self.trouble = ""

    # Life

    async def open(self) -> None:
        self._failed = ""
        try:
            rev = await self.current_rev()
            if rev > 1:
                # A watch from the beginning either brings events or is refused with the last compacted revision.
                await self._watch(1, lambda answer: True)
        except Compacted as error:
            self._compacted = error.oldest
        except (Unavailable, Lost, RpcError) as error:
            await self._shut("the store is not open")
            raise Unusable(self._unreachable(error)) from error
        self._feed.rev = rev
        self._watcher = asyncio.get_running_loop().create_task(self._watch_forever(), name="watch of etcd")

    def _unreachable(self, error: Exception) -> str:
        text = str(error)
        advice = "Check that it runs, and the addresses and files given with --datastore"
        if "CERTIFICATE_VERIFY_FAILED" in text:
            advice = "Its certificate is not signed by the CA given: name the right file with --datastore-ca"
        elif "certificate required" in text or "bad certificate" in text:
            advice = "It wants a client certificate: name one with --datastore-cert and --datastore-key"
        elif any(sign in text for sign in _NO_TLS) and any(e.startswith("https://") for e in self._endpoints):
            advice = "It may not speak TLS: try http:// in --datastore"
        elif any(sign in text for sign in _HUNG_UP) and any(e.startswith("http://") for e in self._endpoints):
            advice = "It may want TLS: try https:// in --datastore, with --datastore-ca"
        elif "authentication failed" in text or "user name is empty" in text:
            advice = "Name a user that may log in with --datastore-user and --datastore-password-file"
        return f"etcd cannot be used at {', '.join(self._endpoints)}: {text}. {advice}."

    async def close(self) -> None:
        self._fail("the store is closed")
        self._feed.close()
        await self._shut("the store is closed")

    async def _shut(self, why: str) -> None:
        self._failed = why
        tasks = [t for t in (self._watcher, self._connecting) if t is not None]
        self._watcher = self._connecting = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def rev(self) -> int:
        return self._feed.rev

    def _fail(self, why: str) -> None:
        self._failed = self._failed or why
        waiting, self._waiting = self._waiting, []
        for _, _, future, _ in waiting:
            if not future.done():
                future.set_exception(Closed(self._failed))

    # Writing

    async def commit(self, ops: Sequence[Op]) -> list[Done | Missed]:
        if self._failed:
            raise Closed(self._failed)
        if len(ops) == 1:
            return [await self._write(ops[0])]
        answers: list[Done | Missed | None] = [None] * len(ops)
        chains: dict[str, list[int]] = {}
        for i, op in enumerate(ops):
            chains.setdefault(op.key, []).append(i)

        async def follow(chain: list[int]) -> None:
            for i in chain:
                async with self._slots:
                    answers[i] = await self._write(ops[i])

        if len(chains) == 1:
            await follow(next(iter(chains.values())))
        else:
            results = await asyncio.gather(*(follow(c) for c in chains.values()), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        return [answer for answer in answers if answer is not None]

    async def _write(self, op: Op) -> Done | Missed:
        key = _encoded(op.key)
        if isinstance(op, Put):
            lease = await self._lease(op.ttl_s) if op.ttl_s else 0
            if op.expect is not None:
                return self._outcome(await self._write_call(wire.put_request(key, op.value, op.expect, lease)))
            success = wire.op_put(key, op.value, lease)
            condition = wire.compare(key, wire.EQUAL, mod_rev=op.expect) if op.expect is not None else b""
        else:
            success = wire.op_delete(key)
            if op.expect is None:
                condition = wire.compare(key, wire.NOT_EQUAL)
            else:
                condition = wire.compare(key, wire.EQUAL, mod_rev=op.expect)
        request = wire.txn_request(condition, success, wire.op_range(key) if condition else b"")
        return self._outcome(await self._write_call(request))

    @staticmethod
    def _outcome(data: bytes) -> Done | Missed:
        answer = wire.read_txn(data)
        return Done(answer.rev) if answer.succeeded else Missed(answer.current)

    async def _write_call(self, request: bytes) -> bytes:
        attempt = 0
        while True:
            attempt += 1
            connection = self._connection
            try:
                if connection is None or not connection.usable:
                    connection = await self._connected()
                return await connection.call(wire.TXN, request, self._when_seen)
            except RpcError as error:
                if error.code == etcdconn.UNAUTHENTICATED and attempt < ATTEMPTS:
                    self._abandon(connection)  # refused before anything was done: log in again
                    continue
                if error.code == etcdconn.UNAVAILABLE:
                    self._abandon(connection)
                raise _refusal(error) from error
            except NotSent as error:
                if attempt >= ATTEMPTS:
                    raise Unavailable(f"etcd cannot be reached: {error}") from error
            except Lost as error:
                self._abandon(connection)
                raise Unavailable(f"etcd did not answer: {error}") from error
            await asyncio.sleep(RETRY_S * (attempt - 1))

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
        """Who asks while a question is out shares the next one, which is put when that one is answered."""
        self._check(0)
        task = self._next_ask
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(self._asked), name="newest revision of etcd")
            self._next_ask = task
        return await asyncio.shield(task)

    async def _ask(self, before: asyncio.Task[int] | None) -> int:
        if before is not None and not before.done():
            await asyncio.wait((before,))
        self._asked, self._next_ask = self._next_ask, None
        return (await self._read(wire.RANGE, wire.range_request(_ALL, count_only=True), wire.read_range)).rev

    def watch(self, prefix: str, from_rev: int, sink: Sink, lost: OnLost | None = None) -> Subscription:
        self._check(0)
        if from_rev <= self._compacted:
            raise Compacted(from_rev, self._compacted)
        return self._feed.watch(prefix, from_rev, sink, lost)

    def _check(self, rev: int) -> None:
        if self._failed:
            raise Closed(self._failed)
        if rev and rev < self._compacted:
            raise Compacted(rev, self._compacted)

    async def _past(self, first: int, last: int) -> Sequence[Event]:
        events: list[Event] = []

        def heard(answer: wire.WatchAnswer) -> bool:
            events.extend(answer.events)
            return bool(events) and (events[-1].rev >= last or len(events) >= PAGE)

        while not events and not self._failed:
            try:
                await self._watch(first, heard)
            except (Lost, RpcError):
                await asyncio.sleep(RETRY_S)
        return events

    # The watch that feeds everything

    async def _watch_forever(self) -> None:
        said = ""
        while not self._failed:
            try:
                await self._watch(self._feed.rev + 1, self._follow)
            except Compacted as error:
                log.warning("etcd was compacted at %d, past what this server has seen: reading anew", error.oldest)
                await self._lose()
                continue
            except (Lost, RpcError) as error:
                self.trouble = f"etcd at {self._endpoints[self._at]}: {error}"
                if self.trouble != said:
                    log.warning("the watch of %s", self.trouble)
                    said = self.trouble
            except Exception:
                log.exception("the watch of etcd failed")
            await asyncio.sleep(RETRY_S)

    def _follow(self, answer: wire.WatchAnswer) -> bool:
        self.trouble = ""
        self._heard(answer)
        return bool(self._failed)

    async def _lose(self) -> None:
        """What lies between what was seen and now cannot be had any more."""
        try:
            rev = await self.current_rev()
        except (Closed, Unavailable, StoreFull, Compacted):
            await asyncio.sleep(RETRY_S)
            return
        self._compacted = max(self._compacted, self._feed.rev + 1)
        self._feed.lose(rev)
        self._settle(rev)

    def _heard(self, answer: wire.WatchAnswer) -> None:
        if not answer.events:
            return
        rev = answer.events[-1].rev
        self._feed.publish(answer.events, rev)
        self._settle(rev)

    def _settle(self, rev: int) -> None:
        waiting = self._waiting
        while waiting and waiting[0][0] <= rev:
            _, _, future, answer = heapq.heappop(waiting)
            if not future.done():
                future.set_result(answer)

    def _when_seen(self, answer: bytes, future: asyncio.Future[bytes]) -> None:
        """The answer of a transaction is given when the watch has passed its revision."""
        rev = wire.answer_rev(answer)
        if rev <= self._feed.rev:
            future.set_result(answer)
        elif self._failed:
            future.set_exception(Closed(self._failed))
        else:
            heapq.heappush(self._waiting, (rev, next(self._arrivals), future, answer))

    async def _watch(self, from_rev: int, heard: Callable[[wire.WatchAnswer], bool]) -> None:
        """Until ``heard`` says that it is enough. Raises Compacted, Lost, RpcError."""
        connection = await self._connected()

        def on_message(data: bytes) -> None:
            if call.ended.done():
                return
            answer = wire.read_watch(data)
            if answer.canceled:
                if answer.compacted:
                    raise Compacted(from_rev, answer.compacted)
                raise Lost(answer.reason or "etcd ended the watch")
            if heard(answer):
                call.ended.set_result(b"")

        call = connection.stream(wire.WATCH, on_message)
        try:
            call.send(wire.watch_request(_ALL, _ALL, from_rev))
            await call.ended
        except (Lost, RpcError):
            self._abandon(connection)
            raise
        finally:
            call.cancel()

    # Calls

    async def _read(self, method: str, request: bytes, read: Callable[[bytes], R], rev: int = 0) -> R:
        for attempt in range(ATTEMPTS):
            connection = None
            try:
                connection = await self._connected()
                return read(await connection.call(method, request))
            except RpcError as error:
                again = error.code in (etcdconn.UNAVAILABLE, etcdconn.UNAUTHENTICATED)
                if not again or attempt == ATTEMPTS - 1:
                    raise _refusal(error, rev, self._compacted) from error
                self._abandon(connection)
            except Lost as error:
                if attempt == ATTEMPTS - 1:
                    raise Unavailable(f"etcd did not answer: {error}") from error
                self._abandon(connection)
            await asyncio.sleep(RETRY_S * attempt)
        raise AssertionError("unreachable")

    async def _connected(self) -> Connection:
        """The connection, made if there is none. Raises NotSent, RpcError."""
        connection = self._connection
        if connection is not None and connection.usable:
            return connection
        if self._failed:
            raise NotSent(self._failed)
        task = self._connecting
        if task is None or task.done():
            task = self._connecting = asyncio.get_running_loop().create_task(self._connect(), name="connection to etcd")
        return await asyncio.shield(task)

    async def _connect(self) -> Connection:
        """The first endpoint that answers, from the present one on."""
        problems: list[str] = []
        for step in range(len(self._endpoints)):
            at = (self._at + step) % len(self._endpoints)
            parts = urlsplit(self._endpoints[at])
            try:
                secure = self._secure() if parts.scheme == "https" else None
                connection = await connect(parts.hostname or "", parts.port or 2379, secure)
                if self._login is not None:
                    request = wire.authenticate_request(self._login.user, self._login.password)
                    connection.token = wire.read_token(await connection.call(wire.AUTHENTICATE, request))
            except (OSError, TimeoutError, Lost) as error:
                problems.append(_why(error))
                continue
            self._at = at
            if self._connection is not None:
                self._connection.retire()
            self._connection = connection
            return connection
        raise NotSent("; ".join(dict.fromkeys(problems)))

    def _secure(self) -> tls.SSLContext:
        if self._ssl is None:
            self._ssl = tls.create_default_context()
        self._ssl.set_alpn_protocols(["h2"])
        return self._ssl

    def _abandon(self, connection: Connection | None) -> None:
        """Take the next endpoint from now on; what is under way at this one may end."""
        if connection is None or connection is not self._connection:
            return
        self._connection = None
        self._at = (self._at + 1) % len(self._endpoints)
        connection.retire()


def _why(error: Exception) -> str:
    if isinstance(error, tls.SSLCertVerificationError):
        return f"CERTIFICATE_VERIFY_FAILED: {error.verify_message}"
    if isinstance(error, TimeoutError) and not str(error):
        return "it did not answer in time"
    return str(error) or type(error).__name__


def _refusal(error: RpcError, rev: int = 0, compacted: int = 0) -> Exception:
    if error.code == etcdconn.OUT_OF_RANGE and "compacted" in error.message:
        return Compacted(rev, max(compacted, rev + 1))
    if error.code == etcdconn.RESOURCE_EXHAUSTED and "space exceeded" in error.message:
        return StoreFull(f"etcd is full ({error}): compact and defragment it, or raise its quota")
    return Unavailable(f"etcd refused: {error}")


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _end(prefix: str) -> bytes:
    """The smallest key greater than everything that starts with ``prefix``; all keys for the empty one."""
    data = _encoded(prefix)
    return data[:-1] + bytes((data[-1] + 1,)) if data else _ALL
