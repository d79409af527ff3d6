"""Validation of dynamic resource allocation: what upstream accepts, what it refuses, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.kind import Kind
from pelamis.api.resource.deviceclass import KIND as CLASS
from pelamis.api.resource.devicetaintrule import KIND as TAINT
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.api.resource.resourcepoolstatusrequest import KIND as POOLS
from pelamis.api.resource.resourceslice import KIND as SLICE
from tests.api.core.build import errors, make, merge

Tree = dict[str, Any]
EXACT = {"deviceClassName": "gpu"}
UID = "0f0f0f0f-0000-4000-8000-000000000001"


def claim(*requests: Tree, **more: Any) -> Tree:
    return {"spec": {"devices": {"requests": list(requests), **more}}}


def one(**exactly: Any) -> Tree:
    return {"name": "one", "exactly": {**EXACT, **exactly}}


def cel(text: str) -> Tree:
    return {"cel": {"expression": text}}


def device(**more: Any) -> Tree:
    return {"name": "d", **more}


def sliced(*devices: Tree, **more: Any) -> Tree:
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    return {"spec": {"driver": "x.test", "nodeName": "n", "pool": pool, "devices": list(devices), **more}}


def shared(value: str, **policy: Any) -> Tree:
    return device(allowMultipleAllocations=True, capacity={"m": {"value": value, "requestPolicy": policy}})


VALID: list[tuple[Kind, Tree]] = [
    (CLAIM, claim()),
    (CLAIM, claim(one(selectors=[cel("device.driver == 'x.test' && device.attributes['x.test'].size > 3")]))),
    (CLAIM, claim(one(selectors=[cel("device.capacity['x.test'].memory.compareTo(quantity('1Gi')) >= 0")]))),
    (
        CLAIM,
        claim(
            one(derivedAttributes=[{"name": "x.test/half", "expression": "device.attributes['x.test'].size / 2"}]),
            constraints=[{"requests": ["one"], "matchAttribute": "x.test/half"}],
        ),
    ),
    (CLASS, {"spec": {"extendedResourceName": "x.test/gpu"}}),
    (SLICE, sliced(device(attributes={"x.test/a": {"version": "1.2.3-rc.1+b"}, "l": {"strings": ["a", "b"]}}))),
    (SLICE, sliced(shared("10Gi", default="2Gi", validRange={"min": "1Gi", "max": "9Gi", "step": "1Gi"}))),
    (SLICE, sliced(shared("2", default="1500m", validRange={"min": "500m", "step": "250m"}))),
    (SLICE, sliced(sharedCounters=[{"name": "set", "counters": {"c": {"value": "1"}}}])),
    (
        SLICE,
        sliced(
            device(
                consumesCounters=[{"counterSet": "set", "counters": {"c": {"value": "1"}}}],
                attributes={"t": {"string": "a"}},
            ),
            partitionTypeAttribute="x.test/t",
        ),
    ),
    (POOLS, {"spec": {"driver": "x.test", "poolName": "a/b", "limit": 1000}}),
]


@pytest.mark.parametrize(("kind", "tree"), VALID, ids=lambda x: x.kind if isinstance(x, Kind) else "")
def test_accepts(kind: Kind, tree: Tree) -> None:
    assert errors(kind, tree) == []


_REQUEST = "spec.devices.requests[0]"
INVALID: list[tuple[Kind, Tree, list[str]]] = [
    (
        CLAIM,
        claim({"name": "a"}),
        [f"{_REQUEST}: Required value: exactly one of `exactly` or `firstAvailable` is required"],
    ),
    (
        CLAIM,
        claim(one(), one()),
        ['spec.devices.requests[1]: Duplicate value: "one"'],
    ),
    (
        CLAIM,
        claim(*(merge(one(), {"name": f"r{i}"}) for i in range(33))),
        ["spec.devices.requests: Too many: 33: must have at most 32 items"],
    ),
    (
        CLAIM,
        claim(one(count=2, allocationMode="All")),
        [f"{_REQUEST}.exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"],
    ),
    (
        CLAIM,
        claim(one(allocationMode="Some")),
        [f'{_REQUEST}.exactly.allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"'],
    ),
    (
        CLAIM,
        claim(one(selectors=[cel("device.driver")])),
        [
            f'{_REQUEST}.exactly.selectors[0].cel.expression: Invalid value: "device.driver": '
            "must evaluate to bool or the unknown type, not string"
        ],
    ),
    (
        CLAIM,
        claim(one(tolerations=[{"key": "a", "operator": "Exists", "value": "v"}])),
        [f'{_REQUEST}.exactly.tolerations[0].value: Invalid value: "v": must be empty for operator `Exists`'],
    ),
    (
        CLAIM,
        claim(one(derivedAttributes=[{"name": "x.test/a", "expression": "1"}])),
        [
            f'{_REQUEST}.exactly.derivedAttributes[0].name: Invalid value: "x.test/a": must be referenced by at least '
            "one matchAttribute or distinctAttribute constraint targeting this request"
        ],
    ),
    (
        CLAIM,
        claim(one(), constraints=[{"requests": ["two"], "matchAttribute": "size"}]),
        [
            'spec.devices.constraints[0].requests[0]: Invalid value: "two": must be the name of a request in the claim '
            "or the name of a request and a subrequest separated by '/'",
            'spec.devices.constraints[0].matchAttribute: Invalid value: "size": '
            "a fully qualified name must be a domain and a name separated by a slash",
        ],
    ),
    (CLAIM, claim(one(), config=[{}]), ["spec.devices.config[0].opaque: Required value"]),
    (
        CLAIM,
        claim(one(), config=[{"opaque": {"driver": "x.test", "parameters": [1]}}]),
        ['spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object'],
    ),
    (
        CLASS,
        {"spec": {"extendedResourceName": "gpu"}},
        [
            'spec.extendedResourceName: Invalid value: "gpu": '
            "a name must be a domain-prefixed path, such as 'example.com/my-prop'"
        ],
    ),
    (TAINT, {"spec": {"taint": {"key": "k"}}}, ["spec.taint.effect: Required value"]),
    (
        SLICE,
        sliced(allNodes=True),
        [
            'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, '
            "`perDeviceNodeSelection` is required, but multiple fields are set"
        ],
    ),
    (
        SLICE,
        sliced(nodeName="", allNodes=False),
        [
            'spec.nodeName: Invalid value: "": must be either unset or set to a non-empty string',
            "spec.allNodes: Invalid value: false: must be either unset or set to true",
            "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` "
            "is required",
        ],
    ),
    (
        SLICE,
        sliced(device(), sharedCounters=[{"name": "s", "counters": {"c": {"value": "1"}}}]),
        ['spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed'],
    ),
    (
        SLICE,
        sliced(device(nodeName="n")),
        [
            "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if "
            "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        ],
    ),
    (
        SLICE,
        sliced(device(attributes={"a": {"version": "1.2"}, "b": {}})),
        [
            'spec.devices[0].attributes[a].version: Invalid value: "1.2": '
            "must be a string compatible with semver.org spec 2.0.0",
            'spec.devices[0].attributes[b]: Invalid value: "": exactly one value must be specified',
        ],
    ),
    (
        SLICE,
        sliced(*(device(name=f"d{i}", taints=[{"key": "k", "effect": "None"}]) for i in range(65))),
        ["spec.devices: Too many: 65: must have at most 64 items"],
    ),
    (
        SLICE,
        sliced(device(attributes={"l": {"ints": list(range(49))}})),
        ["spec.devices[0]: Invalid value: 49: the total number of attribute values must not exceed 48"],
    ),
    (
        SLICE,
        sliced(device(capacity={"m": {"value": "1", "requestPolicy": {"default": "1"}}})),
        ["spec.devices[0].capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true"],
    ),
    (
        SLICE,
        sliced(shared("4", default="3", validValues=["2", "1", "8"])),
        [
            'spec.devices[0].capacity[m].requestPolicy.validValues[1]: Invalid value: "1": '
            "values must be sorted in ascending order",
            'spec.devices[0].capacity[m].requestPolicy.validValues[2]: Invalid value: "8": '
            "option is larger than capacity value: 4",
            'spec.devices[0].capacity[m].requestPolicy.validValues: Invalid value: "3": '
            "default value is not valid according to the requestPolicy",
        ],
    ),
    (
        SLICE,
        sliced(shared("10", default="4", validRange={"min": "1", "step": "2"})),
        [
            'spec.devices[0].capacity[m].requestPolicy.validRange.step: Invalid value: "4": '
            "value is not a multiple of a given step (2) from (1)"
        ],
    ),
    (
        SLICE,
        sliced(device(bindingConditions=["a"], bindingFailureConditions=["a"])),
        [
            'spec.devices[0].bindingFailureConditions[0]: Invalid value: "a": '
            "bindingFailureConditions must not overlap with bindingConditions"
        ],
    ),
    (
        SLICE,
        sliced(device(nodeAllocatableResources={"gpu": {"mapping": {"capacityKey": "x"}}})),
        [
            'spec.devices[0].nodeAllocatableResources[gpu]: Invalid value: "gpu": '
            "must be a node allocatable resource name",
            'spec.devices[0].nodeAllocatableResources[gpu].mapping.capacityKey: Not found: "x"',
            "spec.devices[0].nodeAllocatableResources[gpu].mapping.capacityMultiplier: Required value: "
            "capacityMultiplier is required when capacityKey is set",
        ],
    ),
    (
        SLICE,
        sliced(device(), partitionTypeAttribute="x.test/t"),
        [
            'spec.partitionTypeAttribute: Invalid value: "x.test/t": '
            "may only be set on a slice which declares devices that consume counters"
        ],
    ),
    (
        SLICE,
        sliced(skipNodeOperations=["NodePrepareResources"]),
        [
            'spec.skipNodeOperations: Invalid value: ["NodePrepareResources"]: '
            "NodePrepareResources cannot be skipped unless NodeUnprepareResources is also skipped"
        ],
    ),
    (
        POOLS,
        {"spec": {"driver": "x.test", "limit": 0}},
        ["spec.limit: Invalid value: 0: must be greater than or equal to 1"],
    ),
]


@pytest.mark.parametrize(("kind", "tree", "wanted"), INVALID, ids=lambda x: x.kind if isinstance(x, Kind) else "")
def test_refuses(kind: Kind, tree: Tree, wanted: list[str]) -> None:
    assert errors(kind, tree) == wanted


_RESULT = {"request": "one", "driver": "x.test", "pool": "p", "device": "d"}
_DEVICE = {"driver": "x.test", "pool": "p", "device": "d"}


def allocated(*devices: Tree, **more: Any) -> Tree:
    status = {"allocation": {"devices": {"results": [{**_RESULT, **more}]}}, "devices": list(devices)}
    return {**claim(one()), "status": status}


@pytest.mark.parametrize(
    ("tree", "wanted"),
    [
        (allocated(), []),
        (allocated({**_DEVICE, "networkData": {"ips": ["10.0.0.1/24", "2001:db8::1/64"]}}), []),
        (allocated({**_DEVICE, "shareID": UID}, shareID=UID), []),
        (
            allocated(request="two"),
            [
                'status.allocation.devices.results[0].request: Invalid value: "two": must be the name of a request in '
                "the claim or the name of a request and a subrequest separated by '/'"
            ],
        ),
        (
            allocated({**_DEVICE, "device": "e"}),
            [
                'status.devices[0]: Invalid value: {"driver":"x.test","pool":"p","device":"e"}: '
                "must be an allocated device in the claim"
            ],
        ),
        (
            allocated({**_DEVICE, "networkData": {"ips": ["10.0.0.1"]}}),
            [
                'status.devices[0].networkData.ips[0]: Invalid value: "10.0.0.1": '
                "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
            ],
        ),
        (
            allocated(shareID="x"),
            [
                'status.allocation.devices.results[0].shareID: Invalid value: "x": '
                "must be a lowercase UUID in 8-4-4-4-12 format"
            ],
        ),
        (
            {**claim(one()), "status": {"reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]}},
            ["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"],
        ),
    ],
)
def test_allocation(tree: Tree, wanted: list[str]) -> None:
    new, old = make(CLAIM, tree), make(CLAIM, claim(one()))
    assert [str(e) for e in CLAIM.validate_status_update(new, old)] == wanted
    if not wanted:
        assert not CLAIM.validate_status_update(new, new)
        other = merge(tree, {"status": {"devices": None, "allocation": {"devices": {"results": []}}}})
        problems = CLAIM.validate_status_update(make(CLAIM, other), new)
        assert [e.field for e in problems] == ["status.allocation"]
