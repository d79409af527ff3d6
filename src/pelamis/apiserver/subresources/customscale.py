"""``scale`` of a custom resource, whose definition says at which paths of an object the three values are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.apiextensions.customresourcedefinition import CustomResourceSubresourceScale
from pelamis.api.apiextensions.selector import steps, value_at
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver import verbs
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.subresources.scale import ScaleChange
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Write
from pelamis.base import tree as trees
from pelamis.base.errors import Internal
from pelamis.base.fieldpath import Path

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

Paths = CustomResourceSubresourceScale


def scale_tree(tree: Tree, paths: Paths) -> Tree:
    """The Scale of an object. Raises Internal when it has no replicas to scale."""
    replicas = value_at(tree, steps(paths.specReplicasPath) or [])
    if not isinstance(replicas, int):
        raise Internal(f'the spec replicas field "{paths.specReplicasPath}" does not exist')
    meta = tree["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Tree = {"replicas": value_at(tree, steps(paths.statusReplicasPath) or []) or 0}
    if paths.labelSelectorPath:
        selector = value_at(tree, steps(paths.labelSelectorPath) or [])
        if isinstance(selector, str) and selector:
            status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {n: meta[n] for n in names if n in meta},
        "spec": {"replicas": replicas},
        "status": status,
    }


class CustomScale:
    """``paths``: by version. A call is the transform of the object; ``answer`` carries out GET, PUT and PATCH."""

    def __init__(self, body: Kind) -> None:
        self.body = body
        self.paths: dict[str, Paths | None] = {}

    def _paths(self, write: Write) -> Paths:
        paths = self.paths.get(write.kind.version)
        if paths is None:
            raise verbs.absent(write.kind, write.name)
        return paths

    def __call__(self, write: Write) -> Result:
        paths = self._paths(write)

        def show(obj: Any) -> Tree:
            return scale_tree(obj.tree, paths)

        def place(tree: Tree, replicas: int) -> None:
            trees.set(tree, steps(paths.specReplicasPath) or [], replicas)

        def path_of(api_version: str) -> Path | None:
            there = self.paths.get(api_version.rpartition("/")[2])
            found = steps(there.specReplicasPath) if there is not None else None
            return tuple(f"f:{step}" for step in found) if found else None

        return ScaleChange(self.body, show, place, path_of)(write)

    async def answer(self, server: ApiServer, write: Write) -> Answer:
        paths = self._paths(write)
        if write.verb == "get":
            entry = server.objects.collection(write.hub).get(write.namespace, write.name)
            if entry is None:
                raise verbs.absent(write.kind, write.name)
            tree = scale_tree(entry.obj.tree, paths)
            return Answer(200, self._encoded(tree), None, 0, entry.obj, self.body)
        answer = await server.rest.one(write)
        tree = scale_tree(answer.obj.tree, paths)
        rev = answer.rev or (write.old.rev if write.old is not None else 0)
        tree["metadata"]["resourceVersion"] = str(rev)
        return Answer(answer.code, self._encoded(tree), None, answer.rev, answer.obj, self.body)

    def _encoded(self, tree: Tree) -> bytes:
        return codec.encode(codec.from_tree(self.body, tree))
