"""Pod garbage collection: pods that nobody else will remove.

- pods of a node that does not exist, after it has been missing for 40 s;
- pods that are being deleted and were never bound to a node;
- pods that are being deleted on a node that is not ready and tainted out-of-service;
- finished pods beyond the threshold of 12,500 in the cluster, evicted ones first, then oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.client.types import Action, Delete, Key, Patch
from pelamis.reconcile import changes
from pelamis.reconcile import nodehealth as health
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.podstate import created, disrupted, is_finished
from pelamis.reconcile.spec import Controller, Views, Watch

THRESHOLD = 12500
QUARANTINE_S = 40.0
FINISHED = ("", "")


@dataclass(frozen=True, slots=True)
class PodWorld:
    """missing_since: when the pod's node was first seen to be missing."""

    pod: Pod
    node: Node | None
    missing_since: float | None


@dataclass(frozen=True, slots=True)
class FinishedWorld:
    pods: Sequence[Pod]
    threshold: int


def reconcile(world: Any, now: float) -> Plan:
    if isinstance(world, FinishedWorld):
        return _finished(world)
    pod: Pod = world.pod
    deleting = pod.metadata.deletionTimestamp is not None
    if not pod.spec.nodeName:
        return _remove(pod, now, None) if deleting else NOTHING
    if world.node is None:
        since = world.missing_since if world.missing_since is not None else now
        if since + QUARANTINE_S > now:
            return Plan(memo=since, requeue_at=since + QUARANTINE_S)
        return _remove(pod, now, "PodGC: node no longer exists")
    out_of_service = any(t.key == health.OUT_OF_SERVICE for t in world.node.spec.taints)
    if deleting and out_of_service and health.ready_status(world.node) != "True":
        return _remove(pod, now, None)
    return Plan(memo=None)


def _remove(pod: Pod, now: float, why: str | None) -> Plan:
    """Says that the pod failed, where it has not ended yet, and deletes it without grace."""
    meta = pod.metadata
    delete = Delete(POD, meta.namespace, meta.name, uid=meta.uid, grace_s=0)
    if is_finished(pod):
        return Plan(actions=(delete,))
    status: dict[str, Any] = {"phase": "Failed"}
    if why is not None:
        status.update(disrupted(pod, "DeletionByPodGC", why, now))
    mark = Patch(POD, meta.namespace, meta.name, {"status": status}, "strategic", "status")
    return Plan(actions=(mark,), then=(delete,))


def _finished(world: FinishedWorld) -> Plan:
    surplus = len(world.pods) - world.threshold
    if surplus <= 0:
        return NOTHING
    ordered = sorted(world.pods, key=lambda p: (p.status.reason != "Evicted", created(p), p.metadata.name))
    actions: list[Action] = [
        Delete(POD, p.metadata.namespace, p.metadata.name, uid=p.metadata.uid, grace_s=0) for p in ordered[:surplus]
    ]
    return Plan(actions=actions)


_CONCERNING = changes.ADDED | changes.DELETED | changes.NODE | changes.DELETION


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    pod = new if new is not None else old
    key = (pod.metadata.namespace, pod.metadata.name)
    if new is None:
        return (key,)
    if new.metadata.deletionTimestamp is None and (old is None or not old.spec.nodeName):
        # Nothing is to be done for a pod that waits, or that has come to a node that is there.
        node = new.spec.nodeName
        return (key,) if node and views(NODE).get("", node) is None else ()
    if old is None or old.spec.nodeName != new.spec.nodeName:
        return (key,)
    if old.metadata.deletionTimestamp != new.metadata.deletionTimestamp:
        return (key,)
    return ()


def _node_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    if old is not None and new is not None:
        same = old.spec.taints == new.spec.taints and health.ready_status(old) == health.ready_status(new)
        if same or not any(t.key == health.OUT_OF_SERVICE for t in new.spec.taints):
            return ()
    name = (new if new is not None else old).metadata.name
    return [(p.metadata.namespace, p.metadata.name) for p in views(POD).by_index("node", name)]


def controller(threshold: int = THRESHOLD) -> Controller:
    """threshold: how many finished pods may stay; 0 or less = any number."""
    finished = 0

    def count(views: Views, old: Any, new: Any) -> Sequence[Key]:
        """Counting as they come keeps the many pods of a cluster from being looked through each time one ends."""
        nonlocal finished
        finished += int(new is not None and is_finished(new)) - int(old is not None and is_finished(old))
        return (FINISHED,) if 0 < threshold < finished else ()

    def gather(views: Views, key: Key) -> PodWorld | FinishedWorld | None:
        if key == FINISHED:
            return FinishedWorld([p for p in views(POD).list() if is_finished(p)], threshold)
        pod: Pod | None = views(POD).get(*key)
        if pod is None:
            return None
        node = views(NODE).get("", pod.spec.nodeName) if pod.spec.nodeName else None
        return PodWorld(pod, node, views.memo(key))

    return Controller(
        name="podgc",
        identity="pod-garbage-collector",
        component="pod-garbage-collector",
        watches=(
            Watch(POD, _pod_keys, (_CONCERNING, changes.BOUND | changes.DYING | changes.DELETED)),
            Watch(POD, count, (changes.ALIVE,)),
            Watch(NODE, _node_keys),
        ),
        gather=gather,
        reconcile=reconcile,
    )
