"""StatefulSet: pods with a name, an order and claims of their own.

Pods are named ``<set>-<ordinal>``. With ``OrderedReady`` they are created in order, each when its predecessors are
available, and removed in reverse; with ``Parallel`` at once. A rolling update replaces pods from the highest ordinal
down to the partition, one after the other (or ``maxUnavailable`` at a time). Claims are made before the pod, and are
kept or deleted by the retention policy through owner references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pelamis.api.apps.controllerrevision import KIND as REVISION
from pelamis.api.apps.controllerrevision import ControllerRevision
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.apps.statefulset import StatefulSet, StatefulSetStatus
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.volume import PersistentVolumeClaimVolumeSource, Volume
from pelamis.api.meta import OwnerReference
from pelamis.base.intstr import scaled
from pelamis.client.types import Action, Create, Delete, Key, Outcome, Update
from pelamis.reconcile import changes
from pelamis.reconcile.ownership import candidates, claim, controller_of, owner_keys, owner_reference, selects
from pelamis.reconcile.plan import EventNote, Plan, failure
from pelamis.reconcile.podcontrol import delete_pod, is_namespace_terminating, pod_of
from pelamis.reconcile.podstate import is_available, is_ready, next_available
from pelamis.reconcile.revision import POD_HASH, history, surplus, template_of
from pelamis.reconcile.spec import Controller, Views, Watch

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
REVISION_HASH = "controller.kubernetes.io/hash"


@dataclass(frozen=True, slots=True)
class World:
    """claims: the claims of the set's pods that exist, by name. namesake(name): the ControllerRevision of a name."""

    set: StatefulSet
    pods: Sequence[Pod]
    revisions: Sequence[ControllerRevision]
    claims: Mapping[str, PersistentVolumeClaim]
    namesake: Any = None


def gather(views: Views, key: Key) -> World | None:
    one: StatefulSet | None = views(STATEFULSET).get(*key)
    if one is None:
        return None
    selector = one.spec.selector
    pods = candidates(views, POD, one, lambda labels: selects(selector, labels))
    revisions = candidates(views, REVISION, one, lambda labels: selects(selector, labels))
    claims: dict[str, PersistentVolumeClaim] = {}
    if one.spec.volumeClaimTemplates:
        ordinals = {*_ordinals(one), *(o for p in pods if (o := ordinal_of(one, p.metadata.name)) is not None)}
        for ordinal in ordinals:
            for template in one.spec.volumeClaimTemplates:
                found = views(CLAIM).get(key[0], claim_name(one, template, ordinal))
                if found is not None:
                    claims[found.metadata.name] = found
    return World(one, pods, revisions, claims, lambda name: views(REVISION).get(key[0], name))


def ordinal_of(one: StatefulSet, name: str) -> int | None:
    head, _, tail = name.rpartition("-")
    return int(tail) if head == one.metadata.name and tail.isdigit() else None


def claim_name(one: StatefulSet, template: PersistentVolumeClaim, ordinal: int) -> str:
    return f"{template.metadata.name}-{one.metadata.name}-{ordinal}"


def _start(one: StatefulSet) -> int:
    return one.spec.ordinals.start if one.spec.ordinals is not None else 0


def _ordinals(one: StatefulSet) -> range:
    count = 1 if one.spec.replicas is None else one.spec.replicas
    return range(_start(one), _start(one) + count)


@dataclass(slots=True)
class _Work:
    set: StatefulSet
    now: float
    current: ControllerRevision
    update: ControllerRevision
    status: StatefulSetStatus
    claims: Mapping[str, PersistentVolumeClaim]
    creates: list[Pod] = field(default_factory=list)
    deletes: list[Pod] = field(default_factory=list)
    before: list[Action] = field(default_factory=list)
    others: list[Action] = field(default_factory=list)
    events: list[EventNote] = field(default_factory=list)

    def revision_of(self, pod: Pod) -> str:
        return pod.metadata.labels.get(POD_HASH, "")

    def available(self, pod: Pod) -> bool:
        return _running(pod) and is_ready(pod) and is_available(pod, self.set.spec.minReadySeconds, self.now)

    def healthy(self, pod: Pod) -> bool:
        return self.available(pod) and pod.metadata.deletionTimestamp is None


