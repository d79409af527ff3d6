"""Service load balancer: each Service of type LoadBalancer gets an address out of the cluster's pool.

The service proxies of the nodes route the address; nothing else has to be set up. One key stands for all Services,
since no two may get the same address. A Service that names a ``loadBalancerClass`` is another implementation's. The
finalizer keeps a Service that goes until its address is given back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.service import Service
from pelamis.client.types import Key, Outcome, Patch
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
ALL: Key = ("", "")


@dataclass(frozen=True, slots=True)
class World:
    """services: those that want a balancer or have one, oldest first. told: uids of those refused, and why."""

    services: Sequence[Service]
    pool: Sequence[IPv4Network]
    told: dict[str, str]


def wants(service: Service) -> bool:
    spec = service.spec
    return (
        spec.type == "LoadBalancer"
        and spec.loadBalancerClass is None
        and service.metadata.deletionTimestamp is None
        and "IPv4" in (spec.ipFamilies or ("IPv4",))
    )


def concerns(service: Service) -> bool:
    return wants(service) or FINALIZER in service.metadata.finalizers


def addresses(pool: Sequence[IPv4Network]) -> Iterator[str]:
    for network in pool:
        whole = network.prefixlen >= 31
        yield from map(str, network if whole else network.hosts())


def _contains(pool: Sequence[IPv4Network], text: str) -> bool:
    try:
        address = IPv4Address(text)
    except ValueError:
        return False
    return any(address in network for network in pool)


def _held(service: Service) -> str:
    return next((i.ip for i in service.status.loadBalancer.ingress if i.ip), "")


def _patch(service: Service, finalizers: Sequence[str], ingress: Sequence[dict[str, str]]) -> Patch:
    meta = service.metadata
    body = {
        "metadata": {"uid": meta.uid, "finalizers": list(finalizers)},
        "status": {"loadBalancer": {"ingress": list(ingress) or None}},
    }
    return Patch(SERVICE, meta.namespace, meta.name, body, subresource="status", rev=meta.resourceVersion)


def _events(service: Service, *notes: tuple[str, str]) -> Iterator[EventNote]:
    for reason, message in notes:
        yield EventNote(service, "Normal", reason, message)


def reconcile(world: World, now: float) -> Plan:
    actions: list[Patch] = []
    events: list[EventNote] = []
    told: dict[str, str] = {}
    wanting = [s for s in world.services if wants(s)]
    used = {_held(s) for s in wanting if _contains(world.pool, _held(s))}
    free = (address for address in addresses(world.pool) if address not in used)
    for service in world.services:
        meta, spec = service.metadata, service.spec
        if not wants(service):
            if FINALIZER in meta.finalizers:
                kept = [f for f in meta.finalizers if f != FINALIZER]
                left = spec.type == "LoadBalancer" and spec.loadBalancerClass is not None
                actions.append(_patch(service, kept, ({"ip": _held(service)},) if left and _held(service) else ()))
                notes = (
                    ("DeletingLoadBalancer", "Deleting load balancer"),
                    ("DeletedLoadBalancer", "Deleted load balancer"),
                )
                events.extend(_events(service, *notes))
            continue
        held, asked = _held(service), spec.loadBalancerIP
        if held in used and (not asked or asked == held) and FINALIZER in meta.finalizers:
            continue
        problem, address = "", held if held in used else ""
        if asked and asked != address:
            if not _contains(world.pool, asked):
                problem = f"the address {asked} is not of the pool {', '.join(map(str, world.pool))}"
            elif asked in used:
                problem = f"the address {asked} is taken by another Service"
            else:
                address = asked
        elif not address:
            address = next(free, "")
            if not address:
                problem = f"no address is free in the pool {', '.join(map(str, world.pool))}"
        if problem:
            told[meta.uid] = problem
            if world.told.get(meta.uid) != problem:
                message = f"Error syncing load balancer: failed to ensure load balancer: {problem}"
                events.append(EventNote(service, "Warning", "SyncLoadBalancerFailed", message))
            continue
        used.add(address)
        finalizers = [*meta.finalizers, *(() if FINALIZER in meta.finalizers else (FINALIZER,))]
        actions.append(_patch(service, finalizers, ({"ip": address, "ipMode": "VIP"},)))
        notes = (("EnsuringLoadBalancer", "Ensuring load balancer"), ("EnsuredLoadBalancer", "Ensured load balancer"))
        events.extend(_events(service, *notes))
    if not actions and not events:
        return Plan(memo=told) if told != world.told else NOTHING

    def done(outcomes: Sequence[Outcome]) -> Plan:
        lost = [o.error for o in outcomes if o.error is not None and o.error.reason != "NotFound"]
        return Plan(memo=told, error=lost[0].message if lost else "")

    return Plan(actions=actions, events=events, on_outcomes=done, memo=told)


def _keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """Only what the balancer is about: other changes of a Service leave it alone."""
    if not any(s is not None and concerns(s) for s in (old, new)):
        return ()
    if old is not None and new is not None and _aspects(old) == _aspects(new):
        return ()
    return (ALL,)


def _aspects(service: Service) -> tuple[Any, ...]:
    spec, meta = service.spec, service.metadata
    about = (spec.type, spec.loadBalancerClass, spec.loadBalancerIP, spec.ipFamilies)
    return (*about, meta.finalizers, meta.deletionTimestamp, service.status.loadBalancer)


def controller(pool: Sequence[str]) -> Controller:
    """pool: ranges in CIDR notation."""
    networks = tuple(IPv4Network(cidr, strict=False) for cidr in pool)

    def gather(views: Views, key: Key) -> World:
        found = [s for s in views(SERVICE).list() if concerns(s)]
        found.sort(key=lambda s: (s.metadata.creationTimestamp, s.metadata.namespace, s.metadata.name))
        return World(found, networks, views.memo(key) or {})

    return Controller(
        name="servicelb",
        identity="service-controller",
        component="service-controller",
        watches=(Watch(SERVICE, _keys),),
        gather=gather,
        reconcile=reconcile,
    )
