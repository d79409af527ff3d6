"""``pods/binding``: the scheduler's assignment of a pod to a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from pelamis.api import codec
from pelamis.api.core.binding import Binding, validate
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.status import PodCondition
from pelamis.api.kind import Kind
from pelamis.apiserver import incoming
from pelamis.apiserver.admission.podtopologylabels import topology_of
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Objects, Write
from pelamis.base.clock import rfc3339
from pelamis.base.errors import Conflict, Invalid

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer


class Bind:
    """The transform of the pod; ``kind``: that of Binding. A component of this process gives the struct itself."""

    def __init__(self, kind: Kind, objects: Objects) -> None:
        self.kind = kind
        self._objects = objects

    def __call__(self, write: Write) -> Result:
        assert write.old is not None
        binding: Binding | None = write.model
        if binding is None:
            incoming.report(write, codec.clean(self.kind, write.tree))
            binding = codec.from_tree(self.kind, write.tree)
        elif not write.tree:
            write.tree = codec.to_tree(binding)
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
        write.shown = (self.kind, write.tree)
        obj = self._bound(pod, binding, write.now)
        return Result(obj, codec.stored(write.hub, obj))

    def _bound(self, pod: Pod, binding: Binding, now: float) -> Pod:
        meta, given = pod.metadata, binding.metadata
        node = binding.target.name
        labels = _with(meta.labels, {**given.labels, **topology_of(self._objects, node)})
        annotations = _with(meta.annotations, given.annotations)
        meta = replace(meta, labels=labels, annotations=annotations, resourceVersion="")
        conditions = tuple(c for c in pod.status.conditions if c.type != "PodScheduled")
        scheduled = PodCondition(type="PodScheduled", status="True", lastTransitionTime=rfc3339(now))
        status = replace(pod.status, conditions=(*conditions, scheduled), nominatedNodeName="")
        return replace(pod, metadata=meta, spec=replace(pod.spec, nodeName=node), status=status)

    @staticmethod
    def _conflict(write: Write, why: str) -> Exception:
        return Conflict("pods/binding", "", write.name, why)


def _with(old: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """In the order in which maps are stored, as the old ones are."""
    return dict(sorted({**old, **more}.items())) if more else old


async def bind(server: ApiServer, write: Write) -> Answer:
    """POST of pods/<name>/binding, or of bindings, where the name comes in the body."""
    pods = server.objects.kind("pods")
    body = server.registry.body("", "v1", "Binding")
    assert body is not None
    incoming.report(write, codec.clean(body, write.tree))
    if write.kind is not pods:
        meta = write.tree.get("metadata") or {}
        write.hub = pods
        write.kind, write.subresource, write.name = pods, "binding", meta.get("name") or ""
    answer = await server.rest.one(write)
    tree = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return Answer(201, None, tree, answer.rev, answer.obj)
