"""``scale``: the replicas of a workload as an object of its own, so that one client can scale all kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.autoscaling.scale import scale_of, validate
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.patchschema import schema
from pelamis.apiserver import incoming, verbs
from pelamis.apiserver.ownership import PathOf, manager_of, parent_entries, scale_entries
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Write
from pelamis.base import jsonpatch, mergepatch, smp, ssa
from pelamis.base.errors import BadRequest, Conflict, Invalid
from pelamis.base.fieldpath import Path
from pelamis.base.ssa import managed

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer


def scale_tree(obj: Any) -> Tree:
    """The Scale of a workload: a struct of a built-in kind, or a custom resource with declared paths."""
    return codec.to_tree(scale_of(obj))


def _set_replicas(tree: Tree, replicas: int) -> None:
    tree.setdefault("spec", {})["replicas"] = replicas


def _built_in(api_version: str) -> Path | None:
    return "f:spec", "f:replicas"


class ScaleChange:
    """The transform of the workload; ``kind``: that of Scale. show, place, path_of: where the values are."""

    def __init__(
        self,
        kind: Kind,
        show: Callable[[Any], Tree] = scale_tree,
        place: Callable[[Tree, int], None] = _set_replicas,
        path_of: PathOf = _built_in,
    ) -> None:
        self.kind = kind
        self._show = show
        self._place = place
        self._path_of = path_of

    def __call__(self, write: Write) -> Result:
        assert write.old is not None
        live = self._show(write.old.obj)
        wanted = self._patched(write, live) if write.patch is not None else dict(write.tree)
        codec.check_type(self.kind, wanted)
        incoming.report(write, codec.clean(self.kind, wanted))
        meta = wanted.get("metadata") or {}
        name = meta.get("name") or write.name
        if name != write.name:
            raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({write.name})")
        rev = meta.get("resourceVersion")
        if rev:
            write.rev_given = write.patch is None
            if rev != str(write.old.rev):
                raise Conflict(write.kind.plural, write.kind.group, write.name)
        scale = codec.from_tree(self.kind, wanted)
        errors = validate(scale)
        if errors:
            raise Invalid("Scale", "autoscaling", write.name, errors)
        owned = self._owned(write, live, codec.to_tree(scale))
        patch, write.patch = write.patch, None
        write.tree = codec.to_tree(write.old_tree)
        self._place(write.tree, scale.spec.replicas)
        entries = parent_entries(write.old_tree, owned, self._path_of, write.kind.api_version)
        managed.store(write.tree, managed.cap(entries))
        write.shown = (self.kind, wanted)
        try:
            return verbs.finish_update(write)
        finally:
            write.patch = patch

    def _owned(self, write: Write, live: Tree, new: Tree) -> Sequence[Tree]:
        """managedFields of the Scale after the write."""
        if write.patch is not None and write.patch.type == "apply":
            found: Sequence[Tree] = new["metadata"].get("managedFields", ())
            return found
        before = {**live, "metadata": {**live["metadata"], "managedFields": self._entries(write)}}
        ssa.update_managed(
            before,
            new,
            manager_of(write),
            schema=schema(self.kind),
            api_version=self.kind.api_version,
            now=write.now,
            subresource="scale",
        )
        entries: Sequence[Tree] = new["metadata"].get("managedFields", ())
        return entries

    def _entries(self, write: Write) -> list[Tree]:
        return scale_entries(write.old_tree, self._path_of)

    def _patched(self, write: Write, live: Tree) -> Tree:
        patch = write.patch
        assert patch is not None
        try:
            if patch.type == "json":
                new = jsonpatch.apply(live, jsonpatch.decode(patch.body))
            elif patch.type == "strategic":
                new = smp.apply(live, patch.body, schema(self.kind))
            elif patch.type == "apply":
                new = self._applied(write, live, patch.body)
            else:
                new = mergepatch.apply(live, patch.body)
        except ValueError as error:
            raise BadRequest(str(error)) from None
        return codec.to_tree(new) if isinstance(new, dict) else {}

    def _applied(self, write: Write, live: Tree, body: Any) -> Tree:
        if not isinstance(body, dict):
            raise BadRequest("the applied Scale is not an object")
        live = {**live, "metadata": {**live["metadata"], "managedFields": self._entries(write)}}
        meta = body.get("metadata")
        body = {**body, "metadata": {**(meta if isinstance(meta, dict) else {})}}
        body["metadata"].setdefault("name", write.name)
        if write.namespace:
            body["metadata"].setdefault("namespace", write.namespace)
        return ssa.apply(
            live,
            body,
            manager_of(write),
            schema=schema(self.kind),
            force=bool(write.options.force),
            api_version=self.kind.api_version,
            now=write.now,
            subresource="scale",
        )


async def scale(server: ApiServer, write: Write) -> Answer:
    """GET, PUT and PATCH of the subresource."""
    kind = server.registry.body("autoscaling", "v1", "Scale")
    assert kind is not None
    if write.verb == "get":
        entry = server.objects.collection(write.hub).get(write.namespace, write.name)
        if entry is None:
            raise verbs.absent(write.kind, write.name)
        return Answer(200, codec.encode(scale_of(entry.obj)), None, 0, entry.obj, kind)
    answer = await server.rest.one(write)
    tree = scale_tree(answer.obj)
    if answer.rev:
        tree["metadata"]["resourceVersion"] = str(answer.rev)
    elif write.old is not None:
        tree["metadata"]["resourceVersion"] = str(write.old.rev)
    return Answer(answer.code, codec.encode(codec.from_tree(kind, tree)), None, answer.rev, answer.obj, kind)
