"""Watches: one encoding per event and format, whatever the number of watchers.

A ``Hub`` per kind listens to the collection. Watchers that ask for the same (selection and format) share a ``Channel``;
channels are indexed by what narrows them most: an exact field value, a name, a namespace. So an event touches only the
channels that can want it: 5,000 kubelets that each watch their own ``spec.nodeName`` cost as much as one.

Events are gathered per channel and flushed together: one buffer, given to every watcher as it is. The first event goes
out in the same turn of the loop, those that follow on its heels ``PAUSE_S`` later: to send each by itself would cost
more than all else that is done for a watch. A watcher whose peer reads too slowly keeps references to shared buffers up
to a limit; then it is dropped, and comes back with the last revision that it saw.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pelamis.api import protobuf
from pelamis.apiserver.history import history
from pelamis.apiserver.metrics import Metrics
from pelamis.apiserver.negotiate import JSON, PROTOBUF
from pelamis.apiserver.present import HEADLESS, Presenter, to_protobuf, tree_to_protobuf
from pelamis.apiserver.request import ListOptions
from pelamis.apiserver.selection import Selection
from pelamis.apiserver.streams.watchsocket import WatchSocket
from pelamis.base.errors import Gone, StatusError, wrong_revision
from pelamis.cache.collection import Collection, Event
from pelamis.cache.entry import Entry
from pelamis.net.http1 import Request, Stream
from pelamis.store.types import Closed, Compacted, Store, Unavailable

BACKLOG_BYTES = 4 << 20
"""What a slow watcher may fall behind before it is dropped."""
PAUSE_S = 0.004
"""Between two flushes of a channel."""
BOOKMARK_S = 60.0
TIMEOUT_S = 1800.0
_LONGEST_S = 10**7
_SLICE_S = 0.004
_encode = msgspec.json.Encoder().encode
_CONTENT_TYPES = {JSON: "application/json", PROTOBUF: "application/vnd.kubernetes.protobuf;stream=watch"}


def event_line(type: str, obj: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (type.encode(), obj)


class Watcher:
    """One response stream. ``after``: events up to this revision are not its."""

    __slots__ = ("backlog", "backlog_bytes", "bookmarks", "channel", "done", "head", "on_end", "stream", "timer")

    def __init__(self, stream: Stream | WatchSocket, bookmarks: bool, head: bytes = b"") -> None:
        """head: a table's columns, which go out with the first event and with no other."""
        self.stream = stream
        self.bookmarks = bookmarks
        self.head = head
        self.backlog: deque[bytes] = deque()
        self.backlog_bytes = 0
        self.channel: Channel | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.done = False
        self.on_end: Callable[[], None] | None = None

    def send(self, framed: bytes) -> None:
        stream = self.stream
        if not self.backlog and stream.writable:
            stream.write_framed(framed)
            return
        self.backlog.append(framed)
        self.backlog_bytes += len(framed)
        if self.backlog_bytes > BACKLOG_BYTES:
            stream.abort()

    def headed(self, lines: bytes) -> bytes:
        """The lines as this watcher is to get them next."""
        if self.head and HEADLESS in lines:
            lines, self.head = lines.replace(HEADLESS, self.head, 1), b""
        return lines

    def put(self, lines: bytes) -> None:
        self.send(self.stream.frame(self.headed(lines)))

    def resume(self) -> None:
        while self.backlog and self.stream.writable:
            framed = self.backlog.popleft()
            self.backlog_bytes -= len(framed)
            self.stream.write_framed(framed)

    def end(self) -> None:
        """Leave the channel; the stream is closed by who calls this, or lost."""
        if self.done:
            return
        self.done = True
        if self.timer is not None:
            self.timer.cancel()
        if self.channel is not None:
            self.channel.leave(self)
        self.backlog.clear()
        if self.on_end is not None:
            self.on_end()

    def close(self) -> None:
        if not self.done:
            self.end()
            self.stream.close()


class Channel:
    """All watchers of one selection in one format."""

    __slots__ = ("chunked", "flushed_at", "hub", "pending", "presenter", "selection", "token", "watchers")

    def __init__(self, hub: Hub, token: Any, selection: Selection, presenter: Presenter) -> None:
        self.hub = hub
        self.token = token
        self.selection = selection
        self.presenter = presenter
        self.watchers: dict[Watcher, None] = {}
        self.pending: list[bytes] = []
        self.flushed_at = -PAUSE_S

    def leave(self, watcher: Watcher) -> None:
        self.watchers.pop(watcher, None)
        if not self.watchers:
            self.hub.drop(self)

    def offer(self, event: Event) -> None:
        shown = shown_as(self.selection, event)
        if shown is not None:
            if not self.pending:
                self.hub.dirty.append(self)
            self.pending.append(self.hub.line(self.presenter, shown[0], shown[1], event.rev))

    def flush(self) -> None:
        pending, self.pending = self.pending, []
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        framed = b"%x\r\n%b\r\n" % (len(data), data)
        count = len(pending)
        for watcher in tuple(self.watchers):
            if watcher.head:
                watcher.put(data)
            else:
                watcher.send(framed if watcher.stream.chunked else data)
        self.hub.count(count * len(self.watchers), len(data) * len(self.watchers))