def _running(pod: Pod) -> bool:
    return pod.status.phase == "Running"


def reconcile(world: World, now: float) -> Plan:
    one = world.set
    selector = one.spec.selector

    def matches(labels: Mapping[str, str]) -> bool:
        return selects(selector, labels)

    # only pods with the set's name can be its members, so no others are adopted
    mine = [p for p in world.pods if ordinal_of(one, p.metadata.name) is not None or controller_of(p) is not None]
    pods, adoptions = claim(POD, mine, one, STATEFULSET, matches)
    revisions, more = claim(REVISION, world.revisions, one, STATEFULSET, matches)
    past = history(one, STATEFULSET, revisions, REVISION_HASH, one.spec.template.metadata.labels, world.namesake)
    if past.collision is not None:
        status = msgspec.structs.replace(one.status, collisionCount=past.collision)
        return Plan(actions=(Update(STATEFULSET, msgspec.structs.replace(one, status=status), "status"),))
    update = past.update
    current = next((r for r in revisions if r.metadata.name == one.status.currentRevision), update)
    work = _Work(one, now, current, update, one.status, world.claims)
    work.status = _counted(work, pods)
    if one.metadata.deletionTimestamp is None:
        _steps(work, pods)
        _retain(work, pods)
    _complete(work)
    live = {current.metadata.name, update.metadata.name, *(work.revision_of(p) for p in pods)}
    old = surplus([r for r in past.older if r.metadata.name not in live], one.spec.revisionHistoryLimit, live)
    requeue_at = next_available(pods, one.spec.minReadySeconds, now)
    return _plan(work, (*adoptions, *more, *past.actions, *old), requeue_at)


def _counted(work: _Work, pods: Sequence[Pod]) -> StatefulSetStatus:
    one = work.set
    counts = {"replicas": 0, "readyReplicas": 0, "availableReplicas": 0, "currentReplicas": 0, "updatedReplicas": 0}
    for pod in pods:
        counts["replicas"] += 1
        if _running(pod) and is_ready(pod):
            counts["readyReplicas"] += 1
            counts["availableReplicas"] += work.available(pod)
        if pod.metadata.deletionTimestamp is None:
            counts["currentReplicas"] += work.revision_of(pod) == work.current.metadata.name
            counts["updatedReplicas"] += work.revision_of(pod) == work.update.metadata.name
    return msgspec.structs.replace(
        one.status,
        observedGeneration=one.metadata.generation,
        currentRevision=work.current.metadata.name,
        updateRevision=work.update.metadata.name,
        collisionCount=one.status.collisionCount or 0,
        **counts,
    )


def _steps(work: _Work, pods: Sequence[Pod]) -> None:
    """Replicas in order, then those beyond the number in reverse order, then the rolling update; the first step that
    has to be waited for ends it where order matters."""
    one = work.set
    ordered = one.spec.podManagementPolicy != "Parallel"
    by_ordinal = {o: p for p in pods if (o := ordinal_of(one, p.metadata.name)) is not None}
    ordinals = _ordinals(one)
    replicas = [by_ordinal.get(o) for o in ordinals]
    condemned = [by_ordinal[o] for o in sorted(by_ordinal, reverse=True) if o not in ordinals]
    first_unhealthy = next(
        (
            p
            for p in (*replicas, *sorted(condemned, key=lambda p: p.metadata.name))
            if p is not None and not work.healthy(p)
        ),
        None,
    )
    for ordinal, pod in zip(ordinals, replicas, strict=True):
        if not _replica(work, ordinal, pod, ordered):
            return
    for pod in condemned:
        if pod.metadata.deletionTimestamp is not None:
            if ordered:
                return
            continue
        if ordered and not work.healthy(pod) and pod is not first_unhealthy:
            return
        work.deletes.append(pod)
        if ordered:
            return
    _roll(work, [p for p in replicas if p is not None and p not in work.deletes])


