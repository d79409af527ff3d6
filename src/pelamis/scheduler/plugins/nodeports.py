"""NodePorts: two pods cannot take the same port of a node's address."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pelamis.scheduler.args import Args
from pelamis.scheduler.extension import NODE_ADD, POD_DELETE, PODS_OF_ROW, Event, Plugin, Rejection, Rows, rows_of
from pelamis.scheduler.podinfo import PodInfo, PortUse
from pelamis.scheduler.snapshot import Snapshot

REASON = "node(s) didn't have free ports for the requested pod ports"
ANY = "0.0.0.0"


def conflict(used: Iterable[PortUse], wanted: tuple[PortUse, ...]) -> bool:
    return any(
        have.port == want.port and have.protocol == want.protocol and (have.ip == want.ip or ANY in (have.ip, want.ip))
        for have in used
        for want in wanted
    )


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    wanted = info.ports
    if not wanted or not any((p.protocol, p.port) in snapshot.ports for p in wanted):
        return ()
    nodes = snapshot.nodes
    mask = np.array([conflict(nodes[row].ports, wanted) for row in rows_of(snapshot, rows)], np.bool_)
    return (Rejection(mask, REASON),)


def _passes(snapshot: Snapshot, info: PodInfo, row: int) -> bool:
    return not info.ports or not conflict(snapshot.nodes[row].ports, info.ports)


def _pod_gone(info: PodInfo, event: Event) -> bool:
    return conflict(event.old.ports, info.ports)


def plugin(args: Args = Args()) -> Plugin:
    helps = {POD_DELETE: _pod_gone, NODE_ADD: None}
    return Plugin(name="NodePorts", filter=_filter, passes=_passes, reads=PODS_OF_ROW, demands_only=True, helps=helps)
