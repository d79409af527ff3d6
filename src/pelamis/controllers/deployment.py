"""Deployment: rolls a pod template out over ReplicaSets, one for each template it ever had.

Each reconcile works on copies of the ReplicaSets and of the status, takes at most one step of the rollout (scale the
new one up, or old ones down), and writes what differs: one update for each ReplicaSet that changed and one for the
status, in one commit. The revision of the Deployment is an annotation and goes with the status.

Source of the rules: upstream's deployment controller; the arithmetic is in reconcile.rollout, the status in
reconcile.deploymentstatus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.deployment import Deployment, DeploymentStatus
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.replicaset import ReplicaSet, ReplicaSetSpec
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.base.clock import parse_rfc3339
from pelamis.base.ids import hash_of
from pelamis.client.types import Action, Create, Delete, Key, Outcome, Update
from pelamis.reconcile import changes, rollout
from pelamis.reconcile import deploymentstatus as status_of
from pelamis.reconcile.ownership import (
    candidates,
    claim,
    controller_of,
    is_empty,
    owner_keys,
    owner_reference,
    selects,
)
from pelamis.reconcile.plan import NOTHING, EventNote, Plan, failure
from pelamis.reconcile.podcontrol import is_namespace_terminating
from pelamis.reconcile.podstate import is_finished
from pelamis.reconcile.spec import Controller, Views, Watch

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)
HISTORY_CHARS = 2000
NO_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class World:
    """sets: own ReplicaSets and orphans to adopt. pods: of which ReplicaSet uid; only for the Recreate strategy.

    namesake: whatever has the name that a ReplicaSet of the present template would get.
    """

    deployment: Deployment
    sets: Sequence[ReplicaSet]
    pods: Mapping[str, Sequence[Pod]] = field(default_factory=dict)
    namesake: ReplicaSet | None = None


def gather(views: Views, key: Key) -> World | None:
    deployment: Deployment | None = views(DEPLOYMENT).get(*key)
    if deployment is None:
        return None
    selector = deployment.spec.selector
    sets = candidates(views, REPLICASET, deployment, lambda labels: selects(selector, labels))
    pods: dict[str, Sequence[Pod]] = {}
    if deployment.spec.strategy.type == "Recreate":
        pods = {s.metadata.uid: views(POD).by_index("owner", s.metadata.uid) for s in sets}
    name = _name(deployment, hash_of(deployment.spec.template, deployment.status.collisionCount))
    return World(deployment, sets, pods, views(REPLICASET).get(key[0], name))


def _name(deployment: Deployment, digest: str) -> str:
    return f"{deployment.metadata.name}-{digest}"


@dataclass(slots=True)
class _Work:
    """The state that one reconcile builds up; ``sets`` hold the changed copies, by name."""

    deployment: Deployment
    before: dict[str, ReplicaSet]
    sets: dict[str, ReplicaSet]
    pods: Mapping[str, Sequence[Pod]]
    now: float
    status: DeploymentStatus
    new: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    events: list[EventNote] = field(default_factory=list)

    @property
    def new_set(self) -> ReplicaSet | None:
        return self.sets.get(self.new) if self.new else None

    @property
    def old_sets(self) -> list[ReplicaSet]:
        return [s for s in self.sets.values() if s.metadata.name != self.new]

    def sizes(self, sets: Sequence[ReplicaSet]) -> list[rollout.Size]:
        return [
            rollout.Size(
                s.metadata.name,
                replicas_of(s),
                s.status.availableReplicas,
                s.status.replicas,
                _created(s),
                _number(s.metadata.annotations.get(MAXIMUM)),
            )
            for s in sets
        ]


def reconcile(world: World, now: float) -> Plan:
    deployment = world.deployment
    if is_empty(deployment.spec.selector):
        return _selecting_all(deployment)
    sets, claims = claim(
        REPLICASET, world.sets, deployment, DEPLOYMENT, lambda labels: selects(deployment.spec.selector, labels)
    )
    if claims:
        # an adopted ReplicaSet has a new resourceVersion: it is worked on when the view shows it
        return Plan(actions=claims)
    by_age = sorted(sets, key=lambda s: (_created(s), s.metadata.name))
    before = {s.metadata.name: s for s in by_age}
    work = _Work(deployment, before, dict(before), world.pods, now, deployment.status)
    work.annotations = dict(deployment.metadata.annotations)
    work.new = _find_new(deployment, by_age)
    if deployment.metadata.deletionTimestamp is not None:
        work.status = status_of.counted(deployment, work.status, by_age, work.new_set, now)
        return _finish(work)
    work.status = status_of.with_pause(deployment, work.status, now)
    if deployment.spec.paused or _is_scaling(deployment, by_age):
        _sync_existing(work)
        _scale(work)
        if deployment.spec.paused:
            _clean_up(work)
        work.status = status_of.counted(deployment, work.status, list(work.sets.values()), work.new_set, now)
        return _finish(work)
    if deployment.spec.strategy.type == "Recreate":
        create = _recreate(work)
    else:
        create = _roll(work)
    if create is not None:
        if world.namesake is not None and world.namesake.metadata.name == create.metadata.name:
            return _collision(work, world.namesake)
        return _create_new(work, create)
    work.status = status_of.rolled(deployment, work.status, list(work.sets.values()), work.new_set, now)
    return _finish(work)


# One step of the two strategies. They return the ReplicaSet to create, if that is the step.


def _roll(work: _Work) -> ReplicaSet | None:
    deployment = work.deployment
    if not _sync_existing(work):
        return _make_new(work)
    new = work.new_set
    assert new is not None
    wanted = rollout.wanted(deployment)
    current = replicas_of(new)
    if current != wanted:
        sizes = work.sizes(list(work.sets.values()))
        target = wanted if current > wanted else rollout.new_replicas(deployment, sizes, current)
        if _resize(work, new, target):
            return None
    if _shrink_old(work, new):
        return None
    if status_of.is_complete(deployment, deployment.status):
        _clean_up(work)
    return None


def _shrink_old(work: _Work, new: ReplicaSet) -> bool:
    deployment = work.deployment
    old = work.sizes(work.old_sets)
    if sum(s.replicas for s in old) == 0:
        return False
    (new_size,) = work.sizes([new])
    everything = [*old, new_size]
    least = rollout.wanted(deployment) - rollout.max_unavailable(deployment)
    budget = sum(s.replicas for s in everything) - least - (new_size.replicas - new_size.available)
    if budget <= 0:
        return False
    rollout.scale_down_unhealthy(old, budget)
    rollout.scale_down_old(deployment, everything, old)
    shrunk = False
    for size in old:
        shrunk |= _resize(work, work.sets[size.name], size.replicas)
    return shrunk


def _recreate(work: _Work) -> ReplicaSet | None:
    deployment = work.deployment
    existing = _sync_existing(work)
    scaled = False
    for old in work.old_sets:
        if replicas_of(old) > 0:
            scaled |= _resize(work, old, 0)
    if scaled or _old_pods_running(work):
        return None
    if not existing:
        return _make_new(work)
    new = work.new_set
    assert new is not None
    _resize(work, new, rollout.wanted(deployment))
    if status_of.is_complete(deployment, deployment.status):
        _clean_up(work)
    return None


def _old_pods_running(work: _Work) -> bool:
    if any(s.status.replicas > 0 for s in work.old_sets):
        return True
    new = work.new_set
    for uid, pods in work.pods.items():
        if new is not None and uid == new.metadata.uid:
            continue
        if any(not is_finished(pod) for pod in pods):
            return True
    return False


# The new ReplicaSet: the one whose template is the Deployment's.


def _bare(template: PodTemplateSpec) -> PodTemplateSpec:
    """The template without the label that the hash is written to."""
    labels = {k: v for k, v in template.metadata.labels.items() if k != HASH}
    return msgspec.structs.replace(template, metadata=msgspec.structs.replace(template.metadata, labels=labels))


def _find_new(deployment: Deployment, by_age: Sequence[ReplicaSet]) -> str:
    wanted = _bare(deployment.spec.template)
    for one in by_age:
        if _bare(one.spec.template) == wanted:
            return one.metadata.name
    return ""


def revision_of(obj: Any) -> int:
    return _number(obj.metadata.annotations.get(REVISION))


def _next_revision(work: _Work) -> int:
    return max((revision_of(s) for s in work.old_sets), default=0) + 1


def _sync_existing(work: _Work) -> bool:
    """Bring annotations and minReadySeconds of the new ReplicaSet up to date; False if there is none yet."""
    new = work.new_set
    if new is None:
        return False
    deployment = work.deployment
    annotations = _annotated(deployment, new.metadata.annotations, _next_revision(work))
    meta, spec = new.metadata, new.spec
    if annotations != meta.annotations:
        meta = msgspec.structs.replace(meta, annotations=annotations)
    if spec.minReadySeconds != deployment.spec.minReadySeconds:
        spec = msgspec.structs.replace(spec, minReadySeconds=deployment.spec.minReadySeconds)
    new = msgspec.structs.replace(new, metadata=meta, spec=spec)
    work.sets[work.new] = new
    work.annotations[REVISION] = annotations[REVISION]
    work.status = status_of.with_found(deployment, work.status, new.metadata.name, work.now)
    return True


def _annotated(deployment: Deployment, old: Mapping[str, str], revision: int) -> dict[str, str]:
    """The Deployment's annotations copied over, the revision raised, and the revisions it had before remembered."""
    out = dict(old)
    for key, value in deployment.metadata.annotations.items():
        if key not in NOT_COPIED:
            out[key] = value
    before = old.get(REVISION, "")
    if before and not before.lstrip("-").isdigit():
        return out
    if _number(before) < revision:
        out[REVISION] = str(revision)
        if REVISION in old:
            history = old.get(HISTORY, "")
            if not history:
                out[HISTORY] = before
            else:
                parts = history.split(",")
                length = len(history) + len(before) + 1
                start = 0
                while length > HISTORY_CHARS and start < len(parts):
                    length -= len(parts[start]) + 1
                    start += 1
                if length <= HISTORY_CHARS:
                    out[HISTORY] = ",".join((*parts[start:], before))
    return out


