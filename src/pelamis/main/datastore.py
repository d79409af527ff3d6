"""Which store a cluster keeps its objects in."""

from __future__ import annotations

from pelamis.main.config import Cluster
from pelamis.store.types import Store


async def open_store(cluster: Cluster) -> Store:
    """SQLite in the data directory, unless the cluster names another."""
    from pelamis.store.sqlite import SqliteStore

    store = SqliteStore(cluster.path("store"))
    await store.open()
    return store
