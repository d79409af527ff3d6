"""Resource claims: makes the claims that pods ask for by template, and gives back what nobody uses any longer.

Keys are ``pod:<name>`` and ``claim:<name>``. Of a pod: for each entry with a template a claim is made, owned by the
pod; its name is told in the pod's status, so that the scheduler and the kubelet find it. A pod that got its node
without the scheduler is entered as a user of its allocated claims. Of a claim: users that are gone or have ended are
struck out; with the last one the devices are given back, and a claim that was made for the pod is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.meta import ObjectMeta
from pelamis.api.resource.podclaim import (
    CLAIM_OF,
    FINALIZER,
    Unresolved,
    claim_name,
    claim_names,
    consumer_of,
    is_pod,
    is_reserved,
    not_for_pod,
    owning_pod,
)
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.api.resource.resourceclaim import ResourceClaim, ResourceClaimConsumerReference
from pelamis.api.resource.resourceclaimtemplate import KIND as TEMPLATE
from pelamis.api.resource.resourceclaimtemplate import ResourceClaimTemplate
from pelamis.base.errors import NotFound
from pelamis.client.types import Action, Create, Delete, Key, Outcome, Patch, Update
from pelamis.reconcile import changes
from pelamis.reconcile.ownership import owner_reference
from pelamis.reconcile.plan import NOTHING, EventNote, Found, Plan, Read, failure
from pelamis.reconcile.podstate import is_finished
from pelamis.reconcile.spec import Controller, Views, Watch

FAILED = "FailedResourceClaimCreation"
_LONGEST = 57
"""Of what a claim's name starts with: a hyphen and five random characters follow, and 63 is the most."""
_OF_POD, _OF_CLAIM = "pod:", "claim:"

replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class PodWorld:
    """claims: by name, of those that the pod's entries mean. owned: claims that the pod owns."""

    pod: Pod
    claims: Mapping[str, ResourceClaim]
    owned: Sequence[ResourceClaim]
    templates: Mapping[str, ResourceClaimTemplate]


@dataclass(frozen=True, slots=True)
class ClaimWorld:
    """pods: by name, of the claim's users and its owner; those that are not known are not in it."""

    claim: ResourceClaim
    pods: Mapping[str, Pod]


def gather(views: Views, key: Key) -> PodWorld | ClaimWorld | None:
    namespace, what = key
    if what.startswith(_OF_CLAIM):
        claim: ResourceClaim | None = views(CLAIM).get(namespace, what.removeprefix(_OF_CLAIM))
        if claim is None:
            return None
        names = {c.name for c in claim.status.reservedFor if is_pod(c)} | {owning_pod(claim)[0]}
        pods = {name: p for name in names if name and (p := views(POD).get(namespace, name)) is not None}
        return ClaimWorld(claim, pods)
    pod: Pod | None = views(POD).get(namespace, what.removeprefix(_OF_POD))
    if pod is None or pod.metadata.deletionTimestamp is not None or pod.spec.schedulingGroup is not None:
        return None
    if is_finished(pod):
        return None  # its claims have been given back, and it needs no others
    found = {name: c for name in claim_names(pod) if (c := views(CLAIM).get(namespace, name)) is not None}
    wanted = {e.resourceClaimTemplateName for e in pod.spec.resourceClaims if e.resourceClaimTemplateName}
    templates = {name: t for name in wanted if (t := views(TEMPLATE).get(namespace, name)) is not None}
    return PodWorld(pod, found, views(CLAIM).by_index("owner", pod.metadata.uid), templates)


def reconcile(world: PodWorld | ClaimWorld, now: float) -> Plan:
    return _of_pod(world) if isinstance(world, PodWorld) else _of_claim(world)


# -- pods


