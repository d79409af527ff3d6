"""Priority and fairness: which flow a request is in, who runs and who waits, and what clients see of it."""

from __future__ import annotations

import asyncio
import random
from typing import Any, NamedTuple

import msgspec
import pytest

from pelamis.api import codec
from pelamis.api.registry import builtin
from pelamis.apiserver.flow import dump, objects
from pelamis.apiserver.flow.estimate import ONE, Width, estimate, most_seats
from pelamis.apiserver.flow.queues import Level, Levels, Shape, hand_of
from pelamis.apiserver.flow.rules import Classifier
from pelamis.apiserver.flow.run import FlowControl, RetryAfter, hash_of, shape_of
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
    levels: Levels[Named] = Levels(600)
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
    level: Level[Named] = Level("l", Shape(1, 0, None, 64, 6, 50), 2)
    rng = random.Random(1)
    for _ in range(200):
        level.wait(level.choose(hash_of("greedy")), Named("greedy"))
    level.run()
    level.run()
    running: list[int] = [-1, -1]
    served = 0
    for _ in range(60):
        queue = level.choose(hash_of("modest"))
        mine = Named(f"modest{served}")
        if not any(mine in q.waiting for q in level.queues):
            assert level.wait(queue, mine)
        level.done(running.pop(0), rng.uniform(0.9, 1.1))
        following = level.next()
        assert following is not None
        running.append(following[0])
        served += following[1] == mine
    assert served >= 6


def test_idle_seats_are_lent() -> None:
    levels: Levels[Named] = Levels(20)
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


class Named(NamedTuple):
    name: str
    width: Width = ONE


@pytest.mark.parametrize(
    ("method", "path", "query", "stored", "watchers", "most", "width"),
    [
        ("GET", "/api/v1/pods", "", (0, 0), 0, 0, ONE),
        ("GET", "/api/v1/pods", "", (1000, 250_000), 0, 0, Width(3)),
        ("GET", "/api/v1/pods", "limit=100", (1000, 250_000), 0, 0, ONE),
        ("GET", "/api/v1/pods", "", (30_000, 90_000_000), 0, 0, Width(10)),
        ("GET", "/api/v1/pods", "", (30_000, 90_000_000), 0, 4, Width(4)),
        ("GET", "/api/v1/pods", "watch=true", (30_000, 90_000_000), 0, 0, ONE),
        ("GET", "/api/v1/pods", "watch=true&sendInitialEvents=true", (30_000, 90_000_000), 0, 0, Width(10)),
        ("GET", "/api/v1/namespaces/a/pods/p", "", (30_000, 90_000_000), 99, 0, ONE),
        ("POST", "/api/v1/namespaces/a/pods", "", (0, 0), 9, 0, ONE),
        ("POST", "/api/v1/namespaces/a/pods", "", (0, 0), 25, 0, Width(1, 3, 0.005)),
        ("DELETE", "/api/v1/namespaces/a/pods/p", "", (0, 0), 5000, 0, Width(1, 10, 0.005)),
        ("DELETE", "/api/v1/namespaces/a/pods/p", "", (0, 0), 5000, 2, Width(1, 2, 0.005)),
        ("GET", "/version", "", (0, 0), 99, 0, ONE),
    ],
)
def test_widths(
    method: str, path: str, query: str, stored: tuple[int, int], watchers: int, most: int, width: Width
) -> None:
    assert estimate(parse_info(method, path, query), query, stored, watchers, most) == width


def test_the_widest_request_is_a_part_of_its_level() -> None:
    assert [most_seats(245, 6), most_seats(98, 6), most_seats(13, 0), most_seats(1, 8)] == [7, 3, 0, 1]


def test_a_wide_request_waits_for_its_seats_and_runs_alone_where_it_never_fits() -> None:
    levels: Levels[Named] = Levels(4)
    levels.configure({"a": Shape(1, 0, 0, 2, 1, 10)})
    level = levels.levels["a"]
    assert levels.has_seat(level, 9), "nothing else runs"
    level.run(-1, 3)
    assert levels.has_seat(level) and not levels.has_seat(level, 2)
    level.wait(0, Named("wide", Width(2)))
    level.done(-1, 1.0, 3, kept=1)
    assert (level.used, level.running, level.wanted) == (1, 0, 3)
    assert levels.has_seat(level, 2)
    assert level.next() is not None and level.used == 3
    level.release(1)
    level.done(0, 1.0, 2)
    assert (level.used, level.running, level.queues[0].used) == (0, 0, 0)