def _sized(deployment: Deployment, annotations: Mapping[str, str]) -> dict[str, str]:
    wanted = rollout.wanted(deployment)
    return {**annotations, DESIRED: str(wanted), MAXIMUM: str(wanted + rollout.max_surge(deployment))}


def _make_new(work: _Work) -> ReplicaSet:
    deployment = work.deployment
    template = deployment.spec.template
    digest = hash_of(template, work.status.collisionCount)
    labels = {**template.metadata.labels, HASH: digest}
    selector = deployment.spec.selector or LabelSelector()
    size = rollout.new_replicas(deployment, work.sizes(list(work.sets.values())), 0)
    return ReplicaSet(
        metadata=ObjectMeta(
            name=_name(deployment, digest),
            namespace=deployment.metadata.namespace,
            labels=labels,
            annotations=_sized(deployment, _annotated(deployment, {}, _next_revision(work))),
            ownerReferences=(owner_reference(deployment, DEPLOYMENT),),
        ),
        spec=ReplicaSetSpec(
            replicas=size,
            minReadySeconds=deployment.spec.minReadySeconds,
            selector=msgspec.structs.replace(selector, matchLabels={**selector.matchLabels, HASH: digest}),
            template=msgspec.structs.replace(
                template, metadata=msgspec.structs.replace(template.metadata, labels=labels)
            ),
        ),
    )


