"""EndpointSlice mirroring: Endpoints that somebody wrote by hand for a Service without a selector, as slices.

Each subset and address family becomes one slice of at most 1,000 addresses. Endpoints that are leader election records,
or carry the label ``endpointslice.kubernetes.io/skip-mirror: "true"``, are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import msgspec

from pelamis.api.core.endpoints import KIND as ENDPOINTS
from pelamis.api.core.endpoints import EndpointAddress, Endpoints
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.service import Service
from pelamis.api.core.wellknown import HEADLESS, SERVICE_NAME
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.api.discovery.endpointslice import (
    MANAGED_BY,
    MIRRORING,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from pelamis.api.meta import ObjectMeta
from pelamis.client.types import Action, Create, Delete, Key, Update
from pelamis.reconcile.endpointset import LEADER, TRIGGER_TIME
from pelamis.reconcile.ownership import owner_reference
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

SKIP = "endpointslice.kubernetes.io/skip-mirror"
PER_SUBSET = 1000
NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", TRIGGER_TIME})


@dataclass(frozen=True, slots=True)
class World:
    """wanted: the Endpoints to mirror; None when nothing is to be mirrored."""

    endpoints: Endpoints | None
    slices: Sequence[EndpointSlice]


def _is_mirrored(service: Service | None, endpoints: Endpoints | None) -> bool:
    if service is None or endpoints is None or service.spec.selector or endpoints.metadata.deletionTimestamp:
        return False
    meta = endpoints.metadata
    return meta.labels.get(SKIP) != "true" and LEADER not in meta.annotations


def gather(views: Views, key: Key) -> World | None:
    service = views(SERVICE).get(*key)
    endpoints = views(ENDPOINTS).get(*key)
    mirrored = endpoints if _is_mirrored(service, endpoints) else None
    slices: list[EndpointSlice] = []
    if endpoints is not None:
        slices = [s for s in views(SLICE).by_index("owner", endpoints.metadata.uid) if _ours(s, key[1])]
    if mirrored is None and not slices:
        return None
    return World(mirrored, slices)


def _ours(one: EndpointSlice, name: str) -> bool:
    labels = one.metadata.labels
    return labels.get(MANAGED_BY) == MIRRORING and labels.get(SERVICE_NAME) == name


def reconcile(world: World, now: float) -> Plan:
    endpoints = world.endpoints
    if endpoints is None:
        return Plan(actions=[_delete(s) for s in world.slices])
    wanted, events = _slices(endpoints)
    left = list(world.slices)
    actions: list[Action] = []
    for new in wanted:
        same = next((s for s in left if s.addressType == new.addressType and s.ports == new.ports), None)
        if same is None:
            actions.append(Create(SLICE, new))
            continue
        left.remove(same)
        meta = same.metadata
        if (same.endpoints, meta.labels, meta.annotations) == (
            new.endpoints,
            new.metadata.labels,
            new.metadata.annotations,
        ):
            continue
        meta = msgspec.structs.replace(meta, labels=new.metadata.labels, annotations=new.metadata.annotations)
        actions.append(Update(SLICE, msgspec.structs.replace(same, metadata=meta, endpoints=new.endpoints)))
    actions.extend(_delete(s) for s in left)
    if not actions:
        return NOTHING
    return Plan(actions=actions, events=events)


def _slices(endpoints: Endpoints) -> tuple[list[EndpointSlice], list[EventNote]]:
    events: list[EventNote] = []
    skipped = 0
    labels = {k: v for k, v in endpoints.metadata.labels.items() if k != HEADLESS}
    labels.update({SERVICE_NAME: endpoints.metadata.name, MANAGED_BY: MIRRORING})
    annotations = {k: v for k, v in endpoints.metadata.annotations.items() if k not in NOT_COPIED}
    groups: dict[tuple[str, tuple[EndpointPort, ...]], list[Endpoint]] = {}
    for subset in endpoints.subsets:
        ports = tuple(
            EndpointPort(name=p.name, port=p.port, protocol=p.protocol or "TCP", appProtocol=p.appProtocol)
            for p in subset.ports
        )
        count = 0
        for address, ready in (
            *((a, True) for a in subset.addresses),
            *((a, False) for a in subset.notReadyAddresses),
        ):
            if count >= PER_SUBSET:
                skipped += 1
                continue
            count += 1
            try:
                version = ip_address(address.ip).version
            except ValueError:
                message = f"Skipping {address.ip} IP for mirroring to EndpointSlices: invalid IP address"
                events.append(EventNote(endpoints, "Warning", "InvalidIPAddress", message))
                continue
            groups.setdefault((f"IPv{version}", ports), []).append(_endpoint(address, ready))
    if skipped:
        message = (
            f"A max of {PER_SUBSET} addresses can be mirrored to EndpointSlices per Endpoints subset. "
            f"{skipped} addresses were skipped"
        )
        events.append(EventNote(endpoints, "Warning", "TooManyAddressesToMirror", message))
    out = [
        EndpointSlice(
            metadata=ObjectMeta(
                generateName=f"{endpoints.metadata.name}-",
                namespace=endpoints.metadata.namespace,
                labels=labels,
                annotations=annotations,
                ownerReferences=(owner_reference(endpoints, ENDPOINTS),),
            ),
            addressType=family,
            endpoints=tuple(found),
            ports=ports,
        )
        for (family, ports), found in groups.items()
    ]
    return out, events


def _endpoint(address: EndpointAddress, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        nodeName=address.nodeName,
        targetRef=address.targetRef,
    )


def _delete(one: EndpointSlice) -> Delete:
    return Delete(SLICE, one.metadata.namespace, one.metadata.name, uid=one.metadata.uid)


def _slice_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    obj = new if new is not None else old
    name = obj.metadata.labels.get(SERVICE_NAME, "")
    return ((obj.metadata.namespace, name),) if name and _ours(obj, name) else ()


CONTROLLER = Controller(
    name="endpointslicemirroring",
    identity="endpointslicemirroring-controller",
    component="endpoint-slice-mirroring-controller",
    watches=(Watch(SERVICE), Watch(ENDPOINTS), Watch(SLICE, _slice_keys)),
    gather=gather,
    reconcile=reconcile,
)
