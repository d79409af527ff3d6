"""The claims of a pod that is to be placed: which are there, which have devices, which are still to get some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pelamis.api.core.node import Node
from pelamis.api.resource.podclaim import MOST_ALTERNATIVES, Unresolved, claim_name, not_for_pod
from pelamis.api.resource.resourceclaim import AllocationResult, ResourceClaim
from pelamis.scheduler.devices import extended
from pelamis.scheduler.devices.allocator import Found
from pelamis.scheduler.devices.ask import Problem
from pelamis.scheduler.devices.inventory import Inventory
from pelamis.scheduler.devices.readiness import readiness, times_out_at
from pelamis.scheduler.nodeterm import selector_matches
from pelamis.scheduler.podinfo import PodInfo

NOT_THERE = "resourceclaim not available on the node"
NOT_ENOUGH = "cannot allocate all claims"
STALE = "cannot schedule extended resource claim"
NO_PLACE = "cannot fit resource"


def resolve(inventory: Inventory, pod: Any) -> tuple[list[ResourceClaim], str]:
    """The claims that the pod names, and what is in the way of them."""
    out: list[ResourceClaim] = []
    for entry in pod.spec.resourceClaims:
        try:
            name, own = claim_name(pod, entry)
        except Unresolved as missing:
            return out, str(missing)
        if name is None:
            continue
        claim = inventory.claims.get((pod.metadata.namespace, name))
        if claim is None:
            return out, f'could not find ResourceClaim "{pod.metadata.namespace}/{name}"'
        if claim.metadata.deletionTimestamp is not None:
            return out, f'resourceclaim "{name}" is being deleted'
        problem = not_for_pod(pod, claim) if own else ""
        if problem:
            return out, problem
        out.append(claim)
    return out, ""


class PodClaims:
    """claims: those that the pod names. problem: why no node can be looked at.

    extended: the pod's extended resources, when a class serves any; stale: a claim that was made for them before.
    """

    __slots__ = ("_inventory", "_problems", "_timeout_s", "claims", "extended", "info", "problem", "serial", "stale")

    def __init__(self, inventory: Inventory, info: PodInfo, timeout_s: float) -> None:
        self.info = info
        self.serial = inventory.serial
        self._inventory = inventory
        self._timeout_s = timeout_s
        self._problems: dict[frozenset[str], Problem] = {}
        self.extended = extended.wanted(info, inventory.class_of) if inventory.class_of else {}
        self.stale: ResourceClaim | None = None
        if self.extended and (key := inventory.extended.get(info.uid)) is not None:
            self.stale = inventory.claims.get(key)
        claims, self.problem = resolve(inventory, info.pod)
        self.claims: Sequence[ResourceClaim] = claims
        self.problem = self.problem or next((text for c in claims if (text := self._hindrance(c))), "")

    def _hindrance(self, claim: ResourceClaim) -> str:
        meta, inventory = claim.metadata, self._inventory
        if claim.status.allocation is not None:
            return ""
        if meta.uid in inventory.pending:
            return f"resource claim {meta.namespace}/{meta.name} is in the process of being allocated"
        for request in claim.spec.devices.requests:
            asked = [(request.name, request.exactly)] if request.exactly is not None else []
            asked += [(f"{request.name}/{sub.name}", sub) for sub in request.firstAvailable]  # type: ignore[misc]
            for name, each in asked:
                if each.deviceClassName not in inventory.classes:
                    return f"request {name}: device class {each.deviceClassName} does not exist"
        return ""

    @property
    def waiting(self) -> list[ResourceClaim]:
        """That have no devices yet."""
        return [claim for claim in self.claims if claim.status.allocation is None]

    def unavailable(self, node: Node) -> list[ResourceClaim]:
        """Claims whose devices cannot be used from the node, or will not be ready."""
        out = []
        for claim in self.claims:
            allocation = claim.status.allocation
            if allocation is None:
                continue
            if allocation.nodeSelector is not None and not selector_matches(allocation.nodeSelector, node):
                out.append(claim)
                continue
            found = readiness(claim)
            if found.ready:
                continue
            over = times_out_at(claim, self._timeout_s)
            if found.failure or (over is not None and over < self._inventory.now):
                out.append(claim)
        return out

    def parts(self, node: Node) -> frozenset[str] | None:
        """The extended resources that come from devices there; None = one of them does not come from anywhere."""
        if not self.extended:
            return frozenset()
        return extended.from_devices(self.extended, node, self._inventory.class_of)

    def problem_for(self, parts: frozenset[str]) -> Problem:
        """What is to be allocated. Raises AllocationFailure."""
        found = self._problems.get(parts)
        if found is None:
            claims = self.waiting
            if parts:
                requests, _ = extended.requests_of(self.info.pod, parts, self._inventory.class_of)
                claims.append(extended.claim_for(self.info.pod, requests))
            inventory = self._inventory
            found = self._problems[parts] = Problem(claims, inventory.classes, inventory.classes_version)
        return found

    def judge(self, node: Node) -> tuple[str, Found | None]:
        """(why not, what the claims would get; None = nothing needs to be allocated). Raises AllocationFailure."""
        if self.stale is not None and self.stale.spec.devices.requests:
            return STALE, None
        parts = self.parts(node)
        if parts is None:
            return NO_PLACE, None
        found: Found | None = None
        problem = self.problem_for(parts)
        if problem.wants:
            answer = self._inventory.answer(problem, node)
            if not isinstance(answer, Found):
                return answer or NOT_ENOUGH, None
            found = answer
        return (NOT_THERE if self.unavailable(node) else ""), found

    def preference(self, node: Node) -> int:
        """More for alternatives that come earlier in their requests."""
        _, found = self.judge(node)
        chosen = found.chosen if found is not None else {}
        points = sum(MOST_ALTERNATIVES - i for i in chosen.values())
        for claim in self.claims:
            if claim.status.allocation is not None:
                points += _points(claim, claim.status.allocation)
        return points

    @property
    def plain(self) -> bool:
        """Nothing but devices is in question."""
        return not self.extended and all(claim.status.allocation is None for claim in self.claims)

    @property
    def choosy(self) -> bool:
        return any(r.firstAvailable for claim in self.claims for r in claim.spec.devices.requests)

    def to_free(self, nodes: Sequence[Node]) -> ResourceClaim | None:
        """A claim that nobody else uses and that keeps the pod from a node: without its devices it can get others."""
        uid = self.info.uid
        for node in nodes:
            why, _ = self.judge(node)
            if why != NOT_THERE:
                continue
            for claim in self.unavailable(node):
                if all(consumer.uid == uid for consumer in claim.status.reservedFor):
                    return claim
        return None


def _points(claim: ResourceClaim, allocation: AllocationResult) -> int:
    given = {result.request for result in allocation.devices.results}
    return sum(
        MOST_ALTERNATIVES - i
        for request in claim.spec.devices.requests
        for i, sub in enumerate(request.firstAvailable)
        if f"{request.name}/{sub.name}" in given
    )


def claims_for(inventory: Inventory, info: PodInfo, timeout_s: float) -> PodClaims | None:
    """None: the pod has to do with no device. What was looked up holds until something changes."""
    if not info.devices and not inventory.class_of:
        return None
    kept: PodClaims | None = inventory.looked_up
    if kept is None or kept.info is not info or kept.serial != inventory.serial:
        kept = inventory.looked_up = PodClaims(inventory, info, timeout_s)
    if not kept.extended and not kept.claims and not kept.problem:
        return None
    return kept
