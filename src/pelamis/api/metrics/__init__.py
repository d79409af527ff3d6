"""metrics.k8s.io: what nodes and pods use at the moment. Nothing of it is stored."""

from __future__ import annotations

from pelamis.api.metrics.nodemetrics import KIND as NODE_METRICS
from pelamis.api.metrics.podmetrics import KIND as POD_METRICS

KINDS = (NODE_METRICS, POD_METRICS)
