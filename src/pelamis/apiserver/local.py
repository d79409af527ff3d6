"""The Client protocol in the server's own process: the same pipeline, without socket, HTTP and JSON.

Every component has its own LocalClient with its own identity. Views are the server's cache itself; a ``commit`` is one
group commit. Authorization, admission and quota are the same as over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.api import codec
from pelamis.api.core.binding import Binding
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver import verbs
from pelamis.apiserver.authz.attributes import Attributes
from pelamis.apiserver.pipeline import attributes
from pelamis.apiserver.request import DeleteOptions, WriteOptions, name_of, parse_info
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.selection import Selection
from pelamis.apiserver.user import User
from pelamis.apiserver.watch import shown_as
from pelamis.apiserver.write import Patch as WritePatch
from pelamis.apiserver.write import Write
from pelamis.base.errors import Gone, Internal, PathNotFound, StatusError, from_status
from pelamis.cache.collection import Event
from pelamis.cache.entry import Entry
from pelamis.cache.view import View
from pelamis.client.path import with_query
from pelamis.client.types import Action, Answered, Create, Delete, Outcome, Patch, Update, WatchEvent
from pelamis.client.types import View as AnyView

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer


def _reader(kind: Kind, entry: Entry) -> Any:
    """The object in the version asked for."""
    return entry.obj if kind.hub is None else codec.decode(kind, codec.to_version(kind, entry.data))


_CONTROLLERS = "system:serviceaccount:kube-system:"


def _agent_of(user: str) -> str:
    """The program that acts as the user: controllers have an account each, and are one program."""
    return "kube-controller-manager" if user.startswith(_CONTROLLERS) else user.rpartition(":")[2] or user


class LocalClient:
    """``agent``: the name that managedFields show."""

    def __init__(self, server: ApiServer, user: User, agent: str = "") -> None:
        self._server = server
        self.user = user
        self._agent = agent or _agent_of(user.name)
        self._views: dict[tuple[Kind, str, str, str], View] = {}

    # -- reading

    def _allow(self, verb: str, kind: Kind, namespace: str, name: str = "", sub: str = "", fields: str = "") -> None:
        a = Attributes(verb, kind.group, kind.version, kind.plural, sub, namespace, name or name_of(fields), "", fields)
        self._server.gate.authorize(self.user, a)

    def view(self, kind: Kind, *, namespace: str = "", label_selector: str = "", field_selector: str = "") -> View:
        key = (kind, namespace, label_selector, field_selector)
        view = self._views.get(key)
        if view is None:
            self._allow("list", kind, namespace, fields=field_selector)
            self._allow("watch", kind, namespace, fields=field_selector)
            collection = self._server.objects.collection(kind)
            if kind.hub is not None:
                raise ValueError(f"a view needs the stored version of {kind.resource}")
            if label_selector or field_selector:
                selection = Selection(kind, namespace, label_selector, field_selector)
                view = View(collection, namespace=namespace, match=selection.matches)
            elif namespace:
                view = View(collection, namespace=namespace)
            else:
                view = self._server.objects.view(kind.resource)
            self._views[key] = view
        return view

    def release(self, view: AnyView[Any]) -> None:
        """Views cost nothing here: they show what the server holds anyway."""

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Any:
        self._allow("get", kind, namespace, name, subresource)
        if subresource:
            special = self._server.specials.get((kind.resource, subresource))
            if special is not None:
                write = Write("get", kind, self.user, namespace, name, subresource)
                return _object(await special(self._server, write))
        if kind.computed:
            return await self._server.computed(kind).get(kind, namespace, name)
        entry = self._server.objects.collection(kind).get(namespace, name)
        if entry is None:
            raise verbs.absent(kind, name)
        return _reader(kind, entry)

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[Sequence[Any], int]:
        self._allow("list", kind, namespace, fields=field_selector)
        if kind.computed:
            found = await self._server.computed(kind).list(kind, namespace, label_selector, field_selector)
            return found, self._server.cache.rev
        collection = self._server.objects.collection(kind)
        selection = Selection(kind, namespace, label_selector, field_selector)
        entries = collection.range(namespace)[0]
        return [_reader(kind, e) for e in entries if selection.matches(e)], collection.rev

    async def watch(
        self, kind: Kind, namespace: str = "", *, rev: int = 0, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """rev 0: everything that exists first, as ADDED. Raises Gone when ``rev`` is forgotten."""
        self._allow("watch", kind, namespace, fields=field_selector)
        collection = self._server.objects.collection(kind)
        selection = Selection(kind, namespace, label_selector, field_selector)
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        past = collection.since(rev) if rev else []
        if past is None:
            raise Gone(f"too old resource version: {rev} ({collection.oldest})")
        existing = [] if rev else collection.range(namespace)[0]
        cancel = collection.subscribe(queue.put_nowait, lambda: queue.put_nowait(None))
        try:
            for entry in existing:
                if selection.matches(entry):
                    yield WatchEvent("ADDED", _reader(kind, entry))
            for event in past:
                shown = shown_as(selection, event)
                if shown is not None:
                    yield WatchEvent(shown[0], _reader(kind, shown[1]))
            while (next_event := await queue.get()) is not None:
                shown = shown_as(selection, next_event)
                if shown is not None:
                    yield WatchEvent(shown[0], _reader(kind, shown[1]))
        finally:
            cancel()

    # -- writing

    async def commit(self, actions: Sequence[Action]) -> Sequence[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(actions)
        grouped: list[tuple[int, Write]] = []
        for i, action in enumerate(actions):
            try:
                write = self._write(action)
            except StatusError as error:
                outcomes[i] = Outcome(0, None, error)
                continue
            special = self._server.specials.get((write.kind.resource, write.subresource))
            # A binding or a scale is one write; only those that take several steps go alone.
            if special is not None and (write.kind.resource, write.subresource) not in self._server.rest.transforms:
                try:
                    answer = await special(self._server, write)
                    outcomes[i] = Outcome(answer.rev, _object(answer))
                except StatusError as error:
                    outcomes[i] = Outcome(0, None, error)
                continue
            grouped.append((i, write))
        if grouped:
            answers = await self._server.rest.execute([w for _, w in grouped])
            for (i, _), answer in zip(grouped, answers, strict=True):
                outcomes[i] = self._outcome(answer)
        return [o if o is not None else Outcome(0, None, Internal("no outcome")) for o in outcomes]

    def _outcome(self, answer: Answer) -> Outcome:
        if answer.error is not None:
            return Outcome(0, None, answer.error)
        return Answered(answer.rev, _object, answer, name=answer.entry.key[1] if answer.entry is not None else "")

    def _write(self, action: Action) -> Write:
        """Raises StatusError when it is not allowed."""
        kind = action.kind
        if isinstance(action, Create) and self._is_model(action):
            return self._write_of_model(action)
        if isinstance(action, Create | Update):
            tree = _given(action)
            meta = tree.setdefault("metadata", {})
            namespace = meta.get("namespace", "") if kind.namespaced else ""
            verb = "create" if isinstance(action, Create) else "update"
            name = action.name if isinstance(action, Create) else ""
            if not name and (verb == "update" or action.subresource):
                name = meta.get("name", "")
            self._allow(verb, kind, namespace, name, action.subresource)
            write = Write(verb, kind, self.user, namespace, name, action.subresource, tree)
        elif isinstance(action, Patch):
            self._allow("patch", kind, action.namespace, action.name, action.subresource)
            write = Write("patch", kind, self.user, action.namespace, action.name, action.subresource)
            write.patch = WritePatch(action.type, self._with_rev(action))
            write.options = WriteOptions(force=action.force, manager=action.manager)
        else:
            assert isinstance(action, Delete)
            self._allow("delete", kind, action.namespace, action.name)
            write = Write("delete", kind, self.user, action.namespace, action.name)
            write.deletion = DeleteOptions(action.grace_s, action.uid, action.rev, action.propagation)
        write.user_agent = self._agent
        return write

    @staticmethod
    def _is_model(action: Create) -> bool:
        """Whether the struct itself is planned with: many pods may be made of it, or it is the binding of one."""
        kind, obj = action.kind, action.obj
        if kind.resource != "pods":
            return False
        if action.subresource:
            return action.subresource == "binding" and type(obj) is Binding and bool(action.name)
        named = action.name or (type(obj) is kind.type and obj.metadata.name)
        return type(obj) is kind.type and not named and bool(obj.metadata.generateName)

    def _write_of_model(self, action: Create) -> Write:
        kind, obj, sub = action.kind, action.obj, action.subresource
        namespace, name = obj.metadata.namespace, action.name
        self._allow("create", kind, namespace, name, sub)
        return Write("create", kind, self.user, namespace, name, sub, model=obj, user_agent=self._agent)

    @staticmethod
    def _with_rev(action: Patch) -> Any:
        if not action.rev:
            return action.body
        if isinstance(action.body, dict):
            meta = {**(action.body.get("metadata") or {}), "resourceVersion": action.rev}
            return {**action.body, "metadata": meta}
        test = {"op": "replace", "path": "/metadata/resourceVersion", "value": action.rev}
        return [test, *action.body]

    async def fetch(self, path: str, *, query: Mapping[str, str] | None = None) -> Tree:
        """What this server or an aggregated one answers to a GET of a resource. Raises StatusError, OSError."""
        info = parse_info("GET", path)
        given = {k: v for k, v in (query or {}).items() if v}
        label_selector, field_selector = given.get("labelSelector", ""), given.get("fieldSelector", "")
        self._server.gate.authorize(self.user, attributes(info, field_selector, label_selector))
        kind = self._server.registry.by_resource(info.group, info.version, info.resource)
        if kind is None:
            answer = await self._server.aggregation.fetch(path, with_query(path, given), self.user)
            if answer is None:
                raise PathNotFound()
            return _read(*answer)
        if info.name:
            return codec.to_tree(await self.get(kind, info.namespace, info.name, subresource=info.subresource))
        found, rev = await self.list(kind, info.namespace, label_selector=label_selector, field_selector=field_selector)
        head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": {"resourceVersion": str(rev)}}
        return {**head, "items": [codec.to_tree(obj) for obj in found]}

    async def post(self, path: str, body: Tree, *, query: Mapping[str, str] | None = None) -> Tree:
        """Reviews and TokenRequests. Raises StatusError."""
        info = parse_info("POST", path)
        kind = self._server.registry.by_resource(info.group, info.version, info.resource)
        if kind is None:
            raise PathNotFound()
        self._allow("create", kind, info.namespace, info.name, info.subresource)
        write = Write("create", kind, self.user, info.namespace, info.name, info.subresource, codec.to_tree(body))
        write.user_agent = self._agent
        special = self._server.specials.get((kind.resource, info.subresource))
        answer = await special(self._server, write) if special is not None else await self._server.rest.one(write)
        if answer.tree is not None:
            return answer.tree
        tree: Tree = msgspec.json.decode(answer.data or b"{}")
        return tree


def _read(status: int, data: bytes) -> Tree:
    """The tree that another server answered. Raises StatusError."""
    try:
        tree = msgspec.json.decode(data)
    except msgspec.MsgspecError:
        tree = None
    if status >= 400:
        if isinstance(tree, dict) and tree.get("kind") == "Status":
            raise from_status({"code": status, **tree})
        text = data.decode(errors="replace").strip()
        raise StatusError(status, "", text or f"the server answered with status {status}")
    if not isinstance(tree, dict):
        raise Internal("the answer is not an object")
    return tree


def _given(action: Create | Update) -> Tree:
    """The tree that the write may change. Normal form builds that of a built-in kind anew below the metadata."""
    obj = action.obj
    if type(obj) is not dict or action.subresource or action.kind.type is codec.Custom:
        return codec.to_tree(obj)
    return {**obj, "metadata": dict(obj.get("metadata") or {})}


def _object(answer: Answer) -> Any:
    """The object after the write, with its resourceVersion."""
    if answer.entry is not None and answer.kind is answer.entry.shape.kind:
        return answer.entry.obj
    if answer.data is not None and answer.kind is not None:
        return codec.decode(answer.kind, answer.data)
    return answer.obj
