"""What objects count for in quotas, and which quotas count them."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.resourcequota import KIND as QUOTA
from pelamis.api.quota import CLAIMS, Devices, in_scope, resources, usage_of
from pelamis.api.resource.deviceclass import KIND as CLASS
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


def claim_of(name: str, pod: str = "", created: str = "2026-01-01T00:00:00Z") -> Any:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": f"uid-{pod}", "controller": True}
    meta = {"name": name, "namespace": "n", "creationTimestamp": created}
    if pod:
        annotations = {"resource.kubernetes.io/extended-resource-claim": "true"}
        meta |= {"ownerReferences": [owner], "annotations": annotations}
    request = {"name": "a", "exactly": {"deviceClassName": "gpu", "count": 3}}
    return made(DEVICES, {"metadata": meta, "spec": {"devices": {"requests": [request]}}})


def pod_of(name: str, requests: dict[str, str], claim: str = "", phase: str = "Pending") -> Any:
    containers = [{"name": "c", "image": "i", "resources": {"requests": requests, "limits": requests}}]
    tree: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "n", "uid": f"uid-{name}"},
        "spec": {"containers": containers},
        "status": {"phase": phase},
    }
    if claim:
        tree["status"]["extendedResourceClaimStatus"] = {"resourceClaimName": claim, "requestMappings": []}
    return made(POD, tree, prepared=False)


EXPLICIT, IMPLICIT = "requests.example.com/gpu", "requests.deviceclass.resource.kubernetes.io/gpu"
BY_NAME, BY_CLASS = {"example.com/gpu": "2"}, {"deviceclass.resource.kubernetes.io/gpu": "3"}


@pytest.mark.parametrize(
    ("resource", "pod", "others", "explicit", "implicit"),
    [
        ("example.com/gpu", None, (), 3, 3),
        ("", None, (), 0, 3),
        ("example.com/gpu", pod_of("p", BY_NAME), (), 1, 3),
        ("example.com/gpu", pod_of("p", BY_CLASS), (), 3, 0),
        ("example.com/gpu", pod_of("p", BY_NAME, "mine"), (), 1, 3),
        ("example.com/gpu", pod_of("p", BY_NAME, "other"), (), 3, 3),
        ("example.com/gpu", pod_of("p", BY_NAME, "mine", "Succeeded"), (), 3, 3),
        ("example.com/gpu", pod_of("p", BY_NAME), (claim_of("z", "p"),), 1, 3),
        ("example.com/gpu", pod_of("p", BY_NAME), (claim_of("a", "p"),), 3, 3),
        ("example.com/gpu", pod_of("p", BY_NAME), (claim_of("z", "p", "2025-01-01T00:00:00Z"),), 3, 3),
        ("example.com/gpu", pod_of("q", BY_NAME), (), 3, 3),
    ],
)
def test_extended_resources_that_a_claim_takes(
    resource: str, pod: Any, others: tuple[Any, ...], explicit: int, implicit: int
) -> None:
    spec = {"extendedResourceName": resource} if resource else {}
    device_class = made(CLASS, {"metadata": {"name": "gpu"}, "spec": spec})
    claim = claim_of("mine", "p" if pod is not None else "")
    devices = Devices(
        {"gpu": device_class}.get,
        lambda namespace, name: pod if (namespace, name) == ("n", "p") else None,
        lambda uid: (claim, *others) if uid == "uid-p" else (),
    )
    usage = usage_of(CLAIMS, claim, devices)
    assert (usage[EXPLICIT] // NANO, usage[IMPLICIT] // NANO) == (explicit, implicit)
    assert EXPLICIT not in usage_of(CLAIMS, claim, Devices(lambda name: None, devices.pod, devices.owned))
    assert resources(made(QUOTA, {"metadata": {"name": "q"}, "spec": {"hard": {EXPLICIT: "1"}}})) == {"pods", CLAIMS}
    assert resources(made(QUOTA, {"metadata": {"name": "q"}, "spec": {"hard": {IMPLICIT: "1"}}})) == {"pods", CLAIMS}
