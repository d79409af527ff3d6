"""Keeps a Collection equal to what a server has: one list, then a watch for ever.

The watch resumes from the newest revision that was seen, so a lost connection costs nothing but time. When the server
no longer knows that revision (410), the list is made again and the collection tells its subscribers the difference.
Bookmarks advance the revision while nothing happens. After a failure it waits, twice as long each time up to 30 s, with
jitter from the entropy given, so that a thousand clients do not come back together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol

import msgspec

from pelamis.api.kind import Kind
from pelamis.base.errors import StatusError, from_status, is_reason
from pelamis.cache.collection import Progress

log = logging.getLogger(__name__)

FIRST_BACK_OFF_S = 0.2
MAX_BACK_OFF_S = 30.0
CALM_S = 1.0
"""A watch that lasted so long makes the next failure the first one: a server that was started anew is soon found."""
WATCH_S = 300.0
"""The server is asked to end a watch after one to two times this."""


class _Meta(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""


class _Head(msgspec.Struct, frozen=True, gc=False):
    metadata: _Meta = _Meta()


class Line(msgspec.Struct, frozen=True, gc=False):
    """One event of a watch, its object still undecoded."""

    type: str
    object: msgspec.Raw


class Listed(msgspec.Struct, frozen=True, gc=False):
    items: tuple[msgspec.Raw, ...] | None = None
    metadata: _Meta = _Meta()


head_of = msgspec.json.Decoder(_Head).decode
line_of = msgspec.json.Decoder(Line).decode
listed_of = msgspec.json.Decoder(Listed).decode


def rev_of(text: str) -> int:
    """Revisions are opaque to clients by contract, and numbers in fact; anything else counts as 0."""
    return int(text) if text.isdigit() else 0


class Source(Protocol):
    """Where the objects come from."""

    async def list_raw(self) -> bytes:
        """The bytes of the whole list. Raises StatusError, OSError."""
        ...

    def watch_raw(self, rev: str, timeout_s: int) -> AsyncIterator[bytes]:
        """The lines of a watch from after ``rev``. Raises StatusError, OSError; ends when the server ends it."""
        ...


class Sink(Protocol):
    """What is kept equal: a ``Collection``, or what takes its place. Bytes are those that the server sent."""

    kind: Kind
    progress: Progress

    def replace(self, found: Iterable[tuple[str, str, int, bytes]], rev: int) -> None:
        """Everything that there is at ``rev``: (namespace, name, rev, data)."""
        ...

    def apply_served(self, type: str, namespace: str, name: str, rev: int, data: bytes) -> None:
        """One event of a watch."""
        ...


class Reflector:
    """entropy() gives numbers in [0, 1)."""

    def __init__(
        self,
        collection: Sink,
        source: Source,
        *,
        entropy: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self.collection = collection
        self._source = source
        self._entropy = entropy
        self._sleep = sleep
        self._rev = ""

    @property
    def kind(self) -> Kind:
        return self.collection.kind

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        wait = FIRST_BACK_OFF_S
        while True:
            started = loop.time()
            try:
                if not self._rev:
                    await self._list()
                progressed = await self._watch()
            except (StatusError, OSError, EOFError, msgspec.MsgspecError) as error:
                if is_reason(error, "Expired") or is_reason(error, "Gone") or getattr(error, "code", 0) == 410:
                    self._rev = ""
                    if loop.time() - started > 1.0:
                        continue
                # What passes within a second or two is no news: a server that has just started allows little at first.
                level = logging.DEBUG if isinstance(error, OSError | EOFError) or wait < CALM_S else logging.WARNING
                log.log(level, "list and watch of %s: %s", self.kind.resource, error)
            else:
                if progressed or loop.time() - started > 1.0:
                    wait = FIRST_BACK_OFF_S
                    continue
            if loop.time() - started > CALM_S:
                wait = FIRST_BACK_OFF_S
            await self._sleep(wait * (1.0 + self._entropy()))
            wait = min(wait * 2, MAX_BACK_OFF_S)

    async def _list(self) -> None:
        data = await self._source.list_raw()
        listed = listed_of(data)
        found = []
        for raw in listed.items or ():
            # A copy: the raw value is a slice that would keep the whole list alive.
            item = bytes(raw)
            meta = head_of(item).metadata
            found.append((meta.namespace, meta.name, rev_of(meta.resourceVersion), item))
        self._rev = listed.metadata.resourceVersion
        self.collection.replace(found, rev_of(self._rev))

    async def _watch(self) -> bool:
        """True when anything came."""
        came = False
        timeout_s = int(WATCH_S * (1.0 + self._entropy()))
        async for text in self._source.watch_raw(self._rev, timeout_s):
            if not text.strip():
                continue
            line = line_of(text)
            if line.type == "ERROR":
                raise from_status(msgspec.json.decode(line.object))
            item = bytes(line.object)
            meta = head_of(item).metadata
            rev = rev_of(meta.resourceVersion)
            came = True
            if line.type == "BOOKMARK":
                self.collection.progress.advance(rev)
            else:
                self.collection.apply_served(line.type, meta.namespace, meta.name, rev, item)
            self._rev = meta.resourceVersion
        return came
