"""Endpoints and EndpointSlices, case by case: a Service and its pods in; addresses, ports and writes out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.core import endpoints as core
from pelamis.api.core.endpoints import Endpoints
from pelamis.api.core.node import Node
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.service import Service
from pelamis.api.core.wellknown import HEADLESS, SERVICE_NAME, ZONE
from pelamis.api.discovery import endpointslice as endpointslices
from pelamis.base import errors
from pelamis.client.types import Create, Delete, Outcome, Update
from pelamis.controllers import endpoints, endpointslice
from pelamis.reconcile import endpointset
from tests.api.made import of

NOW = 1_700_000_000.0


def service(**spec: Any) -> Any:
    labels = spec.pop("labels", {})
    body = {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": 8080}], "ipFamilies": ["IPv4"], **spec}
    return of(Service, {"metadata": {"name": "s", "namespace": "n", "uid": "u", "labels": labels}, "spec": body})


def pod(number: int, state: str = "ready", *, node: str = "x", ports: Any = (), ips: Any = None, **spec: Any) -> Any:
    meta: dict[str, Any] = {"name": f"p{number}", "namespace": "n", "uid": f"u{number:04}", "labels": {"a": "b"}}
    if "leaving" in state:
        meta["deletionTimestamp"] = "2023-11-14T00:00:00Z"
    ready = state in ("ready", "leaving")
    phase = {"succeeded": "Succeeded", "failed": "Failed"}.get(state, "Running")
    found = [f"10.0.{number // 250}.{number % 250 + 1}"] if ips is None else ips
    status = {
        "phase": phase,
        "podIP": found[0] if found else "",
        "podIPs": [{"ip": ip} for ip in found],
        "conditions": [{"type": "Ready", "status": str(ready)}],
    }
    containers = [{"name": "c", "ports": list(ports)}]
    return of(Pod, {"metadata": meta, "spec": {"containers": containers, "nodeName": node, **spec}, "status": status})


def node(name: str = "x", zone: str = "") -> Any:
    return of(Node, {"metadata": {"name": name, "labels": {ZONE: zone} if zone else {}}})


def plan_of(one: Any, pods: list[Any], slices: Any = (), nodes: Any = None) -> Any:
    known = {n.metadata.name: n for n in (nodes if nodes is not None else [node()])}
    return endpointslice.reconcile(endpointslice.World(one, pods, list(slices), known), NOW)


def stored(plan: Any, before: Any = ()) -> list[Any]:
    """The slices after the plan."""
    out = {s.metadata.name: s for s in before}
    for i, a in enumerate(plan.actions):
        if isinstance(a, Delete):
            del out[a.name]
        elif isinstance(a, Update):
            out[a.obj.metadata.name] = a.obj
        elif isinstance(a, Create):
            name = f"s-{len(out)}-{i}"
            meta = msgspec.structs.replace(a.obj.metadata, name=name, uid=name)
            out[name] = msgspec.structs.replace(a.obj, metadata=meta)
    return list(out.values())


@pytest.mark.parametrize(
    ("state", "publish", "conditions"),
    [
        ("ready", False, (True, True, False)),
        ("starting", False, (False, False, False)),
        ("leaving", False, (False, True, True)),
        ("leaving unready", False, (False, False, True)),
        ("starting", True, (True, False, False)),
        ("leaving", True, (True, True, True)),
        ("failed", False, None),
        ("succeeded", True, None),
    ],
)
def test_conditions(state: str, publish: bool, conditions: Any) -> None:
    (one,) = stored(plan_of(service(publishNotReadyAddresses=publish), [pod(1, state)]))
    assert [(c.ready, c.serving, c.terminating) for c in (e.conditions for e in one.endpoints)] == (
        [conditions] if conditions else []
    )


NAMED = [{"name": "http", "targetPort": "web", "port": 80}, {"name": "m", "targetPort": 9, "port": 9}]
WEB = [{"name": "web", "containerPort": 8081}]


@pytest.mark.parametrize(
    ("spec", "pods", "ports"),
    [
        ({}, [pod(1)], [[("", "TCP", 8080)]]),
        ({"ports": NAMED}, [pod(1, ports=WEB)], [[("http", "TCP", 8081), ("m", "TCP", 9)]]),
        ({"ports": NAMED}, [pod(1)], [[("m", "TCP", 9)]]),  # the pod has no port of the name
        # pods that mean different numbers by a name are in different slices
        (
            {"ports": NAMED[:1]},
            [pod(1, ports=WEB), pod(2, ports=[{"name": "web", "containerPort": 1}])],
            [[("http", "TCP", 1)], [("http", "TCP", 8081)]],
        ),
        # a name is that of a port of the same protocol, and may be a sidecar's
        ({"ports": NAMED[:1]}, [pod(1, ports=[{**WEB[0], "protocol": "UDP"}])], [[]]),
        (
            {"ports": NAMED[:1]},
            [pod(1, initContainers=[{"name": "s", "restartPolicy": "Always", "ports": WEB}])],
            [[("http", "TCP", 8081)]],
        ),
        ({"ports": [], "clusterIP": "None"}, [pod(1)], [[]]),
        ({}, [], [[]]),
    ],
)
def test_ports(spec: Any, pods: list[Any], ports: Any) -> None:
    found = [[(p.name, p.protocol, p.port) for p in s.ports] for s in stored(plan_of(service(**spec), pods))]
    assert sorted(found) == ports


def test_families_names_and_labels() -> None:
    one = service(ipFamilies=["IPv4", "IPv6"], clusterIP="None", labels={"x": "y", endpointslices.MANAGED_BY: "me"})
    both = pod(1, ips=["10.0.0.1", "fd00::1"], hostname="h", subdomain="s")
    found = {s.addressType: s for s in stored(plan_of(one, [both, pod(2, hostname="h", subdomain="other")]))}
    assert [e.addresses for e in found["IPv6"].endpoints] == [("fd00::1",)]
    assert [e.hostname for e in found["IPv4"].endpoints] == ["h", None]
    assert found["IPv4"].metadata.labels == {
        "x": "y",
        HEADLESS: "",
        SERVICE_NAME: "s",
        endpointslices.MANAGED_BY: endpointslices.CONTROLLER,
    }
    # a family that is given up takes its slices with it
    single = service(clusterIP="None", labels={"x": "y"})
    plan = plan_of(single, [both, pod(2, hostname="h", subdomain="other")], found.values())
    assert [type(a) for a in plan.actions] == [Delete]


@pytest.mark.parametrize(
    ("spec", "nodes", "count"),
    [({}, [], 0), ({"publishNotReadyAddresses": True}, [], 1), ({}, [node()], 1), ({"clusterIP": "None"}, [node()], 1)],
)
def test_a_pod_of_an_unknown_node_waits_for_it(spec: Any, nodes: list[Any], count: int) -> None:
    assert [len(s.endpoints) for s in stored(plan_of(service(**spec), [pod(1)], nodes=nodes))] == [count]


@pytest.mark.parametrize(
    ("how", "state", "zone", "hints"),
    [
        ("PreferClose", "ready", "z", (["z"], [])),
        ("PreferSameZone", "ready", "z", (["z"], [])),
        ("PreferSameZone", "ready", "", None),
        ("PreferSameNode", "ready", "z", (["z"], ["x"])),
        ("PreferSameNode", "ready", "", ([], ["x"])),
        ("PreferSameZone", "starting", "z", None),
        (None, "ready", "z", None),
    ],
)
def test_hints(how: str | None, state: str, zone: str, hints: Any) -> None:
    (one,) = stored(plan_of(service(trafficDistribution=how), [pod(1, state)], nodes=[node("x", zone)]))
    found = one.endpoints[0].hints
    assert (found and ([z.name for z in found.forZones], [n.name for n in found.forNodes])) == hints


def test_few_slices_are_touched() -> None:
    """The numbers of creates, updates and deletes for each change of 250 pods."""
    one = service()
    pods = [pod(i) for i in range(250)]
    slices = stored(plan_of(one, pods))
    assert sorted(len(s.endpoints) for s in slices) == [50, 100, 100]
    assert not plan_of(one, pods, slices).actions

    def writes(after: list[Any], before: list[Any]) -> tuple[tuple[int, int, int], list[Any]]:
        plan = plan_of(one, after, before)
        kinds = [type(a) for a in plan.actions]
        now = stored(plan, before)
        assert {e.targetRef.uid for s in now for e in s.endpoints} == {p.metadata.uid for p in after}
        assert all(len(s.endpoints) <= 100 for s in now)
        return (kinds.count(Create), kinds.count(Update), kinds.count(Delete)), now

    turned = [pod(0, "starting"), *pods[1:]]
    assert writes(turned, slices)[0] == (0, 1, 0)  # one pod's change rewrites one slice
    assert writes([*pods, pod(250)], slices)[0] == (0, 1, 0)  # a new one goes where there is room
    replaced = [pod(300), *pods[1:]]
    assert writes(replaced, slices)[0] == (0, 1, 0)  # and into the slice that is written anyway
    assert writes([*pods, *(pod(i) for i in range(250, 320))], slices)[0] == (1, 0, 0)  # too many for the room
    gone = {e.targetRef.uid for e in slices[0].endpoints}
    fewer = [p for p in pods if p.metadata.uid not in gone]
    assert writes(fewer, slices)[0] == (0, 0, 1)  # an empty slice goes
    assert writes([], slices)[0] in ((0, 1, 2), (1, 0, 3))  # one stays, empty
    empty = stored(plan_of(one, []))
    assert not plan_of(one, [], empty).actions
    assert writes(pods[:1], empty)[0] == (0, 1, 0)  # and is reused


@pytest.mark.parametrize(
    ("error", "reasons", "retried"),
    [
        (errors.Forbidden("endpointslices", "discovery.k8s.io", "s", "no"), ["FailedToUpdateEndpointSlices"], True),
        (errors.Conflict("endpointslices", "discovery.k8s.io", "s"), [], True),
    ],
)
def test_refusals(error: Any, reasons: list[str], retried: bool) -> None:
    after = plan_of(service(), [pod(1)]).on_outcomes([Outcome(0, None, error)])
    assert [e.reason for e in after.events] == reasons and bool(after.error) is retried


# The older form


def subsets(one: Any, pods: list[Any]) -> Any:
    return [
        ([a.ip for a in s.addresses], [a.ip for a in s.notReadyAddresses], [(p.name, p.port) for p in s.ports])
        for s in endpoints.subsets(one, pods)
    ]


@pytest.mark.parametrize(
    ("spec", "pods", "found"),
    [
        ({}, [pod(2), pod(1)], [(["10.0.0.2", "10.0.0.3"], [], [("", 8080)])]),
        ({}, [pod(1), pod(2, "starting")], [(["10.0.0.2"], ["10.0.0.3"], [("", 8080)])]),
        ({"publishNotReadyAddresses": True}, [pod(2, "starting")], [(["10.0.0.3"], [], [("", 8080)])]),
        ({}, [pod(1, "leaving")], []),
        ({"publishNotReadyAddresses": True}, [pod(1, "leaving")], [(["10.0.0.2"], [], [("", 8080)])]),
        ({}, [pod(1, "failed"), pod(2, ips=[])], []),
        ({"ports": NAMED[:1]}, [pod(1)], []),
        ({"ports": [], "clusterIP": "None"}, [pod(1)], [(["10.0.0.2"], [], [])]),
        (
            {"ports": NAMED[:1]},
            [pod(1, ports=WEB), pod(2, ports=[{"name": "web", "containerPort": 1}])],
            [(["10.0.0.2"], [], [("http", 8081)]), (["10.0.0.3"], [], [("http", 1)])],
        ),
        ({"ipFamilies": ["IPv6", "IPv4"]}, [pod(1, ips=["10.0.0.1", "fd00::1"])], [(["fd00::1"], [], [("", 8080)])]),
    ],
)
def test_subsets(spec: Any, pods: list[Any], found: Any) -> None:
    assert sorted(subsets(service(**spec), pods)) == found


def test_no_more_than_a_thousand_addresses() -> None:
    pods = [pod(i) for i in range(900)] + [pod(i, "starting") for i in range(900, 1200)]
    kept, over = endpoints.truncated(endpoints.subsets(service(), pods))
    assert over and [(len(s.addresses), len(s.notReadyAddresses)) for s in kept] == [(900, 100)]
    plan = endpoints.reconcile(endpoints.World(("n", "s"), service(), None, pods), NOW)
    assert plan.actions[0].obj.metadata.annotations[endpoints.OVER_CAPACITY] == "truncated"  # type: ignore[union-attr]


def test_endpoints_are_written_once_and_go_with_their_service() -> None:
    one, pods, key = service(labels={"x": "y"}), [pod(1)], ("n", "s")
    (create,) = endpoints.reconcile(endpoints.World(key, one, None, pods), NOW).actions
    assert isinstance(create, Create)
    assert create.obj.metadata.labels == {"x": "y", core.MANAGED_BY: core.MANAGER}
    assert not endpoints.reconcile(endpoints.World(key, one, create.obj, pods), NOW).actions
    (update,) = endpoints.reconcile(endpoints.World(key, one, create.obj, []), NOW).actions
    assert isinstance(update, Update) and update.obj.subsets == ()
    (delete,) = endpoints.reconcile(endpoints.World(key, None, create.obj, []), NOW).actions
    assert isinstance(delete, Delete)
    leader = of(Endpoints, {"metadata": {"name": "s", "annotations": {endpointset.LEADER: "me"}}})
    assert not endpoints.reconcile(endpoints.World(key, None, leader, []), NOW).actions
    assert not endpoints.reconcile(endpoints.World(key, service(selector={}), None, pods), NOW).actions
