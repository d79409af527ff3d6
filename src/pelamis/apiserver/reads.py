"""The verbs that read, over HTTP: get, list, watch, and what is computed for an answer.

An object and a list from memory are answered in the same turn of the loop; what has to wait is awaited.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.kind import Kind
from pelamis.apiserver import verbs
from pelamis.apiserver.call import Answered, Call
from pelamis.apiserver.lists import finish
from pelamis.apiserver.negotiate import JSON, PLAIN
from pelamis.apiserver.present import Presenter
from pelamis.apiserver.request import list_options, name_of
from pelamis.apiserver.selection import Selection
from pelamis.base.errors import BadRequest, StatusError, wrong_revision
from pelamis.net.http1 import Response

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

_GZIP_BYTES = 128 * 1024
Slot = Callable[[Call, Coroutine[Any, Any, Response | None]], Awaitable[Response | None]]


def presenter_of(call: Call, kind: Kind, clock: Callable[[], float]) -> Presenter:
    """Gives objects of ``kind`` the form that the request asks for."""
    include = call.request.query_first("includeObject") if call.form.shown == "Table" else ""
    return Presenter(kind, call.form, clock, include)


class Reads:
    """slot: runs what has to wait within a seat of its flow."""

    def __init__(self, server: ApiServer, slot: Slot) -> None:
        self._server = server
        self._objects = server.objects
        self._metrics = server.metrics
        self._clock = server.clock
        self._audit = server.audit
        self._slot = slot

    def one(self, call: Call, kind: Kind) -> Answered:
        info = call.info
        query = call.request.query
        collection = self._objects.collection(kind)
        if self._server.shared or (query and "resourceVersion=" in query):
            return self._get_later(call, kind)
        entry = collection.get(info.namespace, info.name)
        if entry is None:
            raise verbs.absent(kind, info.name)
        form = call.form
        if form is PLAIN and kind.hub is None:
            return Response(200, entry.data, JSON, lines=call.lines())
        return self._shown(call, kind, entry.data, entry.obj if form.shown == "Table" else None)

    async def _get_later(self, call: Call, kind: Kind) -> Response:
        info = call.info
        collection = self._objects.collection(kind)
        text = call.request.query_first("resourceVersion")
        if text and not text.isdigit():
            raise wrong_revision(text)
        rev = int(text or 0)
        if not text and self._server.shared:
            rev = await self._server.store.current_rev()
        if rev > collection.rev:
            await self._server.lister.reach(collection, rev)
        entry = collection.get(info.namespace, info.name)
        if entry is None:
            raise verbs.absent(kind, info.name)
        return self._shown(call, kind, entry.data, entry.obj if call.form.shown == "Table" else None)

    def _shown(self, call: Call, kind: Kind, data: bytes, obj: Any = None, code: int = 200) -> Response:
        presenter = presenter_of(call, kind, self._clock)
        return Response(code, presenter.one(data, obj), call.form.media, call.headers())

    def many(self, call: Call, kind: Kind) -> Answered:
        info = call.info
        request = call.request
        items = request.query_items()
        options = list_options(items)
        selection = Selection(kind, info.namespace, options.label_selector, options.field_selector)
        presenter = presenter_of(call, kind, self._clock)
        parts = self._server.lister.body(self._objects.collection(kind), selection, options, presenter)
        media = call.form.media
        gzip = "gzip" in request.headers.get("accept-encoding", "")
        if isinstance(parts, list):
            if gzip and sum(map(len, parts)) >= _GZIP_BYTES:
                return self._zipped(call, parts, media)
            return (
                Response(200, parts, media, call.headers())
                if len(parts) > 3
                else Response(200, b"".join(parts), media, call.headers())
            )
        return self._slot(call, self._listed(call, parts, media, gzip))

    async def _listed(self, call: Call, waiting: Awaitable[list[bytes]], media: str, gzip: bool) -> Response:
        parts = await waiting
        if gzip and sum(map(len, parts)) >= _GZIP_BYTES:
            return await self._zipped(call, parts, media)
        return Response(200, parts, media, call.headers())

    async def _zipped(self, call: Call, parts: list[bytes], media: str) -> Response:
        """Level 1, as upstream; a slice at a time, so that nobody waits for it."""
        zipper = zlib.compressobj(1, zlib.DEFLATED, 31)
        out: list[bytes] = []
        pending: list[bytes] = []
        size = 0
        for part in parts:
            pending.append(part)
            size += len(part)
            if size >= _GZIP_BYTES:
                out.append(zipper.compress(b"".join(pending)))
                pending, size = [], 0
                await asyncio.sleep(0)
        out.append(zipper.compress(b"".join(pending)))
        out.append(zipper.flush())
        headers = (*call.headers(), ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
        return Response(200, out, media, headers)

    async def computed(self, call: Call, kind: Kind) -> Response:
        """Objects that are made for this answer."""
        info = call.info
        presenter = presenter_of(call, kind, self._clock)
        source = self._server.computed(kind)
        if info.verb == "get":
            obj = await source.get(kind, info.namespace, info.name)
            return Response(200, presenter.one(codec.encode(obj), obj), call.form.media, call.headers())
        options = list_options(call.request.query_items())
        found = await source.list(kind, info.namespace, options.label_selector, options.field_selector)
        members = [presenter.member(codec.encode(obj), obj) for obj in found]
        parts = finish(presenter, self._objects.cache.rev, {}, [b",".join(members)] if members else [])
        return Response(200, parts, call.form.media, call.headers())

    def watch(self, call: Call, kind: Kind) -> None:
        info = call.info
        request = call.request
        options = list_options(request.query_items())
        fields = options.field_selector
        if info.name and not fields:
            # The deprecated path of a watch on one object.
            fields = f"metadata.name={info.name}"
        elif info.name and name_of(fields) != info.name:
            raise BadRequest("fieldSelector metadata.name doesn't match requested name")
        selection = Selection(kind, info.namespace, options.label_selector, fields)
        labels = ("WATCH", "", info.group, info.version, info.resource, "", "cluster", "apiserver")
        self._metrics.started(labels)

        def ended() -> None:
            self._metrics.ended(labels)
            took = self._server.loop.time() - call.started
            self._metrics.request(labels, 200, took)
            if self._audit is not None:
                self._audit.note(call, 200, self._clock(), took)

        try:
            self._server.watches.start(
                request,
                self._objects.collection(kind),
                selection,
                options,
                presenter_of(call, kind, self._clock),
                call.headers(),
                ended,
            )
        except StatusError:
            self._metrics.ended(labels)
            raise
        if self._audit is not None:
            self._audit.started(call, self._clock(), self._server.loop.time() - call.started)
