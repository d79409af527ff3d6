"""How a simulated component reaches the server: the Client protocol, with a connection that can break.

``Door`` stands for the server's address: behind it is a server, or none while it is down. A ``Link`` is one identity's
client. Its commits enter the real request pipeline; faults may delay, refuse or lose them, and a commit during which
the server went away ends in OSError, as a broken connection does. Its views are the server's own, which show a write
before its writer is answered; or, with ``mirror``, pictures of the component's own that are fed by a stream per kind:
late by the lag of the faults, cut off while a watch is lost or the server is down, and then brought up to date by a new
list, which shows the difference and not what happened in between, exactly as over HTTP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextvars import copy_context
from typing import Any, TypeVar

from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver.selection import Selection
from pelamis.apiserver.server import ApiServer
from pelamis.apiserver.user import User
from pelamis.cache.collection import Collection, Event
from pelamis.cache.view import View
from pelamis.client.types import Action, Outcome, WatchEvent
from pelamis.client.types import View as AnyView
from pelamis.sim.faults import Faults, Lost
from pelamis.sim.loop import PROCESS

T = TypeVar("T")
_BOOKMARK = None


class Process:
    """One of several processes of a component. name: ``loop.freeze`` takes it. outside: where its requests are carried
    out. unreachable: it cannot reach the server, or is dead.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.outside = copy_context()
        self.context = copy_context()
        self.context.run(PROCESS.set, name)
        self.unreachable = False


class Door:
    """The way to the server. ``generation`` grows with each server that opens."""

    def __init__(self) -> None:
        self._server: ApiServer | None = None
        self.generation = 0
        self.heard: Callable[[str, str, Sequence[Action]], None] | None = None
        """Told of each commit that is sent: the component, its process, the actions."""
        self._mirrors: list[Mirror] = []

    @property
    def server(self) -> ApiServer:
        """Raises OSError while there is none."""
        if self._server is None:
            raise Lost("connection refused: the server is down")
        return self._server

    @property
    def is_open(self) -> bool:
        return self._server is not None

    def open(self, server: ApiServer) -> None:
        self._server = server
        self.generation += 1
        for mirror in self._mirrors:
            mirror.reconnect()

    def close(self) -> None:
        self._server = None
        for mirror in self._mirrors:
            mirror.disconnect()

    def add(self, mirror: Mirror) -> None:
        self._mirrors.append(mirror)

    def drop(self, mirror: Mirror) -> None:
        mirror.disconnect()
        self._mirrors.remove(mirror)


class Stream:
    """One kind's watch: keeps a collection of the component's own like the server's, ``lag()`` seconds late."""

    def __init__(self, door: Door, kind: Kind, lag: Callable[[], float], process: Process | None) -> None:
        self._door = door
        self._lag = lag
        self._context = process.context if process is not None else None
        self.kind = kind
        self.collection = Collection(kind)
        self._queue: deque[tuple[float, int, Event | None]] = deque()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._cancel: Callable[[], None] | None = None
        self._cut_until = 0.0

    def connect(self) -> None:
        """List, then watch."""
        if self._cancel is not None or not self._door.is_open:
            return
        source = self._door.server.objects.collection(self.kind)
        self._cancel = source.subscribe(self._on_event, self._relist)
        self._relist()

    def disconnect(self) -> None:
        """What was under way is lost."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cut(self, for_s: float) -> None:
        """The watch breaks, and is made anew, with a list, after a while."""
        loop = asyncio.get_running_loop()
        self.disconnect()
        self._cut_until = loop.time() + for_s
        loop.call_later(for_s, self.connect, context=self._context)

    def reconnect(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._cut_until:
            if self._context is None:
                self.connect()
            else:
                loop.call_soon(self.connect, context=self._context)

    def expect(self, rev: int) -> None:
        """Somebody waits for a revision: if no event of the kind brings it, a bookmark does."""
        if self._cancel is not None and self.collection.rev < rev:
            self._put(self._door.server.cache.rev, _BOOKMARK)

    def _relist(self) -> None:
        self._queue.clear()
        source = self._door.server.objects.collection(self.kind)
        found = [(*e.key, e.rev, e.data) for e in source.range()[0]]
        self.collection.replace(found, self._door.server.cache.rev)

    def _on_event(self, event: Event) -> None:
        self._put(event.rev, event)

    def _put(self, rev: int, event: Event | None) -> None:
        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time() + self._lag())
        self._queue.append((self._due, rev, event))
        if self._timer is None:
            self._timer = loop.call_at(self._due, self._arrive, context=self._context)

    def _arrive(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        queue, collection = self._queue, self.collection
        while queue and queue[0][0] <= loop.time():
            _, rev, event = queue.popleft()
            if event is None:
                collection.progress.advance(rev)
                continue
            entry = event.new if event.new is not None else event.old
            assert entry is not None
            collection.apply_served(event.type, *entry.key, rev, entry.data)
        if queue and self._timer is None:
            self._timer = loop.call_at(queue[0][0], self._arrive, context=self._context)


class _MirrorView(View):
    """Asks its stream for a bookmark when somebody waits for a revision."""

    stream: Stream

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None:
        self.stream.expect(rev)
        super().when_reached(rev, fn)


class Mirror:
    """The views of one component process: what informers are to upstream's components."""

    def __init__(self, door: Door, lag: Callable[[], float], process: Process | None = None) -> None:
        self._door = door
        self._lag = lag
        self._process = process
        self._streams: dict[Kind, Stream] = {}
        self._views: dict[tuple[Kind, str, str, str], _MirrorView] = {}
        door.add(self)

    def close(self) -> None:
        for view in self._views.values():
            view.close()
        self._door.drop(self)

    def view(self, kind: Kind, namespace: str, label_selector: str, field_selector: str) -> View:
        key = (kind, namespace, label_selector, field_selector)
        view = self._views.get(key)
        if view is None:
            stream = self._streams.get(kind)
            if stream is None:
                stream = self._streams[kind] = Stream(self._door, kind, self._lag, self._process)
                stream.connect()
            match = None
            if label_selector or field_selector:
                match = Selection(kind, namespace, label_selector, field_selector).matches
            view = self._views[key] = _MirrorView(stream.collection, namespace=namespace, match=match)
            view.stream = stream
        return view

    def reconnect(self) -> None:
        for stream in self._streams.values():
            stream.reconnect()

    def disconnect(self) -> None:
        for stream in self._streams.values():
            stream.disconnect()

    def cut(self, for_s: float, kinds: Sequence[Kind] = ()) -> None:
        """Watches break: those of ``kinds``, or all."""
        for kind, stream in self._streams.items():
            if not kinds or kind in kinds:
                stream.cut(for_s)


