"""What is remembered between requests says the same as what is worked out anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.apiserver.authn.impersonation import Impersonation, impersonate
from pelamis.apiserver.authz.attributes import Union
from pelamis.apiserver.authz.rbac import Rbac
from pelamis.apiserver.call import Call, SlowLog
from pelamis.apiserver.flow.estimate import ONE
from pelamis.apiserver.flow.queues import Level, Levels, Shape
from pelamis.apiserver.flow.rules import Flow
from pelamis.apiserver.negotiate import JSON, PLAIN, Format, negotiate
from pelamis.apiserver.request import parse_info, write_options
from pelamis.apiserver.user import User
from pelamis.base.errors import StatusError
from pelamis.net.headerlines import header_lines
from pelamis.net.http1 import Request, encode_head

from .harness import running

USERS = (User("root", ("system:masters",)), User("a", ("g",)), User("b", ("g", "h")), User("c", (), "uid"))
NAMES = ("", "a", "system:node:n", "system:serviceaccount:ns:x", "system:anonymous")
GROUPS = ((), ("g",), ("g", "h"), ("g, h",), ("system:unauthenticated",))


class Feed:
    """A view that tells of what is put into it."""

    def __init__(self) -> None:
        self.tell: Any = None

    def subscribe(self, fn: Any, *, replay: bool = True) -> Any:
        self.tell = fn
        return lambda: None


def request(fields: list[tuple[str, str]]) -> Request:
    headers: dict[str, str] = {}
    for key, value in fields:
        name = key.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(None, [(k.encode(), v.encode()) for k, v in fields], headers)  # type: ignore[arg-type]


def outcome(ask: Any) -> Any:
    try:
        return ask()
    except StatusError as error:
        return error.code, error.message


def role(verbs: list[str], resources: list[str], names: list[str]) -> Any:
    rule = SimpleNamespace(verbs=verbs, apiGroups=["*"], resources=resources, resourceNames=names, nonResourceURLs=[])
    return SimpleNamespace(rules=[rule])


def binding(kind: str, name: str) -> Any:
    return SimpleNamespace(
        kind="ClusterRoleBinding",
        metadata=SimpleNamespace(name="b"),
        roleRef=SimpleNamespace(kind="ClusterRole", name="r"),
        subjects=[SimpleNamespace(kind=kind, name=name, namespace="")],
    )


ASKED = st.tuples(
    st.sampled_from(USERS),
    st.sampled_from(NAMES),
    st.sampled_from(GROUPS),
    st.sampled_from(("", "", "u1")),
    st.sampled_from(((), (), (("Impersonate-Extra-Scopes", "x"),))),
)
CHANGES = st.one_of(
    st.builds(
        lambda resources, names: ("role", role(["impersonate"], resources, names)),
        st.lists(st.sampled_from(("users", "groups", "uids", "serviceaccounts", "userextras/scopes")), min_size=1),
        st.lists(st.sampled_from(("a", "g", "h", "u1", "x"))),
    ),
    st.sampled_from([("role", None), *(("bind", binding("Group", g)) for g in "gh"), ("bind", None)]),
)


@given(st.lists(st.one_of(ASKED, CHANGES), min_size=2, max_size=40))
def test_who_may_act_as_whom_is_known_as_of_now(steps: list[Any]) -> None:
    roles, bindings = Feed(), Feed()
    rbac = Rbac(roles, bindings, Feed(), Feed())
    union = Union(rbac)
    kept = Impersonation(union)
    held: dict[str, Any] = {"role": None, "bind": None}
    for step in steps:
        if len(step) == 2:
            what, new = step
            feed, key = (roles, ("", "r")) if what == "role" else (bindings, ("", "b"))
            feed.tell(key, held[what], new)
            held[what] = new
            continue
        user, name, groups, uid, extra = step
        fields = [("Impersonate-User", name)] if name else []
        fields += [("Impersonate-Group", g) for g in groups] + list(extra)
        fields += [("Impersonate-Uid", uid)] if uid else []
        for _ in range(2):
            asked = request(fields)
            # A server that remembers nothing.
            rbac._decided.clear()
            wanted = outcome(lambda asked=asked, user=user: impersonate(asked, user, union))
            assert outcome(lambda asked=asked, user=user: kept.user(asked, user)) == wanted


def test_an_authorizer_that_looks_at_more_is_asked_each_time() -> None:
    class Fickle(Rbac):
        def state(self, user: User) -> object:
            return None

    roles, bindings = Feed(), Feed()
    kept = Impersonation(Union(Fickle(roles, bindings, Feed(), Feed())))
    roles.tell(("", "r"), None, role(["impersonate"], ["users"], []))
    bindings.tell(("", "b"), None, binding("User", "a"))
    assert kept.user(request([("Impersonate-User", "z")]), USERS[1]).name == "z"
    assert not kept._allowed


async def revoked() -> None:
    acting = {"Impersonate-User": "somebody"}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}
    subject = {"kind": "User", "name": "actor", "apiGroup": "rbac.authorization.k8s.io"}
    ref = {"kind": "ClusterRole", "name": "act", "apiGroup": "rbac.authorization.k8s.io"}
    async with running() as h:
        pair = h.pair("actor")

        async def ask() -> int:
            return (await h.request("GET", "/api", headers=acting, pair=pair))[0]

        assert await ask() == 403
        await h.request("POST", f"{rbac}/clusterroles", {"metadata": {"name": "act"}, "rules": [rule]})
        await h.request(
            "POST", f"{rbac}/clusterrolebindings", {"metadata": {"name": "act"}, "roleRef": ref, "subjects": [subject]}
        )
        assert [await ask(), await ask()] == [200, 200]
        await h.request("DELETE", f"{rbac}/clusterrolebindings/act")
        assert await ask() == 403


def test_a_right_that_is_taken_away_is_gone_at_once() -> None:
    import asyncio

    asyncio.run(revoked())


@given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=2), st.booleans())
def test_headers_of_an_answer_have_one_form(audit_id: str, warnings: list[str], flowing: bool) -> None:
    call = Call(request([]), parse_info("GET", "/api/v1/pods"), USERS[1], audit_id)
    call.warnings = warnings
    if flowing:
        headers = (("X-Kubernetes-PF-FlowSchema-UID", "u"), ("X-Kubernetes-PF-PriorityLevel-UID", "v"))
        call.flow = Flow("s", "l", "", headers, header_lines(headers))
    assert call.lines() == header_lines(call.headers())
    for length, close in ((None, False), (-1, True), (7, False)):
        said = encode_head(200, call.headers(), JSON, length, close=close)
        assert encode_head(200, (), JSON, length, close=close, lines=call.lines()) == said


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 100), st.one_of(st.none(), st.integers(0, 100)), st.booleans()),
        min_size=1, max_size=5,
    ),
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), max_size=30),
)  # fmt: skip
def test_a_seat_is_free_by_the_sums(shapes: list[Any], asked: list[tuple[int, int]]) -> None:
    levels: Levels[Any] = Levels(12)
    levels.configure({str(i): Shape(s, lend, borrow, exempt=ex) for i, (s, lend, borrow, ex) in enumerate(shapes)})
    for at, seats in asked:
        level = levels.levels[str(at % len(shapes))]
        counted = [o for o in levels.levels.values() if not o.shape.exempt]
        borrowed = sum(max(0, o.used - o.seats) for o in counted)
        offered = sum(o.lendable for o in counted if o is not level)
        over, limit = level.used + seats - level.seats, level.shape.borrow_percent
        allowed = limit is None or over <= round(level.seats * limit / 100)
        wanted = over <= 0 or (not level.used and level.seats) or (allowed and borrowed + min(seats, over) <= offered)
        assert levels.has_seat(level, seats) == bool(wanted)
        level.run(-1, seats)


@given(st.text(alphabet="ab&=%+;?é2C1", max_size=150))
def test_queries_are_read_alike_however_often(query: str) -> None:
    for _ in range(2):
        asked = request([])
        asked.query = query
        assert list(asked.query_items()) == parse_qsl(query, keep_blank_values=True)


def test_options_of_writes_are_shared_and_refusals_are_made_anew() -> None:
    items = [("fieldManager", "m"), ("dryRun", "All")]
    assert write_options("patch", items) is write_options("patch", tuple(items))
    assert write_options("patch", items) != write_options("patch", [*items, ("fieldValidation", "Strict")])
    for _ in range(2):
        with pytest.raises(StatusError, match="Unsupported value"):
            write_options("update", [("fieldValidation", "No")])
    assert negotiate("application/json, */*") is PLAIN == Format(JSON)


@given(st.lists(st.tuples(st.sampled_from(("wait", "forget", "next", "done")), st.integers(0, 4)), max_size=60))
def test_whose_turn_it_is_by_looking_at_every_queue(steps: list[tuple[str, int]]) -> None:
    level: Level[Any] = Level("l", Shape(1, 0, None, queues=5, hand=1, length=3), 2)
    waiting: list[tuple[int, Any]] = []
    running: list[int] = []
    for what, at in steps:
        if what == "wait":
            one = SimpleNamespace(width=ONE)
            if level.wait(at, one):
                waiting.append((at, one))
        elif what == "forget" and waiting:
            assert level.forget(*waiting.pop(at % len(waiting)))
        elif what == "next":
            following = level.next()
            assert (following is None) == (not waiting)
            if following is not None:
                running.append(following[0])
                waiting.remove(following)
        elif what == "done" and running:
            level.done(running.pop(at % len(running)), at / 10)
        ready = [i for i, q in enumerate(level.queues) if q.waiting]
        assert level.turn() == (min(ready, key=lambda i: (level.queues[i].service, i)) if ready else -1)
        assert level.waiting == len(waiting)


def test_of_many_slow_requests_a_second_a_few_are_told_of() -> None:
    told: list[str] = []
    log = SlowLog(told.append)
    call = Call(request([]), parse_info("GET", "/api/v1/pods"), USERS[1], "id")
    for second, count in ((5, SlowLog.most + 3), (6, 1), (8, 2)):
        call.started = float(second)
        for _ in range(count):
            log.note(call, 200, 0.6)
    assert [text for text in told if not text.startswith("Trace ")] == ["3 more requests were as slow"]
    assert len(told) == SlowLog.most + 4 and told[SlowLog.most] == "3 more requests were as slow"
