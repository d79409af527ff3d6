"""Delivery of a store's events to its subscriptions, past ones first, without a gap and without a buffer.

A subscription is live when it has seen everything up to ``rev``; live ones are called by ``publish``. One that starts
in the past reads the log page by page, and turns live in the same step of the loop in which nothing is left to read, so
no event can fall between. A sink that raises is reported to the loop's exception handler and stays subscribed: one
faulty reader must not stop the writers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pelamis.store.types import Compacted, Event, OnLost, Sink

Past = Callable[[int, int], Awaitable[Sequence[Event]]]
"""past(first, last): the events with first <= revision <= last, in order; it may stop early, but not before one."""


class _Subscription:
    __slots__ = ("_feed", "live", "lost", "next", "prefix", "sink", "task")

    def __init__(self, feed: Feed, prefix: str, from_rev: int, sink: Sink, lost: OnLost | None) -> None:
        self._feed = feed
        self.lost = lost
        self.prefix = prefix
        self.next = from_rev
        self.sink = sink
        self.live = False
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        self._feed.drop(self)


class Feed:
    """All subscriptions of one store. ``rev`` is the newest revision that was published."""

    def __init__(self, past: Past, rev: int) -> None:
        self.rev = rev
        self._past = past
        self._subscriptions: dict[_Subscription, None] = {}

    def watch(self, prefix: str, from_rev: int, sink: Sink, lost: OnLost | None = None) -> _Subscription:
        subscription = _Subscription(self, prefix, from_rev, sink, lost)
        self._subscriptions[subscription] = None
        if from_rev > self.rev:
            subscription.live = True
        else:
            subscription.task = asyncio.get_running_loop().create_task(
                self._catch_up(subscription), name=f"watch {prefix} from {from_rev}"
            )
        return subscription

    def drop(self, subscription: _Subscription) -> None:
        self._subscriptions.pop(subscription, None)
        subscription.live = False
        if subscription.task is not None:
            subscription.task.cancel()

    def publish(self, events: Sequence[Event], rev: int) -> None:
        """``rev`` is the newest one after these events."""
        self.rev = rev
        if not events:
            return
        for subscription in tuple(self._subscriptions):
            if subscription.live:
                self._deliver(subscription, events)

    def lose(self, rev: int) -> None:
        """The events up to ``rev`` cannot be had any more: every reader starts anew from there or later."""
        self.rev = rev
        for subscription in tuple(self._subscriptions):
            self._lose(subscription, None)

    def _lose(self, subscription: _Subscription, error: Exception | None) -> None:
        self._subscriptions.pop(subscription, None)
        subscription.live = False
        if error is None and subscription.task is not None:
            subscription.task.cancel()
        if subscription.lost is not None:
            subscription.lost()
            return
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"a watch of {subscription.prefix} lost its past", "exception": error}
        )

    async def caught_up(self) -> None:
        """Until no subscription needs the past."""
        while tasks := [s.task for s in self._subscriptions if s.task is not None and not s.task.done()]:
            await asyncio.wait(tasks)

    def close(self) -> None:
        for subscription in tuple(self._subscriptions):
            self.drop(subscription)

    async def _catch_up(self, subscription: _Subscription) -> None:
        while subscription.next <= self.rev:
            try:
                events = await self._past(subscription.next, self.rev)
            except Compacted as error:
                # Another server compacted meanwhile: the reader has to start anew.
                self._lose(subscription, error)
                return
            if not events:
                break
            self._deliver(subscription, events)
            subscription.next = events[-1].rev + 1
        subscription.live = subscription in self._subscriptions

    def _deliver(self, subscription: _Subscription, events: Sequence[Event]) -> None:
        prefix, first = subscription.prefix, subscription.next
        wanted = [e for e in events if e.rev >= first and e.key.startswith(prefix)]
        if not wanted:
            return
        try:
            subscription.sink(wanted)
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"a watch of {prefix} failed", "exception": error}
            )
