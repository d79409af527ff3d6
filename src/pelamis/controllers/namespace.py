"""Namespace: empties a namespace that is being deleted, then lets it go.

All that lives in the namespace is deleted, of every kind that is served: pods first, the rest when they are gone, so
that they can still reach what they use while they end. What remains, and which finalizers hold it, is written into
conditions. When nothing is left, the ``kubernetes`` finalizer of the spec is taken off through ``finalize``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.namespace import Namespace, NamespaceCondition
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.kind import Kind
from pelamis.base.clock import rfc3339
from pelamis.client.types import Action, Delete, Key, Outcome, Update
from pelamis.reconcile.plan import KEEP, NOTHING, Plan, failure
from pelamis.reconcile.spec import Controller, Views, Watch

FINALIZER = "kubernetes"
SAY_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class World:
    """content: kinds of which the namespace holds something, with the objects. behind: kinds whose views are stale."""

    namespace: Namespace
    content: Sequence[tuple[Kind, Sequence[Any]]]
    behind: Sequence[tuple[Kind, int]]
    said_at: float = 0.0
    """When the conditions were written last: counts alone are not written more often than every 5 s."""


def gather(views: Views, key: Key) -> World | None:
    namespace: Namespace | None = views(NAMESPACE).get(*key)
    if namespace is None or namespace.metadata.deletionTimestamp is None:
        return None
    if FINALIZER not in namespace.spec.finalizers:
        return None
    content: list[tuple[Kind, Sequence[Any]]] = []
    behind: list[tuple[Kind, int]] = []
    since = int(namespace.metadata.resourceVersion or 0)
    for kind in views.every():
        if not kind.namespaced or "delete" not in kind.verbs:
            continue
        view = views(kind)
        if view.revision < since:
            behind.append((kind, since))
        objects = view.list(key[1])
        if objects:
            content.append((kind, objects))
    return World(namespace, content, behind, views.memo(key) or 0.0)


def reconcile(world: World, now: float) -> Plan:
    namespace = world.namespace
    if not world.content:
        if world.behind:
            return Plan(wait=world.behind)
        return _let_go(world, now)
    pods = [objects for kind, objects in world.content if kind is POD]
    first = [(POD, pods[0])] if pods else world.content
    deletes: list[Action] = [
        Delete(kind, namespace.metadata.name, o.metadata.name, uid=o.metadata.uid, propagation="Background")
        for kind, objects in first
        for o in objects
        if o.metadata.deletionTimestamp is None
    ]
    status = _status(world, "", now)

    def done(outcomes: Sequence[Outcome]) -> Plan:
        error = failure(deletes, outcomes[: len(deletes)])
        if error is None:
            return NOTHING
        base = namespace
        if status and outcomes[-1].error is None:
            base = outcomes[-1].obj
        text = f"Failed to delete all resource types, 1 remaining: {error.message}"
        return Plan(actions=_status(world, text, now, base), error=text)

    if status and not deletes and now - world.said_at < SAY_AGAIN_S:
        return Plan(requeue_at=world.said_at + SAY_AGAIN_S)
    if not deletes and not status:
        return NOTHING
    return Plan(actions=(*deletes, *status), on_outcomes=done, memo=now if status else KEEP)


def _let_go(world: World, now: float) -> Plan:
    namespace = world.namespace
    rest = tuple(f for f in namespace.spec.finalizers if f != FINALIZER)
    status = _status(world, "", now)

    def finalized(base: Namespace) -> tuple[Action, ...]:
        spec = msgspec.structs.replace(base.spec, finalizers=rest)
        return (Update(NAMESPACE, msgspec.structs.replace(base, spec=spec), "finalize"),)

    if not status:
        return Plan(actions=finalized(namespace))

    def done(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        return Plan(error=error.message) if error is not None else Plan(actions=finalized(outcomes[0].obj))

    return Plan(actions=status, on_outcomes=done)


def _status(world: World, error: str, now: float, base: Namespace | None = None) -> tuple[Action, ...]:
    namespace = base or world.namespace
    conditions = list(namespace.status.conditions)
    for new in _conditions(world, error, now):
        for i, c in enumerate(conditions):
            if c.type == new.type:
                if (c.status, c.reason, c.message) != (new.status, new.reason, new.message):
                    at = new.lastTransitionTime if c.status != new.status else c.lastTransitionTime
                    conditions[i] = msgspec.structs.replace(new, lastTransitionTime=at)
                break
        else:
            conditions.append(new)
    if tuple(conditions) == namespace.status.conditions:
        return ()
    status = msgspec.structs.replace(namespace.status, conditions=tuple(conditions))
    return (Update(NAMESPACE, msgspec.structs.replace(namespace, status=status), "status"),)


def _conditions(world: World, error: str, now: float) -> list[NamespaceCondition]:
    remaining = sorted((kind.resource, len(objects)) for kind, objects in world.content)
    held: dict[str, int] = {}
    for _, objects in world.content:
        for obj in objects:
            for finalizer in obj.metadata.finalizers:
                held[finalizer] = held.get(finalizer, 0) + 1

    def made(type: str, bad: bool, reasons: tuple[str, str], message: str) -> NamespaceCondition:
        return NamespaceCondition(
            type=type,
            status="True" if bad else "False",
            lastTransitionTime=rfc3339(now),
            reason=reasons[0] if bad else reasons[1],
            message=message,
        )

    texts = ", ".join(f"{_dotted(name)} has {count} resource instances" for name, count in remaining)
    holders = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(held.items()))
    return [
        made(
            "NamespaceDeletionDiscoveryFailure",
            False,
            ("DiscoveryFailed", "ResourcesDiscovered"),
            "All resources successfully discovered",
        ),
        made(
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            ("GroupVersionParsingFailed", "ParsedGroupVersions"),
            "All legacy kube types successfully parsed",
        ),
        made(
            "NamespaceDeletionContentFailure",
            bool(error),
            ("ContentDeletionFailed", "ContentDeleted"),
            error or "All content successfully deleted, may be waiting on finalization",
        ),
        made(
            "NamespaceContentRemaining",
            bool(remaining),
            ("SomeResourcesRemain", "ContentRemoved"),
            f"Some resources are remaining: {texts}" if remaining else "All content successfully removed",
        ),
        made(
            "NamespaceFinalizersRemaining",
            bool(held),
            ("SomeFinalizersRemain", "ContentHasNoFinalizers"),
            f"Some content in the namespace has finalizers remaining: {holders}"
            if held
            else "All content-preserving finalizers finished",
        ),
    ]


def _dotted(resource: str) -> str:
    """Upstream names a resource with a dot before its group, also when the group is empty: ``pods.``."""
    return resource if "." in resource else f"{resource}."


def controller() -> Controller:
    """A controller that remembers which namespaces are going away: it is asked at each change of anything."""
    going: set[str] = set()

    def keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
        name = (new if new is not None else old).metadata.name
        if new is not None and new.metadata.deletionTimestamp is not None:
            going.add(name)
        else:
            going.discard(name)
        return (("", name),)

    def every(views: Views, kind: Kind, old: Any, new: Any) -> Sequence[Key]:
        """Anything that changes in a namespace that is going away."""
        if not going or not kind.namespaced:
            return ()
        name = (new if new is not None else old).metadata.namespace
        return (("", name),) if name in going else ()

    return Controller(
        name="namespace",
        identity="namespace-controller",
        component="namespace-controller",
        watches=(Watch(NAMESPACE, keys),),
        every=every,
        gather=gather,
        reconcile=reconcile,
    )
