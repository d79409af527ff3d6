"""What the controllers make of nodes, case by case: silence, taints, evictions, lost pods, ranges of addresses."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node, Taint
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.patchschema import schema
from pelamis.base import smp
from pelamis.base.clock import rfc3339, rfc3339_micro
from pelamis.cache.cache import Cache
from pelamis.cache.view import View
from pelamis.client.types import Delete, Outcome, Patch, Update
from pelamis.controllers import nodeipam, nodelifecycle, podgc, tainteviction
from pelamis.reconcile.runner import Runner
from pelamis.sim.loop import now, run
from pelamis.store.types import Event
from tests.api.made import of

NOW = 1_700_000_000.0
OUT = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}


def node(name: str = "x", ready: str = "True", *, taints: Any = (), zone: str = "", **spec: Any) -> Any:
    meta = {
        "name": name,
        "uid": name,
        "creationTimestamp": rfc3339(NOW - 1000),
        "labels": {"topology.kubernetes.io/zone": zone} if zone else {},
    }
    conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": rfc3339(NOW)}] if ready else []
    if "unknown" in spec:
        conditions = [{"type": t, "status": "Unknown", "reason": "NodeStatusUnknown"} for t in spec.pop("unknown")]
    spec = {"taints": list(taints), **spec}
    return of(Node, {"metadata": meta, "spec": spec, "status": {"conditions": conditions}})


def pod(
    name: str = "p", *, on: str = "x", phase: str = "Running", leaving: bool = False, ready: bool = True, **more: Any
) -> Any:
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "n",
        "uid": name,
        "creationTimestamp": more.pop("at", rfc3339(NOW)),
    }
    if leaving:
        meta["deletionTimestamp"] = rfc3339(NOW)
    conditions = [{"type": "Ready", "status": str(ready)}, *more.pop("conditions", ())]
    status = {"phase": phase, "conditions": conditions, "reason": more.pop("reason", "")}
    return of(Pod, {"metadata": meta, "spec": {"containers": [], "nodeName": on, **more}, "status": status})


# Silence


def seen(ago: float, ready: str = "True", renewed: str = "1", **more: float) -> nodelifecycle.Seen:
    return nodelifecycle.Seen(renewed, rfc3339(NOW), NOW - ago, ready, **more)


def life(one: Any, before: Any, pods: Any = (), renewed: str = "1", promised: float = 0.0) -> Any:
    world = nodelifecycle.NodeWorld("x", one, renewed, lambda: pods, before, 50.0, 60.0, promised)
    return nodelifecycle.reconcile(world, NOW)


def shown(plan: Any) -> tuple[list[str], list[str], float | None]:
    """(steps, events, seconds until the next look)."""
    steps = []
    for a in plan.actions:
        if isinstance(a, Update):
            steps.append("+".join(f"{c.type}:{c.reason}" for c in a.obj.status.conditions if c.status == "Unknown"))
        elif isinstance(a, Patch) and a.kind.kind == "Pod":
            steps.append(f"pod {a.name} not ready")
        elif isinstance(a, Patch):
            body: Any = a.body
            steps.append(",".join(f"{t['effect']}:{t['key'].partition('/')[2]}" for t in body["spec"]["taints"]))
    return steps, [e.reason for e in plan.events], None if plan.requeue_at is None else plan.requeue_at - NOW


GONE = node(taints=[{**UNREACHABLE, "effect": "NoSchedule"}], unknown=nodelifecycle.WATCHED)
LOST = "+".join(
    ["Ready:NodeStatusUnknown", *(f"{what}Pressure:NodeStatusNeverUpdated" for what in ("Memory", "Disk", "PID"))]
)


@pytest.mark.parametrize(
    ("one", "before", "pods", "expected"),
    [
        (node(), None, [], ([], ["RegisteredNode"], 50)),
        (None, seen(0), [], ([], ["RemovingNode"], None)),
        (None, None, [], ([], [], None)),
        (node(), seen(49), [], ([], [], 1)),
        (node(), seen(49, renewed="0"), [], ([], [], 50)),  # the lease was renewed
        (node(), seen(50), [pod()], ([LOST, "pod p not ready"], ["NodeNotReady", "NodeNotReady"], None)),
        (node(), seen(50), [pod(phase="Failed"), pod(ready=False)], ([LOST], ["NodeNotReady"], None)),
        # it says itself that it is not ready
        (
            node(ready="False"),
            seen(1),
            [pod()],
            (["NoSchedule:not-ready", "pod p not ready"], ["NodeNotReady", "NodeNotReady"], 49),
        ),
        # pods that become ready on a silent node are marked again, but not at once
        (GONE, seen(60, "Unknown", marked_at=NOW - 4), [pod()], ([], [], 6)),
        (GONE, seen(60, "Unknown", marked_at=NOW - 10), [pod()], (["pod p not ready"], ["NodeNotReady"], None)),
        # taints follow conditions
        (node(unschedulable=True), seen(50, renewed="0"), [], (["NoSchedule:unschedulable"], [], 50)),
        (node(taints=[{**NOT_READY, "effect": "NoSchedule"}]), seen(50, renewed="0"), [], ([""], [], 50)),
    ],
)
def test_a_node_alone(one: Any, before: Any, pods: Any, expected: Any) -> None:
    assert shown(life(one, before, pods)) == expected


@given(gaps=st.lists(st.integers(1, 49), max_size=12), back=st.integers(0, 12))
@settings(max_examples=20, deadline=None)
def test_renewals_are_not_looked_at_one_by_one(gaps: list[int], back: int) -> None:
    """A node is lost to the moment a grace period after the last; till then it is looked at twice a period at most.

    back: before which renewal the clock steps back by an hour.
    """

    async def main() -> None:
        kinds, began = (NODE, LEASE, POD), now()
        cache = Cache(kinds)
        cache.begin_load()
        cache.end_load(1)
        lost: list[float] = []
        looks: list[float] = []
        shift = [0.0]

        class Client:
            views = {kind: View(cache.collection(kind)) for kind in kinds}

            def view(self, kind: Any) -> View:
                return self.views[kind]

            async def commit(self, actions: Any) -> Any:
                lost.extend(now() - began for a in actions if isinstance(a, Update))
                return [Outcome(0, None) for _ in actions]

        def put(kind: Any, namespace: str, tree: dict[str, Any]) -> None:
            full = {"kind": kind.kind, "apiVersion": kind.api_version, **tree}
            full["metadata"] = {"name": "x", **({"namespace": namespace} if namespace else {}), **tree["metadata"]}
            key, value = kind.key(namespace, "x"), msgspec.json.encode(full)
            cache.apply([Event(cache.rev + 1, key, value, None, 0, 0)])

        def renew() -> None:
            put(LEASE, nodelifecycle.LEASES, {"metadata": {}, "spec": {"renewTime": rfc3339_micro(now())}})

        controller = nodelifecycle.controller()

        def gather(views: Any, key: Any) -> Any:
            if key != nodelifecycle.ALL_NODES:
                looks.append(now())
            return controller.gather(views, key)

        client: Any = Client()
        runner = Runner(replace(controller, gather=gather), client, clock=lambda: now() + shift[0], cpu=lambda: 0.0)
        task = asyncio.ensure_future(runner.run())
        conditions = [{"type": "Ready", "status": "True"}]
        put(NODE, "", {"metadata": {"uid": "x"}, "status": {"conditions": conditions}})
        renew()
        for number, gap in enumerate(gaps):
            await asyncio.sleep(gap)
            if number == back:
                shift[0] = -3600.0
            renew()
        await asyncio.sleep(200)
        assert [round(at, 3) for at in lost] == [sum(gaps) + 50.0]
        assert len(looks) <= 2 * sum(gaps) / 50 + 4
        task.cancel()

    run(main())


def test_one_that_never_spoke_gets_longer() -> None:
    mute = msgspec.structs.replace(node(ready=""), metadata=of(Node, {"metadata": {"name": "x"}}).metadata)
    meta = msgspec.structs.replace(mute.metadata, creationTimestamp=rfc3339(NOW - 55))
    mute = msgspec.structs.replace(mute, metadata=meta)
    assert shown(life(mute, None, renewed=""))[2] == 5
    late = msgspec.structs.replace(mute, metadata=msgspec.structs.replace(meta, creationTimestamp=rfc3339(NOW - 60)))
    (update,) = life(late, None, renewed="").actions
    assert {c.reason for c in update.obj.status.conditions} == {"NodeStatusNeverUpdated"}


def test_labels_of_old_names_are_copied() -> None:
    one = of(Node, {"metadata": {"name": "x", "labels": {"beta.kubernetes.io/os": "linux"}}})
    (patch,) = life(one, seen(0, renewed="0")).actions
    assert patch.body == {"metadata": {"labels": {"kubernetes.io/os": "linux"}}}


def zones(nodes: list[Any], evicted: Any = None) -> tuple[list[str], float | None]:
    plan = nodelifecycle.reconcile(nodelifecycle.ZonesWorld(nodes, evicted or {}), NOW)
    changed = [f"{'+' if a.body['spec']['taints'] else '-'}{a.name}" for a in plan.actions]  # type: ignore[union-attr]
    return changed, None if plan.requeue_at is None else plan.requeue_at - NOW


A, B, C, D = (node(n) for n in "abcd")


@pytest.mark.parametrize(
    ("nodes", "evicted", "expected"),
    [
        ([A, B], None, ([], None)),
        ([A, node("x", "Unknown")], None, (["+x"], None)),
        ([A, node("x", "Unknown", taints=[UNREACHABLE])], None, ([], None)),
        ([A, node("x", "True", taints=[UNREACHABLE])], None, (["-x"], None)),
        ([A, node("x", "False", taints=[UNREACHABLE])], None, (["+x"], None)),  # one taint for another: at once
        # one in ten seconds
        ([A, B, node("x", "Unknown"), node("y", "False")], None, (["+x"], 10)),
        ([A, B, node("x", "Unknown")], {"": NOW - 4}, ([], 6)),
        ([A, B, node("x", "Unknown")], {"": NOW - 10}, (["+x"], None)),
        # most of a small zone: nothing
        ([A, *(node(n, "Unknown") for n in "xyz")], None, ([], None)),
        # a whole zone, while another one lives: as fast as ever; all zones: nobody, and the taints go
        ([node("a", zone="1"), node("x", "Unknown", zone="2")], None, (["+x"], None)),
        ([node("x", "Unknown", zone="1"), node("y", "Unknown", zone="2", taints=[UNREACHABLE])], None, (["-y"], None)),
    ],
)
def test_zones(nodes: list[Any], evicted: Any, expected: Any) -> None:
    assert zones(nodes, evicted) == expected


def test_most_of_a_large_zone_is_evicted_slowly() -> None:
    nodes = [node(f"a{i}") for i in range(20)] + [node(f"x{i}", "Unknown") for i in range(40)]
    assert zones(nodes) == (["+x0"], 100)


# Eviction by taints


FOR_30 = [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}]
TAINT = {"key": "k", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("one", "taints", "since", "steps", "events", "again"),
    [
        (pod(), [TAINT], None, ["mark", "delete"], ["TaintManagerEviction"], None),
        (pod(), [], None, [], [], None),
        (pod(leaving=True), [TAINT], None, [], [], None),
        (pod(tolerations=[{"operator": "Exists"}]), [TAINT], None, [], [], None),
        (pod(tolerations=FOR_30), [TAINT], None, [], [], 30),
        (pod(tolerations=FOR_30), [TAINT], ("p", NOW - 10), [], [], 20),
        (pod(tolerations=FOR_30), [TAINT], ("p", NOW - 30), ["mark", "delete"], ["TaintManagerEviction"], None),
        (pod(tolerations=FOR_30), [], ("p", NOW - 10), [], ["TaintManagerEviction"], None),  # called off
        (
            pod(conditions=[{"type": "DisruptionTarget", "status": "True"}]),
            [TAINT],
            None,
            ["delete"],
            ["TaintManagerEviction"],
            None,
        ),
    ],
)
def test_taints_evict(
    one: Any, taints: Any, since: Any, steps: list[str], events: list[str], again: float | None
) -> None:
    plan = tainteviction.reconcile(tainteviction.World(one, node(taints=taints).spec.taints, since), NOW)
    found = ["mark" if isinstance(a, Patch) else "delete" for a in (*plan.actions, *plan.then)]
    assert (found, [e.reason for e in plan.events]) == (steps, events)
    assert plan.requeue_at == (None if again is None else NOW + again)


# Pods that nobody else removes


@pytest.mark.parametrize(
    ("one", "where", "since", "steps", "again"),
    [
        (pod(on=""), None, None, [], None),
        (pod(on="", phase="Pending", leaving=True), None, None, ["Failed", "delete"], None),
        (pod(), None, None, [], 40),
        (pod(), None, NOW - 39, [], 1),
        (pod(), None, NOW - 40, ["Failed DeletionByPodGC", "delete"], None),
        (pod(phase="Succeeded"), None, NOW - 40, ["delete"], None),
        (pod(), node(), NOW - 40, [], None),
        (pod(leaving=True), node(ready="False", taints=[OUT]), None, ["Failed", "delete"], None),
        (pod(leaving=True), node(taints=[OUT]), None, [], None),
        (pod(leaving=True), node(ready="False"), None, [], None),
        (pod(), node(ready="False", taints=[OUT]), None, [], None),
    ],
)
def test_lost_pods(one: Any, where: Any, since: float | None, steps: list[str], again: float | None) -> None:
    plan = podgc.reconcile(podgc.PodWorld(one, where, since), NOW)
    found = []
    for a in (*plan.actions, *plan.then):
        if isinstance(a, Delete):
            assert a.grace_s == 0
            found.append("delete")
        else:
            status = a.body["status"]  # type: ignore[union-attr]
            found.append(" ".join([status["phase"], *(c["reason"] for c in status.get("conditions", ()))]))
    assert found == steps and plan.requeue_at == (None if again is None else NOW + again)


def test_too_many_finished_pods() -> None:
    pods = [
        pod("new", phase="Failed"),
        pod("old", phase="Succeeded", at=rfc3339(NOW - 9)),
        pod("evicted", phase="Failed", reason="Evicted"),
    ]
    assert not podgc.reconcile(podgc.FinishedWorld(pods, 3), NOW).actions
    for threshold, gone in ((2, ["evicted"]), (1, ["evicted", "old"])):
        plan = podgc.reconcile(podgc.FinishedWorld(pods, threshold), NOW)
        assert [a.name for a in plan.actions] == gone  # type: ignore[union-attr]


# Ranges of addresses


def given_ranges(nodes: list[Any], *ranges: tuple[str, int]) -> tuple[list[Any], list[str]]:
    plan = nodeipam.reconcile(nodeipam.World(nodes, ranges), NOW)
    return [a.body["spec"]["podCIDRs"] for a in plan.actions], [e.reason for e in plan.events]  # type: ignore[union-attr]


FOUR, SIX = ("10.0.0.0/22", 24), ("fd00::/62", 64)


def having(name: str, *cidrs: str) -> Any:
    return node(name, podCIDR=cidrs[0], podCIDRs=list(cidrs))


@pytest.mark.parametrize(
    ("nodes", "ranges", "expected"),
    [
        ([A], [FOUR], ([["10.0.0.0/24"]], [])),
        ([A, B], [FOUR, SIX], ([["10.0.0.0/24", "fd00::/64"], ["10.0.1.0/24", "fd00:0:0:1::/64"]], [])),
        ([having("x", "10.0.0.0/24"), A], [FOUR], ([["10.0.1.0/24"]], [])),
        ([having("x", "10.0.0.0/23"), A], [FOUR], ([["10.0.2.0/24"]], [])),  # a larger one that overlaps
        ([having("x", "10.0.1.128/25"), A, B], [FOUR], ([["10.0.0.0/24"], ["10.0.2.0/24"]], [])),
        ([having("x", "10.9.0.0/16"), A], [FOUR], ([["10.0.0.0/24"]], [])),
        ([having("x", "10.0.0.0/22"), A], [FOUR], ([], ["CIDRNotAvailable"])),
        # without a part of one family none of the other is used up
        ([having("x", "fd00::/62"), A, B], [FOUR, SIX], ([], ["CIDRNotAvailable"] * 2)),
        ([A, B, C, D, node("e")], [FOUR], ([[f"10.0.{i}.0/24"] for i in range(4)], ["CIDRNotAvailable"])),
    ],
)
def test_ranges(nodes: list[Any], ranges: Any, expected: Any) -> None:
    assert given_ranges(nodes, *ranges) == expected


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(24, 28)), max_size=12), st.integers(1, 8))
def test_ranges_never_overlap(taken: list[tuple[int, int]], count: int) -> None:
    """Against the plain way: look at every part, and at every range that is taken."""
    used = [ip_network((f"10.0.{i // 16}.{i % 16 * 16}", bits), strict=False) for i, bits in taken]
    nodes = [having(f"x{i}", str(n)) for i, n in enumerate(used)] + [node(f"new{i}") for i in range(count)]
    free = [n for n in ip_network("10.0.0.0/22").subnets(new_prefix=26) if not any(n.overlaps(u) for u in used)]
    found, events = given_ranges(nodes, ("10.0.0.0/22", 26))
    assert found == [[str(n)] for n in free[:count]] and len(events) == max(0, count - len(free))


# Upstream's words and order


def test_the_taints_of_a_lost_node_come_in_upstreams_order() -> None:
    world = nodelifecycle.ZonesWorld([node("x", "Unknown", taints=[OTHER]), node("y")], {})
    (patch,) = nodelifecycle.reconcile(world, NOW).actions
    assert isinstance(patch, Patch)
    taints = [(t["key"].rpartition("/")[2], t["effect"]) for t in patch.body["spec"]["taints"]]
    assert taints == [("other", "NoSchedule"), ("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]


OTHER = {"key": "example.com/other", "effect": "NoSchedule"}


def test_an_eviction_names_the_pod_and_sets_its_condition_last() -> None:
    one = pod(conditions=[{"type": "ContainersReady", "status": "True"}])
    plan = tainteviction.reconcile(tainteviction.World(one, no_execute(UNREACHABLE), None), NOW)
    ref = plan.events[0].regarding
    assert (ref.kind, ref.namespace, ref.name, ref.uid, ref.resourceVersion) == ("Pod", "n", "p", "", "")
    mark = plan.actions[0]
    assert isinstance(mark, Patch)
    tree = msgspec.json.decode(msgspec.json.encode(one))
    patched = smp.apply(tree, mark.body, schema(POD))
    assert [c["type"] for c in patched["status"]["conditions"]] == ["Ready", "ContainersReady", "DisruptionTarget"]


def no_execute(*trees: Any) -> Any:
    return tuple(of(Taint, tree) for tree in trees)
