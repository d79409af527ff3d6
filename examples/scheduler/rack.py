"""Keeps racks from filling up with pods of one app, and likes the racks that have the fewest of them.

A rack is what shares a value of a node label; the app is the pod's label ``app``.
"""

from __future__ import annotations

import numpy as np

from pelamis.base import labels
from pelamis.scheduler import extension as x


def plugin(args: dict) -> x.Plugin:
    """args: from the profile's pluginConfig. label: of nodes; mostPerRack: pods of one app."""
    label = args.get("label", "example.com/rack")
    most = args.get("mostPerRack", 3)

    def per_rack(snapshot, info):
        """For each node, how many pods of the app its rack has; -1 where the node is in no rack."""
        app = info.pod.metadata.labels.get("app", "")
        selector = labels.Selector((labels.Requirement("app", labels.IN, (app,)),))
        column = snapshot.labels(label)
        racks = column.ids[: snapshot.size]
        counts = snapshot.domains(column, snapshot.count(info.namespace, selector))[racks]
        return np.where(racks >= 0, counts, -1)

    def filter(snapshot, info, rows):
        counts = per_rack(snapshot, info)[rows]
        yield x.Rejection(counts < 0, "node(s) were in no rack", resolvable=False)
        yield x.Rejection(counts >= most, "node(s) were in a rack that has enough of the app")

    def score(snapshot, info, rows):
        counts = per_rack(snapshot, info)[rows]
        return x.MAX_SCORE - np.minimum(counts, most) * x.MAX_SCORE // most

    return x.Plugin(
        name="Rack",
        filter=filter,
        score=score,
        # After which changes a pod that was rejected is worth another try. None: after each of these.
        helps={x.POD_DELETE: None, x.NODE_ADD: None, x.NODE_LABEL: None},
    )