def _create_new(work: _Work, new: ReplicaSet) -> Plan:
    """One commit for the ReplicaSet and a status that assumes it; if it is refused, the status is corrected."""
    deployment, now = work.deployment, work.now
    name = new.metadata.name
    assumed = status_of.with_progress(
        deployment, work.status, "True", "NewReplicaSetCreated", f'Created new replica set "{name}"', now
    )
    assumed = status_of.rolled(deployment, assumed, [*work.sets.values(), new], new, now)
    annotations = {**work.annotations, REVISION: new.metadata.annotations[REVISION]}
    update = _status_update(deployment, assumed, annotations)
    changed = _changed_sets(work)
    actions = (Create(REPLICASET, new), *changed, *update)

    def created(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        if error is None:
            events = list(work.events)
            if replicas_of(new):
                events.append(_scaling_event(deployment, name, 0, replicas_of(new)))
            rest = failure(actions, outcomes)
            return Plan(
                events=events,
                error=rest.message if rest else "",
                requeue_at=status_of.stuck_at(deployment, assumed, now),
            )
        if is_namespace_terminating(error):
            return NOTHING
        base = outcomes[-1].obj if update and outcomes[-1].error is None else deployment
        if error.reason == "AlreadyExists":
            return Plan(error=error.message)
        message = f'Failed to create new replica set "{name}": {error.message}'
        status = status_of.with_progress(deployment, work.status, "False", "ReplicaSetCreateError", message, now)
        return Plan(
            actions=_status_update(base, status, work.annotations),
            events=(EventNote(deployment, "Warning", "ReplicaSetCreateError", message),),
            error=message,
        )

    return Plan(actions=actions, on_outcomes=created)


def _collision(work: _Work, namesake: ReplicaSet) -> Plan:
    """The name is taken, by a ReplicaSet of another owner or template: count it, and the next hash differs."""
    status = msgspec.structs.replace(work.status, collisionCount=(work.status.collisionCount or 0) + 1)
    return Plan(
        actions=_status_update(work.deployment, status, work.annotations),
        error=f'replicasets.apps "{namesake.metadata.name}" already exists',
    )


# Scaling


def replicas_of(one: ReplicaSet) -> int:
    return 1 if one.spec.replicas is None else one.spec.replicas


def _created(one: ReplicaSet) -> float:
    return parse_rfc3339(one.metadata.creationTimestamp) if one.metadata.creationTimestamp else 0.0


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _is_scaling(deployment: Deployment, sets: Sequence[ReplicaSet]) -> bool:
    """The Deployment's size changed since its active ReplicaSets were sized."""
    wanted = rollout.wanted(deployment)
    for one in sets:
        desired = one.metadata.annotations.get(DESIRED)
        if replicas_of(one) > 0 and desired is not None and _number(desired) != wanted:
            return True
    return False


def _scale(work: _Work) -> None:
    deployment = work.deployment
    wanted = rollout.wanted(deployment)
    new = work.new_set
    active = [s for s in work.sets.values() if replicas_of(s) > 0]
    if len(active) <= 1:
        only = active[0] if active else new if new is not None else max(work.old_sets, key=_created, default=None)
        if only is not None:
            if replicas_of(only) != wanted:
                _resize(work, only, wanted)
            return
        return
    saturated = (
        new is not None
        and replicas_of(new) == wanted
        and _number(new.metadata.annotations.get(DESIRED)) == wanted
        and new.status.availableReplicas == wanted
    )
    if saturated:
        for old in active:
            if old.metadata.name != work.new:
                _resize(work, old, 0)
        return
    if rollout.is_rolling(deployment):
        targets = rollout.proportionally(deployment, deployment.status.replicas, work.sizes(active))
        for name, target in targets.items():
            _resize(work, work.sets[name], target, annotate=True)


def _resize(work: _Work, one: ReplicaSet, target: int, *, annotate: bool = False) -> bool:
    """True if the number changed. annotate: bring the sizing annotations up to date even if it did not."""
    before = replicas_of(one)
    if before == target and not annotate:
        return False
    meta = msgspec.structs.replace(one.metadata, annotations=_sized(work.deployment, one.metadata.annotations))
    spec = msgspec.structs.replace(one.spec, replicas=target)
    work.sets[one.metadata.name] = msgspec.structs.replace(one, metadata=meta, spec=spec)
    if before != target:
        work.events.append(_scaling_event(work.deployment, one.metadata.name, before, target))
    return before != target


def _scaling_event(deployment: Deployment, name: str, before: int, after: int) -> EventNote:
    way = "up" if after > before else "down"
    return EventNote(
        deployment, "Normal", "ScalingReplicaSet", f"Scaled {way} replica set {name} from {before} to {after}"
    )


def _clean_up(work: _Work) -> None:
    """Delete the oldest ReplicaSets beyond the history limit, as far as they are empty and settled."""
    limit = work.deployment.spec.revisionHistoryLimit
    if limit is None or limit == NO_LIMIT:
        return
    old = [s for s in work.old_sets if s.metadata.deletionTimestamp is None]
    surplus = len(old) - limit
    if surplus <= 0:
        return
    for one in sorted(old, key=lambda s: (revision_of(s), _created(s)))[:surplus]:
        if one.status.replicas or replicas_of(one) or one.metadata.generation > one.status.observedGeneration:
            continue
        meta = one.metadata
        work.actions.append(Delete(REPLICASET, meta.namespace, meta.name, uid=meta.uid))


# Writing


def _changed_sets(work: _Work) -> list[Action]:
    return [Update(REPLICASET, one) for name, one in work.sets.items() if one != work.before[name]]


def _status_update(
    deployment: Deployment, status: DeploymentStatus, annotations: Mapping[str, str]
) -> tuple[Action, ...]:
    if status == deployment.status and annotations == deployment.metadata.annotations:
        return ()
    meta = msgspec.structs.replace(deployment.metadata, annotations=dict(annotations))
    return (Update(DEPLOYMENT, msgspec.structs.replace(deployment, metadata=meta, status=status), "status"),)


def _finish(work: _Work) -> Plan:
    deployment = work.deployment
    update = _status_update(deployment, work.status, work.annotations)
    actions = (*_changed_sets(work), *work.actions, *update)
    requeue_at = status_of.stuck_at(deployment, work.status, work.now)
    if not actions:
        return Plan(requeue_at=requeue_at)
    events = tuple(work.events)

    def done(outcomes: Sequence[Outcome]) -> Plan:
        error = failure(actions, outcomes)
        refused = {
            a.obj.metadata.name for a, o in zip(actions, outcomes, strict=True) if o.error and isinstance(a, Update)
        }
        kept = tuple(e for e in events if not any(f" {name} " in e.message for name in refused))
        return Plan(events=kept, error=error.message if error else "", requeue_at=requeue_at)

    return Plan(actions=actions, on_outcomes=done)


def _selecting_all(deployment: Deployment) -> Plan:
    event = EventNote(
        deployment,
        "Warning",
        "SelectingAll",
        "This deployment is selecting all pods. A non-empty selector is required.",
    )
    if deployment.status.observedGeneration >= deployment.metadata.generation:
        return Plan(events=(event,))
    status = msgspec.structs.replace(deployment.status, observedGeneration=deployment.metadata.generation)
    return Plan(
        actions=_status_update(deployment, status, deployment.metadata.annotations),
        events=(event,),
    )


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """A pod that is gone may be the last one that a Recreate waits for."""
    if new is not None and not (is_finished(new) and not is_finished(old or new)):
        return ()
    ref = controller_of(old if new is None else new)
    if ref is None or ref.kind != "ReplicaSet":
        return ()
    namespace = (old or new).metadata.namespace
    one = views(REPLICASET).get(namespace, ref.name)
    above = controller_of(one) if one is not None else None
    if above is None or above.kind != "Deployment":
        return ()
    deployment = views(DEPLOYMENT).get(namespace, above.name)
    if deployment is None or deployment.spec.strategy.type != "Recreate":
        return ()
    return ((namespace, above.name),)


CONTROLLER = Controller(
    name="deployment",
    identity="deployment-controller",
    component="deployment-controller",
    watches=(
        Watch(DEPLOYMENT),
        Watch(REPLICASET, owner_keys(DEPLOYMENT, lambda owner, labels: selects(owner.spec.selector, labels))),
        Watch(POD, _pod_keys, (changes.DELETED | changes.ENDED, changes.OF_REPLICASET)),
    ),
    gather=gather,
    reconcile=reconcile,
)