def _replica(work: _Work, ordinal: int, pod: Pod | None, ordered: bool) -> bool:
    """False when the next pods have to wait for this one."""
    one = work.set
    if pod is None:
        work.before.extend(_missing_claims(work, ordinal))
        work.creates.append(_pod(work, ordinal))
        return not ordered
    if pod.status.phase in ("Failed", "Succeeded"):
        if pod.metadata.deletionTimestamp is None:
            name = f"{one.metadata.namespace}/{one.metadata.name}"
            if pod.status.phase == "Failed":
                message = f"StatefulSet {name} is recreating failed Pod {pod.metadata.name}"
                work.events.append(EventNote(one, "Warning", "RecreatingFailedPod", message))
            else:
                message = f"StatefulSet {name} is recreating terminated Pod {pod.metadata.name}"
                work.events.append(EventNote(one, "Normal", "RecreatingTerminatedPod", message))
            work.deletes.append(pod)
        return not ordered
    if pod.status.phase in ("", "Pending"):
        work.before.extend(_missing_claims(work, ordinal))
    if ordered and not work.healthy(pod):
        return False
    _identify(work, ordinal, pod)
    return True


def _identify(work: _Work, ordinal: int, pod: Pod) -> None:
    labels = pod.metadata.labels
    if labels.get(POD_NAME) == pod.metadata.name and labels.get(POD_INDEX) == str(ordinal):
        return
    meta = msgspec.structs.replace(
        pod.metadata, labels={**labels, POD_NAME: pod.metadata.name, POD_INDEX: str(ordinal)}
    )
    work.others.append(Update(POD, msgspec.structs.replace(pod, metadata=meta)))


def _roll(work: _Work, replicas: Sequence[Pod]) -> None:
    strategy = work.set.spec.updateStrategy
    if strategy.type == "OnDelete" or work.creates or work.deletes:
        return
    rolling = strategy.rollingUpdate
    first = _start(work.set) + (rolling.partition or 0 if rolling is not None else 0)
    most = 1
    if rolling is not None and rolling.maxUnavailable is not None:
        most = max(1, scaled(rolling.maxUnavailable, len(_ordinals(work.set)), True))
    targets = [p for p in reversed(replicas) if (ordinal_of(work.set, p.metadata.name) or 0) >= first]
    new = work.update.metadata.name
    if most == 1:
        for pod in targets:
            if work.revision_of(pod) != new and pod.metadata.deletionTimestamp is None:
                work.deletes.append(pod)
                return
            if not work.healthy(pod):
                return
        return
    room = most - sum(not work.healthy(p) for p in replicas)
    for pod in targets:
        if room <= 0:
            return
        if work.revision_of(pod) != new and pod.metadata.deletionTimestamp is None:
            work.deletes.append(pod)
            room -= 1


def _complete(work: _Work) -> None:
    s = work.status
    wanted = len(_ordinals(work.set))
    if work.set.spec.updateStrategy.type == "OnDelete":
        return
    if s.updatedReplicas == s.replicas == s.readyReplicas and s.replicas == wanted and not work.creates:
        work.status = msgspec.structs.replace(
            s, currentReplicas=s.updatedReplicas, currentRevision=work.update.metadata.name
        )


# Pods and claims


