"""ImageLocality: likes nodes that have the pod's images, the more so the larger and the more common they are."""

from __future__ import annotations

import numpy as np

from pelamis.scheduler.args import Args
from pelamis.scheduler.extension import MAX_SCORE, NODE, Plugin, Rows
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Snapshot

_MB = 1024 * 1024
LEAST = 23 * _MB
MOST_PER_CONTAINER = 1000 * _MB


def normalized(image: str) -> str:
    """With the tag ``latest`` where the name has none."""
    return image if image.rfind(":") > image.rfind("/") else image + ":latest"


def _score(snapshot: Snapshot, info: PodInfo, rows: Rows) -> Ints | None:
    if not snapshot.image_nodes:
        return None
    spec = info.pod.spec
    images = [normalized(c.image) for c in (*spec.initContainers, *spec.containers)]
    images += [normalized(v.image.reference) for v in spec.volumes if v.image is not None]
    known = [image for image in images if image in snapshot.image_nodes]
    if not known:
        return None
    size = snapshot.size
    most = MOST_PER_CONTAINER * len(images)
    table = np.zeros(len(snapshot.image_sets), np.int64)
    for number, has in enumerate(snapshot.image_sets):
        total = sum(int(has[image] * (snapshot.image_nodes[image] / size)) for image in known if image in has)
        table[number] = MAX_SCORE * (min(max(total, LEAST), most) - LEAST) // (most - LEAST)
    return table[snapshot.images[:size][rows]]


def plugin(args: Args = Args()) -> Plugin:
    return Plugin(name="ImageLocality", score=_score, weight=1, reads=NODE, demands_only=True)
