"""What is missing where claims cannot be allocated: the request that finds too few devices, in words for people."""

from __future__ import annotations

from collections.abc import Sequence

from pelamis.api.core.node import Node
from pelamis.scheduler.devices.ask import AllocationFailure, Ask
from pelamis.scheduler.devices.inventory import Inventory
from pelamis.scheduler.devices.podclaims import PodClaims


def shortage(inventory: Inventory, claims: PodClaims, nodes: Sequence[Node]) -> str:
    """At the node with most of what is asked for; "" when each request by itself could be met."""
    try:
        parts = [claims.parts(node) or frozenset() for node in nodes]
        for want in claims.problem_for(parts[0]).wants:
            for request in want.requests:
                found = [max(_count(inventory, ask, node) for node in nodes) for ask in request.asks]
                if all(free < (ask.count or 1) for ask, (free, _, _) in zip(request.asks, found, strict=True)):
                    said = [_said(ask, *counts) for ask, counts in zip(request.asks, found, strict=True)]
                    return "; ".join(said)
    except AllocationFailure as failure:
        return str(failure)
    return ""


def _count(inventory: Inventory, ask: Ask, node: Node) -> tuple[int, int, int]:
    """(free, matching, all)."""
    free = matching = 0
    stock = inventory.stock(node)
    for unit in stock.units:
        if not unit.on(node) or not ask.selects(unit):
            continue
        matching += 1
        free += ask.stands(unit) and (ask.admin or unit.id not in inventory.allocated)
    return free, matching, len(stock.units)


def _said(ask: Ask, free: int, matching: int, there: int) -> str:
    wants = f"request {ask.name} wants {'all' if ask.count is None else ask.count}"
    if not there:
        return f"{wants}, there is no device"
    if not matching:
        return f"{wants}, none of {there} devices matches" if there > 1 else f"{wants}, the one device does not match"
    return f"{wants}, {free} of {matching} that match are free"
