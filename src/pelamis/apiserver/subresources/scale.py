"""``scale``: the replicas of a workload as an object of its own, so that one client can scale all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.autoscaling.scale import scale_of, validate
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.patchschema import schema
from pelamis.apiserver import verbs
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Write
from pelamis.base import jsonpatch, mergepatch, smp
from pelamis.base.errors import BadRequest, Conflict, Invalid

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer


def scale_tree(obj: Any) -> Tree:
    """The Scale of a workload: a struct of a built-in kind, or a custom resource with declared paths."""
    return codec.to_tree(scale_of(obj))


def _set_replicas(tree: Tree, replicas: int) -> None:
    tree.setdefault("spec", {})["replicas"] = replicas


class ScaleChange:
    """The transform of the workload; ``kind``: that of Scale. show, place: where the values are."""

    def __init__(
        self,
        kind: Kind,
        show: Callable[[Any], Tree] = scale_tree,
        place: Callable[[Tree, int], None] = _set_replicas,
    ) -> None:
        self.kind = kind
        self._show = show
        self._place = place

    def __call__(self, write: Write) -> Result:
        assert write.old is not None
        obj = write.old.obj
        wanted = self._patched(write, self._show(obj)) if write.patch is not None else dict(write.tree)
        codec.check_type(self.kind, wanted)
        verbs.report(write, codec.clean(self.kind, wanted))
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
        patch, write.patch = write.patch, None
        write.tree = codec.to_tree(write.old_tree)
        self._place(write.tree, scale.spec.replicas)
        try:
            verbs.own(write, write.old_tree, ())
            return verbs.finish_update(write)
        finally:
            write.patch = patch

    def _patched(self, write: Write, live: Tree) -> Tree:
        patch = write.patch
        assert patch is not None
        try:
            if patch.type == "json":
                new = jsonpatch.apply(live, jsonpatch.decode(patch.body))
            elif patch.type == "strategic":
                new = smp.apply(live, patch.body, schema(self.kind))
            else:
                new = mergepatch.apply(live, patch.body)
        except ValueError as error:
            raise BadRequest(str(error)) from None
        return codec.to_tree(new) if isinstance(new, dict) else {}


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
