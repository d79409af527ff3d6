"""Priority and fairness: which flow a request is in, who runs and who waits, and what clients see of it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
import pytest

from pelamis.api import codec
from pelamis.api.registry import builtin
from pelamis.apiserver.flow import objects
from pelamis.apiserver.flow.queues import Level, Levels, Shape, hand_of
from pelamis.apiserver.flow.rules import Classifier
from pelamis.apiserver.flow.run import FlowControl, hash_of, shape_of
from pelamis.apiserver.request import parse_info
from pelamis.apiserver.user import User, component_user
from pelamis.base.errors import StatusError
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import CMS, run

REGISTRY = builtin()


def structs(kind: str, trees: list[Any]) -> list[Any]:
    found = REGISTRY.by_kind(objects.GROUP, "v1", kind)
    assert found is not None
    out = []
    for i, tree in enumerate(trees):
        tree = {"apiVersion": found.api_version, "kind": kind, **codec.to_tree(tree)}
        tree["metadata"]["uid"] = f"{kind}-{i}"
        codec.clean(found, tree)
        found.default(tree)
        assert not list(found.validate(codec.from_tree(found, tree)))
        out.append(codec.from_tree(found, tree))
    return out


SCHEMAS = structs("FlowSchema", objects.schemas())
LEVELS = structs("PriorityLevelConfiguration", objects.levels())


@pytest.mark.parametrize(
    ("user", "method", "path", "schema", "level"),
    [
        (component_user("a", "system:masters"), "GET", "/api/v1/pods", "exempt", "exempt"),
        (component_user("a"), "GET", "/healthz", "probes", "exempt"),
        (component_user("a"), "GET", "/version", "global-default", "global-default"),
        (User("x", ("system:unauthenticated",)), "GET", "/api/v1/pods", "global-default", "global-default"),
        (
            component_user("system:kube-scheduler"),
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l",
            "system-leader-election",
            "leader-election",
        ),
        (component_user("system:kube-scheduler"), "GET", "/api/v1/pods", "kube-scheduler", "workload-high"),
        (
            component_user("system:node:n", "system:nodes"),
            "PATCH",
            "/api/v1/nodes/n/status",
            "system-node-high",
            "node-high",
        ),
        (component_user("system:node:n", "system:nodes"), "GET", "/api/v1/pods", "system-nodes", "system"),
        (
            component_user("system:serviceaccount:kube-system:x"),
            "GET",
            "/api/v1/pods",
            "kube-system-service-accounts",
            "workload-high",
        ),
        (component_user("system:serviceaccount:a:x"), "GET", "/api/v1/pods", "service-accounts", "workload-low"),
    ],
)
def test_classification(user: User, method: str, path: str, schema: str, level: str) -> None:
    classifier = Classifier(SCHEMAS, LEVELS)
    info = parse_info(method, path)
    flow = classifier.classify(user, info)
    assert (flow.schema, flow.level) == (schema, level)
    assert classifier.classify(user, info) is flow
    assert [name for name, _ in flow.headers] == ["X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"]


def test_a_schema_without_its_level_is_passed_over() -> None:
    rest = [c for c in LEVELS if c.metadata.name != "workload-low"]
    flow = Classifier(SCHEMAS, rest).classify(
        component_user("system:serviceaccount:a:x"), parse_info("GET", "/api/v1/pods")
    )
    assert flow.schema == "global-default"


def test_seats_are_shared_out() -> None:
    levels: Levels[int] = Levels(600)
    levels.configure({c.metadata.name: shape_of(c) for c in LEVELS})
    assert {n: x.seats for n, x in levels.levels.items() if not x.shape.exempt} == {
        "catch-all": 13,
        "system": 74,
        "node-high": 98,
        "leader-election": 25,
        "workload-high": 98,
        "workload-low": 245,
        "global-default": 49,
    }


def test_hands_are_different_queues() -> None:
    hands = {tuple(hand_of(hash_of(str(i)), 64, 6)) for i in range(500)}
    assert all(len(set(hand)) == 6 and max(hand) < 64 for hand in hands) and len(hands) > 495


def test_a_greedy_flow_does_not_crowd_out_others() -> None:
    """One flow keeps 200 requests waiting, another sends one at a time: it is served every few turns."""
    level: Level[str] = Level("l", Shape(1, 0, None, 64, 6, 50), 2)
    rng = random.Random(1)
    for _ in range(200):
        level.wait(level.choose(hash_of("greedy")), "greedy")
    level.run()
    level.run()
    running: list[int] = [-1, -1]
    served = 0
    for _ in range(60):
        queue = level.choose(hash_of("modest"))
        mine = f"modest{served}"
        if not any(mine in q.waiting for q in level._queues):
            assert level.wait(queue, mine)
        level.done(running.pop(0), rng.uniform(0.9, 1.1))
        following = level.next()
        assert following is not None
        running.append(following[0])
        served += following[1] == mine
    assert served >= 6


def test_idle_seats_are_lent() -> None:
    levels: Levels[int] = Levels(20)
    levels.configure({"a": Shape(1, 50, None, 1, 1, 10), "b": Shape(1, 50, 20, 1, 1, 10)})
    a, b = levels.levels["a"], levels.levels["b"]
    taken = 0
    while levels.has_seat(a):
        a.run()
        taken += 1
    assert taken == 15, "its own ten, and half of those of b"
    while a.used:
        a.done(-1, 1)
    taken = 0
    while levels.has_seat(b):
        b.run()
        taken += 1
    assert taken == 12, "no more than a fifth on top"


class Fixed:
    """A view of objects that do not change."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def list(self, namespace: str = "") -> list[Any]:
        return self.items

    def subscribe(self, fn: Any, *, replay: bool = True) -> None:
        return None