def _pod(work: _Work, ordinal: int) -> Pod:
    one = work.set
    name = f"{one.metadata.name}-{ordinal}"
    revision = work.update
    template: PodTemplateSpec = one.spec.template
    strategy = one.spec.updateStrategy
    if strategy.type == "RollingUpdate" and work.current.metadata.name != work.update.metadata.name:
        rolling = strategy.rollingUpdate
        keep = rolling.partition or 0 if rolling is not None else one.status.currentReplicas
        if ordinal < _start(one) + keep:
            revision = work.current
            template = template_of(revision)
    pod = pod_of(template, one, STATEFULSET, name=name)
    labels = {
        **pod.metadata.labels,
        POD_NAME: name,
        POD_INDEX: str(ordinal),
        POD_HASH: revision.metadata.name,
    }
    claims = {t.metadata.name: claim_name(one, t, ordinal) for t in one.spec.volumeClaimTemplates}
    volumes = (
        *(
            Volume(name=n, persistentVolumeClaim=PersistentVolumeClaimVolumeSource(claimName=c))
            for n, c in claims.items()
        ),
        *(v for v in pod.spec.volumes if v.name not in claims),
    )
    return msgspec.structs.replace(
        pod,
        metadata=msgspec.structs.replace(pod.metadata, labels=labels),
        spec=msgspec.structs.replace(pod.spec, volumes=volumes, hostname=name, subdomain=one.spec.serviceName),
    )


def _missing_claims(work: _Work, ordinal: int) -> list[Action]:
    one = work.set
    out: list[Action] = []
    selector = one.spec.selector
    for template in one.spec.volumeClaimTemplates:
        name = claim_name(one, template, ordinal)
        if name in work.claims:
            continue
        meta = msgspec.structs.replace(
            template.metadata,
            name=name,
            namespace=one.metadata.namespace,
            labels={**template.metadata.labels, **(selector.matchLabels if selector is not None else {})},
            ownerReferences=(owner_reference(one, STATEFULSET),) if _policy(one)[0] == "Delete" else (),
        )
        out.append(Create(CLAIM, PersistentVolumeClaim(metadata=meta, spec=template.spec)))
    return out


def _policy(one: StatefulSet) -> tuple[str, str]:
    """(when the set is deleted, when it is scaled down)."""
    policy = one.spec.persistentVolumeClaimRetentionPolicy
    if policy is None:
        return "Retain", "Retain"
    return policy.whenDeleted or "Retain", policy.whenScaled or "Retain"


def _retain(work: _Work, pods: Sequence[Pod]) -> None:
    """Claims that are to go with the set, or with a pod that scaling down removes, are owned by it."""
    one = work.set
    when_deleted, when_scaled = _policy(one)
    ordinals = _ordinals(one)
    for pod in pods:
        ordinal = ordinal_of(one, pod.metadata.name)
        if ordinal is None:
            continue
        wanted: list[OwnerReference] = []
        if ordinal not in ordinals and when_scaled == "Delete":
            wanted = [owner_reference(pod, POD)]
        elif when_deleted == "Delete":
            wanted = [owner_reference(one, STATEFULSET)]
        for template in one.spec.volumeClaimTemplates:
            found = work.claims.get(claim_name(one, template, ordinal))
            if found is None:
                continue
            owners = claim_owners(
                found.metadata.ownerReferences,
                (owner_reference(one, STATEFULSET), owner_reference(pod, POD)),
                wanted,
                managed="Delete" in (when_deleted, when_scaled),
            )
            if owners is not None:
                meta = msgspec.structs.replace(found.metadata, ownerReferences=owners)
                work.before.append(Update(CLAIM, msgspec.structs.replace(found, metadata=meta)))


def claim_owners(
    refs: Sequence[OwnerReference], ours: Sequence[OwnerReference], wanted: Sequence[OwnerReference], *, managed: bool
) -> tuple[OwnerReference, ...] | None:
    """A claim's owners as they ought to be, or None if nothing is to be changed.

    ours: the set and the pod. wanted: which of them are to own it. managed: the policy deletes claims. What belongs to
    a former set or pod of the name is left alone, and so is what another controller has.
    """
    uids = {(r.apiVersion, r.kind, r.name): r.uid for r in ours}
    named = [r for r in refs if (r.apiVersion, r.kind, r.name) in uids]
    if any(r.uid != uids[r.apiVersion, r.kind, r.name] for r in named):
        return None
    others = [r for r in refs if r not in named]
    if managed and any(r.controller for r in others):
        return tuple(others) if named else None
    if {r.uid for r in named} == {r.uid for r in wanted} and all(r.controller for r in named):
        return None
    return (*others, *wanted)


