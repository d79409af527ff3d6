"""What the kubelet of a node tells about usage: the part of its ``/stats/summary`` that the metrics API needs.

``Summaries`` is the seam: over HTTPS from the kubelets of real and hollow nodes, or in memory, where there are no
sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from pelamis.apiserver.streams.kubelet import Kubelets
from pelamis.base.errors import NotFound, StatusError
from pelamis.net.httpclient import HttpPool

READ_S = 5.0
KEEP_OPEN = 500
PATH = "/stats/summary?only_cpu_and_memory=true"


class Cpu(msgspec.Struct, frozen=True, gc=False):
    usageCoreNanoSeconds: int | None = None


class Memory(msgspec.Struct, frozen=True, gc=False):
    workingSetBytes: int | None = None


class ContainerSummary(msgspec.Struct, frozen=True, gc=False):
    """startTime: RFC 3339."""

    name: str
    startTime: str = ""
    cpu: Cpu | None = None
    memory: Memory | None = None


class PodReference(msgspec.Struct, frozen=True, gc=False):
    name: str
    namespace: str


class PodSummary(msgspec.Struct, frozen=True, gc=False):
    podRef: PodReference
    containers: tuple[ContainerSummary, ...] = ()


class NodeSummary(msgspec.Struct, frozen=True, gc=False):
    cpu: Cpu | None = None
    memory: Memory | None = None
    startTime: str = ""


class Summary(msgspec.Struct, frozen=True, gc=False):
    node: NodeSummary
    pods: tuple[PodSummary, ...] = ()


class Unreadable(Exception):
    """The node cannot be asked, or gives no sense."""


class Summaries(Protocol):
    """``read`` gives what a node says now. Raises Unreadable. ``rest``: nobody asks any more."""

    async def read(self, node: str) -> Summary: ...

    async def rest(self) -> None: ...


class KubeletSummaries:
    """Asks the kubelets at the addresses that their Node objects name.

    A connection to each of the first ``KEEP_OPEN`` is kept while questions go on: one costs a third of a megabyte. The
    others get a new one each time.
    """

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets
        self._decode = msgspec.json.Decoder(Summary).decode
        self._pools: dict[str, HttpPool] = {}

    async def rest(self) -> None:
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.close()

    async def _fetch(self, node: str) -> tuple[int, bytes]:
        url = self._kubelets.base_url(node)
        pool = self._pools.get(url)
        if pool is None:
            pool = HttpPool(url, self._kubelets.context)
            if len(self._pools) < KEEP_OPEN:
                self._pools[url] = pool
        try:
            status, _, data = await pool.fetch("GET", PATH)
        finally:
            if self._pools.get(url) is not pool:
                await pool.close()
        return status, data

    async def read(self, node: str) -> Summary:
        try:
            async with asyncio.timeout(READ_S):
                status, data = await self._fetch(node)
        except (OSError, TimeoutError, StatusError) as error:
            raise Unreadable(f"the kubelet of node {node} cannot be reached: {error or type(error).__name__}") from None
        if status != 200:
            raise Unreadable(f"the kubelet of node {node} answered {status}")
        try:
            return self._decode(data)
        except msgspec.MsgspecError as error:
            raise Unreadable(f"the summary of node {node} cannot be read: {error}") from None


class MemorySummaries:
    """Asks functions, by name of the node: ``of(name)`` is the summary, None while the node is out of reach."""

    def __init__(self, of: Callable[[str], Summary | Awaitable[Summary | None] | None]) -> None:
        self._of = of

    async def rest(self) -> None:
        """Nothing is kept."""

    async def read(self, node: str) -> Summary:
        found = self._of(node)
        summary = found if found is None or isinstance(found, Summary) else await found
        if summary is None:
            raise Unreadable(str(NotFound("nodes", "", node)))
        return summary
