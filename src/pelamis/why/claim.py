"""Why a PersistentVolumeClaim is not bound: its class, its provisioner, and what each volume lacks."""

from __future__ import annotations

from typing import Any

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.persistentvolumeclaim import SELECTED_NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.volume import claim_names
from pelamis.api.storage.storageclass import DEFAULT_ANNOTATION, NO_PROVISIONER, default_class, waits_for_consumer
from pelamis.api.storage.storageclass import KIND as CLASS
from pelamis.base import labels
from pelamis.base.labels import SelectorError
from pelamis.base.quantity import parse
from pelamis.why.cause import Advice, Cause, sound
from pelamis.why.world import World, when


def why_claim(world: World, claim: Any, *, waiting_pod: Any = None) -> Cause:
    """waiting_pod: a pod that is known to wait for it."""
    meta, spec = claim.metadata, claim.spec
    about = f"pvc/{meta.name}"
    if meta.deletionTimestamp is not None:
        users = _users(world, claim)
        held = f" and is used by {', '.join(u.metadata.name for u in users)}" if users else ""
        text = (
            f"is being deleted{held}" if users or not meta.finalizers else "is being deleted and waits for finalizers"
        )
        facts = tuple(f"finalizer {f}" for f in meta.finalizers)
        return Cause(about, text, facts=facts, advice=(Advice("delete the pods that use it"),) if users else ())
    if claim.status.phase == "Bound":
        wanted = [c for c in claim.status.conditions if c.status == "True"]
        if wanted:
            said = "; ".join(f"{c.type}: {c.message}" if c.message else c.type for c in wanted)
            return Cause(about, f"is bound to {spec.volumeName}, and is being changed: {said}")
        return sound(about, f"is bound to {spec.volumeName}")
    if claim.status.phase == "Lost":
        text = f"its volume {spec.volumeName} is gone, with what was on it"
        again = Advice("restore the PersistentVolume, or delete the claim and create it anew")
        return Cause(about, text, advice=(again,))
    if spec.volumeName:
        return _named_volume(world, claim)
    name = spec.storageClassName
    classes = {c.metadata.name: c for c in world.all(CLASS)}
    if name is None:
        name = default_class(classes.values())
        if not name:
            known = ", ".join(sorted(classes)) or "none"
            advice = Advice(f"name a class in spec.storageClassName (there are: {known}), or make one the default", "")
            mark = f"kubectl annotate storageclass NAME {DEFAULT_ANNOTATION}=true"
            return Cause(
                about,
                "names no StorageClass, and there is no default one",
                advice=(advice, Advice("for example", mark)),
                deeper=_volumes(world, claim),
            )
    if not name:
        text = "asks for no StorageClass: a PersistentVolume without one has to be there, and none fits"
        return Cause(about, text, deeper=_volumes(world, claim))
    of = classes.get(name)
    if of is None:
        known = ", ".join(sorted(classes)) or "none"
        advice = Advice(f"create the StorageClass, or use one that is there ({known})", "kubectl get storageclass")
        return Cause(
            about, f'its StorageClass "{name}" does not exist', advice=(advice,), deeper=_volumes(world, claim)
        )
    events = world.events(CLAIM, claim, "ProvisioningFailed", "FailedBinding")
    # What was said before there was such a class is over.
    events = [e for e in events if when(e) >= str(of.metadata.creationTimestamp)]
    facts = (f"event {events[0].reason}: {events[0].message}",) if events else ()
    if waits_for_consumer(of):
        users = [waiting_pod] if waiting_pod is not None else _users(world, claim)
        selected = claim.metadata.annotations.get(SELECTED_NODE)
        if not users:
            text = f'waits for a pod that uses it: its StorageClass "{name}" makes volumes where pods are placed'
            return Cause(about, text, waiting_pod is not None, advice=(Advice("nothing is wrong; start such a pod"),))
        if not selected and not events:
            names = ", ".join(u.metadata.name for u in users)
            return sound(about, f"waits until pod {names} has a node")
    if of.provisioner == NO_PROVISIONER:
        text = f'its StorageClass "{name}" makes no volumes by itself, and none that is there fits'
        return Cause(about, text, facts=facts, deeper=_volumes(world, claim))
    text = f'waits for the provisioner "{of.provisioner}" of its StorageClass "{name}"'
    advice = Advice(f"look whether the provisioner runs: a pod that serves {of.provisioner}", "kubectl get pods -A")
    return Cause(about, text, facts=facts, advice=(advice,), deeper=_volumes(world, claim))


def _users(world: World, claim: Any) -> list[Any]:
    name = claim.metadata.name
    out = []
    for pod in world.all(POD, claim.metadata.namespace):
        if pod.status.phase in ("Succeeded", "Failed"):
            continue
        if name in claim_names(pod):
            out.append(pod)
    return out


def _named_volume(world: World, claim: Any) -> Cause:
    about, name = f"pvc/{claim.metadata.name}", claim.spec.volumeName
    volume = world.get(VOLUME, "", name)
    if volume is None:
        return Cause(about, f"asks for the PersistentVolume {name}, which does not exist")
    lacks = "; ".join(_lacks(claim, volume)) or "it is not bound yet"
    return Cause(about, f"asks for the PersistentVolume {name}: {lacks}")


def _volumes(world: World, claim: Any) -> tuple[Cause, ...]:
    """The volumes that come nearest, with what each lacks."""
    found = [(list(_lacks(claim, v)), v) for v in world.all(VOLUME)]
    found.sort(key=lambda item: (len(item[0]), item[1].metadata.name))
    return tuple(
        Cause(f"pv/{v.metadata.name}", "does not fit: " + "; ".join(lacks) if lacks else "fits, and is not bound yet")
        for lacks, v in found[:3]
    )


def _lacks(claim: Any, volume: Any) -> list[str]:
    out = []
    wanted, own = claim.spec, volume.spec
    ref = own.claimRef
    if ref is not None and (ref.namespace, ref.name) != (claim.metadata.namespace, claim.metadata.name):
        state = " (released)" if volume.status.phase == "Released" else ""
        out.append(f"it is taken by {ref.namespace}/{ref.name}{state}")
    elif ref is not None and ref.uid and ref.uid != claim.metadata.uid:
        out.append("it was taken by an earlier claim of this name; remove its claimRef to use it again")
    if (own.storageClassName or "") != (wanted.storageClassName or ""):
        out.append(f'its class is "{own.storageClassName}"')
    size, has = wanted.resources.requests.get("storage", "0"), own.capacity.get("storage", "0")
    if parse(has).nano < parse(size).nano:
        out.append(f"it has {has} of {size}")
    missing = [m for m in wanted.accessModes if m not in own.accessModes]
    if missing:
        out.append(f"it has no {', '.join(missing)}")
    if (own.volumeMode or "Filesystem") != (wanted.volumeMode or "Filesystem"):
        out.append(f"its mode is {own.volumeMode}")
    if wanted.selector is not None:
        try:
            selector = labels.from_label_selector(wanted.selector)
        except SelectorError:
            selector = labels.NOTHING
        if not selector.matches(volume.metadata.labels):
            out.append(f"the claim's selector {selector} does not select it")
    return out
