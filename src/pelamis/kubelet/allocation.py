"""What each pod of a node has been granted: the resources it was admitted with, and those of resizes since. Pure.

A running pod may be declared with other resources than it has (``pods/resize``). The node grants them when they fit
beside what all other pods were granted, and until then goes on as if nothing had been said: everything else in the
kubelet sees the pod as it was granted (``apply``). What does not fit waits (``Pending``) and is looked at again
whenever another pod gives something back, in this order: what needs no more than before; then by priority; Guaranteed
before Burstable; and who has waited longest.

Nothing of it is kept on disk: after a restart it is read from the pods' statuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.api.core.pod.qos import qos_class
from pelamis.base import quantity
from pelamis.kubelet import actions as a
from pelamis.kubelet.resources import effective

_NAMES = ("cpu", "memory")
_UNITS: tuple[tuple[str, Callable[[str], int]], ...] = (("cpu", quantity.milli), ("memory", quantity.value))


@dataclass(slots=True)
class _Held:
    """whole: the pod-level resources; containers: of init and main containers by name. wanted: the pod as
    declared, while that is something else."""

    whole: Any
    containers: dict[str, Any]
    wanted: Any = None
    pending: a.Pending | None = None
    since: float = 0.0


class Allocations:
    """fits: asks whether a pod finds room beside the other pods; the answer is "" or what is missing."""

    def __init__(self, fits: Callable[[Any], str]) -> None:
        self._fits = fits
        self._held: dict[str, _Held] = {}

    def begin(self, pod: Any) -> None:
        """The pod is taken over: new, or after a restart."""
        status = pod.status
        old = next((c for c in status.conditions if c.type == "PodResizePending"), None)
        held = _declared(pod)
        if old is not None or (status.startTime and status.observedGeneration not in (0, pod.metadata.generation)):
            held = _told(pod, held)
        self._held[pod.metadata.uid] = held
        if old is not None and not _same(held, _declared(pod)):
            held.pending = a.Pending(old.reason, old.message, old.observedGeneration)
        self.declare(pod, 0.0)

    def forget(self, uid: str) -> bool:
        """True if others wait, who may find room now."""
        self._held.pop(uid, None)
        return self.waiting

    @property
    def waiting(self) -> bool:
        return any(held.wanted is not None for held in self._held.values())

    def declare(self, pod: Any, now: float) -> bool:
        """A newer version of the pod; True if it asks for a resize, so that ``settle`` is to be called."""
        held = self._held[pod.metadata.uid]
        if _same(held, _declared(pod)):
            held.wanted = held.pending = None
            return False
        if held.wanted is None:
            held.since = now
        held.wanted = pod
        return True

    def apply(self, pod: Any) -> Any:
        """The pod with the resources that it was granted."""
        held = self._held.get(pod.metadata.uid)
        if held is None or held.wanted is None:
            return pod
        replace = msgspec.structs.replace

        def granted(containers: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(replace(c, resources=held.containers.get(c.name, c.resources)) for c in containers)

        spec = replace(
            pod.spec,
            resources=held.whole,
            initContainers=granted(pod.spec.initContainers),
            containers=granted(pod.spec.containers),
        )
        return replace(pod, spec=spec)

    def pending(self, uid: str) -> a.Pending | None:
        held = self._held.get(uid)
        return held.pending if held is not None else None

    def settle(self) -> Iterator[Any]:
        """Grants what fits; yields the pods, as declared, whose grant or state of waiting has changed.

        The caller takes a grant into account before the next one is looked at.
        """
        again = True
        while again:  # a grant may also give something back
            again = False
            waiting = [held for held in self._held.values() if held.wanted is not None]
            for held in sorted(waiting, key=self._order):
                pod = held.wanted
                problem = self._fits(pod)
                if not problem:
                    fresh = _declared(pod)
                    held.whole, held.containers = fresh.whole, fresh.containers
                    held.wanted = held.pending = None
                    again = True
                    yield pod
                    continue
                pending = a.Pending("Deferred", problem, pod.metadata.generation)
                if pending != held.pending:
                    held.pending = pending
                    yield pod

    def _order(self, held: _Held) -> tuple[bool, int, bool, float]:
        pod, before = held.wanted, self.apply(held.wanted)
        more = any(effective(pod, "requests", n, u)[0] > effective(before, "requests", n, u)[0] for n, u in _UNITS)
        return more, -(pod.spec.priority or 0), qos_class(pod) != "Guaranteed", held.since


def _declared(pod: Any) -> _Held:
    containers = (*pod.spec.initContainers, *pod.spec.containers)
    return _Held(pod.spec.resources, {c.name: c.resources for c in containers})


def _told(pod: Any, declared: _Held) -> _Held:
    """What the status tells: requests as they were set aside, limits as they are in effect."""
    status = pod.status
    containers = dict(declared.containers)
    for told in (*status.initContainerStatuses, *status.containerStatuses):
        if told.resources is not None and told.name in containers:
            requests = told.allocatedResources or told.resources.requests
            containers[told.name] = _with(containers[told.name], told.resources.limits, requests)
    whole = declared.whole
    if whole is not None and status.resources is not None:
        whole = _with(whole, status.resources.limits, {**status.resources.requests, **status.allocatedResources})
    return _Held(whole, containers)


def _with(declared: Any, limits: Mapping[str, str], requests: Mapping[str, str]) -> Any:
    """Only what can be resized, and only what is declared: a status also tells of what was derived."""

    def pick(own: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
        return {n: told.get(n, v) if n in _NAMES else v for n, v in own.items() if n not in _NAMES or n in told}

    return ResourceRequirements(
        limits=pick(declared.limits, limits), requests=pick(declared.requests, requests), claims=declared.claims
    )


def _same(one: _Held, other: _Held) -> bool:
    return one.containers == other.containers and one.whole == other.whole
