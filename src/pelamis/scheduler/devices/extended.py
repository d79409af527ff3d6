"""Extended resources that devices serve: a claim is made of what a pod's containers ask for.

A node that offers such a resource itself (by a device plugin) gives it from there; on all others it comes from devices
of the class that serves it. The claim exists in memory only until the pod has its node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pelamis.api.core.node import Node
from pelamis.api.core.resourcename import is_extended
from pelamis.api.meta import ObjectMeta, OwnerReference
from pelamis.api.resource.device import DeviceClaim, DeviceRequest, ExactDeviceRequest, ResourceClaimSpec
from pelamis.api.resource.deviceclass import DeviceClass
from pelamis.api.resource.podclaim import CLASS_RESOURCE, EXTENDED
from pelamis.api.resource.resourceclaim import ResourceClaim
from pelamis.base.quantity import NANO, parse
from pelamis.scheduler.podinfo import PodInfo

Mapped = tuple[str, str, str]
"""Container, resource, request."""


def may_be_served(name: str) -> bool:
    return is_extended(name) or name.startswith(CLASS_RESOURCE)


def wanted(info: PodInfo, class_of: Mapping[str, DeviceClass]) -> dict[str, int]:
    """The pod's extended resources, if a class serves any of them."""
    asked = {name: amount for name, amount in info.requests.items() if amount and may_be_served(name)}
    return asked if any(name in class_of for name in asked) else {}


def from_devices(asked: Collection[str], node: Node, class_of: Mapping[str, DeviceClass]) -> frozenset[str] | None:
    """Which of them come from devices on the node; None = the node has no place for one of them."""
    out = set()
    for name in asked:
        has = node.status.allocatable.get(name)
        if name in class_of and (has is None or not parse(str(has)).nano):
            out.add(name)
        elif has is None:
            return None
    return frozenset(out)


def _whole(text: Any) -> int:
    nano = parse(str(text)).nano
    return nano // NANO if nano % NANO == 0 else 0


class _Part:
    """What one container asks of one resource, besides what it can use of others."""

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self.count = count


def _ask(index: int, container: Any, resource: str, reusable: list[_Part]) -> tuple[_Part | None, list[Mapped]]:
    requests = container.resources.requests
    count = _whole(requests[resource]) if resource in requests else 0
    mapped: list[Mapped] = []
    if not count:
        return None, mapped
    have = 0
    for part in reusable:
        have += part.count
        mapped.append((container.name, resource, part.name))
        if have >= count:
            return None, mapped
    name = f"container-{index}-request-{sorted(requests).index(resource)}"
    return _Part(name, count - have), [*mapped, (container.name, resource, name)]


def requests_of(
    pod: Any, resources: Collection[str], class_of: Mapping[str, DeviceClass]
) -> tuple[tuple[DeviceRequest, ...], tuple[Mapped, ...]]:
    """Device requests, and which of them each container uses.

    Init containers that end use what later containers ask for, and share one request for the rest.
    """
    spec = pod.spec
    containers = [*spec.initContainers, *spec.containers]
    brief = [i for i, c in enumerate(spec.initContainers) if c.restartPolicy != "Always"]
    found: list[DeviceRequest] = []
    mapped: list[Mapped] = []
    for resource in sorted(resources):
        cls = class_of.get(resource)
        if cls is None:
            continue
        lasting: dict[int, _Part] = {}
        own: list[Mapped] = []
        for i, container in enumerate(containers):
            if i in brief:
                continue
            part, more = _ask(i, container, resource, [])
            own += more
            if part is not None:
                lasting[i] = part
        largest: _Part | None = None
        names: set[str] = set()
        passing: list[Mapped] = []
        for i in brief:
            part, more = _ask(i, containers[i], resource, [p for j, p in sorted(lasting.items()) if j >= i])
            passing += more
            if part is not None:
                names.add(part.name)
                if largest is None or part.count > largest.count:
                    largest = part
        if largest is not None:
            passing = [(c, r, largest.name if name in names else name) for c, r, name in passing]
        for part in (*([largest] if largest is not None else []), *lasting.values()):
            exact = ExactDeviceRequest(deviceClassName=cls.metadata.name, allocationMode="ExactCount", count=part.count)
            found.append(DeviceRequest(name=part.name, exactly=exact))
        mapped += own + passing
    return tuple(sorted(found, key=lambda request: request.name)), tuple(mapped)


def claim_for(pod: Any, requests: tuple[DeviceRequest, ...]) -> ResourceClaim:
    """As it is made: without a name of its own."""
    meta = pod.metadata
    owner = OwnerReference(apiVersion="v1", kind="Pod", name=meta.name, uid=meta.uid, controller=True)
    return ResourceClaim(
        metadata=ObjectMeta(
            generateName=f"{meta.name}-extended-resources-",
            namespace=meta.namespace,
            annotations={EXTENDED: "true"},
            ownerReferences=(owner,),
        ),
        spec=ResourceClaimSpec(devices=DeviceClaim(requests=requests)),
    )
