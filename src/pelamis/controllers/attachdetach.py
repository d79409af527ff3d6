"""Attach and detach: which CSI volumes are to be attached to which node, said in VolumeAttachments.

A key is a node. Its pods that have not ended want their volumes attached; the driver's own attacher does it and answers
in the VolumeAttachment's status. A volume goes only when no pod wants it and the node no longer has it mounted
(``status.volumesInUse``), after 6 minutes at the latest while the node is not Ready, and at once when it is tainted as
out of service. Nodes whose kubelet attaches for itself are left alone; so are drivers that need no attaching.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.volume import claim_names
from pelamis.api.storage.csidriver import KIND as DRIVER
from pelamis.api.storage.volumeattachment import KIND as ATTACHMENT
from pelamis.api.storage.volumeattachment import VolumeAttachment
from pelamis.client.types import Action, Create, Delete, Key, Patch
from pelamis.reconcile import changes
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.podstate import is_finished
from pelamis.reconcile.spec import Controller, Views, Watch

MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"
KEEP_TERMINATED = "volumes.kubernetes.io/keep-terminated-pod-volumes"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
FORCE_AFTER_S = 360.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """One volume and the pods of the node that use it. elsewhere: other nodes to which it is attached."""

    volume: PersistentVolume
    pods: Sequence[Pod]
    elsewhere: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class World:
    """wanted: by name of the VolumeAttachment. since: when a volume was first seen to be wanted by nobody."""

    name: str
    node: Node | None
    wanted: Mapping[str, Wanted]
    attachments: Mapping[str, VolumeAttachment]
    volumes: Mapping[str, PersistentVolume]
    since: Mapping[str, float]


def attachment_name(handle: str, driver: str, node: str) -> str:
    return f"csi-{sha256((handle + driver + node).encode()).hexdigest()}"


def unique_name(volume: PersistentVolume) -> str:
    """As nodes list it in their status."""
    csi = volume.spec.csi
    assert csi is not None
    return f"kubernetes.io/csi/{csi.driver}^{csi.volumeHandle}"


def _volumes_of(views: Views, pod: Pod) -> list[PersistentVolume]:
    """Bound ones that a CSI driver attaches."""
    out = []
    for name in claim_names(pod):
        claim = views(CLAIM).get(pod.metadata.namespace, name)
        if claim is None or not claim.spec.volumeName or claim.status.phase != "Bound":
            continue
        volume = views(VOLUME).get("", claim.spec.volumeName)
        if volume is None or volume.spec.csi is None:
            continue
        driver = views(DRIVER).get("", volume.spec.csi.driver)
        if driver is None or driver.spec.attachRequired is not False:
            out.append(volume)
    return out


def gather(views: Views, key: Key) -> World | None:
    name = key[1]
    attachments = {a.metadata.name: a for a in views(ATTACHMENT).by_index("node", name)}
    node: Node | None = views(NODE).get("", name)
    if node is not None and node.metadata.annotations.get(MANAGED) != "true":
        return None
    wanted: dict[str, Wanted] = {}
    users: dict[str, list[Pod]] = {}
    keep = node is not None and node.metadata.annotations.get(KEEP_TERMINATED) == "true"
    for pod in views(POD).by_index("node", name) if node is not None else ():
        if is_finished(pod) and not keep:
            continue
        for volume in _volumes_of(views, pod):
            assert volume.spec.csi is not None
            which = attachment_name(volume.spec.csi.volumeHandle, volume.spec.csi.driver, name)
            users.setdefault(which, []).append(pod)
            others = views(ATTACHMENT).by_index("volume", volume.metadata.name)
            elsewhere = sorted(a.spec.nodeName for a in others if a.spec.nodeName != name)
            wanted[which] = Wanted(volume, users[which], elsewhere)
    if not wanted and not attachments:
        return None
    named = (a.spec.source.persistentVolumeName for a in attachments.values())
    volumes = {n: v for n in named if n and (v := views(VOLUME).get("", n)) is not None}
    return World(name, node, wanted, attachments, volumes, views.memo(key) or {})


def reconcile(world: World, now: float) -> Plan:
    actions: list[Action] = []
    events: list[EventNote] = []
    blocked = False
    for name, wanted in world.wanted.items():
        attachment = world.attachments.get(name)
        if attachment is None:
            blocked |= not _attach(world, name, wanted, actions, events)
        elif attachment.status.attachError is not None and not attachment.status.attached:
            text = attachment.status.attachError.message
            message = f'AttachVolume.Attach failed for volume "{wanted.volume.metadata.name}" : {text}'
            events.extend(EventNote(p, "Warning", "FailedAttachVolume", message) for p in wanted.pods)
    since, leaving, at = _leaving(world, now)
    actions.extend(Delete(ATTACHMENT, "", name) for name in leaving)
    if world.node is not None:
        _report(world, leaving, actions, events)
    if not actions and not events and since == world.since:
        return Plan(requeue_at=at) if at is not None else NOTHING
    error = "a volume is still attached elsewhere" if blocked else ""
    return Plan(actions=actions, events=events, requeue_at=at, memo=since, error=error)


def _attach(world: World, name: str, wanted: Wanted, actions: list[Action], events: list[EventNote]) -> bool:
    """False when it has to wait for another node to let go."""
    volume = wanted.volume
    many = {"ReadOnlyMany", "ReadWriteMany"} & set(volume.spec.accessModes)
    if wanted.elsewhere and not many:
        message = (
            f'Multi-Attach error for volume "{volume.metadata.name}" '
            "Volume is already exclusively attached to one node and can't be attached to another"
        )
        events.extend(EventNote(p, "Warning", "FailedAttachVolume", message) for p in wanted.pods)
        return False
    csi = volume.spec.csi
    assert csi is not None
    spec = {
        "attacher": csi.driver,
        "nodeName": world.name,
        "source": {"persistentVolumeName": volume.metadata.name},
    }
    actions.append(Create(ATTACHMENT, {"metadata": {"name": name}, "spec": spec}))
    return True


def _leaving(world: World, now: float) -> tuple[dict[str, float], set[str], float | None]:
    """When each was first wanted by nobody; those that go now; when to look again."""
    node = world.node
    in_use = set(node.status.volumesInUse) if node is not None else set()
    at_once = node is None or any(t.key == OUT_OF_SERVICE for t in node.spec.taints)
    ready = node is not None and any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
    since: dict[str, float] = {}
    leaving: set[str] = set()
    at: float | None = None
    for name, attachment in world.attachments.items():
        if name in world.wanted or attachment.metadata.deletionTimestamp is not None:
            continue
        source = attachment.spec.source.persistentVolumeName
        if not source or not name.startswith("csi-"):
            continue  # somebody else's
        first = world.since.get(name, now)
        since[name] = first
        volume = world.volumes.get(source)
        mounted = volume is not None and volume.spec.csi is not None and unique_name(volume) in in_use
        if not mounted or at_once or (not ready and now >= first + FORCE_AFTER_S):
            leaving.add(name)
        elif not ready:
            due = first + FORCE_AFTER_S
            at = due if at is None else min(at, due)
    return since, leaving, at


def _report(world: World, leaving: set[str], actions: list[Action], events: list[EventNote]) -> None:
    """``status.volumesAttached``: what the kubelet may mount. An attachment that leaves is taken off first."""
    node = world.node
    assert node is not None
    known = {a.name for a in node.status.volumesAttached}
    attached: list[str] = []
    for name, attachment in world.attachments.items():
        source = attachment.spec.source.persistentVolumeName
        volume = world.volumes.get(source) if source else None
        if volume is None or volume.spec.csi is None or not attachment.status.attached or name in leaving:
            continue
        attached.append(unique_name(volume))
        wanted = world.wanted.get(name)
        if wanted is not None and unique_name(volume) not in known:
            message = f'AttachVolume.Attach succeeded for volume "{volume.metadata.name}" '
            events.extend(EventNote(p, "Normal", "SuccessfulAttachVolume", message) for p in wanted.pods)
    if set(attached) != known:
        body = {"status": {"volumesAttached": [{"name": n, "devicePath": ""} for n in sorted(attached)]}}
        actions.insert(0, Patch(NODE, "", world.name, body, "merge", "status"))


# --- what wakes what --------------------------------------------------------------------------------------------------


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    pod = new if new is not None else old
    return (("", pod.spec.nodeName),) if pod.spec.nodeName and claim_names(pod) else ()


def _attachment_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """Its node; and when it goes, the nodes whose pods wait for the volume."""
    attachment = new if new is not None else old
    keys = [("", attachment.spec.nodeName)]
    source = attachment.spec.source.persistentVolumeName
    volume = views(VOLUME).get("", source) if new is None and source else None
    if volume is not None and volume.spec.claimRef is not None:
        ref = volume.spec.claimRef
        for pod in views(POD).list(ref.namespace):
            if pod.spec.nodeName and ref.name in claim_names(pod):
                keys.append(("", pod.spec.nodeName))
    return keys


def _node_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """Not for each heartbeat."""
    node = new if new is not None else old
    if (
        old is not None
        and new is not None
        and old.status.volumesInUse == new.status.volumesInUse
        and old.status.volumesAttached == new.status.volumesAttached
        and old.spec.taints == new.spec.taints
        and old.metadata.annotations == new.metadata.annotations
    ):
        return ()
    return (("", node.metadata.name),)


CONTROLLER = Controller(
    name="attachdetach",
    identity="attachdetach-controller",
    component="attachdetach-controller",
    watches=(Watch(POD, _pod_keys, (changes.VOLUMES,)), Watch(ATTACHMENT, _attachment_keys), Watch(NODE, _node_keys)),
    kinds=(CLAIM, VOLUME, DRIVER),
    gather=gather,
    reconcile=reconcile,
)
