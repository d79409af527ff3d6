"""Ephemeral volumes: makes the claim of each generic ephemeral volume of a pod, owned by the pod."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.volume import ephemeral_claim
from pelamis.api.meta import ObjectMeta
from pelamis.client.types import Action, Create, Key
from pelamis.reconcile import changes
from pelamis.reconcile.ownership import controller_of, is_controlled_by, owner_reference
from pelamis.reconcile.plan import EventNote, Plan
from pelamis.reconcile.spec import Controller, Views, Watch


@dataclass(frozen=True, slots=True)
class World:
    """claims: by name of the volume, None where there is none yet."""

    pod: Pod
    claims: dict[str, PersistentVolumeClaim | None]


def gather(views: Views, key: Key) -> World | None:
    pod: Pod | None = views(POD).get(*key)
    if pod is None or pod.metadata.deletionTimestamp is not None:
        return None
    volumes = [v for v in pod.spec.volumes if v.ephemeral is not None]
    if not volumes:
        return None
    return World(pod, {v.name: views(CLAIM).get(key[0], ephemeral_claim(v, key[1])) for v in volumes})


def reconcile(world: World, now: float) -> Plan:
    pod = world.pod
    actions: list[Action] = []
    for volume in pod.spec.volumes:
        if volume.ephemeral is None:
            continue
        name = ephemeral_claim(volume, pod.metadata.name)
        existing = world.claims.get(volume.name)
        if existing is not None:
            if not is_controlled_by(existing, pod):
                why = f'PVC "{pod.metadata.namespace}/{name}" was not created for the pod'
                return Plan(
                    events=(EventNote(pod, "Warning", "FailedBinding", f"ephemeral volume {volume.name}: {why}"),)
                )
            continue
        template = volume.ephemeral.volumeClaimTemplate
        if template is None:
            continue
        meta = ObjectMeta(
            name=name,
            namespace=pod.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            ownerReferences=(owner_reference(pod, POD),),
        )
        actions.append(Create(CLAIM, PersistentVolumeClaim(metadata=meta, spec=template.spec)))
    return Plan(actions=actions)


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    if new is None or old is not None or not any(v.ephemeral is not None for v in new.spec.volumes):
        return ()
    return ((new.metadata.namespace, new.metadata.name),)


def _claim_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """A claim that was deleted is made again."""
    ref = controller_of(old) if new is None else None
    return ((old.metadata.namespace, ref.name),) if ref is not None and ref.kind == "Pod" else ()


CONTROLLER = Controller(
    name="ephemeralvolume",
    identity="ephemeral-volume-controller",
    component="ephemeral_volume",
    watches=(Watch(POD, _pod_keys, (changes.ADDED, changes.VOLUMES)), Watch(CLAIM, _claim_keys)),
    gather=gather,
    reconcile=reconcile,
)
