"""Samples of nodes, taken while somebody asks.

A question about a node whose newest sample is older than the resolution takes another one; where there is none to
compare with, two are taken a second apart, so that the first answer is not empty. Nothing is read while nobody asks,
and samples that nobody asked about for a while are forgotten. Questions that come together share the reading; so many
nodes are read at a time, and one that cannot be read is left out until its next turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from pelamis.apiserver.metricsapi.summary import Summaries, Unreadable
from pelamis.apiserver.metricsapi.usage import Sample, sample

log = logging.getLogger("pelamis.apiserver")
RESOLUTION_S = 15.0
SLACK_S = 0.5
"""Who asks every 15 s by a clock of its own must not get the old sample each other time."""
STALE_S = 60.0
"""A sample that is older is too old to compare with."""
FIRST_GAP_S = 1.0
PARALLEL = 64


class _Node:
    __slots__ = ("new", "old", "task", "tried_at")

    def __init__(self) -> None:
        self.old: Sample | None = None
        self.new: Sample | None = None
        self.tried_at = float("-inf")
        self.task: asyncio.Task[None] | None = None


class Sampler:
    def __init__(self, summaries: Summaries, clock: Callable[[], float], *, parallel: int = PARALLEL) -> None:
        self._summaries = summaries
        self._clock = clock
        self._nodes: dict[str, _Node] = {}
        self._slots = asyncio.Semaphore(parallel)
        self._timer: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None

    def pair(self, node: str) -> tuple[Sample, Sample] | None:
        """The two newest samples of a node, the older first."""
        known = self._nodes.get(node)
        if known is None or known.old is None or known.new is None:
            return None
        return known.old, known.new

    async def fresh(self, nodes: Iterable[str]) -> None:
        """Returns when the samples of these nodes are as new as they have to be."""
        now = self._clock()
        waiting: list[asyncio.Task[None]] = []
        for name in nodes:
            node = self._nodes.get(name)
            if node is None:
                node = self._nodes[name] = _Node()
            if node.task is None and not 0 <= now - node.tried_at < RESOLUTION_S - SLACK_S:
                node.tried_at = now
                node.task = asyncio.get_running_loop().create_task(self._sample(name, node), name=f"sample of {name}")
            if node.task is not None:
                waiting.append(node.task)
        if waiting:
            self._arm()
            await asyncio.wait(waiting)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        tasks = [node.task for node in self._nodes.values() if node.task is not None]
        for task in tasks:
            task.cancel()
        if self._resting is not None:
            tasks.append(self._resting)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._summaries.rest()
        self._nodes.clear()

    async def _sample(self, name: str, node: _Node) -> None:
        try:
            new = await self._read(name)
            if node.new is None or not 0 < new.at - node.new.at <= STALE_S:
                await asyncio.sleep(FIRST_GAP_S)
                node.old, node.new = new, await self._read(name)
            else:
                node.old, node.new = node.new, new
        except Unreadable as error:
            log.info("no metrics of node %s: %s", name, error)
            node.old = node.new = None
        finally:
            node.task = None

    async def _read(self, name: str) -> Sample:
        async with self._slots:
            asked = self._clock()
            summary = await self._summaries.read(name)
            # What was counted was counted in between.
            return sample(summary, (asked + self._clock()) / 2)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(2 * STALE_S, self._forget)

    def _forget(self) -> None:
        """Drops what is too old to be of use."""
        self._timer = None
        now = self._clock()
        for name, node in list(self._nodes.items()):
            if node.task is None and not 0 <= now - node.tried_at <= STALE_S:
                del self._nodes[name]
        if self._nodes:
            self._arm()
        else:
            self._resting = asyncio.get_running_loop().create_task(self._summaries.rest(), name="rest of the metrics")
