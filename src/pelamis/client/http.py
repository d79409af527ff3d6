"""The Client protocol over HTTP: for components that run apart from the API server, and for kubectl.

Views are fed by one reflector each (``view`` with the same arguments is the same view), started when first asked for,
and ended by ``close``. A ``commit`` sends its actions in parallel, those on one object one after the other. A request
that the server puts off (429 with Retry-After) is sent again when it said so.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.base.errors import StatusError, from_status
from pelamis.cache.collection import Collection
from pelamis.cache.entry import decode_of
from pelamis.cache.view import View
from pelamis.client.path import JSON, PATCH_TYPES, path_of, with_query
from pelamis.client.reflector import Line, Reflector, Sink, head_of, line_of, listed_of, rev_of
from pelamis.client.types import Action, Answered, Create, Outcome, Patch, Update, WatchEvent
from pelamis.client.types import View as AnyView
from pelamis.net.httpclient import HttpPool, Refused, Response, Upgraded, block

PARALLEL = 64
PUT_OFF = 10
"""How often a request is sent again that the server put off."""
PAGE = 500

Header = tuple[str, str]


class HttpClient:
    """One identity's access to a server.

    token: a bearer token, or a function that gives the current one (tokens are rotated); a client certificate is part
    of ``ssl_context``. headers: a function giving all headers of identity, in place of token. renew(refused) gets a new
    credential and tells whether it did: asked before each request, and once more with True after a 401. registry: knows
    the kinds of answers that are not of the asked kind (``body(group, version, kind)``), else those are trees.
    parallel: how many requests are under way at a time, without watches.
    """

    def __init__(
        self,
        base_url: str,
        ssl_context: ssl.SSLContext | None = None,
        *,
        token: str | Callable[[], str] = "",
        headers: Callable[[], Iterable[Header]] | None = None,
        renew: Callable[[bool], Awaitable[bool]] | None = None,
        user_agent: str = "pelamis",
        field_manager: str = "",
        server_hostname: str = "",
        registry: Any = None,
        entropy: Callable[[], float] = random.random,
        parallel: int = PARALLEL,
    ) -> None:
        self.user_agent = user_agent
        self._manager = field_manager or user_agent.split("/")[0]
        self._token = token
        self._identity = headers
        self._renew = renew
        self._registry = registry
        self._entropy = entropy
        self.pool = HttpPool(
            base_url,
            ssl_context,
            headers=(("User-Agent", user_agent),),
            server_hostname=server_hostname,
            keep_idle=parallel,
        )
        self._views: dict[tuple[Kind, str, str, str], View] = {}
        self._feeds: dict[AnyView[Any], tuple[tuple[Kind, str, str, str], asyncio.Task[None]]] = {}
        self._reflectors: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(parallel)
        self._decoders: dict[Kind, Callable[[bytes], Any]] = {}
        self.on_warning: Callable[[str], None] | None = None
        """Told the text of every Warning header."""

    async def close(self) -> None:
        for task in self._reflectors:
            task.cancel()
        await asyncio.gather(*self._reflectors, return_exceptions=True)
        await self.pool.close()

    # The Client protocol

    def view(self, kind: Kind, *, namespace: str = "", label_selector: str = "", field_selector: str = "") -> View:
        key = (kind, namespace, label_selector, field_selector)
        found = self._views.get(key)
        if found is None:
            # Nobody asks a view for its past.
            collection = Collection(kind, decode=self._decode_of(kind), ring_events=0)
            task = self.feed(collection, namespace, label_selector, field_selector)
            found = self._views[key] = View(collection)
            self._feeds[found] = (key, task)
        return found

    def feed(
        self, sink: Sink, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> asyncio.Task[None]:
        """Keeps it equal to what the server has, until the task is cancelled or the client closed."""
        source = _Source(self, sink.kind, namespace, label_selector, field_selector)
        reflector = Reflector(sink, source, entropy=self._entropy)
        task = asyncio.get_running_loop().create_task(reflector.run(), name=f"reflector of {sink.kind.resource}")
        self._reflectors.add(task)
        task.add_done_callback(self._reflectors.discard)
        return task

    def release(self, view: AnyView[Any]) -> None:
        """The view is wanted no longer: its watch ends. Asking for it again starts a new one."""
        feed = self._feeds.pop(view, None)
        if feed is not None:
            key, task = feed
            del self._views[key]
            task.cancel()

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Any:
        return self._object(kind, await self.send("GET", path_of(kind, namespace, name, subresource)))

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[Sequence[Any], int]:
        decode = self._decode_of(kind)
        out: list[Any] = []
        query = {"labelSelector": label_selector, "fieldSelector": field_selector, "limit": str(PAGE), "continue": ""}
        while True:
            data = await self.send("GET", with_query(path_of(kind, namespace), query))
            page = listed_of(data)
            out.extend(decode(bytes(item)) for item in page.items or ())
            query["continue"] = msgspec.json.decode(data, type=_Paged).metadata.cont
            if not query["continue"]:
                return out, rev_of(page.metadata.resourceVersion)

    async def watch(
        self, kind: Kind, namespace: str = "", *, rev: int = 0, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Until the server ends it. Raises StatusError (410 Expired when ``rev`` is too old), OSError."""
        decode = self._decode_of(kind)
        source = _Source(self, kind, namespace, label_selector, field_selector)
        async for text in source.watch_raw(str(rev) if rev else "", 0):
            if not text.strip():
                continue
            line: Line = line_of(text)
            if line.type == "ERROR":
                raise from_status(msgspec.json.decode(line.object))
            yield WatchEvent(line.type, decode(bytes(line.object)))

    async def commit(self, actions: Sequence[Action]) -> Sequence[Outcome]:
        if len(actions) == 1:
            return (await self._act(actions[0]),)
        chains: dict[Any, list[int]] = {}
        for i, action in enumerate(actions):
            chains.setdefault(_target(action) or i, []).append(i)
        outcomes: list[Outcome | None] = [None] * len(actions)

        async def follow(chain: Sequence[int]) -> None:
            for i in chain:
                outcomes[i] = await self._act(actions[i])

        if len(chains) == 1:
            await follow(range(len(actions)))
        else:
            results = await asyncio.gather(*(follow(chain) for chain in chains.values()), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        return [outcome for outcome in outcomes if outcome is not None]

    async def fetch(self, path: str, *, query: Mapping[str, str] | None = None) -> Tree:
        return codec.parse(await self.send("GET", with_query(path, query)))

    async def post(self, path: str, body: Tree, *, query: Mapping[str, str] | None = None) -> Tree:
        return codec.parse(await self.send("POST", with_query(path, query), msgspec.json.encode(body)))

    # Raw access

    async def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        content_type: str = JSON,
        accept: str = JSON,
        timeout_s: float | None = None,
    ) -> bytes:
        """One request: the bytes of a successful answer. Raises StatusError, OSError."""
        async with self._slots:
            if self._renew is not None:
                await self._renew(False)
            for attempt in range(PUT_OFF + 1):
                headers = self.identity() + _about(accept, content_type if body else "")
                answer = await self.pool.ask(method, target, headers=headers, body=body, timeout_s=timeout_s)
                if self.on_warning is not None:
                    self._warn(answer.headers)
                status = answer.status
                if status < 400:
                    return answer.body
                found = answer.headers
                if status == 401 and attempt == 0 and self._renew is not None and await self._renew(True):
                    continue
                if status == 429 and attempt < PUT_OFF and found.get("retry-after", "").isdigit():
                    await asyncio.sleep(int(found["retry-after"]))
                    continue
                break
        raise error_of(status, answer.body, found)

    async def open(self, target: str, *, method: str = "GET", accept: str = JSON, body: bytes = b"") -> Response:
        """A streamed answer (watch, logs, proxy). Raises StatusError, OSError. Close it, or read it to its end."""
        if self._renew is not None:
            await self._renew(False)
        headers = [*self.headers(), ("Accept", accept)]
        if body:
            headers.append(("Content-Type", JSON))
        response = await self.pool.request(method, target, headers=headers, body=body)
        self._warn(response.headers)
        if response.status >= 400:
            raise error_of(response.status, await response.read(), response.headers)
        return response

    async def upgrade(
        self, target: str, protocol: str, *, method: str = "GET", headers: Iterable[Header] = ()
    ) -> Upgraded:
        """A raw connection (exec, attach, port-forward). Raises StatusError when refused, OSError."""
        try:
            return await self.pool.upgrade(target, protocol, method=method, headers=[*self.headers(), *headers])
        except Refused as refused:
            raise error_of(refused.status, refused.body, refused.headers) from None

    def headers(self) -> Sequence[Header]:
        """What says who is asking."""
        if self._identity is not None:
            return tuple(self._identity())
        token = self._token() if callable(self._token) else self._token
        return [("Authorization", f"Bearer {token}")] if token else []

    def identity(self) -> bytes:
        """The same, as lines of a request."""
        return block(self.headers())

    # Actions

    async def _act(self, action: Action) -> Outcome:
        try:
            data = await self._request(action)
        except StatusError as error:
            return Outcome(0, None, error)
        return Answered(rev_of(head_of(data).metadata.resourceVersion), self._object, action.kind, data)

    async def _request(self, action: Action) -> bytes:
        kind = action.kind
        manager = {"fieldManager": self._manager}
        if isinstance(action, Create):
            namespace, name = _names(action.obj)
            path = path_of(kind, namespace, action.name or name, action.subresource)
            if not action.subresource:
                path = path_of(kind, namespace)
            return await self.send("POST", with_query(path, manager), codec.encode(action.obj))
        if isinstance(action, Update):
            path = path_of(kind, *_names(action.obj), action.subresource)
            return await self.send("PUT", with_query(path, manager), codec.encode(action.obj))
        path = path_of(kind, action.namespace, action.name, getattr(action, "subresource", ""))
        if isinstance(action, Patch):
            if action.manager:
                manager = {"fieldManager": action.manager}
            query = {**manager, "force": "true" if action.force and action.type == "apply" else ""}
            body = msgspec.json.encode(_at_rev(action))
            return await self.send("PATCH", with_query(path, query), body, content_type=PATCH_TYPES[action.type])
        options: Tree = {"kind": "DeleteOptions", "apiVersion": "v1"}
        wanted = {k: v for k, v in (("uid", action.uid), ("resourceVersion", action.rev)) if v}
        if wanted:
            options["preconditions"] = wanted
        if action.grace_s is not None:
            options["gracePeriodSeconds"] = action.grace_s
        if action.propagation:
            options["propagationPolicy"] = action.propagation
        return await self.send("DELETE", path, msgspec.json.encode(options))

    # Answers

    def _decode_of(self, kind: Kind) -> Callable[[bytes], Any]:
        found = self._decoders.get(kind)
        if found is None:
            found = self._decoders[kind] = decode_of(kind)
        return found

    def _object(self, kind: Kind, data: bytes) -> Any:
        """The answer as its own type: mostly the kind asked for, else what the registry knows, else a tree."""
        type_of = msgspec.json.decode(data, type=_Typed)
        if type_of.kind == kind.kind and type_of.apiVersion == kind.api_version:
            return self._decode_of(kind)(data)
        if self._registry is not None:
            group, _, version = type_of.apiVersion.rpartition("/")
            other = self._registry.body(group, version, type_of.kind)
            if other is not None:
                return self._decode_of(other)(data)
        return codec.parse(data)

    def _warn(self, headers: Mapping[str, str]) -> None:
        if self.on_warning is not None and "warning" in headers:
            for text in warnings_of(headers["warning"]):
                self.on_warning(text)


