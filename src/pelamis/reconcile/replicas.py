"""Keeping a number of pods: the logic that ReplicaSet and ReplicationController share. Pure.

The pods that exist are counted from the view, so nothing has to be expected: the runner lets an owner run again only
when its view shows what it wrote. Counting takes the pods' facts (see podfacts); the pods themselves are looked at when
some have to be adopted, released or deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.kind import Kind
from pelamis.base.clock import rfc3339
from pelamis.client.types import Action, Outcome, Update
from pelamis.reconcile.ownership import candidates, claim, subset
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.podcontrol import (
    BURST,
    create_pods,
    created_events,
    delete_pod,
    deleted_events,
    is_namespace_terminating,
    pod_of,
    slow_start,
)
from pelamis.reconcile.podfacts import Tally, facts_of, next_available, of_all, tally
from pelamis.reconcile.podstate import deletion_order, is_active, ranks_by_node
from pelamis.reconcile.spec import Views

FAILURE = "ReplicaFailure"
ECHO_S = 2.5e-7
"""For each pod of a set whose status is written: the more there are, the sooner it is written again, for the next."""


@dataclass(frozen=True, slots=True)
class World:
    """facts: of the owner's own pods; None when some are to be adopted or released. pods: its own, and the orphans that
    it may adopt. related: pods of its siblings, for the ranking."""

    owner: Any
    facts: Tally | None
    pods: Callable[[], Sequence[Pod]]
    related: Callable[[], Sequence[Pod]] = tuple


@dataclass(frozen=True, slots=True)
class Shape:
    """What differs between the two kinds. matching(owner): whether labels match its selector."""

    kind: Kind
    matching: Callable[[Any], Callable[[Mapping[str, str]], bool]]
    condition: Callable[..., Any]
    counts_terminating: bool


def gather(
    views: Views, owner: Any, matches: Callable[[Mapping[str, str]], bool], related: Callable[[], Sequence[Pod]] = tuple
) -> World:
    """matches(labels): whether the owner's selector does."""
    view = views(POD)
    own: Tally | None = tally(view.facts("owner", owner.metadata.uid, facts_of))
    orphans = tally(view.facts("owner", f"/{owner.metadata.namespace}", facts_of))
    if not all(of_all(own or (), matches)) or any(of_all(orphans, matches)):
        own = None
    return World(owner, own, lambda: candidates(views, POD, owner, matches), related)


def reconcile(shape: Shape, world: World, now: float) -> Plan:
    owner = world.owner
    spec = owner.spec
    own = world.facts
    pods: Sequence[Pod] | None = None
    claims: list[Action] = []
    if own is None:
        pods, claims = claim(POD, world.pods(), owner, shape.kind, shape.matching(owner))
        own = tally(facts_of(pod, pod.metadata.labels) for pod in pods)
    active = [(pod, n) for pod, n in own if pod.active]
    number = sum(n for _, n in active)
    terminating = sum(n for pod, n in own if pod.terminating)
    wanted = 1 if spec.replicas is None else spec.replicas
    template = spec.template or PodTemplateSpec()
    requeue_at = next_available([pod for pod, _ in active], spec.minReadySeconds, now)

    def status(error: Any, base: Any = owner) -> list[Action]:
        new = _status(shape, base, template, active, terminating, now, error, wanted - number)
        if new == base.status:
            return []
        return [Update(shape.kind, msgspec.structs.replace(base, status=new), subresource="status")]

    missing = wanted - number if owner.metadata.deletionTimestamp is None else 0
    ok = status(None)

    def finish(notes: Any, error: Any, extra: Sequence[Outcome]) -> Plan:
        refused = next((o.error for o in extra if o.error is not None), None)
        if error is None:
            return Plan(events=notes, error=_text(refused), requeue_at=requeue_at)
        base = extra[-1].obj if ok and extra and extra[-1].error is None else owner
        return Plan(actions=status(error, base), events=notes, error=error.message or error.reason)

    if missing > 0:
        creates = create_pods([pod_of(template, owner, shape.kind)] * min(missing, BURST))
        cautious = any(c.type == FAILURE and c.reason == "FailedCreate" for c in owner.status.conditions)

        def created(outcomes: Sequence[Outcome], extra: Sequence[Outcome]) -> Plan:
            notes, error = created_events(owner, outcomes)
            if missing > BURST and error is None and not any(is_namespace_terminating(o.error) for o in outcomes):
                return Plan(events=notes, requeue_at=now)
            return finish(notes, error, extra)

        if cautious:
            # the condition goes away when creating has worked again, not before
            return slow_start(
                creates, claims, lambda o, e: _after_caution(created(o, e), o, status(None)), cautious=True
            )
        return slow_start(creates, (*claims, *ok), created)
    if missing < 0:
        surplus = min(-missing, BURST)
        living = [pod for pod in (world.pods() if pods is None else pods) if is_active(pod)]
        if surplus < len(living):
            living = deletion_order(living, ranks_by_node(living, world.related() or living), now)
        victims = living[:surplus]

        def deleted(outcomes: Sequence[Outcome]) -> Plan:
            notes, error = deleted_events(owner, victims, outcomes[: len(victims)])
            return finish(notes, error, outcomes[len(victims) :])

        deletes = tuple(delete_pod(pod) for pod in victims)
        return Plan(actions=(*deletes, *claims, *ok), on_outcomes=deleted)
    if not claims and not ok and requeue_at is None:
        return NOTHING
    return Plan(actions=(*claims, *ok), requeue_at=requeue_at, echo_s=number * ECHO_S if ok else 0.0)


def _after_caution(plan: Plan, outcomes: Sequence[Outcome], status: Sequence[Action]) -> Plan:
    if any(o.error is not None for o in outcomes):
        return plan
    return Plan(actions=status, events=plan.events, error=plan.error, requeue_at=plan.requeue_at)


def _text(error: Any) -> str:
    return "" if error is None else (error.message or error.reason)


def _status(
    shape: Shape,
    owner: Any,
    template: PodTemplateSpec,
    active: Tally,
    terminating: int,
    now: float,
    error: Any,
    missing: int,
) -> Any:
    old = owner.status
    spec = owner.spec
    conditions = old.conditions
    present = next((c for c in conditions if c.type == FAILURE), None)
    if error is None:
        if present is not None:
            conditions = tuple(c for c in conditions if c.type != FAILURE)
    elif present is None:
        reason = "FailedCreate" if missing > 0 else "FailedDelete"
        conditions = (
            *conditions,
            shape.condition(
                type=FAILURE, status="True", lastTransitionTime=rfc3339(now), reason=reason, message=error.message
            ),
        )
    labelled = template.metadata.labels
    ready = [(p, n) for p, n in active if p.ready]
    available = [n for p, n in ready if (at := p.available_at(spec.minReadySeconds)) is not None and at <= now]
    changes: dict[str, Any] = {
        "replicas": sum(n for _, n in active),
        "fullyLabeledReplicas": sum(n for p, n in active if subset(labelled, p.labels)),
        "readyReplicas": sum(n for _, n in ready),
        "availableReplicas": sum(available),
        "observedGeneration": owner.metadata.generation,
        "conditions": conditions,
    }
    if shape.counts_terminating:
        changes["terminatingReplicas"] = terminating
    return msgspec.structs.replace(old, **changes)
