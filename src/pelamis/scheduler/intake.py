"""What changes in the views mean for the columns and for the pods that wait. Synchronous."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.replicationcontroller import KIND as REPLICATIONCONTROLLER
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.kind import Kind
from pelamis.api.policy.poddisruptionbudget import KIND as BUDGET
from pelamis.api.resource.deviceclass import KIND as DEVICE_CLASS
from pelamis.api.resource.devicetaintrule import KIND as TAINT_RULE
from pelamis.api.resource.resourceclaim import KIND as DEVICE_CLAIM
from pelamis.api.resource.resourceslice import KIND as SLICE
from pelamis.api.storage.csidriver import KIND as CSI_DRIVER
from pelamis.api.storage.csinode import KIND as CSI_NODE
from pelamis.api.storage.csistoragecapacity import KIND as CAPACITY
from pelamis.api.storage.storageclass import KIND as CLASS
from pelamis.api.storage.volumeattachment import KIND as ATTACHMENT
from pelamis.client.types import Key
from pelamis.scheduler import extension as x
from pelamis.scheduler.extension import Event
from pelamis.scheduler.podinfo import Model, PodInfo
from pelamis.scheduler.queue import Queue
from pelamis.scheduler.snapshot import Snapshot


class Intake:
    """names: of the profiles whose pods are queued; the pods of other schedulers are only counted, once bound.

    recall: gives a pod by namespace and name, so that those that run need not be kept; None = they are kept.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        queue: Queue,
        names: Collection[str],
        recall: Callable[[str, str], Any] | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.queue = queue
        self.names = frozenset(names)
        self.recall = recall
        self._model: Model | None = None
        """Of the pod that came last: most often more of the same follow."""

    def pod(self, key: Key, old: Any, new: Any, now: float) -> None:
        if old is not None and new is not None and old.metadata.uid != new.metadata.uid:
            self.pod(key, old, None, now)
            old = None
        if new is None or new.status.phase in ("Succeeded", "Failed"):
            self._gone(key, old if old is not None else new, now)
        elif new.spec.nodeName:
            self._bound(key, old, new, now)
        else:
            self._unbound(key, old, new, now)

    def _gone(self, key: Key, pod: Any, now: float) -> None:
        snapshot = self.snapshot
        uid = pod.metadata.uid
        snapshot.denominate(uid)
        waiting = self.queue.get(key)
        if waiting is not None and waiting.uid == uid:
            self.queue.remove(key)
        info = snapshot.remove_pod(uid)
        if info is not None:
            info.keep(pod)
            self.left(info, now)

    def left(self, info: PodInfo, now: float) -> None:
        """A pod that was counted on a node no longer is."""
        self.queue.event(Event(x.POD_DELETE, info), now)

    def _bound(self, key: Key, old: Any, pod: Any, now: float) -> None:
        snapshot = self.snapshot
        uid = pod.metadata.uid
        before = snapshot.pods.get(uid)
        assumed = before is not None and not before.bound
        if before is not None and before.refreshed(pod, old):
            before.let_go(self.recall, key)
            if assumed:
                snapshot.denominate(uid)
                if self.queue.get(key) is not None:
                    self.queue.remove(key)
                self.queue.event(Event(x.POD_ADD, None, before), now)
            return  # else most changes are status reports
        info = PodInfo(pod)
        snapshot.denominate(uid)
        waiting = self.queue.get(key)
        if waiting is not None:
            self.queue.remove(key)
        snapshot.remove_pod(uid)
        snapshot.add_pod(info, pod.spec.nodeName)
        info.let_go(self.recall, key)
        if before is None or assumed:
            self.queue.event(Event(x.POD_ADD, None, info), now)
            return
        if old is not None:
            before.keep(old)
        if before.labels != pod.metadata.labels:
            self.queue.event(Event(x.POD_LABEL, before, info), now)
        if any(info.requests.get(name, 0) < amount for name, amount in before.requests.items()):
            self.queue.event(Event(x.POD_SCALE_DOWN, before, info), now)

    def _unbound(self, key: Key, old: Any, new: Any, now: float) -> None:
        if new.spec.schedulerName not in self.names:
            return
        if new.metadata.deletionTimestamp is not None:
            self._gone(key, new, now)
            return
        if new.metadata.uid in self.snapshot.pods:
            if self.queue.get(key) is not None:  # assumed: its binding is under way, and may fail
                self.queue.update(PodInfo(new), (), now)
            return
        waiting = self.queue.get(key)
        info = self._info(new)
        nominated = new.status.nominatedNodeName
        if nominated and not self.snapshot.nominee(info.uid):
            self.snapshot.nominate(info, nominated)
        elif self.snapshot.nominee(info.uid):
            self.snapshot.nominate(info, self.snapshot.nominee(info.uid))
        if waiting is None or waiting.uid != info.uid:
            self.queue.add(info, now)
            return
        changes = []
        before = waiting.pod
        if before.spec.tolerations != new.spec.tolerations:
            changes.append(Event(x.OWN_TOLERATION, waiting, info))
        if before.metadata.labels != new.metadata.labels:
            changes.append(Event(x.OWN_LABEL, waiting, info))
        if any(info.requests.get(name, 0) < amount for name, amount in waiting.requests.items()):
            changes.append(Event(x.OWN_SCALE_DOWN, waiting, info))
        if before.status.resourceClaimStatuses != new.status.resourceClaimStatuses:
            changes.append(Event(x.OWN_CLAIMS, waiting, info, self.snapshot))
        self.queue.update(info, changes, now)

    def _info(self, pod: Any) -> PodInfo:
        model = self._model
        if model is None or not model.covers(pod):
            model = self._model = Model(pod)
            self.snapshot.vector(model.info)
        return PodInfo(pod, model)

    def node(self, key: Key, old: Any, new: Any, now: float) -> None:
        snapshot, queue = self.snapshot, self.queue
        if new is None:
            snapshot.remove_node(key[1])
            snapshot.devices.forget_node(key[1])
            queue.event(Event(x.NODE_DELETE, old), now)
            return
        known = snapshot.by_name.get(key[1])
        snapshot.set_node(new)
        if known is None or old is None:
            queue.event(Event(x.NODE_ADD, None, new, snapshot), now)
            return
        if old.status.allocatable != new.status.allocatable:
            queue.event(Event(x.NODE_ALLOCATABLE, old, new, snapshot), now)
        if old.metadata.labels != new.metadata.labels:
            queue.event(Event(x.NODE_LABEL, old, new), now)
        if old.spec.taints != new.spec.taints or old.spec.unschedulable != new.spec.unschedulable:
            queue.event(Event(x.NODE_TAINT, old, new), now)

    def namespace(self, key: Key, old: Any, new: Any, now: float) -> None:
        before = self.snapshot.namespace_labels.get(key[1])
        self.snapshot.set_namespace(key[1], None if new is None else new.metadata.labels)
        if before != self.snapshot.namespace_labels.get(key[1]):
            self.queue.event(Event(x.NAMESPACE_LABEL, old, new), now)

    def service(self, key: Key, old: Any, new: Any, now: float) -> None:
        self.snapshot.workloads.set_service(*key, new)

    def replicationcontroller(self, key: Key, old: Any, new: Any, now: float) -> None:
        self.snapshot.workloads.set_owner("ReplicationController", *key, new)

    def replicaset(self, key: Key, old: Any, new: Any, now: float) -> None:
        self.snapshot.workloads.set_owner("ReplicaSet", *key, new)

    def statefulset(self, key: Key, old: Any, new: Any, now: float) -> None:
        self.snapshot.workloads.set_owner("StatefulSet", *key, new)

    def budget(self, key: Key, old: Any, new: Any, now: float) -> None:
        _put(self.snapshot.budgets, key, new)

    def claim(self, key: Key, old: Any, new: Any, now: float) -> None:
        storage = self.snapshot.storage
        _put(storage.claims, key, new)
        if new is None or new.spec.volumeName:
            storage.settle(key)
        if new is not None:
            self.queue.event(Event(x.CLAIM_ADD if old is None else x.CLAIM_UPDATE, old, new), now)

    def volume(self, key: Key, old: Any, new: Any, now: float) -> None:
        _put(self.snapshot.storage.volumes, key[1], new)
        if new is not None:
            self.queue.event(Event(x.VOLUME_ADD if old is None else x.VOLUME_UPDATE, old, new), now)

    def storageclass(self, key: Key, old: Any, new: Any, now: float) -> None:
        _put(self.snapshot.storage.classes, key[1], new)
        if new is not None:
            self.queue.event(Event(x.CLASS_ADD if old is None else x.CLASS_UPDATE, old, new), now)

    def csinode(self, key: Key, old: Any, new: Any, now: float) -> None:
        _put(self.snapshot.storage.csi_nodes, key[1], new)
        if new is not None:
            self.queue.event(Event(x.CSI_NODE_ADD if old is None else x.CSI_NODE_UPDATE, old, new), now)

    def csidriver(self, key: Key, old: Any, new: Any, now: float) -> None:
        _put(self.snapshot.storage.drivers, key[1], new)
        if old is not None and new is not None:
            self.queue.event(Event(x.DRIVER_UPDATE, old, new), now)

    def capacity(self, key: Key, old: Any, new: Any, now: float) -> None:
        _put(self.snapshot.storage.capacities, key, new)
        if new is not None:
            self.queue.event(Event(x.CAPACITY_ADD if old is None else x.CAPACITY_UPDATE, old, new), now)

    def deviceclaim(self, key: Key, old: Any, new: Any, now: float) -> None:
        self.snapshot.devices.set_claim(key, new)
        kind = x.DEVICE_CLAIM_UPDATE
        if old is None or new is None:
            kind = x.DEVICE_CLAIM_ADD if old is None else x.DEVICE_CLAIM_DELETE
        self.queue.event(Event(kind, old, new, self.snapshot), now)

    def deviceclass(self, key: Key, old: Any, new: Any, now: float) -> None:
        if self.snapshot.devices.set_class(key[1], new):
            self.snapshot.generation += 1  # whether a node has to have a resource itself is kept with it
        if new is not None:
            self.queue.event(Event(x.DEVICE_CLASS_ADD if old is None else x.DEVICE_CLASS_UPDATE, old, new), now)

    def resourceslice(self, key: Key, old: Any, new: Any, now: float) -> None:
        if self.snapshot.devices.set_slice(key[1], new) and new is not None:
            self.queue.event(Event(x.SLICE_ADD if old is None else x.SLICE_UPDATE, old, new), now)

    def devicetaintrule(self, key: Key, old: Any, new: Any, now: float) -> None:
        if self.snapshot.devices.set_rule(key[1], new):
            self.queue.event(Event(x.SLICE_UPDATE, old, new), now)

    def attachment(self, key: Key, old: Any, new: Any, now: float) -> None:
        _put(self.snapshot.storage.attachments, key[1], new)
        if new is None:
            self.queue.event(Event(x.ATTACHMENT_DELETE, old), now)


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


Take = Callable[[Intake, Key, Any, Any, float], None]

SOURCES: tuple[tuple[Kind, Take], ...] = (
    (NAMESPACE, Intake.namespace),
    (NODE, Intake.node),
    (CLASS, Intake.storageclass),
    (CSI_NODE, Intake.csinode),
    (ATTACHMENT, Intake.attachment),
    (CSI_DRIVER, Intake.csidriver),
    (CAPACITY, Intake.capacity),
    (VOLUME, Intake.volume),
    (CLAIM, Intake.claim),
    (SERVICE, Intake.service),
    (REPLICATIONCONTROLLER, Intake.replicationcontroller),
    (REPLICASET, Intake.replicaset),
    (STATEFULSET, Intake.statefulset),
    (BUDGET, Intake.budget),
    (DEVICE_CLASS, Intake.deviceclass),
    (SLICE, Intake.resourceslice),
    (TAINT_RULE, Intake.devicetaintrule),
    (DEVICE_CLAIM, Intake.deviceclaim),
    (POD, Intake.pod),  # last: what a pod refers to is there when it is first decided
)
