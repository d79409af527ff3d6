"""Ranges of cluster IPs: ready, and kept while an address is in no other range."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.networking.ipaddress import ALLOCATOR, MANAGED_BY, IPAddress
from pelamis.api.networking.servicecidr import ServiceCIDR
from pelamis.base.clock import rfc3339
from pelamis.client.types import Patch, Update
from pelamis.controllers import servicecidr
from tests.api.made import of

NOW = 1_700_000_000.0
LABELS = {MANAGED_BY: ALLOCATOR}


def cidr(name: str, *networks: str, gone_s: float = -1.0, ready: str = "", held: bool = True) -> Any:
    meta: dict[str, Any] = {"name": name, "finalizers": [servicecidr.FINALIZER] if held else []}
    if gone_s >= 0:
        meta["deletionTimestamp"] = rfc3339(NOW - gone_s)
    conditions = [{"type": "Ready", "status": "True", "reason": "", "message": ready}] if ready else []
    return of(ServiceCIDR, {"metadata": meta, "spec": {"cidrs": networks}, "status": {"conditions": conditions}})


def address(ip: str, labels: Any = LABELS) -> Any:
    return of(IPAddress, {"metadata": {"name": ip, "labels": labels}})


@pytest.mark.parametrize(
    ("others", "addresses", "needed"),
    [
        ([], [], False),
        ([], [address("10.1.0.5")], True),
        ([], [address("10.2.0.5")], False),
        ([], [address("10.1.0.5", {})], False),
        ([cidr("b", "10.1.0.0/25")], [address("10.1.0.5")], False),
        ([cidr("b", "10.1.0.0/25")], [address("10.1.0.205")], True),
        ([cidr("b", "10.0.0.0/8")], [address("10.1.0.5")], False),
        ([cidr("b", "2001:db8::/64")], [address("10.1.0.5")], True),
    ],
)
def test_what_needs_a_range(others: list[Any], addresses: list[Any], needed: bool) -> None:
    one = cidr("a", "10.1.0.0/24")
    assert servicecidr._is_needed(one, [one, *others], addresses) is needed


READY = "Kubernetes Service CIDR is ready"


@pytest.mark.parametrize(
    ("one", "needed", "does"),
    [
        (cidr("a", "10.1.0.0/24", held=False), False, ["+finalizer", "True"]),
        (cidr("a", "10.1.0.0/24"), False, ["True"]),
        (cidr("a", "10.1.0.0/24", ready=READY), False, []),
        (cidr("a", "10.1.0.0/24", ready="Kubernetes default Service CIDR is ready"), False, ["True"]),
        (cidr("a", "10.1.0.0/24", ready=READY, gone_s=60), True, ["False"]),
        (cidr("a", "10.1.0.0/24", ready=READY, gone_s=4), False, ["in 6"]),
        (cidr("a", "10.1.0.0/24", ready=READY, gone_s=10), False, ["-finalizer"]),
    ],
)
def test_steps(one: Any, needed: bool, does: list[str]) -> None:
    plan = servicecidr.reconcile(servicecidr.World(one, needed), NOW)
    out = []
    for action in (*plan.actions, *plan.then):
        if isinstance(action, Update):
            out.append("+finalizer" if action.obj.metadata.finalizers else "-finalizer")
        elif isinstance(action, Patch):
            assert action.manager == "service-cidr-controller"
            out.append(action.body["status"]["conditions"][0]["status"])
    if plan.requeue_at is not None:
        out.append(f"in {plan.requeue_at - NOW:.0f}")
    assert out == does
