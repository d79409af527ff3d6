"""TTL: tells kubelets, by an annotation of their nodes, how long they may use ConfigMaps and Secrets that they read.

The bigger the cluster, the longer. Sizes overlap, so that a cluster at a boundary does not write back and forth.
"""

from __future__ import annotations

from dataclasses import dataclass

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node
from pelamis.client.types import Key, Patch
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

ANNOTATION = "node.alpha.kubernetes.io/ttl"
BOUNDARIES = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10000, 300), (9000, 1 << 62, 600))
"""(fewest nodes, most nodes, seconds)"""


@dataclass(frozen=True, slots=True)
class World:
    node: Node
    count: int


def seconds(count: int, current: str | None) -> int:
    """current: what the node is told so far, which stays while the size of the cluster allows it."""
    for fewest, most, ttl in BOUNDARIES:
        if current == str(ttl) and fewest <= count <= most:
            return ttl
    return next(ttl for _, most, ttl in BOUNDARIES if count <= most)


def gather(views: Views, key: Key) -> World | None:
    node = views(NODE).get(*key)
    return World(node, len(views(NODE))) if node is not None else None


def reconcile(world: World, now: float) -> Plan:
    meta = world.node.metadata
    current = meta.annotations.get(ANNOTATION)
    wanted = str(seconds(world.count, current))
    if meta.deletionTimestamp is not None or current == wanted:
        return NOTHING
    body = {"metadata": {"uid": meta.uid, "annotations": {ANNOTATION: wanted}}}
    return Plan(actions=(Patch(NODE, "", meta.name, body),))


CONTROLLER = Controller(
    name="ttl",
    identity="ttl-controller",
    component="ttl-controller",
    watches=(Watch(NODE),),
    gather=gather,
    reconcile=reconcile,
)