def test_those_refused_are_told_to_stay_away_longer_while_they_are_many() -> None:
    retry, told = RetryAfter(), []
    for second in range(12):
        for _ in range(100 if second < 7 else 1):
            last = retry.refused(100.0 + second)
        told.append(last)
    assert told[:8] == [1, 2, 2, 4, 4, 4, 4, 8], told
    assert retry.refused(200.0) < 8


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
        rows = str(dump.render(flows, f"{dump.PATH}dump_requests", "includeRequestDetails=1")).splitlines()
        assert [row.replace(" ", "").split(",")[:5] for row in rows[1:]] == [
            ["global-default", "global-default", "0", "0", "u"],
            ["global-default", "global-default", "0", "1", "u"],
        ]
        assert rows[1].replace(" ", "").split(",")[10:] == ["u", "list", "/api/v1/pods", "", "", "v1", "pods", ""]
        rows = str(dump.render(flows, f"{dump.PATH}dump_priority_levels", "")).splitlines()
        assert rows[1].replace(" ", "").split(",") == [
            "global-default",
            "1",
            "false",
            "false",
            "2",
            "1",
            "1",
            "1",
            "0",
            "0",
        ]
        rows = str(dump.render(flows, f"{dump.PATH}dump_queues", "")).splitlines()
        assert rows[1].replace(" ", "").split(",")[:5] == ["global-default", "0", "2", "0", "0"]
        assert dump.render(flows, f"{dump.PATH}other", "") is None
        assert caught.value.headers == {"Retry-After": "1"}
        assert flows.rejected == {("global-default", "global-default", "queue-full"): 1}
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert flows.rejected[("global-default", "global-default", "cancelled")] == 1
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
        _, page, data = await h.raw("GET", "/debug/api_priority_and_fairness/dump_priority_levels")
        assert data.startswith(b"PriorityLevelName, ActiveQueues, IsIdle, ") and page["content-type"].startswith(
            "text/"
        )
        _, page, data = await h.raw("GET", "/metrics")
        assert b'apiserver_flowcontrol_nominal_limit_seats{priority_level="system"}' in data
        assert msgspec.json.encode(page)

    run(scenario)


def test_what_is_refused_is_plain_text() -> None:
    async def scenario(h: Harness) -> None:
        flow = h.server.flow
        limited = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
        catch = {"type": "Limited", "limited": limited}
        group = f"/apis/{objects.GROUP}/v1"
        made = {"metadata": {"name": "none"}, "spec": catch}
        assert (await h.request("POST", f"{group}/prioritylevelconfigurations", made))[0] == 201
        rule = {"subjects": [{"kind": "User", "user": {"name": "bob"}}], "resourceRules": [RESOURCES]}
        spec = {"priorityLevelConfiguration": {"name": "none"}, "matchingPrecedence": 5, "rules": [rule]}
        _, schema = await h.request("POST", f"{group}/flowschemas", {"metadata": {"name": "bob"}, "spec": spec})
        rbac = "rbac.authorization.k8s.io"
        role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"}
        binding = {"metadata": {"name": "bob"}, "roleRef": role, "subjects": [{"kind": "User", "name": "bob"}]}
        assert (await h.request("POST", f"/apis/{rbac}/v1/clusterrolebindings", binding))[0] == 201
        bob = h.pair("bob")
        status, headers, body = await h.raw("POST", CMS, {"metadata": {"name": "a"}}, pair=bob)
        assert (status, body) == (429, b"Too many requests, please try again later.\n")
        assert headers["retry-after"] == "1" and headers["content-type"] == "text/plain; charset=utf-8"
        assert headers["x-kubernetes-pf-flowschema-uid"] == schema["metadata"]["uid"]
        assert flow.rejected == {("none", "bob", "concurrency-limit"): 1}

    run(scenario)


RESOURCES = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}


def test_dangling_follows_the_levels() -> None:
    async def scenario(h: Harness) -> None:
        group = f"/apis/{objects.GROUP}/v1"
        rule = {"subjects": [{"kind": "User", "user": {"name": "bob"}}], "resourceRules": [RESOURCES]}
        spec = {"priorityLevelConfiguration": {"name": "mine"}, "matchingPrecedence": 5000, "rules": [rule]}
        await h.request("POST", f"{group}/flowschemas", {"metadata": {"name": "f"}, "spec": spec})

        async def condition(status: str) -> dict[str, Any]:
            async with asyncio.timeout(5):
                while True:
                    _, schema = await h.request("GET", f"{group}/flowschemas/f")
                    found = schema["status"].get("conditions") or [{}]
                    if found[0].get("status") == status:
                        return dict(found[0])
                    await asyncio.sleep(0.01)

        lost = await condition("True")
        assert (lost["type"], lost["reason"]) == ("Dangling", "NotFound")
        limited = {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}}
        level = {"metadata": {"name": "mine"}, "spec": {"type": "Limited", "limited": limited}}
        await h.request("POST", f"{group}/prioritylevelconfigurations", level)
        assert (await condition("False"))["reason"] == "Found"
        await h.request("DELETE", f"{group}/prioritylevelconfigurations/mine")
        assert (await condition("True"))["reason"] == "NotFound"

    run(scenario)


def test_who_is_cancelled_while_it_is_refused_gives_back_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pelamis.apiserver.flow.run.WAIT_S", 0.0)

    async def main() -> None:
        flows = FlowControl(Fixed(SCHEMAS), Fixed(structs("PriorityLevelConfiguration", [objects.levels()[-1]])), 1)  # type: ignore[arg-type]
        user, info = component_user("u"), parse_info("GET", "/api/v1/pods")
        flow = flows.classify(user, info)
        await flows.take(flow, user, info)
        waiting = asyncio.create_task(flows.take(flow, user, info))
        expire = flows._expire

        def both(*args: Any) -> None:
            expire(*args)
            waiting.cancel()

        flows._expire = both  # type: ignore[method-assign]
        await asyncio.wait((waiting,))
        assert waiting.cancelled()
        assert flows.levels.levels["global-default"].used == 1

    asyncio.run(main())
