"""What objects count for in quotas, and which quotas count them."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.resourcequota import KIND as QUOTA
from pelamis.api.quota import in_scope, resources, usage_of
from pelamis.api.resource.resourceclaim import KIND as DEVICES
from pelamis.base.quantity import NANO
from tests.api.made import made

GI = 1 << 30


@pytest.mark.parametrize(
    ("status", "size"),
    [({}, 2), ({"allocatedResources": {"storage": "3Gi"}}, 3), ({"allocatedResources": {"storage": "1Gi"}}, 2)],
)
def test_a_claim_counts_what_it_may_have_grown_to(status: dict[str, Any], size: int) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    claim = made(CLAIM, {"metadata": {"name": "c"}, "spec": spec, "status": status}, prepared=False)
    assert usage_of("persistentvolumeclaims", claim)["requests.storage"] == size * GI * NANO


def test_devices_of_a_resource_claim() -> None:
    exactly = {"name": "a", "exactly": {"deviceClassName": "gold", "count": 2}}
    every = {"name": "b", "exactly": {"deviceClassName": "iron", "allocationMode": "All"}}
    first = [("gold", 1), ("gold", 3), ("tin", 2)]
    choice = {
        "name": "c",
        "firstAvailable": [{"name": f"o{i}", "deviceClassName": c, "count": n} for i, (c, n) in enumerate(first)],
    }
    claim = made(DEVICES, {"metadata": {"name": "c"}, "spec": {"devices": {"requests": [exactly, every, choice]}}})
    assert {n: v // NANO for n, v in usage_of("resourceclaims.resource.k8s.io", claim).items()} == {
        "count/resourceclaims.resource.k8s.io": 1,
        "gold.deviceclass.resource.k8s.io/devices": 5,
        "iron.deviceclass.resource.k8s.io/devices": 32,
        "tin.deviceclass.resource.k8s.io/devices": 2,
    }
    hard = {"hard": {"gold.deviceclass.resource.k8s.io/devices": "1"}}
    assert resources(made(QUOTA, {"metadata": {"name": "q"}, "spec": hard})) == {"resourceclaims.resource.k8s.io"}


@pytest.mark.parametrize(
    ("operator", "values", "found"),
    [
        ("In", ["gold"], [False, True, True, False]),
        ("NotIn", ["gold"], [True, False, True, True]),
        ("Exists", [], [False, True, True, True]),
        ("DoesNotExist", [], [True, False, False, False]),
    ],
)
def test_the_attributes_classes_of_a_claim(operator: str, values: list[str], found: list[bool]) -> None:
    """That which it wants counts, and that which it has: while it changes, both."""
    term = {"scopeName": "VolumeAttributesClass", "operator": operator, **({"values": values} if values else {})}
    quota = made(QUOTA, {"metadata": {"name": "q"}, "spec": {"scopeSelector": {"matchExpressions": [term]}}})
    claims = [
        ({}, {}),
        ({"volumeAttributesClassName": "gold"}, {}),
        ({"volumeAttributesClassName": "iron"}, {"currentVolumeAttributesClassName": "gold"}),
        ({"volumeAttributesClassName": "iron"}, {"currentVolumeAttributesClassName": "iron"}),
    ]
    made_of = [
        made(CLAIM, {"metadata": {"name": "c"}, "spec": spec, "status": status}, prepared=False)
        for spec, status in claims
    ]
    assert [in_scope(quota, "persistentvolumeclaims", claim) for claim in made_of] == found
