"""Creating and deleting pods from a template: the pod object, slow start, and the events about it. Pure.

Slow start: when creating fails (a quota is used up, a webhook refuses), trying all of hundreds of pods at once would
only make noise. So batches grow as long as they succeed. Upstream begins with one pod; here the first batch is
``FIRST_BATCH`` pods, so that an ordinary ReplicaSet costs one commit, and one pod while the owner's status says that
creating failed the last time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Create, Delete, Outcome
from pelamis.reconcile.ownership import owner_reference
from pelamis.reconcile.plan import EventNote, Plan

FIRST_BATCH = 16
BURST = 500
"""At most so many pods are created or deleted for one owner at a time."""


def pod_of(template: PodTemplateSpec, owner: Any, kind: Kind, *, name: str = "") -> Pod:
    """The pod that ``template`` describes, controlled by ``owner``; its name is made by the server if not given.

    ``generateName`` stands beside a given name too, as upstream's StatefulSets leave it."""
    meta = template.metadata
    return Pod(
        metadata=ObjectMeta(
            name=name,
            generateName=f"{owner.metadata.name}-",
            namespace=owner.metadata.namespace,
            labels=meta.labels,
            annotations=meta.annotations,
            finalizers=meta.finalizers,
            ownerReferences=(owner_reference(owner, kind),),
        ),
        spec=template.spec,
    )


def delete_pod(pod: Pod) -> Delete:
    return Delete(POD, pod.metadata.namespace, pod.metadata.name, uid=pod.metadata.uid)


def is_namespace_terminating(error: StatusError | None) -> bool:
    """Nothing can be created any more, and nothing needs to be."""
    if error is None or not error.details:
        return False
    return any(c.get("reason") == "NamespaceTerminating" for c in error.details.get("causes", ()) or ())


def slow_start(
    creates: Sequence[Action],
    extra: Sequence[Action],
    finish: Callable[[Sequence[Outcome], Sequence[Outcome]], Plan],
    *,
    cautious: bool = False,
    requeue_at: float | None = None,
    memo: Any = None,
) -> Plan:
    """Create in growing batches until one fails; ``extra`` is committed together with the first batch.

    finish(outcomes, extra_outcomes) gives the plan that ends it; it sees the outcomes of the creates that were tried.
    """
    batch = 1 if cautious else FIRST_BATCH
    first = tuple(creates[:batch])

    def after_first(outcomes: Sequence[Outcome]) -> Plan:
        return after(outcomes[: len(first)], len(first), batch * 2, outcomes[len(first) :])

    def after(done: Sequence[Outcome], at: int, size: int, extra_outcomes: Sequence[Outcome]) -> Plan:
        if at >= len(creates) or any(o.error is not None for o in done):
            return finish(done, extra_outcomes)
        following = tuple(creates[at : at + size])
        return Plan(
            actions=following,
            on_outcomes=lambda more: after((*done, *more), at + len(following), size * 2, extra_outcomes),
        )

    return Plan(actions=(*first, *extra), on_outcomes=after_first, requeue_at=requeue_at)


def created_events(owner: Any, outcomes: Sequence[Outcome]) -> tuple[list[EventNote], StatusError | None]:
    """What happened to creates: one event for each pod that exists now, one for the first refusal, and that refusal.

    A refusal because the namespace is going away is none.
    """
    notes: list[EventNote] = []
    first: StatusError | None = None
    for outcome in outcomes:
        if outcome.error is None:
            notes.append(EventNote(owner, "Normal", "SuccessfulCreate", f"Created pod: {outcome.name}"))
        elif first is None and not is_namespace_terminating(outcome.error):
            first = outcome.error
            notes.append(EventNote(owner, "Warning", "FailedCreate", f"Error creating: {first.message}"))
    return notes, first


def deleted_events(
    owner: Any, pods: Sequence[Pod], outcomes: Sequence[Outcome]
) -> tuple[list[EventNote], StatusError | None]:
    notes: list[EventNote] = []
    first: StatusError | None = None
    for pod, outcome in zip(pods, outcomes, strict=True):
        error = outcome.error
        if error is None:
            notes.append(EventNote(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}"))
        elif error.reason not in ("NotFound", "Conflict"):
            first = first or error
            notes.append(EventNote(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}"))
    return notes, first


def create_pods(pods: Sequence[Pod]) -> list[Action]:
    return [Create(POD, pod) for pod in pods]
