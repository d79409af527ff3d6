"""Filling the cache from the store at start, and keeping it fed."""

from __future__ import annotations

import asyncio
import logging

from pelamis.cache.cache import Cache
from pelamis.store.types import Closed, Compacted, Item, Store, StoreFull, Subscription, Unavailable

log = logging.getLogger("pelamis.apiserver")
PAGE = 5_000
_RETRY_S = 0.5


class Follower:
    """The cache's subscription to the store, which it renews when events were lost (others compacted them away)."""

    def __init__(self, store: Store, cache: Cache) -> None:
        self._store = store
        self._cache = cache
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    def follow(self, rev: int) -> None:
        # Keys of others too: they mean nothing here, but the newest revision may be theirs.
        self._subscription = self._store.watch("", rev + 1, self._cache.apply, self._lost)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._subscription is not None:
            self._subscription.cancel()

    def _lost(self) -> None:
        self._subscription = None
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._reload(), name="reload of the cache")

    async def _reload(self) -> None:
        """Read everything, and give the difference to whoever watches."""
        while True:
            items: list[Item] = []
            rev, after = 0, ""
            try:
                while True:
                    page = await self._store.range("/registry/", after=after, limit=PAGE, rev=rev)
                    rev = page.rev
                    items += page.items
                    if not page.more:
                        break
                    after = page.items[-1].key
                self._cache.resync(items, rev)
                self.follow(rev)
            except Closed:
                return
            except (Unavailable, Compacted, StoreFull) as error:
                log.warning("the cache cannot be loaded anew: %s", error)
                await asyncio.sleep(_RETRY_S)
            else:
                log.info("the cache was loaded anew at revision %d", rev)
                return


async def load(store: Store, cache: Cache) -> Follower:
    """Read everything at one revision, then follow the store. What is returned is to be cancelled at the end."""
    cache.begin_load()
    rev = 0
    after = ""
    while True:
        page = await store.range("/registry/", after=after, limit=PAGE, rev=rev)
        rev = page.rev
        cache.load_page(page.items)
        if not page.more:
            break
        after = page.items[-1].key
        await asyncio.sleep(0)
    cache.end_load(rev)
    follower = Follower(store, cache)
    follower.follow(rev)
    return follower