def shown_as(selection: Selection, event: Event) -> tuple[str, Entry] | None:
    """What a change means to a selection: entering it is ADDED, leaving it DELETED."""
    new, old = event.new, event.old
    is_in = new is not None and selection.matches(new)
    was_in = old is not None and selection.matches(old)
    if is_in:
        assert new is not None
        return ("MODIFIED" if was_in else "ADDED"), new
    if was_in:
        return "DELETED", event.gone
    return None


class Hub:
    """All watchers of one kind."""

    def __init__(self, collection: Collection, metrics: Metrics, loop: asyncio.AbstractEventLoop) -> None:
        self.collection = collection
        self._loop = loop
        self._metrics = metrics
        self._channels: dict[Any, Channel] = {}
        self._broad: dict[Channel, None] = {}
        self._by_namespace: dict[str, dict[Channel, None]] = {}
        self._by_name: dict[str, dict[Channel, None]] = {}
        self._by_field: dict[str, dict[str, dict[Channel, None]]] = {}
        self.dirty: list[Channel] = []
        self._scheduled = False
        self._held: list[Channel] = []
        """Channels that were flushed just before their events came."""
        self._lines: dict[Any, bytes] = {}
        kind = collection.kind
        self._labels = (kind.group, kind.version, kind.plural)
        self._cancel: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- channels

    def channel(self, selection: Selection, presenter: Presenter) -> Channel:
        token = (selection.key, id(presenter.kind), presenter.format, presenter.include)
        found = self._channels.get(token)
        if found is None:
            found = self._channels[token] = Channel(self, token, selection, presenter)
            self._slot(found)[found] = None
            if self._cancel is None:
                self._cancel = self.collection.subscribe(self._on_event, self._on_reset)
        return found

    def _slot(self, channel: Channel) -> dict[Channel, None]:
        selection = channel.selection
        exact = selection.exact_field()
        if exact is not None:
            return self._by_field.setdefault(exact[0], {}).setdefault(exact[1], {})
        if selection.name:
            return self._by_name.setdefault(selection.name, {})
        if selection.namespace:
            return self._by_namespace.setdefault(selection.namespace, {})
        return self._broad

    def drop(self, channel: Channel) -> None:
        self._channels.pop(channel.token, None)
        slot = self._slot(channel)
        slot.pop(channel, None)
        if not slot:
            selection = channel.selection
            exact = selection.exact_field()
            if exact is not None:
                values = self._by_field[exact[0]]
                values.pop(exact[1], None)
                if not values:
                    del self._by_field[exact[0]]
            elif selection.name:
                self._by_name.pop(selection.name, None)
            elif selection.namespace:
                self._by_namespace.pop(selection.namespace, None)
        if not self._channels and self._cancel is not None:
            self._cancel()
            self._cancel = None

    # -- events

    def _on_event(self, event: Event) -> None:
        for channel in self._candidates(event):
            channel.offer(event)
        if self.dirty and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _candidates(self, event: Event) -> Iterator[Channel]:
        yield from self._broad
        namespace, name = event.key
        if self._by_namespace:
            yield from self._by_namespace.get(namespace, ())
        if self._by_name:
            yield from self._by_name.get(name, ())
        for field, values in self._by_field.items():
            new = event.new.field(field) if event.new is not None else None
            old = event.old.field(field) if event.old is not None else None
            if new is not None:
                yield from values.get(new, ())
            if old is not None and old != new:
                yield from values.get(old, ())

    def _on_reset(self) -> None:
        """The collection was filled anew: nobody can be sure of having seen everything."""
        for channel in list(self._channels.values()):
            for watcher in list(channel.watchers):
                watcher.close()

    def line(self, presenter: Presenter, type: str, entry: Entry, rev: int) -> bytes:
        """An event as it goes out, made once for all channels of a format until the next flush."""
        token = (id(presenter.kind), presenter.format, presenter.include, type, entry.key, rev)
        found = self._lines.get(token)
        if found is None:
            found = self._lines[token] = render(presenter, type, entry)
        return found

    def _flush(self) -> None:
        self._scheduled = False
        now = self._loop.time()
        dirty, self.dirty = self.dirty, []
        for channel in dirty:
            if now - channel.flushed_at < PAUSE_S:
                if not self._held:
                    self._loop.call_later(PAUSE_S, self._flush_held)
                self._held.append(channel)
            elif channel.pending:
                channel.flushed_at = now
                channel.flush()
        self._lines.clear()

    def _flush_held(self) -> None:
        now = self._loop.time()
        held, self._held = self._held, []
        for channel in held:
            if channel.pending:
                channel.flushed_at = now
                channel.flush()

    def count(self, events: int, size: int) -> None:
        counts = self._metrics.watch_events
        counts[self._labels] = counts.get(self._labels, 0) + events

    def join(self, watcher: Watcher, channel: Channel) -> None:
        """From now on the watcher gets what the channel gets; everything before has been sent to it."""
        if channel.pending:
            channel.flush()
        watcher.channel = channel
        channel.watchers[watcher] = None
        if watcher.bookmarks and self._timer is None:
            self._timer = self._loop.call_later(BOOKMARK_S, self._bookmark)

    def _bookmark(self) -> None:
        """One timer for all watchers that asked for bookmarks; it stops when there are none."""
        self._timer = None
        rev = self.collection.rev
        some = False
        for channel in list(self._channels.values()):
            if channel.pending:
                channel.flush()
            line = b""
            for watcher in list(channel.watchers):
                if watcher.bookmarks:
                    some = True
                    line = line or bookmark(channel.presenter, rev)
                    watcher.put(line)
        if some:
            self._timer = self._loop.call_later(BOOKMARK_S, self._bookmark)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for channel in list(self._channels.values()):
            for watcher in list(channel.watchers):
                watcher.close()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def render(presenter: Presenter, type: str, entry: Entry) -> bytes:
    if presenter.media == PROTOBUF:
        return protobuf.watch_frame(type, presenter.one(entry.data))
    if presenter.plain:
        return event_line(type, entry.data)
    obj = entry.obj if presenter.format.shown == "Table" and presenter.kind.hub is None else None
    return event_line(type, presenter.one_json(entry.data, obj, columns=False))


