"""NodeName: a pod that names its node goes there or nowhere. The scheduler gets such pods only by mistake."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pelamis.scheduler.args import Args
from pelamis.scheduler.extension import NODE, NODE_ADD, Plugin, Rejection, Rows, rows_of
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot

REASON = "node(s) didn't match the requested node name"


def _filter(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Iterable[Rejection]:
    wanted = info.pod.spec.nodeName
    if not wanted:
        return ()
    mask = np.array([snapshot.nodes[row].name != wanted for row in rows_of(snapshot, rows)], np.bool_)
    return (Rejection(mask, REASON, False),)


def plugin(args: Args = Args()) -> Plugin:
    return Plugin(name="NodeName", filter=_filter, reads=NODE, demands_only=True, helps={NODE_ADD: None})
