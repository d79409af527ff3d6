"""Quality of service: who is thrown out first when a node runs short.

Guaranteed: every container states cpu and memory limits, and requests equal them. BestEffort: nothing is stated.
Burstable: the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.field import Tree
from pelamis.base.quantity import parse

QOSClass = Literal["Guaranteed", "Burstable", "BestEffort"]
_COUNTED = ("cpu", "memory")
_Pair = tuple[Mapping[str, str], Mapping[str, str]]


def _classify(pairs: Iterable[_Pair]) -> QOSClass:
    """``pairs``: requests and limits of each container, or of the pod as a whole."""
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    guaranteed = True
    for asked, limited in pairs:
        for name in _COUNTED:
            if name in asked and (nano := parse(asked[name]).nano) > 0:
                requests[name] = requests.get(name, 0) + nano
            if name in limited and (nano := parse(limited[name]).nano) > 0:
                limits[name] = limits.get(name, 0) + nano
            else:
                guaranteed = False
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def qos_of_spec(spec: PodSpec) -> QOSClass:
    if spec.resources is not None:
        return _classify(((spec.resources.requests, spec.resources.limits),))
    return _classify((c.resources.requests, c.resources.limits) for c in (*spec.containers, *spec.initContainers))


def qos_class(pod: Pod) -> str:
    """The class given when the pod was made; computed for a pod that has none."""
    return pod.status.qosClass or qos_of_spec(pod.spec)


def _pair(resources: Tree | None) -> _Pair:
    resources = resources or {}
    return resources.get("requests") or {}, resources.get("limits") or {}


def qos_of_tree(spec: Tree) -> QOSClass:
    """The class of a PodSpec tree."""
    if spec.get("resources") is not None:
        return _classify((_pair(spec["resources"]),))
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return _classify(_pair(c.get("resources")) for c in containers)