def _of_pod(world: PodWorld) -> Plan:
    pod = world.pod
    meta = pod.metadata
    known: dict[str, str] = {}
    made: list[tuple[str, Create]] = []
    trouble = ""
    for entry in pod.spec.resourceClaims:
        if entry.resourceClaimTemplateName is None or _is_there(world, entry):
            continue
        orphan = next((c for c in world.owned if c.metadata.annotations.get(CLAIM_OF) == entry.name), None)
        if orphan is not None:
            known[entry.name] = orphan.metadata.name
            continue
        template = world.templates.get(entry.resourceClaimTemplateName)
        if template is None:
            name = entry.resourceClaimTemplateName
            missing = NotFound("resourceclaimtemplate", "resource.k8s.io", name).message
            trouble = f'PodResourceClaim {entry.name}: resource claim template "{name}": {missing}'
            break
        made.append((entry.name, Create(CLAIM, _made_of(template, pod, entry.name))))
    events = (EventNote(pod, "Warning", FAILED, trouble),) if trouble else ()
    error = f"pod {meta.namespace}/{meta.name}, {trouble}" if trouble else ""
    if not made:
        actions = [*([_told(pod, known)] if known and not trouble else []), *_reservations(world)]
        return Plan(actions=actions, events=events, error=error)

    def told(outcomes: Sequence[Outcome]) -> Plan:
        for (name, _), outcome in zip(made, outcomes, strict=True):
            if outcome.error is not None:
                text = f"PodResourceClaim {name}: create ResourceClaim : {outcome.error.message}"
                return Plan(
                    events=(EventNote(pod, "Warning", FAILED, text),),
                    error=f"pod {meta.namespace}/{meta.name}, {text}",
                )
            known[name] = outcome.obj.metadata.name
        return Plan(actions=() if trouble else (_told(pod, known),), events=events, error=error)

    return Plan(actions=[create for _, create in made], on_outcomes=told)


def _is_there(world: PodWorld, entry: Any) -> bool:
    """Whether the claim has been made, or none is needed."""
    try:
        name, _ = claim_name(world.pod, entry)
    except Unresolved:
        return False
    if name is None:
        return True
    claim = world.claims.get(name)
    return claim is not None and not not_for_pod(world.pod, claim)


