"""What a change changes: sorted once for all controllers, so that each is asked only about those that can concern it.

``sort_of(kind)`` gives a function from the old and the new object to a set of bits. A Watch names the bits that it
needs: some of each group that it gives. What is needed is a coarse sieve, the ``keys`` function of the watch still
decides: it must answer nothing for each change that the sieve keeps from it.

A bit says that something differs (``NODE``: the pod was bound), or that the object is of a sort (``VOLUMES``: it uses
claims). Pods have their own function, since there are more changes of them than of anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.kind import Kind
from pelamis.cache.sieve import Needs, Sieve

# of any object
ADDED = 1 << 0
DELETED = 1 << 1
OWNERS = 1 << 2
LABELS = 1 << 3
DYING = 1 << 4
"""It is being deleted."""

# of pods: what differs
NODE = 1 << 5
DELETION = 1 << 6
READY = 1 << 7
SINCE = 1 << 8
"""Since when it is ready, or not."""
ENDED = 1 << 9
ADDRESS = 1 << 10
TOLERATIONS = 1 << 11
IDENTITY = 1 << 12
"""Its uid, or the name that it has in DNS."""

# of pods: what they are
MARKED = 1 << 13
"""It has the condition DisruptionTarget."""
DEVICES = 1 << 14
VOLUMES = 1 << 15
"""It uses PersistentVolumeClaims."""
FINALIZERS = 1 << 16
ORPHAN = 1 << 17
"""It has no controller, or had none before."""
OF_REPLICASET = 1 << 18
OF_REPLICATIONCONTROLLER = 1 << 19
OF_DAEMONSET = 1 << 20
OF_STATEFULSET = 1 << 21
OF_JOB = 1 << 22
BOUND = 1 << 23
"""It has a node, or had one before."""
ADDRESSED = 1 << 24
"""It has an IP address, or had one before."""

ALIVE = ADDED | DELETED | DELETION | ENDED
COUNTED = ALIVE | OWNERS | LABELS | READY | SINCE | IDENTITY
"""What shows in the facts by which pods are counted (``podfacts``), and in whom they belong to."""

_OF = {
    "ReplicaSet": OF_REPLICASET,
    "ReplicationController": OF_REPLICATIONCONTROLLER,
    "DaemonSet": OF_DAEMONSET,
    "StatefulSet": OF_STATEFULSET,
    "Job": OF_JOB,
}


def sort_of(kind: Kind) -> Callable[[Any, Any], int]:
    return _of_pod if kind is POD else _of_any


def sieve(kind: Kind, needs: Needs) -> Sieve | None:
    return Sieve(sort_of(kind), needs) if needs else None


def _of_any(old: Any, new: Any) -> int:
    if new is None:
        return DELETED
    meta = new.metadata
    bits = DYING if meta.deletionTimestamp is not None else 0
    if old is None:
        return bits | ADDED
    before = old.metadata
    if before.ownerReferences != meta.ownerReferences:
        bits |= OWNERS
    if before.labels != meta.labels:
        bits |= LABELS
    return bits


def _of_pod(old: Pod | None, new: Pod | None) -> int:
    if new is None:
        return DELETED | _sort(old) if old is not None else 0
    bits = _sort(new)
    if old is None:
        return bits | ADDED
    before, meta = old.metadata, new.metadata
    if before.uid != meta.uid:
        bits |= IDENTITY | _sort(old)
    if before.ownerReferences != meta.ownerReferences:
        bits |= OWNERS | _sort(old)
    if before.labels != meta.labels:
        bits |= LABELS
    if before.deletionTimestamp != meta.deletionTimestamp:
        bits |= DELETION
    spec, wanted = old.spec, new.spec
    if spec is not wanted:
        if spec.nodeName != wanted.nodeName:
            bits |= NODE | BOUND
        if spec.tolerations != wanted.tolerations:
            bits |= TOLERATIONS
        if spec.hostname != wanted.hostname or spec.subdomain != wanted.subdomain:
            bits |= IDENTITY
    was, now = old.status, new.status
    if was is now:
        return bits
    if was.phase != now.phase and (was.phase in _END or now.phase in _END):
        bits |= ENDED | _sort(old)
    if was.podIP != now.podIP or was.podIPs != now.podIPs:
        bits |= ADDRESS | ADDRESSED
    if was.conditions != now.conditions:
        (ready, since), (is_ready, is_since) = _ready(was.conditions), _ready(now.conditions)
        if ready != is_ready:
            bits |= READY
        if since != is_since:
            bits |= SINCE
    return bits


_END = ("Succeeded", "Failed")


def _ready(conditions: Any) -> tuple[bool, str]:
    for c in conditions:
        if c.type == "Ready":
            return c.status == "True", c.lastTransitionTime
    return False, ""


def _sort(pod: Pod) -> int:
    bits = 0
    meta, spec, status = pod.metadata, pod.spec, pod.status
    for ref in meta.ownerReferences:
        if ref.controller:
            bits = _OF.get(ref.kind, 0)
            break
    else:
        bits = ORPHAN
    if meta.deletionTimestamp is not None:
        bits |= DYING
    if spec.nodeName:
        bits |= BOUND
    if status.podIP or status.podIPs:
        bits |= ADDRESSED
    if meta.finalizers:
        bits |= FINALIZERS
    for volume in spec.volumes:
        if volume.persistentVolumeClaim is not None or volume.ephemeral is not None:
            bits |= VOLUMES
            break
    if spec.resourceClaims or status.extendedResourceClaimStatus is not None:
        bits |= DEVICES
    for c in status.conditions:
        if c.type == "DisruptionTarget":
            bits |= MARKED
    return bits
