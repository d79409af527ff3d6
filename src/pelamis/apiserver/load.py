"""Filling the cache from the store at start, and keeping it fed."""

from __future__ import annotations

import asyncio

from pelamis.cache.cache import Cache
from pelamis.store.types import Store, Subscription

PAGE = 5_000


async def load(store: Store, cache: Cache) -> Subscription:
    """Read everything at one revision, then follow the store. Returns the subscription to cancel at the end."""
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
    return store.watch("/registry/", rev + 1, cache.apply)