def _made_of(template: ResourceClaimTemplate, pod: Pod, entry: str) -> ResourceClaim:
    prefix = f"{pod.metadata.name}-{entry}-"
    if len(prefix) > _LONGEST:
        # Both names are cut by the same part; one that is cut at its end alone would lose the entry's name.
        mine = pod.metadata.name[: len(pod.metadata.name) * _LONGEST // len(prefix)]
        prefix = f"{mine}-{entry[: len(entry) * _LONGEST // len(prefix)]}"
    given = template.spec.metadata
    meta = ObjectMeta(
        generateName=prefix,
        namespace=pod.metadata.namespace,
        labels=given.labels,
        annotations={**given.annotations, CLAIM_OF: entry},
        ownerReferences=(replace(owner_reference(pod, POD), blockOwnerDeletion=None),),
    )
    return ResourceClaim(metadata=meta, spec=template.spec.spec)


def _told(pod: Pod, known: Mapping[str, str]) -> Patch:
    # what was applied before and is left out now would go
    names = {**{s.name: s.resourceClaimName for s in pod.status.resourceClaimStatuses}, **known}
    statuses = [{"name": n, **({"resourceClaimName": claim} if claim else {})} for n, claim in sorted(names.items())]
    meta = pod.metadata
    body = {
        "apiVersion": POD.api_version,
        "kind": POD.kind,
        "metadata": {"name": meta.name, "uid": meta.uid},
        "status": {"resourceClaimStatuses": statuses},
    }
    return Patch(POD, meta.namespace, meta.name, body, "apply", "status", force=True, manager="ResourceClaimController")


def _reservations(world: PodWorld) -> list[Action]:
    """Of a pod that has a node: the scheduler has made them, unless it did not choose the node."""
    pod = world.pod
    out: list[Action] = []
    if not pod.spec.nodeName:
        return out
    for entry in pod.spec.resourceClaims:
        try:
            name, own = claim_name(pod, entry)
        except Unresolved:
            return out
        claim = world.claims.get(name) if name is not None else None
        if claim is None or (own and not_for_pod(pod, claim)):
            continue
        if claim.status.allocation is not None and not is_reserved(claim, pod.metadata.uid):
            status = replace(claim.status, reservedFor=(*claim.status.reservedFor, consumer_of(pod)))
            out.append(Update(CLAIM, replace(claim, status=status), "status"))
    return out


# -- claims


def _is_done(pod: Pod) -> bool:
    """None of its containers runs or ever will."""
    return is_finished(pod) or (pod.metadata.deletionTimestamp is not None and not pod.spec.nodeName)


def _of_claim(world: ClaimWorld) -> Plan:
    """A user that is not known may be too new for this view: whether it is gone is asked."""
    claim = world.claim
    unknown = [c for c in claim.status.reservedFor if is_pod(c) and c.name not in world.pods]
    if not unknown:
        return _upkeep(world, frozenset())
    namespace = claim.metadata.namespace

    def asked(found: Sequence[Found]) -> Plan:
        gone = set()
        for consumer, answer in zip(unknown, found, strict=True):
            if answer.tree is None and "not found" not in answer.error:
                return Plan(error=answer.error)
            if answer.tree is None or answer.tree["metadata"].get("uid") != consumer.uid:
                gone.add(consumer.uid)
        return _upkeep(world, frozenset(gone))

    reads = [Read(f"/api/v1/namespaces/{namespace}/pods/{consumer.name}") for consumer in unknown]
    return Plan(reads=reads, on_reads=asked)


def _stays(world: ClaimWorld, consumer: ResourceClaimConsumerReference, gone: frozenset[str]) -> bool:
    """Users that are no pods are somebody else's."""
    if not is_pod(consumer):
        return True
    pod = world.pods.get(consumer.name)
    if pod is None:
        return consumer.uid not in gone
    return pod.metadata.uid == consumer.uid and not _is_done(pod)


def _upkeep(world: ClaimWorld, gone: frozenset[str]) -> Plan:
    claim = world.claim
    meta, status = claim.metadata, claim.status
    left = tuple(c for c in status.reservedFor if _stays(world, c, gone))
    ours = FINALIZER in meta.finalizers
    last: list[Action] = []
    if not left and _is_for_nobody(world):
        last.append(Delete(CLAIM, meta.namespace, meta.name, uid=meta.uid))
    if len(left) < len(status.reservedFor):
        status = replace(status, reservedFor=left, allocation=status.allocation if left or not ours else None)
    elif ours and meta.deletionTimestamp is not None and not left:
        if status.allocation is None:
            return Plan(actions=[_unfinalized(claim), *last])
        status = replace(status, allocation=None)
    else:
        return Plan(actions=last)
    action = Update(CLAIM, replace(claim, status=status), "status")

    def freed(outcomes: Sequence[Outcome]) -> Plan:
        refused = failure([action], outcomes)
        if refused is not None:
            return NOTHING if refused.reason == "NotFound" else Plan(error=refused.message)
        now: ResourceClaim = outcomes[0].obj
        if FINALIZER in now.metadata.finalizers and now.status.allocation is None:
            return Plan(actions=[_unfinalized(now), *last])
        return Plan(actions=last)

    return Plan(actions=(action,), on_outcomes=freed)


def _unfinalized(claim: ResourceClaim) -> Update:
    finalizers = tuple(f for f in claim.metadata.finalizers if f != FINALIZER)
    return Update(CLAIM, replace(claim, metadata=replace(claim.metadata, finalizers=finalizers)))


def _is_for_nobody(world: ClaimWorld) -> bool:
    """It was made for a pod that will not run any more. The claims of pods that are gone the garbage collector has."""
    name, uid = owning_pod(world.claim)
    pod = world.pods.get(name)
    return pod is not None and (pod.metadata.uid != uid or _is_done(pod))


# -- what wakes whom


def _keys_of_claims(pod: Pod) -> list[Key]:
    names = claim_names(pod)
    extended = pod.status.extendedResourceClaimStatus
    if extended is not None:
        names.append(extended.resourceClaimName)
    return [(pod.metadata.namespace, _OF_CLAIM + name) for name in names]


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    pod = new if new is not None else old
    if not pod.spec.resourceClaims and pod.status.extendedResourceClaimStatus is None:
        return ()
    if new is None:
        return _keys_of_claims(old)
    out: list[Key] = []
    if _is_done(new) and (old is None or not _is_done(old) or _claims(old) != _claims(new)):
        out += _keys_of_claims(new)
    moved = old is None or old.spec.nodeName != new.spec.nodeName or _claims(old) != _claims(new)
    if moved and new.spec.resourceClaims and new.metadata.deletionTimestamp is None:
        out.append((new.metadata.namespace, _OF_POD + new.metadata.name))
    return out


def _claims(pod: Pod) -> Any:
    return pod.status.resourceClaimStatuses


def _claim_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    meta = (new if new is not None else old).metadata
    out: list[Key] = [] if new is None else [(meta.namespace, _OF_CLAIM + meta.name)]
    if old is not None and new is not None and old.status == new.status:
        return out
    users = views(POD).by_index("resourceclaim", f"{meta.namespace}/{meta.name}")
    return out + [(meta.namespace, _OF_POD + pod.metadata.name) for pod in users]


def _template_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    if new is None:
        return ()
    namespace, name = new.metadata.namespace, new.metadata.name
    return [
        (namespace, _OF_POD + pod.metadata.name)
        for pod in views(POD).list(namespace)
        if any(entry.resourceClaimTemplateName == name for entry in pod.spec.resourceClaims)
    ]


CONTROLLER = Controller(
    name="resourceclaim",
    identity="resource-claim-controller",
    component="resource_claim",
    watches=(Watch(POD, _pod_keys, (changes.DEVICES,)), Watch(CLAIM, _claim_keys), Watch(TEMPLATE, _template_keys)),
    gather=gather,
    reconcile=reconcile,
)
