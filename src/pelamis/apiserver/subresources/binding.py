"""``pods/binding``: the scheduler's assignment of a pod to a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pelamis.api import codec
from pelamis.api.core.binding import validate
from pelamis.api.kind import Kind
from pelamis.apiserver import verbs
from pelamis.apiserver.admission.podtopologylabels import topology_of
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Objects, Write
from pelamis.base.clock import rfc3339
from pelamis.base.errors import Conflict, Invalid

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer


class Bind:
    """The transform of the pod; ``kind``: that of Binding."""

    def __init__(self, kind: Kind, objects: Objects) -> None:
        self.kind = kind
        self._objects = objects

    def __call__(self, write: Write) -> Result:
        assert write.old is not None
        body = codec.to_tree(write.tree)
        verbs.report(write, codec.clean(self.kind, body))
        binding = codec.from_tree(self.kind, body)
        errors = validate(binding)
        if errors:
            raise Invalid("Binding", "", write.name, errors)
        pod = write.old.obj
        given = binding.metadata
        if given.uid and given.uid != pod.metadata.uid:
            why = f"Precondition failed: UID in precondition: {given.uid}, UID in object meta: {pod.metadata.uid}"
            raise self._conflict(write, why)
        if pod.metadata.deletionTimestamp is not None:
            raise self._conflict(write, f"pod {write.name} is being deleted, cannot be assigned to a host")
        if pod.spec.nodeName:
            raise self._conflict(write, f'pod {write.name} is already assigned to node "{pod.spec.nodeName}"')
        if pod.spec.schedulingGates:
            raise self._conflict(write, f"pod {write.name} has non-empty .spec.schedulingGates")
        tree = codec.to_tree(write.old_tree)
        tree["spec"]["nodeName"] = binding.target.name
        meta = tree["metadata"]
        if given.annotations:
            meta["annotations"] = {**meta.get("annotations", {}), **given.annotations}
        if given.labels:
            meta["labels"] = {**meta.get("labels", {}), **given.labels}
        topology = topology_of(self._objects, binding.target.name)
        if topology:
            meta["labels"] = {**meta.get("labels", {}), **topology}
        _scheduled(tree.setdefault("status", {}), write.now)
        if meta.get("generation"):
            meta["generation"] += 1
            write.old_tree["metadata"]["generation"] = meta["generation"]
        write.shown = (self.kind, body)
        write.tree = tree
        obj = codec.from_tree(write.hub, tree)
        return Result(obj, codec.stored(write.hub, obj))

    @staticmethod
    def _conflict(write: Write, why: str) -> Exception:
        return Conflict("pods/binding", "", write.name, why)


def _scheduled(status: dict[str, object], now: float) -> None:
    conditions = status.get("conditions")
    rest = [c for c in conditions if c.get("type") != "PodScheduled"] if isinstance(conditions, list) else []
    rest.append({"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": rfc3339(now)})
    for condition in rest:
        if condition.get("lastProbeTime", "") is None:
            condition.pop("lastProbeTime")
    status["conditions"] = rest


async def bind(server: ApiServer, write: Write) -> Answer:
    """POST of pods/<name>/binding, or of bindings, where the name comes in the body."""
    pods = server.objects.kind("pods")
    body = server.registry.by_kind("", "v1", "Binding")
    assert body is not None
    verbs.report(write, codec.clean(body, write.tree))
    if write.kind is not pods:
        meta = write.tree.get("metadata") or {}
        write.kind, write.subresource, write.name = pods, "binding", meta.get("name") or ""
    answer = await server.rest.one(write)
    tree = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return Answer(201, None, tree, answer.rev, answer.obj)
