"""Ranges of cluster IPs: each ServiceCIDR is made ready, and one that is to go stays while addresses need it.

An address needs a range when no other range contains it. The finalizer comes off ten seconds after the deletion at the
earliest, so that every API server has stopped handing out its addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.networking.ipaddress import ALLOCATOR, MANAGED_BY, IPAddress
from pelamis.api.networking.ipaddress import KIND as IPADDRESS
from pelamis.api.networking.servicecidr import KIND as SERVICECIDR
from pelamis.api.networking.servicecidr import ServiceCIDR
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.client.types import Action, Key, Patch
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.protection import protect
from pelamis.reconcile.spec import Controller, Views, Watch

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
NAME = "service-cidr-controller"
GRACE_S = 10.0

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class World:
    """needed: an address of its range is in no other one; looked for only in a range that is to go."""

    cidr: ServiceCIDR
    needed: bool


def networks(cidr: ServiceCIDR) -> list[_Network]:
    return [ipaddress.ip_network(text, strict=False) for text in cidr.spec.cidrs]


def _is_within(one: _Network, other: _Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and one.subnet_of(other)


def _is_needed(cidr: ServiceCIDR, all_cidrs: Sequence[ServiceCIDR], addresses: Iterable[IPAddress]) -> bool:
    """all_cidrs: those that are to go themselves count too, as upstream counts them."""
    mine = networks(cidr)
    others = [n for other in all_cidrs if other.metadata.name != cidr.metadata.name for n in networks(other)]
    if all(any(_is_within(one, other) for other in others) for one in mine):
        return False
    for record in addresses:
        if record.metadata.labels.get(MANAGED_BY) != ALLOCATOR:
            continue
        address = ipaddress.ip_address(record.metadata.name)
        if any(address in one for one in mine) and not any(address in other for other in others):
            return True
    return False


def gather(views: Views, key: Key) -> World | None:
    cidr: ServiceCIDR | None = views(SERVICECIDR).get(*key)
    if cidr is None:
        return None
    needed = False
    if cidr.metadata.deletionTimestamp is not None:
        needed = _is_needed(cidr, views(SERVICECIDR).list(), views(IPADDRESS).list())
    return World(cidr, needed)


def reconcile(world: World, now: float) -> Plan:
    cidr = world.cidr
    deleted = cidr.metadata.deletionTimestamp
    if deleted is None:
        held = protect(SERVICECIDR, cidr, FINALIZER, used=True)
        # the condition is applied, so it bears no revision and may follow at once
        ready = _condition(cidr, "True", "", "Kubernetes Service CIDR is ready", now)
        if held is NOTHING and not ready:
            return NOTHING
        return Plan(actions=held.actions, then=ready) if held.actions else _told(cidr, ready)
    if world.needed:
        message = (
            "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
        )
        return Plan(actions=_condition(cidr, "False", "Terminating", message, now))
    due = parse_rfc3339(deleted) + GRACE_S
    return Plan(requeue_at=due) if now < due else protect(SERVICECIDR, cidr, FINALIZER, used=False)


def _told(cidr: ServiceCIDR, actions: tuple[Action, ...]) -> Plan:
    def done(outcomes: Any) -> Plan:
        error = outcomes[0].error
        if error is None:
            return NOTHING
        text = "The ServiceCIDR Status can not be set to Ready=True"
        return Plan(events=(EventNote(cidr, "Warning", "KubernetesServiceCIDRError", text),), error=error.message)

    return Plan(actions=actions, on_outcomes=done)


def _condition(cidr: ServiceCIDR, status: str, reason: str, message: str, now: float) -> tuple[Action, ...]:
    old = next((c for c in cidr.status.conditions if c.type == "Ready"), None)
    if old is not None and (old.status, old.reason, old.message) == (status, reason, message):
        return ()
    new = {"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": rfc3339(now)}
    body = {
        "apiVersion": SERVICECIDR.api_version,
        "kind": SERVICECIDR.kind,
        "metadata": {"name": cidr.metadata.name},
        "status": {"conditions": [new]},
    }
    return (Patch(SERVICECIDR, "", cidr.metadata.name, body, "apply", "status", force=True, manager=NAME),)


def _overlapping(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """Itself; and when it comes or goes, those that it may make needless or needed."""
    cidr = new if new is not None else old
    keys = {("", cidr.metadata.name)}
    if old is None or new is None:
        mine = networks(cidr)
        for other in views(SERVICECIDR).list():
            if any(one.overlaps(n) for one in mine for n in networks(other) if n.version == one.version):
                keys.add(("", other.metadata.name))
    return sorted(keys)


def _containing(views: Views, old: Any, new: Any) -> Sequence[Key]:
    record = new if new is not None else old
    if (old is not None and new is not None) or record.metadata.labels.get(MANAGED_BY) != ALLOCATOR:
        return ()
    address = ipaddress.ip_address(record.metadata.name)
    return [("", cidr.metadata.name) for cidr in views(SERVICECIDR).list() if any(address in n for n in networks(cidr))]


CONTROLLER = Controller(
    name="servicecidr",
    identity="service-cidrs-controller",
    component=NAME,
    watches=(Watch(SERVICECIDR, _overlapping), Watch(IPADDRESS, _containing)),
    gather=gather,
    reconcile=reconcile,
)
