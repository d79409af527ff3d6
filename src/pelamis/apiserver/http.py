"""The API over HTTP: routes a request through the pipeline and gives the answer its form.

Reads of the cache are answered in the same turn of the loop, without a task. Writes, long lists and streams get a task.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.api import codec, loosen
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver import verbs
from pelamis.apiserver.admission.connect import connection
from pelamis.apiserver.auditpolicy import Judgment
from pelamis.apiserver.authn import impersonation
from pelamis.apiserver.flow import dump
from pelamis.apiserver.flow.rules import NONE as NO_FLOW
from pelamis.apiserver.flow.run import Refused
from pelamis.apiserver.lists import finish
from pelamis.apiserver.negotiate import (
    JSON,
    MEDIA_TYPES,
    PLAIN,
    PROTOBUF,
    YAML,
    Format,
    body_media,
    is_pretty,
    negotiate,
    patch_type,
)
from pelamis.apiserver.pipeline import Deadline, attributes
from pelamis.apiserver.present import Presenter, to_yaml, tree_to_protobuf
from pelamis.apiserver.request import (
    RequestInfo,
    delete_options,
    is_long_running,
    list_options,
    parse_info,
    timeout_of,
    write_options,
)
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.selection import Selection
from pelamis.apiserver.streams.table import STREAMS
from pelamis.apiserver.user import User
from pelamis.apiserver.write import Patch, Write
from pelamis.base import gojson
from pelamis.base import tree as trees
from pelamis.base.errors import (
    BadRequest,
    Internal,
    MethodNotAllowed,
    NotAcceptable,
    PathNotFound,
    StatusError,
    Timeout,
    TooLarge,
    wrong_revision,
)
from pelamis.net.http1 import BODY_LIMIT, PeerGone, Request, Response

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer
    from pelamis.apiserver.subresources import Special

log = logging.getLogger("pelamis.apiserver")
TEXT = "text/plain; charset=utf-8"
_NO_CACHE = ("Cache-Control", "no-cache, private")
_LONG = frozenset(("watch", "proxy", "connect"))
_WRITES = frozenset(("create", "update", "patch", "delete", "deletecollection"))
TIMEOUT_S = 60.0
SLOW_S = 0.5
"""A request that takes longer says in the log where its time went."""
_GZIP_BYTES = 128 * 1024
_DELETE_BATCH = 200
_DECLARED_S = 3.0
"""How long a request waits for a definition that has just been changed; its conversion webhook may be away."""
Answered = Response | Awaitable[Response | None] | None
_encode = msgspec.json.Encoder().encode


class Call:
    """One request on its way through the server."""

    __slots__ = ("audit_id", "audited", "authenticated", "commit_s", "flow", "form", "info", "kind", "labels", "notes",
                 "request", "seated_s", "started", "user", "warnings")  # fmt: skip

    def __init__(self, request: Request, info: RequestInfo, user: User, audit_id: str) -> None:
        self.request = request
        self.info = info
        self.user = self.authenticated = user
        self.audit_id = audit_id
        self.audited: tuple[Judgment, float] | None = None
        """What the audit policy says of it, and when it came."""
        self.form: Format = PLAIN
        self.kind: Kind | None = None
        self.started = request.received_at
        self.warnings: list[str] = []
        self.notes: dict[str, str] | None = None
        """Annotations for the audit log."""
        self.labels: tuple[str, ...] = ()
        self.flow = NO_FLOW
        self.seated_s = 0.0
        self.commit_s = 0.0

    def headers(self) -> tuple[tuple[str, str], ...]:
        out = (("Audit-Id", self.audit_id), _NO_CACHE, *self.flow.headers)
        if not self.warnings:
            return out
        return (*out, *((("Warning", f"299 - {_quoted(w)}")) for w in dict.fromkeys(self.warnings)))


async def _within(answer: Awaitable[Response | None], limit_s: float) -> Response | None:
    async with asyncio.timeout(limit_s):
        return await answer


def _quoted(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def slow(call: Call, code: int, took: float) -> str:
    """Where the time of a request went, in milliseconds."""
    steps = []
    if call.seated_s:
        steps.append(f"waited for a seat {call.seated_s * 1000:.0f} ms")
    if call.commit_s:
        steps.append(f"committed to the store {call.commit_s * 1000:.0f} ms")
    rest = took - call.seated_s - call.commit_s
    steps.append(f"the rest {rest * 1000:.0f} ms")
    request = call.request
    return (
        f'Trace "{request.method} {request.raw_path}" by {call.user.name} (audit-id {call.audit_id}): {code} after '
        f"{took * 1000:.0f} ms: {', '.join(steps)}"
    )


class Api:
    """``handle`` is the handler of the HTTP server."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._gate = server.gate
        self._objects = server.objects
        self._registry = server.registry
        self._rest = server.rest
        self._metrics = server.metrics
        self._clock = server.clock
        self._flow = server.flow
        self._audit = server.audit
        self._deadline = Deadline(TIMEOUT_S)

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
                call.user = impersonation.impersonate(request, user, self._gate.authorizer)
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
            body, media = self._dress(tree, form)
        except (StatusError, ValueError):
            # The error itself cannot be said in that form.
            body, media = _encode(tree), JSON
        return Response(error.code, body, media, headers)

    def _dress(self, tree: Tree, form: Format) -> tuple[bytes, str]:
        if form.media == YAML:
            return to_yaml(tree), YAML
        body = _encode(tree)
        if form.media == PROTOBUF:
            return tree_to_protobuf(body), PROTOBUF
        if form.pretty:
            return msgspec.json.format(body, indent=2) + b"\n", JSON
        return body, JSON

    def _count(self, call: Call, code: int, answer: Response | Tree | None = None) -> None:
        info = call.info
        labels = call.labels
        if not labels:
            verb = info.verb.upper() if info.is_resource else call.request.method
            if info.name or info.subresource:
                scope = "resource"
            else:
                scope = "namespace" if info.namespace else "cluster"
            labels = (verb, "", info.group, info.version, info.resource, info.subresource, scope, "apiserver")
        took = self._server.loop.time() - call.started
        self._metrics.request(labels, code, took)
        if took > SLOW_S and not call.labels:
            log.warning("%s", slow(call, code, took))
        if self._audit is not None:
            self._audit.note(call, code, self._clock(), took, answer)

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
        kind = self._registry.by_resource(info.group, info.version, info.resource)
        if kind is None:
            remote = self._server.aggregate(call.request, info, call.user)
            if remote is not None:
                return self._elsewhere(call, remote)
            if info.version not in self._registry.versions(info.group):
                return self._nowhere(call)
            raise PathNotFound()
        changing = self._server.definitions.changing
        if changing and kind.resource in changing and info.verb != "watch":
            return self._once_declared(call, changing[kind.resource])
        call.kind = kind
        if kind.deprecated:
            call.warnings.append(kind.deprecated)
        if info.namespace and not kind.namespaced:
            if kind.plural != "namespaces" or kind.group:
                raise PathNotFound()
            # Authorized within itself, stored without.
            info.namespace = ""
        if (
            kind.namespaced
            and not info.namespace
            and (info.name or info.verb == "create")
            and info.verb
            not in (
                "list",
                "watch",
                "deletecollection",
            )
        ):
            raise MethodNotAllowed() if info.verb == "create" else PathNotFound()
        verb = info.verb
        if not info.name and verb in ("update", "patch") and not info.subresource:
            raise MethodNotAllowed()
        if info.subresource:
            return self._subresource(call, kind)
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
            return self._slot(call, self._computed(call, kind))
        if verb == "get":
            return self._get(call, kind)
        if verb == "list":
            return self._list(call, kind)
        if verb == "watch":
            self._watch(call, kind)
            return None
        special = self._server.specials.get((kind.resource, ""))
        if special is not None:
            if form.shown:  # an answer, not an object: there are no rows of it
                raise NotAcceptable(MEDIA_TYPES)
            return self._slot(call, self._special(call, kind, kind, special))
        if verb == "create":
            if info.name:
                raise MethodNotAllowed()
            return self._slot(call, self._write(call, kind))
        if verb == "deletecollection":
            return self._slot(call, self._delete_collection(call, kind))
        return self._slot(call, self._write(call, kind))

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
        found = self._server.document(request)
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
        try:
            ticket = await flow.take(call.flow, call.user, call.info, call.request.query)
        except BaseException:
            work.close()
            raise
        call.seated_s = loop.time() - call.started
        writes = call.info.verb in _WRITES
        metrics = self._metrics
        metrics.enter(writes)
        try:
            return await self._deadline.run(work, call.request.task)
        finally:
            metrics.leave(writes)
            flow.give(ticket, loop.time())

    def _subresource(self, call: Call, kind: Kind) -> Answered:
        info = call.info
        stream = STREAMS.get((info.resource, info.subresource))
        if stream is not None:
            return self._stream(call, stream)
        sub = kind.subresource(info.subresource)
        if sub is None or not info.name:
            raise PathNotFound()
        if info.verb not in sub.verbs:
            raise MethodNotAllowed()
        accept = call.request.headers.get("accept", "")
        call.form = negotiate(accept) if accept else PLAIN
        special = self._server.specials.get((kind.resource, info.subresource))
        if special is not None:
            body = self._registry.body(sub.group, sub.version, sub.kind) or kind
            work = self._special(call, kind, body, special)
            return work if info.verb == "get" else self._slot(call, work)
        if info.verb == "get":
            return self._get(call, kind)
        return self._slot(call, self._write(call, kind))

    async def _special(self, call: Call, kind: Kind, body: Kind, special: Special) -> Response:
        """body: the kind of what is sent and answered."""
        write = self.write(call, kind, body)
        answer = await special(self._server, write)
        self._learn(call, write)
        return self.answered(call, kind, answer)

    async def _stream(self, call: Call, handler: Any) -> Response | None:
        info = call.info
        labels = ("CONNECT", "", info.group, info.version, info.resource, info.subresource, "resource", "apiserver")
        call.labels = labels
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

    # -- reading

    def _get(self, call: Call, kind: Kind) -> Answered:
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
            return Response(200, entry.data, JSON, call.headers())
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
        presenter = self._presenter(call, kind)
        return Response(code, presenter.one(data, obj), call.form.media, call.headers())

    def _presenter(self, call: Call, kind: Kind) -> Presenter:
        include = call.request.query_first("includeObject") if call.form.shown == "Table" else ""
        return Presenter(kind, call.form, self._clock, include)

    def _list(self, call: Call, kind: Kind) -> Answered:
        info = call.info
        request = call.request
        items = request.query_items()
        options = list_options(items)
        selection = Selection(kind, info.namespace, options.label_selector, options.field_selector)
        presenter = self._presenter(call, kind)
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

    async def _computed(self, call: Call, kind: Kind) -> Response:
        """Objects that are made for this answer."""
        info = call.info
        presenter = self._presenter(call, kind)
        source = self._server.computed(kind)
        if info.verb == "get":
            obj = await source.get(kind, info.namespace, info.name)
            return Response(200, presenter.one(codec.encode(obj), obj), call.form.media, call.headers())
        options = list_options(call.request.query_items())
        found = await source.list(kind, info.namespace, options.label_selector, options.field_selector)
        members = [presenter.member(codec.encode(obj), obj) for obj in found]
        parts = finish(presenter, self._objects.cache.rev, {}, [b",".join(members)] if members else [])
        return Response(200, parts, call.form.media, call.headers())

    def _watch(self, call: Call, kind: Kind) -> None:
        info = call.info
        request = call.request
        options = list_options(request.query_items())
        fields = options.field_selector
        if info.name and "metadata.name=" not in fields:
            # The deprecated path of a watch on one object.
            fields = f"{fields},metadata.name={info.name}" if fields else f"metadata.name={info.name}"
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
                self._presenter(call, kind),
                call.headers(),
                ended,
            )
        except StatusError:
            self._metrics.ended(labels)
            raise
        if self._audit is not None:
            self._audit.started(call, self._clock(), self._server.loop.time() - call.started)

    # -- writing

    async def _write(self, call: Call, kind: Kind) -> Response:
        write = self.write(call, kind)
        try:
            answer = await self._rest.one(write)
        finally:
            self._learn(call, write)
        return self.answered(call, kind, answer)

    @staticmethod
    def _learn(call: Call, write: Write) -> None:
        call.warnings.extend(write.warnings)
        call.commit_s = write.commit_s
        if write.audit:
            call.notes = write.audit

    def write(self, call: Call, kind: Kind, body: Kind | None = None) -> Write:
        """The Write that the request asks for. body: the kind of what is sent, if another. Raises StatusError."""
        info = call.info
        request = call.request
        verb = info.verb
        items = request.query_items()
        write = Write(
            verb, kind, call.user, info.namespace, info.name, info.subresource,
            user_agent=request.headers.get("user-agent", ""),
        )  # fmt: skip
        media = request.headers.get("content-type", "")
        if verb == "get":
            pass
        elif verb == "delete":
            write.deletion = delete_options(items, self.options_body(request))
        elif verb == "patch":
            kind_of = patch_type(media, custom=kind.prune is not None)
            write.options = write_options(verb, items, apply=kind_of == "apply")
            write.patch = self._patch(write, request, kind_of)
        else:
            write.options = write_options(verb, items)
            write.tree, problems = codec.read_body(body or kind, request.body, body_media(media))
            verbs.report(write, _with_unknown(write, body or kind, problems))
        return write

    def _patch(self, write: Write, request: Request, kind_of: str) -> Patch:
        problems: list[str] = []
        if kind_of == "apply":
            try:
                body = loosen.read_yaml(request.body, problems)
            except (ValueError, RecursionError) as error:
                raise BadRequest(f"error decoding YAML: {error}") from None
            verbs.report(write, problems)
            return Patch(kind_of, body)
        data = request.body
        try:
            body = msgspec.json.decode(data)
        except (ValueError, RecursionError) as error:
            said = "" if kind_of == "strategic" else "error decoding patch: "
            raise BadRequest(said + (gojson.complaint(data) or str(error))) from None
        if data.count(b'":') != msgspec.json.encode(body).count(b'":'):
            word = "json patch " if kind_of == "json" else ""
            problems = [word + problem for problem in loosen.duplicates(data)]
        return Patch(kind_of, body, problems)

    def options_body(self, request: Request) -> Tree | None:
        if not request.body:
            return None
        media = body_media(request.headers.get("content-type", ""))
        if media == PROTOBUF:
            kind = self._registry.body("", "v1", "DeleteOptions")
            assert kind is not None
            return codec.read_body(kind, request.body, media)[0]
        try:
            tree = loosen.read_yaml(request.body, []) if media == YAML else msgspec.json.decode(request.body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"couldn't get version/kind; json parse error: {error}") from None
        if tree is not None and not isinstance(tree, dict):
            raise BadRequest("DeleteOptions must be an object")
        return tree

    def answered(self, call: Call, kind: Kind, answer: Answer) -> Response:
        form = call.form
        if answer.tree is not None:
            body, media = self._dress(answer.tree, form)
            return Response(answer.code, body, media, call.headers())
        data = answer.data or b"{}"
        shown = answer.kind or kind
        if form is PLAIN:
            return Response(answer.code, data, JSON, call.headers())
        # The bytes are in the version asked for already.
        presenter = Presenter(shown, form, self._clock)
        if shown.hub is not None:
            body = _converted(presenter, data)
        else:
            body = presenter.one(data)
        return Response(answer.code, body, form.media, call.headers())

    async def _delete_collection(self, call: Call, kind: Kind) -> Response:
        info = call.info
        request = call.request
        items = request.query_items()
        options = list_options(items)
        template = delete_options(items, self.options_body(request))
        selection = Selection(kind, info.namespace, options.label_selector, options.field_selector)
        collection = self._objects.collection(kind)
        entries = [e for e in collection.snapshot(info.namespace) if selection.matches(e)]
        for start in range(0, len(entries), _DELETE_BATCH):
            writes = [
                Write("delete", kind, call.user, e.key[0], e.key[1], deletion=template)
                for e in entries[start : start + _DELETE_BATCH]
            ]
            for answer in await self._rest.execute(writes):
                if answer.error is not None and answer.error.reason != "NotFound":
                    raise answer.error
        presenter = self._presenter(call, kind)
        body = finish(
            presenter, collection.rev, {}, [b",".join(presenter.piece(e) for e in entries)] if entries else []
        )
        return Response(200, body, call.form.media, call.headers())


def _converted(presenter: Presenter, data: bytes) -> bytes:
    """Bytes of a kind that is stored as another, already in their own version."""
    shown = presenter.format.shown
    if shown == "Table":
        metadata = msgspec.json.decode(data).get("metadata", {})
        body = presenter.table({"resourceVersion": metadata.get("resourceVersion", "")}, [presenter.row(data)])
    elif shown:
        from pelamis.apiserver.present import partial

        body = partial(data, presenter.format.version)
    elif presenter.media == PROTOBUF:
        from pelamis.apiserver.present import to_protobuf

        return to_protobuf(presenter.kind, data)
    else:
        body = data
    return presenter.dressed(body)


def _with_unknown(write: Write, kind: Kind, problems: list[str]) -> list[str]:
    """A refusal for what the text shows twice names the unknown fields too."""
    if not problems or write.options.validation != "Strict":
        return problems
    try:
        return [*codec.clean(kind, trees.copy(write.tree)), *problems]
    except StatusError:
        return problems