@lru_cache(maxsize=64)
def _about(accept: str, content_type: str) -> bytes:
    """What is sent, and what is to come."""
    lines = [("Accept", accept)]
    if content_type:
        lines.append(("Content-Type", content_type))
    return block(lines)


class _Typed(msgspec.Struct, frozen=True, gc=False):
    kind: str = ""
    apiVersion: str = ""


class _Continue(msgspec.Struct, frozen=True, gc=False, rename={"cont": "continue"}):
    cont: str = ""


class _Paged(msgspec.Struct, frozen=True, gc=False):
    metadata: _Continue = _Continue()


class _Source:
    """The list and the watch of one view."""

    def __init__(self, client: HttpClient, kind: Kind, namespace: str, labels: str, fields: str) -> None:
        self._client = client
        self._path = path_of(kind, namespace)
        self._query = {"labelSelector": labels, "fieldSelector": fields}

    async def list_raw(self) -> bytes:
        return await self._client.send("GET", with_query(self._path, self._query))

    async def watch_raw(self, rev: str, timeout_s: int) -> AsyncIterator[bytes]:
        query = {**self._query, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": rev}
        if timeout_s:
            query["timeoutSeconds"] = str(timeout_s)
        response = await self._client.open(with_query(self._path, query))
        try:
            async for line in response.lines():
                yield line
        finally:
            response.close()


def error_of(status: int, data: bytes, headers: Mapping[str, str]) -> StatusError:
    """What the server said, as the exception of the process that asked."""
    try:
        tree = msgspec.json.decode(data)
    except msgspec.MsgspecError:
        tree = None
    if isinstance(tree, dict) and tree.get("kind") == "Status":
        tree.setdefault("code", status)
        error = from_status(tree)
    else:
        text = data.decode(errors="replace").strip()
        error = StatusError(status, "", text or f"the server answered with status {status}")
    if "retry-after" in headers:
        error.headers["Retry-After"] = headers["retry-after"]
    return error


def warnings_of(header: str) -> list[str]:
    """The texts of ``299 - "text", 299 - "text"``."""
    out: list[str] = []
    at = header.find('"')
    while at >= 0:
        text = ""
        at += 1
        while at < len(header) and header[at] != '"':
            if header[at] == "\\":
                at += 1
            text += header[at : at + 1]
            at += 1
        out.append(text)
        at = header.find('"', at + 1)
    return out


def _names(obj: Any) -> tuple[str, str]:
    if isinstance(obj, dict):
        meta = obj.get("metadata") or {}
        return meta.get("namespace") or "", meta.get("name") or ""
    return obj.metadata.namespace, obj.metadata.name


def _target(action: Action) -> Any:
    """What must not be written by two requests at a time; None for an object that has no name yet."""
    if isinstance(action, Create | Update):
        namespace, name = _names(action.obj)
        name = getattr(action, "name", "") or name
        return (action.kind, namespace, name) if name else None
    return action.kind, action.namespace, action.name


def _at_rev(action: Patch) -> Any:
    """The body of a patch that holds only for one resourceVersion: the server answers Conflict otherwise."""
    if not action.rev:
        return action.body
    if action.type == "json":
        return [{"op": "replace", "path": "/metadata/resourceVersion", "value": action.rev}, *action.body]
    metadata = {**(action.body.get("metadata") or {}), "resourceVersion": action.rev}
    return {**action.body, "metadata": metadata}
