"""Taint eviction: deletes pods that do not tolerate a NoExecute taint of their node, at once or when their time is up.

A pod that tolerates all taints for a limited time gets the shortest of these times, counted from when this controller
first saw the taints on it. When the taints are gone in time, the eviction is called off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Taint
from pelamis.api.core.pod.affinity import Toleration
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.toleration import covers
from pelamis.api.core.reference import ObjectReference
from pelamis.client.types import Delete, Key, Patch
from pelamis.reconcile import changes
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.podstate import condition, disrupted
from pelamis.reconcile.spec import Controller, Views, Watch


@dataclass(frozen=True, slots=True)
class World:
    """since: when the taints were first seen on the pod; None = they were not there."""

    pod: Pod
    taints: Sequence[Taint]
    since: tuple[str, float] | None


def no_execute(taints: Sequence[Taint]) -> tuple[Taint, ...]:
    return tuple(t for t in taints if t.effect == "NoExecute")


def gather(views: Views, key: Key) -> World | None:
    pod: Pod | None = views(POD).get(*key)
    if pod is None or not pod.spec.nodeName:
        return None
    node = views(NODE).get("", pod.spec.nodeName)
    since = views.memo(key)
    taints = no_execute(node.spec.taints) if node is not None else ()
    if not taints and since is None:
        return None
    return World(pod, taints, since if since is not None and since[0] == pod.metadata.uid else None)


def patience(tolerations: Sequence[Toleration], taints: Sequence[Taint]) -> float | None:
    """Seconds that the pod may stay: 0 if it does not tolerate a taint, None if it may stay for ever."""
    used: list[Toleration] = []
    for taint in taints:
        found = next((t for t in tolerations if covers(t, taint)), None)
        if found is None:
            return 0.0
        used.append(found)
    limits = [t.tolerationSeconds for t in used if t.tolerationSeconds is not None]
    return float(max(0, min(limits))) if limits else None


def _reference(pod: Pod) -> ObjectReference:
    """As upstream names the pod, whichever of that name it is."""
    return ObjectReference(kind="Pod", apiVersion="v1", namespace=pod.metadata.namespace, name=pod.metadata.name)


def reconcile(world: World, now: float) -> Plan:
    pod = world.pod
    meta = pod.metadata
    if meta.deletionTimestamp is not None:
        return Plan(memo=None)
    stay = patience(pod.spec.tolerations, world.taints)
    if not world.taints or stay is None:
        if world.since is None:
            return NOTHING
        message = f"Cancelling deletion of Pod {meta.namespace}/{meta.name}"
        return Plan(events=(EventNote(_reference(pod), "Normal", "TaintManagerEviction", message),), memo=None)
    since = world.since[1] if world.since is not None else now
    if stay > 0 and since + stay > now:
        return Plan(memo=(meta.uid, since), requeue_at=since + stay)
    message = f"Marking for deletion Pod {meta.namespace}/{meta.name}"
    event = EventNote(_reference(pod), "Normal", "TaintManagerEviction", message)
    delete = Delete(POD, meta.namespace, meta.name, uid=meta.uid)
    target = condition(pod, "DisruptionTarget")
    if target is not None and target.status == "True":
        return Plan(actions=(delete,), events=(event,), memo=(meta.uid, since))
    why = "Taint manager: deleting due to NoExecute taint"
    body = {"status": disrupted(pod, "DeletionByTaintManager", why, now)}
    mark = Patch(POD, meta.namespace, meta.name, body, "strategic", "status")
    return Plan(actions=(mark,), then=(delete,), events=(event,), memo=(meta.uid, since))


def _node_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    before = no_execute(old.spec.taints) if old is not None else ()
    after = no_execute(new.spec.taints) if new is not None else ()
    if before == after:
        return ()
    name = (new if new is not None else old).metadata.name
    return [(p.metadata.namespace, p.metadata.name) for p in views(POD).by_index("node", name)]


_CONCERNING = changes.ADDED | changes.DELETED | changes.NODE | changes.TOLERATIONS | changes.DELETION


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    if new is None:
        return ((old.metadata.namespace, old.metadata.name),)
    if not new.spec.nodeName:
        return ()
    if (
        old is not None
        and old.spec.nodeName == new.spec.nodeName
        and old.spec.tolerations == new.spec.tolerations
        and old.metadata.deletionTimestamp == new.metadata.deletionTimestamp
    ):
        return ()
    if old is None or not old.spec.nodeName:
        # It is new there: until its node has such a taint, which wakes it, there is nothing to do.
        node = views(NODE).get("", new.spec.nodeName)
        if node is None or not no_execute(node.spec.taints):
            return ()
    return ((new.metadata.namespace, new.metadata.name),)


CONTROLLER = Controller(
    name="tainteviction",
    identity="node-controller",
    component="taint-eviction-controller",
    watches=(Watch(NODE, _node_keys), Watch(POD, _pod_keys, (_CONCERNING, changes.BOUND | changes.DELETED))),
    gather=gather,
    reconcile=reconcile,
)