def bookmark(presenter: Presenter, rev: int, *, initial_end: bool = False) -> bytes:
    kind = presenter.kind
    metadata: dict[str, Any] = {"resourceVersion": str(rev)}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    shown = presenter.format.shown
    if shown == "Table":
        empty = _encode({"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})
        row = presenter.row(empty, shown="Object" if presenter.include == "Object" else "Metadata")
        data = presenter.table({"resourceVersion": str(rev)}, [row], columns=presenter.media == PROTOBUF)
    elif shown:
        version = f"meta.k8s.io/{presenter.format.version}"
        data = _encode({"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": metadata})
    else:
        data = _encode({"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})
    if presenter.media == PROTOBUF:
        if shown:
            return protobuf.watch_frame("BOOKMARK", tree_to_protobuf(data))
        return protobuf.watch_frame("BOOKMARK", to_protobuf(kind, data))
    return event_line("BOOKMARK", data)


def error_line(error: StatusError, presenter: Presenter) -> bytes:
    data = _encode(error.status())
    if presenter.media == PROTOBUF:
        return protobuf.watch_frame("ERROR", tree_to_protobuf(data))
    return event_line("ERROR", data)


class Watches:
    """Starts watches. One per server."""

    def __init__(
        self,
        metrics: Metrics,
        spawn: Callable[[Any, str], Any],
        *,
        min_timeout_s: float = TIMEOUT_S,
        store: Store | None = None,
    ) -> None:
        """store: what knows the past that the cache has forgotten, or never saw because the server is new."""
        self._store = store
        self._metrics = metrics
        self._spawn = spawn
        self._hubs: dict[Collection, Hub] = {}
        self._min_timeout_s = min_timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None

    def hub(self, collection: Collection) -> Hub:
        found = self._hubs.get(collection)
        if found is None:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            found = self._hubs[collection] = Hub(collection, self._metrics, self._loop)
        return found

    def start(
        self,
        request: Request,
        collection: Collection,
        selection: Selection,
        options: ListOptions,
        presenter: Presenter,
        headers: tuple[tuple[str, str], ...] = (),
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """Answers the request with a stream that lives on its own. Raises StatusError before anything was sent."""
        text = options.resource_version
        if text and not text.isdigit():
            raise StatusError(500, "", wrong_revision(text).message.removeprefix("invalid resource version: "))
        hub = self.hub(collection)
        stream: Stream | WatchSocket
        if request.upgrade == "websocket":
            stream = WatchSocket(request, framed=presenter.media == PROTOBUF)
        else:
            stream = request.stream(200, _CONTENT_TYPES.get(presenter.media, "application/json"), headers)
        watcher = Watcher(stream, options.bookmarks, presenter.head())
        watcher.on_end = on_end
        stream.on_lost = watcher.end
        stream.on_writable = watcher.resume
        timeout = options.timeout_s
        if not timeout:
            timeout = int(self._min_timeout_s * (1 + random.random()))
        watcher.timer = hub._loop.call_later(min(max(timeout, 0), _LONGEST_S), self._expire, watcher, hub, presenter)
        rev = int(text or 0)
        channel_of = lambda: hub.channel(selection, presenter)  # noqa: E731
        initial = options.initial_events if options.initial_events is not None else rev == 0
        if initial:
            self._spawn(self._initial(watcher, hub, selection, presenter, options), "watch-initial")
            return
        if rev == 0:
            rev = collection.rev
        if rev > collection.rev:
            collection.progress.when_reached(
                rev, lambda: self._go_on(watcher, hub, channel_of, rev, selection, presenter)
            )
            return
        self._go_on(watcher, hub, channel_of, rev, selection, presenter)

    def _go_on(
        self,
        watcher: Watcher,
        hub: Hub,
        channel_of: Callable[[], Channel],
        rev: int,
        selection: Selection,
        presenter: Presenter,
    ) -> None:
        """The events since ``rev``, then the channel; synchronous, so nothing is missed or seen twice."""
        if watcher.done or not watcher.stream.open:
            return
        past = hub.collection.since(rev)
        if past is None:
            if self._store is None:
                self._refuse(watcher, presenter, rev, hub.collection.oldest)
            else:
                self._spawn(
                    self._from_store(self._store, watcher, hub, channel_of, rev, selection, presenter), "watch-history"
                )
            return
        lines: list[bytes] = []
        for event in past:
            shown = shown_as(selection, event)
            if shown is not None:
                lines.append(render(presenter, *shown))
        if lines:
            watcher.put(b"".join(lines))
            hub.count(len(lines), 0)
        if not watcher.done:
            hub.join(watcher, channel_of())

    def _refuse(self, watcher: Watcher, presenter: Presenter, rev: int, oldest: int) -> None:
        error = Gone(f"too old resource version: {rev} ({oldest})")
        watcher.send(watcher.stream.frame(error_line(error, presenter)))
        watcher.close()

    async def _from_store(
        self,
        store: Store,
        watcher: Watcher,
        hub: Hub,
        channel_of: Callable[[], Channel],
        rev: int,
        selection: Selection,
        presenter: Presenter,
    ) -> None:
        """The events between ``rev`` and what the collection remembers, from the store; then go on."""
        try:
            past, reached = await history(store, hub.collection, rev)
        except Compacted as error:
            self._refuse(watcher, presenter, rev, error.oldest)
            return
        except (Closed, Unavailable):
            watcher.close()
            return
        lines = [render(presenter, *shown) for e in past if (shown := shown_as(selection, e)) is not None]
        if lines and not watcher.done:
            watcher.put(b"".join(lines))
            hub.count(len(lines), 0)
        self._go_on(watcher, hub, channel_of, reached, selection, presenter)

    async def _initial(
        self, watcher: Watcher, hub: Hub, selection: Selection, presenter: Presenter, options: ListOptions
    ) -> None:
        """Everything there is as ADDED, at the reader's pace; then what happened meanwhile; then the channel."""
        stream = watcher.stream
        collection = hub.collection
        rev = collection.rev
        wanted = int(options.resource_version or 0)
        if wanted > rev:
            reached = asyncio.get_running_loop().create_future()
            collection.progress.when_reached(wanted, lambda: _set(reached))
            await reached
            rev = collection.rev
        batch: list[bytes] = []
        size = 0
        until = time.perf_counter() + _SLICE_S
        try:
            for entry in collection.snapshot(selection.namespace):
                if selection.matches(entry):
                    line = render(presenter, "ADDED", entry)
                    batch.append(line)
                    size += len(line)
                if size > 65536:
                    stream.write(watcher.headed(b"".join(batch)))
                    batch, size = [], 0
                    if not stream.writable:
                        await stream.drain()
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + _SLICE_S
        except ConnectionResetError:
            return
        if options.initial_events and options.bookmarks:
            batch.append(bookmark(presenter, rev, initial_end=True))
        if batch:
            watcher.put(b"".join(batch))
        self._go_on(watcher, hub, lambda: hub.channel(selection, presenter), rev, selection, presenter)

    def _expire(self, watcher: Watcher, hub: Hub, presenter: Presenter) -> None:
        watcher.timer = None
        if watcher.channel is not None and watcher.channel.pending:
            watcher.channel.flush()
        if watcher.bookmarks and watcher.channel is not None:
            watcher.put(bookmark(presenter, hub.collection.rev))
        watcher.close()

    def stop(self) -> None:
        for hub in self._hubs.values():
            hub.stop()
