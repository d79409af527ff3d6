"""Endpoints: for each Service with a selector the addresses and ports of its pods, in the older form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.endpoints import KIND as ENDPOINTS
from pelamis.api.core.endpoints import MANAGED_BY, MANAGER, EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.service import Service
from pelamis.api.core.wellknown import HEADLESS
from pelamis.api.meta import ObjectMeta
from pelamis.client.types import Create, Delete, Key, Outcome, Update
from pelamis.reconcile import endpointset
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.podcontrol import is_namespace_terminating
from pelamis.reconcile.podstate import is_ready
from pelamis.reconcile.spec import Controller, Views, Watch

CAPACITY = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


@dataclass(frozen=True, slots=True)
class World:
    key: Key
    service: Service | None
    endpoints: Endpoints | None
    pods: Sequence[Pod]
    seen: endpointset.Seen | None = None


def gather(views: Views, key: Key) -> World | None:
    service = views(SERVICE).get(*key)
    endpoints = views(ENDPOINTS).get(*key)
    if service is None and endpoints is None:
        return None
    if service is None:
        return World(key, None, endpoints, ())
    return World(key, service, endpoints, endpointset.selected(views, service), views.memo(key))


def reconcile(world: World, now: float) -> Plan:
    service, current = world.service, world.endpoints
    if service is None:
        if current is None or endpointset.LEADER in current.metadata.annotations:
            return NOTHING
        return Plan(actions=(Delete(ENDPOINTS, *world.key, uid=current.metadata.uid),))
    if not service.spec.selector:
        return NOTHING
    found = subsets(service, world.pods)
    kept, over = truncated(found)
    labels = dict(service.metadata.labels)
    labels.pop(HEADLESS, None)
    if endpointset.is_headless(service):
        labels[HEADLESS] = ""
    labels[MANAGED_BY] = MANAGER
    annotations = dict(current.metadata.annotations) if current is not None else {}
    annotations.pop(endpointset.TRIGGER_TIME, "")
    at, seen = endpointset.trigger(world.seen, service, world.pods)
    annotations.pop(OVER_CAPACITY, None)
    if over:
        annotations[OVER_CAPACITY] = "truncated"
    if current is not None:
        before = {k: v for k, v in current.metadata.annotations.items() if k != endpointset.TRIGGER_TIME}
        if current.subsets == kept and current.metadata.labels == labels and before == annotations:
            return Plan(memo=seen)
    annotations = endpointset.stamped(annotations, at)
    if current is None:
        meta = ObjectMeta(
            name=service.metadata.name, namespace=service.metadata.namespace, labels=labels, annotations=annotations
        )
        return _written(Create(ENDPOINTS, Endpoints(metadata=meta, subsets=kept)), service, "Create", "create", seen)
    meta = msgspec.structs.replace(current.metadata, labels=labels, annotations=annotations)
    changed = msgspec.structs.replace(current, metadata=meta, subsets=kept)
    return _written(Update(ENDPOINTS, changed), current, "Update", "update", seen)


def _written(action: Create | Update, regarding: Any, verb: str, word: str, seen: endpointset.Seen) -> Plan:
    name = f"{regarding.metadata.namespace}/{regarding.metadata.name}"

    def done(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        if error is None or is_namespace_terminating(error):
            return NOTHING
        if error.reason in ("Conflict", "AlreadyExists"):
            return Plan(error=error.message)
        note = EventNote(
            regarding, "Warning", f"FailedTo{verb}Endpoint", f"Failed to {word} endpoint {name}: {error.message}"
        )
        return Plan(events=(note,), error=error.message)

    return Plan(actions=(action,), on_outcomes=done, memo=seen)


def subsets(service: Service, pods: Sequence[Pod]) -> tuple[EndpointSubset, ...]:
    """Pods with the same ports share a subset; addresses in order of address, then uid."""
    publish = service.spec.publishNotReadyAddresses
    family = endpointset.families(service)[0]
    groups: dict[tuple[EndpointPort, ...], tuple[dict[str, EndpointAddress], dict[str, EndpointAddress]]] = {}
    for pod in sorted(pods, key=lambda p: p.metadata.uid):
        if not endpointset.belongs(pod, terminating=publish):
            continue
        ips = endpointset.addresses(pod, family)
        if not ips:
            continue
        ports = _ports(service, pod)
        if not ports and not (endpointset.is_headless(service) and not service.spec.ports):
            continue
        ready, not_ready = groups.setdefault(ports, ({}, {}))
        address = EndpointAddress(
            ip=ips[0],
            hostname=endpointset.hostname(pod, service),
            nodeName=pod.spec.nodeName or None,
            targetRef=endpointset.reference(pod),
        )
        into = ready if publish or is_ready(pod) else not_ready
        into.setdefault(ips[0], address)
    out = [
        EndpointSubset(
            addresses=tuple(ready[ip] for ip in sorted(ready)),
            notReadyAddresses=tuple(not_ready[ip] for ip in sorted(not_ready) if ip not in ready),
            ports=ports,
        )
        for ports, (ready, not_ready) in groups.items()
    ]
    return tuple(sorted(out, key=lambda s: msgspec.json.encode(s.ports)))


def _ports(service: Service, pod: Pod) -> tuple[EndpointPort, ...]:
    out = []
    for port in service.spec.ports:
        number = endpointset.target_port(port, pod)
        if number is not None:
            out.append(
                EndpointPort(name=port.name, port=number, protocol=port.protocol or "TCP", appProtocol=port.appProtocol)
            )
    return tuple(sorted(out, key=lambda p: (p.name, p.protocol, p.port)))


def truncated(found: Sequence[EndpointSubset]) -> tuple[tuple[EndpointSubset, ...], bool]:
    """At most 1,000 addresses, ready ones first, shared out among the subsets in proportion."""
    ready = sum(len(s.addresses) for s in found)
    not_ready = sum(len(s.notReadyAddresses) for s in found)
    if ready + not_ready <= CAPACITY:
        return tuple(found), False
    room, room_not_ready = min(ready, CAPACITY), CAPACITY - min(ready, CAPACITY)
    out: list[EndpointSubset] = []
    for s in found:
        keep = -(-len(s.addresses) * room // ready) if ready else 0
        keep_not_ready = -(-len(s.notReadyAddresses) * room_not_ready // not_ready) if not_ready else 0
        out.append(
            msgspec.structs.replace(
                s, addresses=s.addresses[:keep], notReadyAddresses=s.notReadyAddresses[:keep_not_ready]
            )
        )
    excess = sum(len(s.addresses) + len(s.notReadyAddresses) for s in out) - CAPACITY
    for i in range(len(out) - 1, -1, -1):
        drop = min(excess, len(out[i].notReadyAddresses))
        out[i] = msgspec.structs.replace(
            out[i], notReadyAddresses=out[i].notReadyAddresses[: len(out[i].notReadyAddresses) - drop]
        )
        excess -= drop
        drop = min(excess, len(out[i].addresses))
        out[i] = msgspec.structs.replace(out[i], addresses=out[i].addresses[: len(out[i].addresses) - drop])
        excess -= drop
    return tuple(s for s in out if s.addresses or s.notReadyAddresses), True


def _endpoints_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """Somebody changed or deleted what is ours; what was there at the start may have lost its Service."""
    meta = (new if new is not None else old).metadata
    key = (meta.namespace, meta.name)
    labels: Mapping[str, str] = meta.labels
    if old is None:
        return (key,) if labels.get(MANAGED_BY) == MANAGER else ()
    service = views(SERVICE).get(*key)
    return (key,) if service is not None and service.spec.selector else ()


CONTROLLER = Controller(
    name="endpoints",
    identity="endpoint-controller",
    component="endpoint-controller",
    watches=(
        Watch(SERVICE),
        Watch(POD, endpointset.pod_keys, endpointset.POD_NEEDS),
        Watch(ENDPOINTS, _endpoints_keys),
    ),
    gather=gather,
    reconcile=reconcile,
)
