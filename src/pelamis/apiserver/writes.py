"""The verbs that write, over HTTP: from a body and its options to a ``Write``, and from its answer to a response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pelamis.api import codec, loosen
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver import incoming
from pelamis.apiserver.call import Call
from pelamis.apiserver.lists import finish
from pelamis.apiserver.negotiate import JSON, PLAIN, PROTOBUF, YAML, Format, body_media, patch_type
from pelamis.apiserver.present import Presenter, partial, to_protobuf, to_yaml, tree_to_protobuf
from pelamis.apiserver.reads import presenter_of
from pelamis.apiserver.request import delete_options, list_options, write_options
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.selection import Selection
from pelamis.apiserver.write import Patch, Write
from pelamis.base import gojson
from pelamis.base import tree as trees
from pelamis.base.errors import BadRequest, StatusError
from pelamis.net.http1 import Request, Response

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer
    from pelamis.apiserver.subresources import Special

_DELETE_BATCH = 200
_encode = msgspec.json.Encoder().encode


class Writes:
    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._objects = server.objects
        self._registry = server.registry
        self._rest = server.rest
        self._clock = server.clock

    async def write(self, call: Call, kind: Kind) -> Response:
        write = self._built(call, kind)
        try:
            answer = await self._rest.one(write)
        finally:
            self._learn(call, write)
        return self._answered(call, kind, answer)

    async def special(self, call: Call, kind: Kind, body: Kind, special: Special) -> Response:
        """body: the kind of what is sent and answered."""
        write = self._built(call, kind, body)
        answer = await special(self._server, write)
        self._learn(call, write)
        return self._answered(call, kind, answer)

    @staticmethod
    def _learn(call: Call, write: Write) -> None:
        call.warnings.extend(write.warnings)
        call.commit_s = write.commit_s
        if write.audit:
            call.notes = write.audit

    def _built(self, call: Call, kind: Kind, body: Kind | None = None) -> Write:
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
            write.deletion = delete_options(items, self._options_body(request))
        elif verb == "patch":
            kind_of = patch_type(media, custom=kind.prune is not None)
            write.options = write_options(verb, items, apply=kind_of == "apply")
            write.patch = self._patch(write, request, kind_of)
        else:
            write.options = write_options(verb, items)
            write.tree, problems = codec.read_body(body or kind, request.body, body_media(media))
            incoming.report(write, _with_unknown(write, body or kind, problems))
        return write

    def _patch(self, write: Write, request: Request, kind_of: str) -> Patch:
        problems: list[str] = []
        if kind_of == "apply":
            try:
                body = loosen.read_yaml(request.body, problems)
            except (ValueError, RecursionError) as error:
                raise BadRequest(f"error decoding YAML: {error}") from None
            incoming.report(write, problems)
            return Patch(kind_of, body)
        data = request.body
        try:
            body = msgspec.json.decode(data)
        except (ValueError, RecursionError) as error:
            said = "" if kind_of == "strategic" else "error decoding patch: "
            raise BadRequest(said + (gojson.complaint(data) or str(error))) from None
        if loosen.may_repeat(data, body):
            word = "json patch " if kind_of == "json" else ""
            problems = [word + problem for problem in loosen.duplicates(data)]
        return Patch(kind_of, body, problems)

    def _options_body(self, request: Request) -> Tree | None:
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

    def _answered(self, call: Call, kind: Kind, answer: Answer) -> Response:
        form = call.form
        if answer.tree is not None:
            body, media = dress(answer.tree, form)
            return Response(answer.code, body, media, call.headers())
        data = answer.data or b"{}"
        shown = answer.kind or kind
        if form is PLAIN:
            return Response(answer.code, data, JSON, lines=call.lines())
        # The bytes are in the version asked for already.
        presenter = Presenter(shown, form, self._clock)
        if shown.hub is not None:
            body = _converted(presenter, data)
        else:
            body = presenter.one(data)
        return Response(answer.code, body, form.media, call.headers())

    async def delete_collection(self, call: Call, kind: Kind) -> Response:
        info = call.info
        request = call.request
        items = request.query_items()
        options = list_options(items)
        template = delete_options(items, self._options_body(request))
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
        presenter = presenter_of(call, kind, self._clock)
        body = finish(
            presenter, collection.rev, {}, [b",".join(presenter.piece(e) for e in entries)] if entries else []
        )
        return Response(200, body, call.form.media, call.headers())


def dress(tree: Tree, form: Format) -> tuple[bytes, str]:
    if form.media == YAML:
        return to_yaml(tree), YAML
    body = _encode(tree)
    if form.media == PROTOBUF:
        return tree_to_protobuf(body), PROTOBUF
    if form.pretty:
        return msgspec.json.format(body, indent=2) + b"\n", JSON
    return body, JSON


def _converted(presenter: Presenter, data: bytes) -> bytes:
    """Bytes of a kind that is stored as another, already in their own version."""
    shown = presenter.format.shown
    if shown == "Table":
        metadata = msgspec.json.decode(data).get("metadata", {})
        body = presenter.table({"resourceVersion": metadata.get("resourceVersion", "")}, [presenter.row(data)])
    elif shown:
        body = partial(data, presenter.format.version)
    elif presenter.media == PROTOBUF:
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
