"""NodeUnschedulable: a cordoned node takes only pods that tolerate the taint it stands for."""

from __future__ import annotations

from collections.abc import Iterable

from pelamis.api.core.node import Taint
from pelamis.scheduler.args import Args
from pelamis.scheduler.extension import NODE, NODE_ADD, NODE_TAINT, OWN_TOLERATION, Event, Plugin, Rejection, Rows
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.toleration import tolerates

_TAINT = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
REASON = "node(s) were unschedulable"


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    mask = snapshot.unschedulable[: snapshot.size][rows]
    if not mask.any() or tolerates(info.pod.spec.tolerations, _TAINT):
        return ()
    return (Rejection(mask, REASON, False),)


def _node_helps(info: PodInfo, event: Event) -> bool:
    return not event.new.spec.unschedulable and (event.old is None or event.old.spec.unschedulable)


def _own_helps(info: PodInfo, event: Event) -> bool:
    return tolerates(event.new.pod.spec.tolerations, _TAINT)


def plugin(args: Args = Args()) -> Plugin:
    return Plugin(
        name="NodeUnschedulable",
        filter=_filter,
        reads=NODE,
        demands_only=True,
        helps={NODE_ADD: _node_helps, NODE_TAINT: _node_helps, OWN_TOLERATION: _own_helps},
    )