# The plan


def _plan(work: _Work, extra: Sequence[Action], requeue_at: float | None) -> Plan:
    one = work.set
    where = f"StatefulSet {one.metadata.name}"
    status: tuple[Action, ...] = ()
    if work.status != one.status:
        status = (Update(STATEFULSET, msgspec.structs.replace(one, status=work.status), "status"),)
    before = tuple(work.before)
    if before:
        # no pod without its claims
        def prepared(outcomes: Sequence[Outcome]) -> Plan:
            notes = [n for a, o in zip(before, outcomes, strict=True) for n in _events(one, where, a, o)]
            error = failure(before, outcomes)
            if error is not None:
                return Plan(events=(*work.events, *notes), error=error.message)
            work.before = []
            work.events += notes
            return _plan(work, extra, requeue_at)

        return Plan(actions=before, on_outcomes=prepared)
    actions: tuple[Action, ...] = (
        *(Create(POD, p) for p in work.creates),
        *(delete_pod(p) for p in work.deletes),
        *work.others,
        *extra,
        *status,
    )
    if not actions:
        return Plan(requeue_at=requeue_at, events=work.events)

    def done(outcomes: Sequence[Outcome]) -> Plan:
        events = list(work.events)
        for action, outcome in zip(actions, outcomes, strict=True):
            events.extend(_events(one, where, action, outcome))
        error = failure(actions, outcomes)
        if error is not None and is_namespace_terminating(error):
            error = None
        return Plan(events=events, error=error.message if error else "", requeue_at=requeue_at)

    return Plan(actions=actions, on_outcomes=done)


def _events(one: StatefulSet, where: str, action: Action, outcome: Outcome) -> list[EventNote]:
    error = outcome.error
    if isinstance(action, Create) and action.kind in (POD, CLAIM):
        name = action.obj.metadata.name
        if action.kind is POD:
            what, good = f"Pod {name} in {where}", "successful"
        else:
            what, good = f"Claim {name} Pod {_pod_of_claim(one, action.obj)} in {where}", "success"
        verb = "create"
    elif isinstance(action, Delete) and action.kind is POD:
        what, good, verb = f"Pod {action.name} in {where}", "successful", "delete"
    elif isinstance(action, Update) and action.kind is POD:
        what, good, verb = f"Pod {action.obj.metadata.name} in {where}", "successful", "update"
    else:
        return []
    verb = verb.capitalize()
    if error is None:
        return [EventNote(one, "Normal", f"Successful{verb}", f"{verb} {what} {good}")]
    if error.reason in ("Conflict", "NotFound", "AlreadyExists") or is_namespace_terminating(error):
        return []
    return [EventNote(one, "Warning", f"Failed{verb}", f"{verb} {what} failed error: {error.message}")]


def _pod_of_claim(one: StatefulSet, made: PersistentVolumeClaim) -> str:
    return f"{one.metadata.name}-{made.metadata.name.rpartition('-')[2]}"


def _matches(owner: Any, labels: Mapping[str, str]) -> bool:
    return selects(owner.spec.selector, labels)


CONTROLLER = Controller(
    name="statefulset",
    identity="statefulset-controller",
    component="statefulset-controller",
    watches=(
        Watch(STATEFULSET),
        Watch(POD, owner_keys(STATEFULSET, _matches), (changes.OF_STATEFULSET | changes.ORPHAN,)),
        Watch(REVISION, owner_keys(STATEFULSET, _matches)),
    ),
    kinds=(CLAIM,),
    gather=gather,
    reconcile=reconcile,
)
