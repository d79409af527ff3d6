"""Which zone each endpoint of a Service is meant for, where it asks for ``topology-mode: Auto``. Pure.

Each zone gets its share of the endpoints by the CPU of its ready nodes, so that no endpoint bears more than a fifth
above its share. Endpoints serve their own zone first; zones that have more than their share give some away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil, floor

from pelamis.api.core.node import Node
from pelamis.api.core.wellknown import ZONE
from pelamis.base import quantity

OVERLOAD = 0.2
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
ENABLED = "Topology Aware Hints has been enabled"
NO_NODE_INFO = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
ONE_ZONE = "Nodes only ready in one zone"
NO_ZONE = "One or more endpoints do not have a zone specified"
FEW_ENDPOINTS = "Insufficient number of endpoints"
OVERLOADED = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"


class Disabled(Exception):
    """No hints can be given; the text is upstream's."""


def cpu_by_zone(nodes: Sequence[Node]) -> dict[str, int]:
    """Thousandths of cores of the ready nodes that run workloads. Raises Disabled."""
    out: Counter[str] = Counter()
    for node in nodes:
        labels = node.metadata.labels
        if any(name in labels for name in _CONTROL_PLANE):
            continue
        if not any(c.type == "Ready" and c.status == "True" for c in node.status.conditions):
            continue
        cpu = quantity.milli(node.status.allocatable.get("cpu", "0"))
        if not labels.get(ZONE) or not cpu:
            raise Disabled(NO_NODE_INFO)
        out[labels[ZONE]] += cpu
    if len(out) < 2:
        raise Disabled(ONE_ZONE)
    return dict(out)


def shares(counts: Mapping[str, int], cpu: Mapping[str, int]) -> dict[str, int]:
    """How many endpoints are meant for each zone. counts: how many are in it. Raises Disabled."""
    total, whole = sum(counts.values()), sum(cpu.values())
    if len(cpu) > total:
        raise Disabled(f"{FEW_ENDPOINTS} ({total} endpoints, {len(cpu)} zones)")
    desired = {zone: cpu[zone] * total / whole for zone in sorted(cpu)}
    least = {zone: ceil(wish / (1 + OVERLOAD)) for zone, wish in desired.items()}
    if sum(least.values()) > total:
        raise Disabled(f"{OVERLOADED} ({total} endpoints, {len(cpu)} zones)")
    out = {zone: max(least[zone], floor(wish), min(counts.get(zone, 0), ceil(wish))) for zone, wish in desired.items()}
    while sum(out.values()) < total:
        out[max(out, key=lambda zone: desired[zone] - out[zone])] += 1
    while sum(out.values()) > total:
        out[max((z for z in out if out[z] > least[z]), key=lambda zone: out[zone] - desired[zone])] -= 1
    return out


def assign(zones: Sequence[str], cpu: Mapping[str, int]) -> list[str]:
    """The zone that each endpoint is meant for. zones: where they are. Raises Disabled."""
    if any(not zone for zone in zones):
        raise Disabled(NO_ZONE)
    left = shares(Counter(zones), cpu)
    out: list[str] = []
    for zone in zones:
        stays = left.get(zone, 0) > 0
        left[zone] = left.get(zone, 0) - stays
        out.append(zone if stays else "")
    takers = iter([zone for zone in sorted(left) for _ in range(left[zone])])
    return [zone or next(takers) for zone in out]