class Link:
    """A Client. mirror None: the views are the server's own, and end with it. process: whose it is, where it can stand
    still, be cut off or die by itself; its requests are the server's work once they are sent.
    """

    def __init__(
        self,
        door: Door,
        user: str | User,
        component: str = "",
        *,
        faults: Faults | None = None,
        mirror: Mirror | None,
        process: Process | None = None,
    ) -> None:
        self._door = door
        self._user = user
        self._component = component
        self._faults = faults if component else None
        self._mirror = mirror
        self._process = process
        self._client: Any = None
        self._generation = 0

    def _local(self) -> Any:
        server = self._door.server
        if self._client is None or self._generation != self._door.generation:
            self._client = server.client(self._user)
            self._generation = self._door.generation
        return self._client

    def view(self, kind: Kind, *, namespace: str = "", label_selector: str = "", field_selector: str = "") -> View:
        if self._mirror is not None:
            return self._mirror.view(kind, namespace, label_selector, field_selector)
        found: View = self._local().view(
            kind, namespace=namespace, label_selector=label_selector, field_selector=field_selector
        )
        return found

    def release(self, view: AnyView[Any]) -> None:
        """Views cost nothing here."""

    async def _sent(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The request is the server's to carry out, whatever becomes of who sent it."""
        process = self._process
        if process is None:
            return await request()
        if process.unreachable:
            raise Lost("no route to the server")
        answer = await asyncio.get_running_loop().create_task(request(), context=process.outside)
        if process.unreachable:
            raise Lost("no answer from the server")
        return answer

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Any:
        return await self._sent(lambda: self._local().get(kind, namespace, name, subresource=subresource))

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[Sequence[Any], int]:
        found: tuple[Sequence[Any], int] = await self._local().list(
            kind, namespace, label_selector=label_selector, field_selector=field_selector
        )
        return found

    def watch(
        self, kind: Kind, namespace: str = "", *, rev: int = 0, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[WatchEvent]:
        found: AsyncIterator[WatchEvent] = self._local().watch(
            kind, namespace, rev=rev, label_selector=label_selector, field_selector=field_selector
        )
        return found

    async def commit(self, actions: Sequence[Action]) -> Sequence[Outcome]:
        if self._door.heard is not None:
            self._door.heard(self._component, self._process.name if self._process is not None else "", actions)
        return await self._sent(lambda: self._commit(actions))

    async def _commit(self, actions: Sequence[Action]) -> Sequence[Outcome]:
        faults = self._faults
        if faults is not None and (faults.script is not None or faults.of(self._component).commits):
            return await self._commit_with(faults, actions)
        client = self._local()
        outcomes: Sequence[Outcome] = await client.commit(actions)
        if self._generation != self._door.generation or not self._door.is_open:
            raise Lost("connection reset: the server went away")
        return outcomes

    async def _commit_with(self, faults: Faults, actions: Sequence[Action]) -> Sequence[Outcome]:
        rates = faults.of(self._component)
        if rates.latency_s:
            await asyncio.sleep(faults.rng.random() * rates.latency_s)
        if faults.chance(rates.lose_request):
            faults.count("lost requests")
            raise Lost("injected: connection refused")
        lost = faults.chance(rates.lose_answer)
        refused = [faults.judge(self._component, action) for action in actions]
        generation = self._door.generation
        passed = [a for a, error in zip(actions, refused, strict=True) if error is None]
        done = iter(await self._local().commit(passed) if passed else ())
        if lost:
            faults.count("lost answers")
            raise Lost("injected: connection reset before the answer came")
        if generation != self._door.generation or not self._door.is_open:
            raise Lost("connection reset: the server went away")
        return [next(done) if error is None else Outcome(0, None, error) for error in refused]

    async def fetch(self, path: str, *, query: Mapping[str, str] | None = None) -> Tree:
        tree: Tree = await self._sent(lambda: self._local().fetch(path, query=query))
        return tree

    async def post(self, path: str, body: Tree, *, query: Mapping[str, str] | None = None) -> Tree:
        found: Tree = await self._sent(lambda: self._local().post(path, body, query=query))
        return found
