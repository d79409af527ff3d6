"""The API over HTTP: routes a request through the pipeline and gives the answer its form.

Reads of the cache are answered in the same turn of the loop, without a task. Writes, long lists and streams get a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pelamis.api.field import Tree
from pelamis.api.kind import Kind, Subresource
from pelamis.apiserver.admission.connect import connection
from pelamis.apiserver.authn import impersonation
from pelamis.apiserver.call import Answered, Call, SlowLog
from pelamis.apiserver.flow import dump
from pelamis.apiserver.flow.estimate import Width
from pelamis.apiserver.flow.run import Refused
from pelamis.apiserver.metrics import Counted
from pelamis.apiserver.negotiate import JSON, MEDIA_TYPES, PLAIN, is_pretty, negotiate
from pelamis.apiserver.pipeline import Deadline, attributes
from pelamis.apiserver.reads import Reads
from pelamis.apiserver.request import MUTATING, RequestInfo, is_long_running, parse_info, timeout_of
from pelamis.apiserver.streams.table import STREAMS
from pelamis.apiserver.user import User
from pelamis.apiserver.writes import Writes, dress
from pelamis.base.errors import (
    Internal,
    MethodNotAllowed,
    NotAcceptable,
    PathNotFound,
    StatusError,
    Timeout,
    TooLarge,
)
from pelamis.net.http1 import BODY_LIMIT, PeerGone, Request, Response

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

log = logging.getLogger("pelamis.apiserver")
TEXT = "text/plain; charset=utf-8"
_LONG = frozenset(("watch", "proxy", "connect"))
TIMEOUT_S = 60.0
SLOW_S = 0.5
"""A request that takes longer says in the log where its time went."""
_DECLARED_S = 3.0
"""How long a request waits for a definition that has just been changed; its conversion webhook may be away."""
_encode = msgspec.json.Encoder().encode


async def _within(answer: Awaitable[Response | None], limit_s: float) -> Response | None:
    async with asyncio.timeout(limit_s):
        return await answer


class Route(NamedTuple):
    """Where requests go that ask for the same of the same resource. stream: in place of a subresource."""

    kind: Kind
    sub: Subresource | None
    stream: Any
    counted: Counted


class Api:
    """``handle`` is the handler of the HTTP server."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._gate = server.gate
        self._registry = server.registry
        self._metrics = server.metrics
        self._clock = server.clock
        self._flow = server.flow
        self._audit = server.audit
        self._deadline = Deadline(TIMEOUT_S)
        self._slow = SlowLog(log.warning)
        self._impersonation = impersonation.Impersonation(server.gate.authorizer)
        self._routes: dict[tuple[str | bool, ...], Route] = {}
        self._routed = -1
        """The revision of the registry that ``_routes`` are of."""
        self._reads = Reads(server, self._slot)
        self._writes = Writes(server)

    # -- entry

    def handle(self, request: Request) -> Answered:
        info = parse_info(request.method, request.path, request.query)
        given = request.headers.get("audit-id")
        audit_id = given if given else self._server.audit_ids.new()
        try:
            user = self._server.authenticator.authenticate(request, self._clock())
        except StatusError as error:
            call = Call(request, info, User(""), audit_id)
            if self._audit is not None:
                self._audit.received(call, self._clock())
            return self._failed(call, error)
        call = Call(request, info, user, audit_id)
        if self._audit is not None:
            self._audit.received(call, self._clock())
        limit_s = 0.0
        try:
            if "timeout=" in request.query and not is_long_running(info):
                limit_s = timeout_of(request.query)
            if request.body_too_large:
                raise TooLarge(f"Request entity too large: limit is {BODY_LIMIT}")
            if "impersonate-user" in request.headers or impersonation.wanted(request):
                call.user = self._impersonation.user(request, user)
            call.flow = self._flow.classify(call.user, info)
            answer = self._route(call)
        except StatusError as error:
            return self._failed(call, error)
        except PeerGone:
            return None
        except Exception as error:
            log.exception("%s %s failed", request.method, request.raw_path)
            return self._failed(call, Internal(f"{type(error).__name__}: {error}"))
        if answer is None or isinstance(answer, Response):
            if answer is not None:
                self._count(call, answer.status, answer)
            return answer
        return self._finish(call, _within(answer, limit_s) if 0 < limit_s < TIMEOUT_S else answer)

    async def _finish(self, call: Call, answer: Awaitable[Response | None]) -> Response | None:
        try:
            response = await answer
        except StatusError as error:
            return self._failed(call, error)
        except TimeoutError:
            return self._failed(call, Timeout("request did not complete within the allotted timeout"))
        except PeerGone:
            return None
        except Exception as error:
            log.exception("%s %s failed", call.request.method, call.request.raw_path)
            return self._failed(call, Internal(f"{type(error).__name__}: {error}"))
        if response is not None:
            self._count(call, response.status, response)
        return response

    def _failed(self, call: Call, error: StatusError) -> Response:
        try:
            accept = call.request.headers.get("accept", "")
            form = negotiate(accept) if accept else PLAIN
        except StatusError:
            form = PLAIN
        tree = error.status()
        extra = getattr(error, "metadata", None)
        if extra:
            tree["metadata"] = extra
        self._count(call, error.code, tree)
        headers = (*call.headers(), *error.headers.items()) if error.headers else call.headers()
        delay = (error.details or {}).get("retryAfterSeconds")
        if delay and "Retry-After" not in error.headers:
            headers = (*headers, ("Retry-After", str(delay)))
        if isinstance(error, Refused):
            headers = (*headers, ("X-Content-Type-Options", "nosniff"))
            return Response(error.code, f"{error.message}\n".encode(), TEXT, headers)
        try:
            body, media = dress(tree, form)
        except (StatusError, ValueError):
            # The error itself cannot be said in that form.
            body, media = _encode(tree), JSON
        return Response(error.code, body, media, headers)

    def _count(self, call: Call, code: int, answer: Response | Tree | None = None) -> None:
        counted = call.counted
        if counted is None:
            counted = self._counted(*self._unrouted(call))
        took = self._server.loop.time() - call.started
        counted.add(code, took)
        if took > SLOW_S and not call.long:
            self._slow.note(call, code, took)
        if self._audit is not None:
            self._audit.note(call, code, self._clock(), took, answer)

    def _unrouted(self, call: Call) -> tuple[str, RequestInfo]:
        """What a request without a route counts as: names that anybody may make up are not kept."""
        info = call.info
        if not info.is_resource:
            return call.request.method, info
        kind = self._registry.by_resource(info.group, info.version, info.resource)
        if kind is None:
            return info.verb.upper(), replace(info, group="", version="", resource="", subresource="")
        sub = info.subresource
        known = not sub or (info.resource, sub) in STREAMS or kind.subresource(sub) is not None
        return info.verb.upper(), info if known else replace(info, subresource="")

    def _counted(self, verb: str, info: RequestInfo) -> Counted:
        if info.name or info.subresource:
            scope = "resource"
        else:
            scope = "namespace" if info.namespace else "cluster"
        return self._metrics.counted(
            (verb, "", info.group, info.version, info.resource, info.subresource, scope, "apiserver")
        )

    # -- routing

    def _route(self, call: Call) -> Answered:
        info = call.info
        if not info.is_resource:
            return self._path(call)
        request = call.request
        query = request.query
        field_selector = label_selector = ""
        if query and "Selector" in query:
            field_selector = request.query_first("fieldSelector")
            label_selector = request.query_first("labelSelector")
        self._gate.authorize(call.user, attributes(info, field_selector, label_selector))
        if self._routed != self._registry.revision:
            self._routed = self._registry.revision
            self._routes.clear()
        verb = info.verb
        shape = (
            verb, info.group, info.version, info.resource, info.subresource, info.name != "", info.namespace != "",
        )  # fmt: skip
        route = self._routes.get(shape)
        kind = route.kind if route is not None else self._registry.by_resource(info.group, info.version, info.resource)
        if kind is None:
            remote = self._server.aggregate(call.request, info, call.user)
            if remote is not None:
                call.counted = self._counted(verb.upper(), info)
                return self._elsewhere(call, remote)
            if info.version not in self._registry.versions(info.group):
                return self._nowhere(call)
            raise PathNotFound()
        changing = self._server.definitions.changing
        if changing and kind.resource in changing and verb != "watch":
            return self._once_declared(call, changing[kind.resource])
        call.kind = kind
        if kind.deprecated:
            call.warnings.append(kind.deprecated)
        if info.namespace and not kind.namespaced:
            if kind.plural != "namespaces" or kind.group:
                raise PathNotFound()
            # Authorized within itself, stored without.
            info.namespace = ""
        if route is None:
            route = self._routes[shape] = self._found(info, kind)
        call.counted = route.counted
        if info.subresource:
            return self._subresource(call, route)
        accept = request.headers.get("accept", "")
        form = negotiate(accept) if accept else PLAIN
        if "pretty" in query or (form.media == JSON and "curl" in request.headers.get("user-agent", "")):
            pretty = is_pretty(
                request.query_first("pretty", "") if "pretty" in query else None, request.headers.get("user-agent", "")
            )
            form = form._replace(pretty=pretty)
        call.form = form
        if verb not in kind.verbs or not verb:
            raise MethodNotAllowed()
        if kind.computed:
            return self._slot(call, self._reads.computed(call, kind))
        if verb == "get":
            return self._reads.one(call, kind)
        if verb == "list":
            return self._reads.many(call, kind)
        if verb == "watch":
            self._reads.watch(call, kind)
            return None
        special = self._server.specials.get((kind.resource, ""))
        if special is not None:
            if form.shown:  # an answer, not an object: there are no rows of it
                raise NotAcceptable(MEDIA_TYPES)
            return self._slot(call, self._writes.special(call, kind, kind, special))
        if verb == "create":
            if info.name:
                raise MethodNotAllowed()
            return self._slot(call, self._writes.write(call, kind))
        if verb == "deletecollection":
            return self._slot(call, self._writes.delete_collection(call, kind))
        return self._slot(call, self._writes.write(call, kind))

    def _found(self, info: RequestInfo, kind: Kind) -> Route:
        """Where requests like this go. Raises StatusError where there is nothing."""
        verb = info.verb
        if kind.namespaced and not info.namespace and verb not in ("list", "watch", "deletecollection"):
            if verb == "create":
                raise MethodNotAllowed()
            if info.name:
                raise PathNotFound()
        if not info.name and verb in ("update", "patch") and not info.subresource:
            raise MethodNotAllowed()
        stream = sub = None
        if info.subresource:
            stream = STREAMS.get((info.resource, info.subresource))
        if info.subresource and stream is None:
            sub = kind.subresource(info.subresource)
            if sub is None or not info.name:
                raise PathNotFound()
            if verb not in sub.verbs:
                raise MethodNotAllowed()
        return Route(kind, sub, stream, self._counted(verb.upper(), info))

    async def _once_declared(self, call: Call, declared: asyncio.Future[None]) -> Response | None:
        """The definition of the resource has just been changed: the request meets what it says now."""
        await asyncio.wait((declared,), timeout=_DECLARED_S)
        if not declared.done():
            self._server.definitions.give_up(declared)
        answer = self._route(call)
        return answer if answer is None or isinstance(answer, Response) else await answer

    def _elsewhere(self, call: Call, answer: Answered) -> Answered:
        """What another server answers takes a seat here, but for what runs for long."""
        if call.request.upgrade or call.info.verb in _LONG or not isinstance(answer, Coroutine):
            return answer
        return self._slot(call, answer)

    def _path(self, call: Call) -> Answered:
        """A path that is no resource: health, metrics, discovery, OpenAPI."""
        request = call.request
        self._gate.authorize(call.user, attributes(call.info))
        path = request.path
        head = path.strip("/").partition("/")[0]
        if head in ("healthz", "livez", "readyz"):
            answer = self._server.health.answer(request)
            if answer is not None:
                return answer
        elif path == "/metrics/slis":
            return Response(200, self._server.health.slis().encode(), TEXT)
        elif path == "/metrics":
            body, media = self._metrics.render(request.headers.get("accept", ""))
            return Response(200, body, media)
        elif path.startswith(dump.PATH):
            page = dump.render(self._flow, path, request.query)
            if page is not None:
                return Response(200, page.encode(), TEXT, call.headers())
        found = self._server.documents.answer(request)
        if found is not None:
            return self._noted(call, found) if isinstance(found, Response) else self._noted_later(call, found)
        remote = self._server.aggregate(request, call.info, call.user)
        if remote is not None:
            return remote
        return self._nowhere(call)

    def _nowhere(self, call: Call) -> Response:
        """Of no group and version: answered as by a server of files."""
        return self._noted(call, Response(404, b"404 page not found\n", TEXT, call.headers()))

    @staticmethod
    def _noted(call: Call, response: Response) -> Response:
        response.headers = (*response.headers, ("Audit-Id", call.audit_id), *call.flow.headers)
        return response

    async def _noted_later(self, call: Call, waiting: Awaitable[Response | None]) -> Response | None:
        response = await waiting
        return self._noted(call, response) if response is not None else None

    async def _slot(self, call: Call, work: Coroutine[Any, Any, Response | None]) -> Response | None:
        """Run within a seat of the request's flow and the time limit."""
        loop = self._server.loop
        flow = self._flow
        now = loop.time()
        try:
            ticket = flow.enter(call.flow, call.info, call.request.query, now)
            if isinstance(ticket, Width):
                ticket = await flow.wait(call.flow, call.user, call.info, ticket)
                now = loop.time()
        except BaseException:
            work.close()
            raise
        call.seated_s = now - call.started
        writes = call.info.verb in MUTATING
        metrics = self._metrics
        task = call.request.task or asyncio.current_task()
        assert task is not None
        metrics.enter(writes)
        try:
            with self._deadline.within(task, now):
                return await work
        finally:
            metrics.leave(writes)
            flow.give(ticket, loop.time())

    def _subresource(self, call: Call, route: Route) -> Answered:
        info, kind, sub = call.info, route.kind, route.sub
        if sub is None:
            return self._stream(call, route.stream)
        accept = call.request.headers.get("accept", "")
        call.form = negotiate(accept) if accept else PLAIN
        special = self._server.specials.get((kind.resource, info.subresource))
        if special is not None:
            body = self._registry.body(sub.group, sub.version, sub.kind) or kind
            work = self._writes.special(call, kind, body, special)
            return work if info.verb == "get" else self._slot(call, work)
        if info.verb == "get":
            return self._reads.one(call, kind)
        return self._slot(call, self._writes.write(call, kind))

    async def _stream(self, call: Call, handler: Any) -> Response | None:
        info = call.info
        labels = ("CONNECT", "", info.group, info.version, info.resource, info.subresource, "resource", "apiserver")
        call.counted, call.long = self._metrics.counted(labels), True
        self._metrics.started(labels)
        call.request.cancel_on_disconnect = True
        try:
            assert call.kind is not None
            connecting = connection(info, call.kind, call.user, call.request.query_items())
            if connecting is not None:
                await self._server.admission.review(connecting)
            if self._audit is not None:
                self._audit.started(call, self._clock(), self._server.loop.time() - call.started)
            response: Response | None = await handler(call.request, info, call.user, self._server)
            if response is None and self._audit is not None:
                self._audit.note(call, 101, self._clock(), self._server.loop.time() - call.started)
            return response
        finally:
            self._metrics.ended(labels)
