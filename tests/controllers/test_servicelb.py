"""Addresses of load balancers: one each, out of the pool, given back at the end."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pelamis.api.core.service import Service
from pelamis.client.types import Outcome
from pelamis.controllers.servicelb import FINALIZER, World, concerns, reconcile

POOL = (IPv4Network("10.95.0.0/29"),)


def service(name: str, ip: str = "", *, finalizer: bool = False, going: bool = False, **spec: Any) -> Any:
    meta: dict[str, Any] = {"name": name, "namespace": "ns", "uid": name}
    if finalizer:
        meta["finalizers"] = ["other", FINALIZER]
    if going:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = {"loadBalancer": {"ingress": [{"ip": ip}]}} if ip else {}
    tree = {"metadata": meta, "spec": {"type": "LoadBalancer", **spec}, "status": status}
    return msgspec.convert(tree, Service)


def plan(*services: Any, told: dict[str, str] | None = None) -> tuple[dict[str, Any], list[str], dict[str, str]]:
    made = reconcile(World(services, POOL, told or {}), 0.0)
    given: dict[str, Any] = {}
    for action in made.actions:
        body = action.body  # type: ignore[union-attr]
        ingress = body["status"]["loadBalancer"]["ingress"]
        given[action.name] = ingress[0]["ip"] if ingress else None  # type: ignore[union-attr]
        if ingress and ingress[0].get("ipMode"):
            assert FINALIZER in body["metadata"]["finalizers"]
    return given, [e.reason for e in made.events], made.memo if isinstance(made.memo, dict) else {}


def test_each_gets_an_address_of_its_own() -> None:
    held = service("a", "10.95.0.2", finalizer=True)
    given, events, _ = plan(held, service("b"), service("c"), service("d", loadBalancerIP="10.95.0.6"))
    assert given == {"b": "10.95.0.1", "c": "10.95.0.3", "d": "10.95.0.6"}
    assert events == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"] * 3


def test_what_cannot_be_given_is_told_once() -> None:
    outside, taken = service("a", loadBalancerIP="192.0.2.1"), service("b", loadBalancerIP="10.95.0.1")
    holder = service("h", "10.95.0.1", finalizer=True)
    given, events, told = plan(holder, outside, taken)
    assert not given
    assert events == ["SyncLoadBalancerFailed"] * 2
    assert told == {
        "a": "the address 192.0.2.1 is not of the pool 10.95.0.0/29",
        "b": "the address 10.95.0.1 is taken by another Service",
    }
    assert plan(holder, outside, taken, told=told)[1] == []


def test_an_address_is_given_back() -> None:
    kept = {"finalizer": True, "ip": "10.95.0.1"}
    given, events, _ = plan(service("a", going=True, **kept))
    assert given == {"a": None}
    assert events == ["DeletingLoadBalancer", "DeletedLoadBalancer"]
    assert plan(service("a", type="ClusterIP", **kept))[0] == {"a": None}
    assert plan(service("a", loadBalancerClass="x.io/y", **kept))[0] == {"a": "10.95.0.1"}
    assert not concerns(service("a", loadBalancerClass="x.io/y"))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["", "10.95.0.3", "10.95.0.4"])), max_size=9))
def test_no_two_share_an_address(wanted: list[tuple[bool, str]]) -> None:
    services = [
        service(f"s{i}", f"10.95.0.{i + 1}" if held and i < 6 else "", finalizer=held, loadBalancerIP=asked)
        for i, (held, asked) in enumerate(wanted)
    ]
    made = reconcile(World(services, POOL, {}), 0.0)
    assert made.on_outcomes is None or not made.on_outcomes([Outcome(1, None)] * len(made.actions)).error
    after = {s.metadata.name: next((i.ip for i in s.status.loadBalancer.ingress), "") for s in services}
    for action in made.actions:
        after[action.name] = action.body["status"]["loadBalancer"]["ingress"][0]["ip"]  # type: ignore[union-attr]
    addresses = [ip for ip in after.values() if ip]
    assert len(addresses) == len(set(addresses))
    assert all(IPv4Network(ip).subnet_of(POOL[0]) for ip in addresses)
