"""Node IPAM: gives each node a range of pod addresses out of the cluster's range.

One key for all nodes, so that two nodes that come at the same time never get the same range.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node
from pelamis.client.types import Action, Key, Patch
from pelamis.reconcile.plan import EventNote, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

ALL_NODES = ("", "")


@dataclass(frozen=True, slots=True)
class World:
    nodes: Sequence[Node]
    ranges: Sequence[tuple[str, int]]


@lru_cache(maxsize=1 << 16)
def _span(cidr: str) -> tuple[int, int, int]:
    """(IP version, first address, last address); the ranges of thousands of nodes are read again and again."""
    network = ip_network(cidr, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


class _Pool:
    """The parts of one range by number; ``first`` is below none that is free, so handing out all of them is linear."""

    def __init__(self, cidr: str, bits: int, used: Iterable[str]) -> None:
        network = ip_network(cidr)
        self.bits = bits
        self.base = int(network.network_address)
        self.size = 1 << (network.max_prefixlen - bits)
        self.count = 1 << (bits - network.prefixlen)
        self.address = type(network.network_address)
        self.first = 0
        self.taken: set[int] = set()
        last = int(network.broadcast_address)
        for one in used:
            version, low, high = _span(one)
            if version == network.version and low <= last and high >= self.base:
                low, high = max(low, self.base), min(high, last)
                self.taken.update(range((low - self.base) // self.size, (high - self.base) // self.size + 1))

    def free(self) -> int | None:
        while self.first in self.taken:
            self.first += 1
        return self.first if self.first < self.count else None

    def take(self, number: int) -> str:
        self.taken.add(number)
        return f"{self.address(self.base + number * self.size)}/{self.bits}"


def reconcile(world: World, now: float) -> Plan:
    used = {cidr for node in world.nodes for cidr in node.spec.podCIDRs or (node.spec.podCIDR,) if cidr}
    pools = [_Pool(cidr, bits, used) for cidr, bits in world.ranges]
    actions: list[Action] = []
    events: list[EventNote] = []
    for node in world.nodes:
        if node.spec.podCIDR or node.metadata.deletionTimestamp is not None:
            continue
        numbers = [pool.free() for pool in pools]
        given = [pool.take(number) for pool, number in zip(pools, numbers, strict=True) if number is not None]
        if len(given) < len(pools):
            # what was found of the other families stays free for the next node
            for pool, number in zip(pools, numbers, strict=True):
                pool.taken.discard(-1 if number is None else number)
            message = f"Node {node.metadata.name} status is now: CIDRNotAvailable"
            events.append(EventNote(node, "Normal", "CIDRNotAvailable", message))
            continue
        body = {"spec": {"podCIDR": given[0], "podCIDRs": given}}
        actions.append(Patch(NODE, "", node.metadata.name, body, rev=node.metadata.resourceVersion))
    return Plan(actions=actions, events=events, error="no range is free" if events else "")


def _node_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    return (ALL_NODES,) if new is None or not new.spec.podCIDR else ()


def controller(ranges: Sequence[tuple[str, int]]) -> Controller:
    """ranges: (CIDR of the cluster, prefix length of a node's part), one for each address family."""

    def gather(views: Views, key: Key) -> World | None:
        nodes = views(NODE).list()
        return World(nodes, ranges) if any(not n.spec.podCIDR for n in nodes) else None

    return Controller(
        name="nodeipam",
        identity="node-controller",
        component="cidrAllocator",
        watches=(Watch(NODE, _node_keys),),
        gather=gather,
        reconcile=reconcile,
    )