def test_waiting_being_refused_and_going_away() -> None:
    async def main() -> None:
        config = codec.to_tree(objects.levels()[-1])
        config["spec"]["limited"]["limitResponse"]["queuing"] = {"queues": 1, "handSize": 1, "queueLengthLimit": 2}
        level = structs("PriorityLevelConfiguration", [config])
        flows = FlowControl(Fixed(SCHEMAS), Fixed(level), 1)  # type: ignore[arg-type]
        user, info = component_user("u"), parse_info("GET", "/api/v1/pods")
        flow = flows.classify(user, info)
        first = await flows.take(flow, user, info)
        waiting = [asyncio.create_task(flows.take(flow, user, info)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(StatusError) as caught:
            await flows.take(flow, user, info)
        assert (caught.value.code, caught.value.message) == (429, "Too many requests, please try again later.")
        assert caught.value.headers == {"Retry-After": "1"}
        assert flows.rejected == {("global-default", "global-default", "queue-full"): 1}
        waiting[0].cancel()
        await asyncio.sleep(0)
        flows.give(first, 0.0)
        ticket = await waiting[1]
        one = flows.levels.levels["global-default"]
        assert (one.used, one.waiting) == (1, 0)
        flows.give(ticket, 1.0)
        assert one.used == 0

    asyncio.run(main())


def test_what_clients_see() -> None:
    async def scenario(h: Harness) -> None:
        group = f"/apis/{objects.GROUP}/v1"
        _, schemas = await h.request("GET", f"{group}/flowschemas")
        uids = {s["metadata"]["name"]: s["metadata"]["uid"] for s in schemas["items"]}
        assert set(uids) == {s["metadata"]["name"] for s in objects.schemas()}
        assert all(s["status"]["conditions"][0]["status"] == "False" for s in schemas["items"])
        _, levels = await h.request("GET", f"{group}/prioritylevelconfigurations")
        names = {s["metadata"]["name"]: s["metadata"]["uid"] for s in levels["items"]}
        for method, path, body in (
            ("GET", CMS, None),
            ("POST", CMS, {"metadata": {"name": "a"}}),
            ("GET", "/version", None),
        ):
            _, headers, _ = await h.raw(method, path, body)
            assert headers["x-kubernetes-pf-flowschema-uid"] == uids["exempt"]
            assert headers["x-kubernetes-pf-prioritylevel-uid"] == names["exempt"]
        # A schema of one's own sends a user elsewhere at once.
        rule = {
            "subjects": [{"kind": "User", "user": {"name": "bob"}}],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/version/*", "/version"]}],
        }
        spec = {
            "priorityLevelConfiguration": {"name": "catch-all"},
            "matchingPrecedence": 5,
            "rules": [rule],
        }
        status, made = await h.request("POST", f"{group}/flowschemas", {"metadata": {"name": "a"}, "spec": spec})
        assert status == 201, made["message"]
        _, headers, _ = await h.raw("GET", "/version", pair=h.pair("bob"))
        assert headers["x-kubernetes-pf-flowschema-uid"] == made["metadata"]["uid"]
        _, page, data = await h.raw("GET", "/metrics")
        assert b'apiserver_flowcontrol_nominal_limit_seats{priority_level="system"}' in data
        assert msgspec.json.encode(page)

    run(scenario)
