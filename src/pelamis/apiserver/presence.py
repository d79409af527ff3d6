"""Which servers share the store: each keeps a key that expires, and the Service ``kubernetes`` leads to all of them.

The keys and times are upstream's: ``/registry/masterleases/<address>``, 15 s of life, written anew every 10 s. The
end of one is an event of the store like any other, so a server that was killed leaves the endpoints when its key does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from pelamis.base.errors import StatusError
from pelamis.store.types import Closed, Compacted, Delete, Event, Put, Store, StoreFull, Subscription, Unavailable

log = logging.getLogger("pelamis.apiserver")
PREFIX = "/registry/masterleases/"
TTL_S = 15
RENEW_S = 10.0
_DOWN = (Unavailable, StoreFull, Closed, Compacted, StatusError)


class Presence:
    """changed: brings the endpoints in line with ``addresses``."""

    def __init__(self, store: Store, address: str, changed: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._address = address
        self._changed = changed
        self._wake = asyncio.Event()
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self.addresses: set[str] = set()

    async def start(self) -> None:
        await self._put()
        await self._read()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="presence")

    async def stop(self) -> None:
        """Gone at once, rather than when the key expires."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        if self._subscription is not None:
            self._subscription.cancel()
        self.addresses.discard(self._address)
        try:
            await self._store.commit([Delete(PREFIX + self._address)])
        except _DOWN as error:
            log.info("the key of this server is left to expire: %s", error)

    async def _put(self) -> None:
        value = {
            "kind": "Endpoints",
            "apiVersion": "v1",
            "metadata": {},
            "subsets": [{"addresses": [{"ip": self._address}]}],
        }
        await self._store.commit([Put(PREFIX + self._address, msgspec.json.encode(value), ttl_s=TTL_S)])

    async def _read(self) -> None:
        page = await self._store.range(PREFIX)
        self.addresses = {item.key.removeprefix(PREFIX) for item in page.items}
        self._subscription = self._store.watch(PREFIX, page.rev + 1, self._seen, self._lost)

    def _seen(self, events: Sequence[Event]) -> None:
        before = set(self.addresses)
        for event in events:
            address = event.key.removeprefix(PREFIX)
            if event.value is None:
                self.addresses.discard(address)
            else:
                self.addresses.add(address)
        if self.addresses != before:
            self._wake.set()

    def _lost(self) -> None:
        self._subscription = None
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + RENEW_S
        while True:
            try:
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            except TimeoutError:
                due = loop.time() + RENEW_S
            woken = self._wake.is_set()
            self._wake.clear()
            try:
                if not woken:
                    await self._put()
                if self._subscription is None:
                    await self._read()
                if woken:
                    await self._changed()
            except _DOWN as error:
                log.warning("the presence of this server cannot be kept: %s", error)
                if woken:
                    loop.call_later(1.0, self._wake.set)
