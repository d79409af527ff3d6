"""EndpointSlices: for each Service with a selector its pods, at most 100 to a slice.

Slices that exist are kept and filled as far as possible, so that one pod's change rewrites one slice: for each address
family and set of ports, endpoints that are gone are taken out, changed ones replaced, and new ones put first into
slices that are written anyway, then into new slices. A Service without endpoints keeps one empty slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.service import Service, topology_mode
from pelamis.api.core.wellknown import HEADLESS, SERVICE_NAME, ZONE
from pelamis.api.discovery.endpointslice import CONTROLLER as CONTROLLER_NAME
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.api.discovery.endpointslice import (
    MANAGED_BY,
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForNode,
    ForZone,
)
from pelamis.api.meta import ObjectMeta
from pelamis.client.types import Action, Create, Delete, Key, Outcome, Update
from pelamis.reconcile import endpointset
from pelamis.reconcile.ownership import owner_reference
from pelamis.reconcile.plan import NOTHING, EventNote, Plan, failure
from pelamis.reconcile.podcontrol import is_namespace_terminating
from pelamis.reconcile.podstate import is_ready
from pelamis.reconcile.spec import Controller, Views, Watch
from pelamis.reconcile.topology import ENABLED, Disabled, assign, cpu_by_zone

PER_SLICE = 100
RESERVED = (SERVICE_NAME, MANAGED_BY, HEADLESS)


@dataclass(frozen=True, slots=True)
class World:
    """nodes: those that the pods are on, by name; a name without an entry is a node that does not exist (yet).

    every_node: all of the cluster, where the Service asks for hints by the CPU of zones.
    """

    service: Service
    pods: Sequence[Pod]
    slices: Sequence[EndpointSlice]
    nodes: dict[str, Node]
    every_node: Sequence[Node] = ()
    seen: endpointset.Seen | None = None


def gather(views: Views, key: Key) -> World | None:
    service: Service | None = views(SERVICE).get(*key)
    if service is None or not service.spec.selector or service.spec.type == "ExternalName":
        return None
    pods = endpointset.selected(views, service)
    nodes: dict[str, Node] = {}
    for name in {p.spec.nodeName for p in pods}:
        node = views(NODE).get("", name) if name else None
        if node is not None:
            nodes[name] = node
    slices = [
        s
        for s in views(SLICE).by_index("owner", service.metadata.uid)
        if s.metadata.labels.get(SERVICE_NAME) == key[1]
        and s.metadata.labels.get(MANAGED_BY) == CONTROLLER_NAME
        and s.metadata.deletionTimestamp is None
    ]
    return World(service, pods, slices, nodes, views(NODE).list() if is_auto(service) else (), views.memo(key))


def is_auto(service: Service) -> bool:
    return topology_mode(service) == "Auto"


def reconcile(world: World, now: float) -> Plan:
    service = world.service
    if service.metadata.deletionTimestamp is not None:
        return NOTHING
    actions: list[Action] = []
    events: list[EventNote] = []
    families = endpointset.families(service)
    at, seen = endpointset.trigger(world.seen, service, world.pods)
    for one in world.slices:
        if one.addressType not in families:
            actions.append(_delete(one))
    for family in families:
        mine = [s for s in world.slices if s.addressType == family]
        writes = _family(world, family, mine, at, events)
        actions.extend(writes)
    if not actions:
        return Plan(memo=seen)

    def done(outcomes: Sequence[Outcome]) -> Plan:
        error = failure(actions, outcomes)
        if error is None or is_namespace_terminating(error):
            return Plan(events=events)
        if error.reason == "Conflict":
            return Plan(error=error.message)
        name = f"{service.metadata.namespace}/{service.metadata.name}"
        message = f"Error updating Endpoint Slices for Service {name}: {error.message}"
        return Plan(
            events=(EventNote(service, "Warning", "FailedToUpdateEndpointSlices", message),), error=error.message
        )

    return Plan(actions=actions, on_outcomes=done, memo=seen)


Ports = tuple[EndpointPort, ...]


def _auto(
    world: World, family: str, wanted: dict[Ports, dict[tuple[str, ...], Endpoint]], events: list[EventNote]
) -> None:
    """Gives the ready endpoints the zones that they are meant for, or none of them any."""
    ready = [
        (ports, key, endpoint)
        for ports, found in wanted.items()
        for key, endpoint in sorted(found.items())
        if endpoint.conditions.ready
    ]
    if not ready:
        return
    had = any(e.hints is not None for s in world.slices if s.addressType == family for e in s.endpoints)
    try:
        zones = assign([endpoint.zone or "" for _, _, endpoint in ready], cpu_by_zone(world.every_node))
    except Disabled as why:
        note = EventNote(world.service, "Warning", "TopologyAwareHintsDisabled", f"{why}, addressType: {family}")
        events.append(note)
        return
    for (ports, key, endpoint), zone in zip(ready, zones, strict=True):
        hints = EndpointHints(forZones=(ForZone(name=zone),))
        wanted[ports][key] = msgspec.structs.replace(endpoint, hints=hints)
    if not had:
        message = f"{ENABLED}, addressType: {family}"
        events.append(EventNote(world.service, "Normal", "TopologyAwareHintsEnabled", message))


def _family(
    world: World, family: str, slices: Sequence[EndpointSlice], at: str, events: list[EventNote]
) -> list[Action]:
    service = world.service
    wanted: dict[Ports, dict[tuple[str, ...], Endpoint]] = {}
    for pod in world.pods:
        if not endpointset.belongs(pod, terminating=True):
            continue
        found = endpointset.addresses(pod, family)
        if not found:
            continue
        missing_node = bool(pod.spec.nodeName) and pod.spec.nodeName not in world.nodes
        if missing_node and not service.spec.publishNotReadyAddresses:
            continue  # comes back when the node is there
        endpoint = _endpoint(world, pod, found)
        wanted.setdefault(_ports(service, pod), {})[(pod.metadata.uid, *found)] = endpoint
    if is_auto(service):
        _auto(world, family, wanted, events)
    by_ports: dict[Ports, list[EndpointSlice]] = {}
    for one in slices:
        by_ports.setdefault(one.ports, []).append(one)
    labels = _labels(service)
    actions: list[Action] = []
    kept = 0
    deletes: list[EndpointSlice] = []
    creates: list[EndpointSlice] = []
    for ports in {**wanted, **by_ports}:
        changed, remove, sets = _packed(by_ports.get(ports, []), wanted.get(ports, {}), labels)
        kept += len(by_ports.get(ports, [])) - len(remove)
        deletes.extend(remove)
        for one, endpoints in changed:
            annotations = endpointset.stamped(one.metadata.annotations, at)
            meta = msgspec.structs.replace(one.metadata, labels=labels, annotations=annotations)
            actions.append(Update(SLICE, msgspec.structs.replace(one, metadata=meta, endpoints=endpoints)))
        creates.extend(_new(service, family, ports, endpoints, labels, at) for endpoints in sets)
    if not kept and not creates:
        # an empty slice tells that there is nobody; one that is there already stays
        empty = next((s for s in deletes if not s.ports and not s.endpoints and s.metadata.labels == labels), None)
        if empty is not None:
            deletes.remove(empty)
        else:
            creates.append(_new(service, family, (), (), labels, at))
    # what is to be deleted is reused for what is to be created
    while creates and deletes:
        new, old = creates.pop(), deletes.pop()
        annotations = endpointset.stamped(old.metadata.annotations, at)
        meta = msgspec.structs.replace(old.metadata, labels=labels, annotations=annotations)
        actions.append(
            Update(SLICE, msgspec.structs.replace(old, metadata=meta, endpoints=new.endpoints, ports=new.ports))
        )
    return [*(Create(SLICE, s) for s in creates), *actions, *(_delete(s) for s in deletes)]


def _packed(
    slices: Sequence[EndpointSlice], wanted: dict[tuple[str, ...], Endpoint], labels: dict[str, str]
) -> tuple[list[tuple[EndpointSlice, tuple[Endpoint, ...]]], list[EndpointSlice], list[tuple[Endpoint, ...]]]:
    """(slices to write with their endpoints, slices to delete, endpoints of slices to create)."""
    left = dict(wanted)
    contents: list[tuple[EndpointSlice, list[Endpoint], bool]] = []
    for one in slices:
        stay: list[Endpoint] = []
        touched = one.metadata.labels != labels
        for endpoint in one.endpoints:
            key = (endpoint.targetRef.uid if endpoint.targetRef is not None else "", *endpoint.addresses)
            new = left.pop(key, None)
            if new is None:
                touched = True
                continue
            touched |= new != endpoint
            stay.append(new)
        contents.append((one, stay, touched))
    adds = list(left.values())
    out: list[tuple[EndpointSlice, tuple[Endpoint, ...]]] = []
    remove: list[EndpointSlice] = []
    # fullest first, so that few slices are left with room
    for one, stay, touched in sorted(contents, key=lambda c: -len(c[1])):
        if not stay and touched and len(adds) == 0:
            remove.append(one)
            continue
        if touched:
            room = PER_SLICE - len(stay)
            stay.extend(adds[:room])
            adds = adds[room:]
            out.append((one, tuple(stay)))
    if adds:
        # an untouched slice that takes all that is left is better than a new one
        written = {id(one) for one, _ in out}
        fits = [
            (one, stay)
            for one, stay, touched in contents
            if not touched and id(one) not in written and len(stay) + len(adds) <= PER_SLICE
        ]
        if fits:
            one, stay = max(fits, key=lambda f: len(f[1]))
            out.append((one, (*stay, *adds)))
            adds = []
    emptied = [one for one, endpoints in out if not endpoints]
    remove.extend(emptied)
    # an empty slice beside no wanted endpoint is no use unless it is the only one, which the caller decides
    if not wanted:
        remove = list(slices)
        out = []
    out = [(one, endpoints) for one, endpoints in out if endpoints]
    return out, remove, [tuple(adds[i : i + PER_SLICE]) for i in range(0, len(adds), PER_SLICE)]


def _endpoint(world: World, pod: Pod, found: tuple[str, ...]) -> Endpoint:
    service = world.service
    serving = is_ready(pod)
    terminating = pod.metadata.deletionTimestamp is not None
    ready = service.spec.publishNotReadyAddresses or (serving and not terminating)
    node = world.nodes.get(pod.spec.nodeName)
    zone = node.metadata.labels.get(ZONE, "") if node is not None else ""
    return Endpoint(
        addresses=found,
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=endpointset.hostname(pod, service) or None,
        targetRef=endpointset.reference(pod),
        nodeName=pod.spec.nodeName or None,
        zone=zone or None,
        hints=_hints(service, pod.spec.nodeName, zone, ready),
    )


def _hints(service: Service, node: str, zone: str, ready: bool) -> EndpointHints | None:
    how = service.spec.trafficDistribution
    if not ready or not how or is_auto(service):
        return None
    zones = (ForZone(name=zone),) if zone else ()
    if how in ("PreferClose", "PreferSameZone"):
        return EndpointHints(forZones=zones) if zones else None
    if how == "PreferSameNode" and node:
        return EndpointHints(forZones=zones, forNodes=(ForNode(name=node),))
    return None


def _ports(service: Service, pod: Pod) -> Ports:
    out = []
    for port in service.spec.ports:
        number = endpointset.target_port(port, pod)
        if number is not None:
            out.append(
                EndpointPort(name=port.name, protocol=port.protocol or "TCP", port=number, appProtocol=port.appProtocol)
            )
    return tuple(out)


def _labels(service: Service) -> dict[str, str]:
    labels = {k: v for k, v in service.metadata.labels.items() if k not in RESERVED}
    if endpointset.is_headless(service):
        labels[HEADLESS] = ""
    labels[SERVICE_NAME] = service.metadata.name
    labels[MANAGED_BY] = CONTROLLER_NAME
    return labels


def _new(
    service: Service,
    family: str,
    ports: Ports,
    endpoints: tuple[Endpoint, ...],
    labels: dict[str, str],
    at: str,
) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(
            generateName=f"{service.metadata.name}-",
            namespace=service.metadata.namespace,
            labels=labels,
            annotations=endpointset.stamped({}, at),
            ownerReferences=(owner_reference(service, SERVICE),),
        ),
        addressType=family,
        endpoints=endpoints,
        ports=ports,
    )


def _delete(one: EndpointSlice) -> Delete:
    return Delete(SLICE, one.metadata.namespace, one.metadata.name, uid=one.metadata.uid)


def _slice_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    labels = (new if new is not None else old).metadata.labels
    if labels.get(MANAGED_BY) != CONTROLLER_NAME and (
        old is None or old.metadata.labels.get(MANAGED_BY) != CONTROLLER_NAME
    ):
        return ()
    names = {o.metadata.labels.get(SERVICE_NAME, "") for o in (old, new) if o is not None}
    namespace = (new if new is not None else old).metadata.namespace
    return [(namespace, name) for name in names if name]


def _node_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """Nodes that come, go or move to another zone concern the Services of their pods; their CPU and readiness those
    that share their endpoints out by it."""
    out: dict[Key, None] = {}
    if old is None or new is None or _capacity(old) != _capacity(new):
        for service in views(SERVICE).by_index("topology", "Auto"):
            out[service.metadata.namespace, service.metadata.name] = None
    if old is not None and new is not None and old.metadata.labels.get(ZONE) == new.metadata.labels.get(ZONE):
        return tuple(out)
    name = (new if new is not None else old).metadata.name
    for pod in views(POD).by_index("node", name):
        out.update(dict.fromkeys(endpointset.pod_keys(views, None, pod)))
    return tuple(out)


def _capacity(node: Node) -> tuple[Any, ...]:
    ready = next((c.status for c in node.status.conditions if c.type == "Ready"), "")
    return node.metadata.labels.get(ZONE), node.status.allocatable.get("cpu"), ready


CONTROLLER = Controller(
    name="endpointslice",
    identity="endpointslice-controller",
    component="endpoint-slice-controller",
    watches=(
        Watch(SERVICE),
        Watch(POD, endpointset.pod_keys, endpointset.POD_NEEDS),
        Watch(SLICE, _slice_keys),
        Watch(NODE, _node_keys),
    ),
    gather=gather,
    reconcile=reconcile,
)
