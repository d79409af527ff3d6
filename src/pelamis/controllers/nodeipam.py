"""Node IPAM: gives each node a range of pod addresses out of the cluster's range.

One key for all nodes, so that two nodes that come at the same time never get the same range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


def reconcile(world: World, now: float) -> Plan:
    used = {cidr for node in world.nodes for cidr in node.spec.podCIDRs or (node.spec.podCIDR,) if cidr}
    networks = [ip_network(cidr) for cidr in used]
    actions: list[Action] = []
    events: list[EventNote] = []
    for node in world.nodes:
        if node.spec.podCIDR or node.metadata.deletionTimestamp is not None:
            continue
        given: list[str] = []
        for cidr, bits in world.ranges:
            free = next(
                (
                    n
                    for n in ip_network(cidr).subnets(new_prefix=bits)
                    if str(n) not in used and not _taken(n, networks)
                ),
                None,
            )
            if free is None:
                break
            used.add(str(free))
            given.append(str(free))
        if len(given) < len(world.ranges):
            message = f"Node {node.metadata.name} status is now: CIDRNotAvailable"
            events.append(EventNote(node, "Normal", "CIDRNotAvailable", message))
            continue
        body = {"spec": {"podCIDR": given[0], "podCIDRs": given}}
        actions.append(Patch(NODE, "", node.metadata.name, body, rev=node.metadata.resourceVersion))
    return Plan(actions=actions, events=events, error="no range is free" if events else "")


def _taken(network: Any, others: Sequence[Any]) -> bool:
    return any(network.version == other.version and network.overlaps(other) for other in others)


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
