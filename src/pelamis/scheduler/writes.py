"""What the scheduler writes: bindings, conditions, evictions, promises of volumes, and its events. Pure."""

from __future__ import annotations

from typing import Any

from pelamis.api.core.binding import Binding
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import BOUND_BY_CONTROLLER, SELECTED_NODE
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.reference import ObjectReference
from pelamis.api.meta import ObjectMeta
from pelamis.base.clock import rfc3339
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Create, Delete, Patch
from pelamis.reconcile.plan import EventNote
from pelamis.reconcile.podstate import with_condition
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.volumes import Binding as Promise

MESSAGE_LIMIT = 1024


def problem(error: StatusError | None) -> str:
    return "" if error is None else error.message or error.reason


def failed_scheduling(info: PodInfo, message: str) -> EventNote:
    if len(message) > MESSAGE_LIMIT:
        message = message[: MESSAGE_LIMIT - 4] + " ..."
    return EventNote(info.pod, "Warning", "FailedScheduling", message, action="Scheduling")


def binding(info: PodInfo, node: str) -> Create:
    namespace, name = info.key
    meta = ObjectMeta(name=name, namespace=namespace, uid=info.uid)
    return Create(POD, Binding(metadata=meta, target=ObjectReference(kind="Node", name=node)), "binding", name)


def volume_action(binding: Promise, node: str) -> Action | None:
    """Promise the volume to the claim, or tell the provisioner which node it is for."""
    claim, volume = binding
    meta = claim.metadata
    if volume is None:
        if meta.annotations.get(SELECTED_NODE) == node:
            return None
        body: dict[str, Any] = {"metadata": {"annotations": {SELECTED_NODE: node}}}
        return Patch(CLAIM, meta.namespace, meta.name, body, rev=meta.resourceVersion)
    if volume.spec.claimRef is not None and volume.spec.claimRef.uid == meta.uid:
        return None
    ref = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": meta.namespace,
        "name": meta.name,
        "uid": meta.uid,
        "resourceVersion": meta.resourceVersion,
    }
    body = {"metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}}, "spec": {"claimRef": ref}}
    return Patch(VOLUME, "", volume.metadata.name, body, rev=volume.metadata.resourceVersion)


def condition(info: PodInfo, reason: str, message: str, now: float, nominated: str | None) -> Patch | None:
    """PodScheduled False, unless the pod says so already. nominated None = leave it as it is."""
    pod = info.pod
    old = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    if nominated == pod.status.nominatedNodeName:
        nominated = None
    same = old is not None and old.status == "False" and old.reason == reason and old.message == message
    if same and nominated is None:
        return None
    condition: dict[str, Any] = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    if old is None or old.status != "False":
        condition["lastTransitionTime"] = rfc3339(now)
    if pod.metadata.generation:
        condition["observedGeneration"] = pod.metadata.generation
    status: dict[str, Any] = {"conditions": [condition]}
    if nominated is not None:
        status["nominatedNodeName"] = nominated or None
    return Patch(POD, *info.key, {"metadata": {"uid": info.uid}, "status": status}, "strategic", "status")


def expectation(info: PodInfo, node: str) -> Patch:
    """Says where the pod is about to go while its volumes or devices are made ready; "" takes it back."""
    body = {"metadata": {"uid": info.uid}, "status": {"nominatedNodeName": node or None}}
    return Patch(POD, *info.key, body, "strategic", "status")


def evict(victim: PodInfo, scheduler: str, now: float) -> list[Action]:
    """Say why, then delete with the pod's own grace."""
    condition: dict[str, Any] = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": f"{scheduler}: preempting to accommodate a higher priority pod",
        "lastTransitionTime": rfc3339(now),
    }
    if victim.pod.metadata.generation:
        condition["observedGeneration"] = victim.pod.metadata.generation
    body = {"metadata": {"uid": victim.uid}, "status": with_condition(victim.pod, condition)}
    return [Patch(POD, *victim.key, body, "strategic", "status"), Delete(POD, *victim.key, uid=victim.uid)]
