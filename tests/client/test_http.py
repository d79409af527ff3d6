"""HttpClient against a scripted API server: paths, bodies, outcomes, views that survive what servers do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from pelamis.api.core.configmap import KIND as CONFIG_MAP
from pelamis.api.core.configmap import ConfigMap
from pelamis.api.core.node import KIND as NODE
from pelamis.api.meta import ObjectMeta
from pelamis.base.errors import Conflict, Gone, NotFound, StatusError, TooManyRequests
from pelamis.client.http import HttpClient, warnings_of
from pelamis.client.types import Create, Delete, Patch, Update
from pelamis.net.http1 import Request, Response
from pelamis.net.httpserver import Server


def shown(name: str, rev: int, **data: str) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "ns", "resourceVersion": str(rev)},
        "data": data,
    }


def answer(tree: Any, status: int = 200, headers: Any = ()) -> Response:
    return Response(status, msgspec.json.encode(tree), headers=headers)


def refusal(error: StatusError) -> Response:
    return answer(error.status(), error.code, tuple(error.headers.items()))


class Api:
    """Answers by script; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.handle: Callable[[Request], Any] = lambda request: answer({})

    def __call__(self, request: Request) -> Any:
        query = dict(request.query_items())
        body = msgspec.json.decode(request.body) if request.body else None
        self.asked.append((request.method, request.path, query, body))
        return self.handle(request)


def with_api(use: Callable[[Api, HttpClient], Awaitable[None]]) -> None:
    async def main() -> None:
        api = Api()
        server = Server(api)
        port = await server.listen("127.0.0.1", 0)
        client = HttpClient(f"http://127.0.0.1:{port}", token="t", user_agent="test/1", entropy=lambda: 0.0)
        try:
            await use(api, client)
        finally:
            await client.close()
            await server.close(0)

    asyncio.run(main())


MAP = ConfigMap(metadata=ObjectMeta(name="a", namespace="ns"), data={"k": "v"})
BASE = "/api/v1/namespaces/ns/configmaps"


@pytest.mark.parametrize(
    ("action", "method", "path", "query", "body"),
    [
        (Create(CONFIG_MAP, MAP), "POST", BASE, {}, None),
        (Create(CONFIG_MAP, {"metadata": {"namespace": "ns"}}, "token", "a"), "POST", f"{BASE}/a/token", {}, None),
        (Update(CONFIG_MAP, MAP, "status"), "PUT", f"{BASE}/a/status", {}, None),
        (
            Patch(CONFIG_MAP, "ns", "a", {"data": {}}, rev="7"),
            "PATCH",
            f"{BASE}/a",
            {},
            {"data": {}, "metadata": {"resourceVersion": "7"}},
        ),
        (
            Patch(CONFIG_MAP, "ns", "a", [{"op": "x"}], "json", rev="7"),
            "PATCH",
            f"{BASE}/a",
            {},
            [{"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}, {"op": "x"}],
        ),
        (Patch(CONFIG_MAP, "ns", "a", {}, "apply", force=True), "PATCH", f"{BASE}/a", {"force": "true"}, {}),
        (
            Delete(NODE, "", "n/1", uid="u", grace_s=0, propagation="Orphan"),
            "DELETE",
            "/api/v1/nodes/n/1",
            None,
            {
                "kind": "DeleteOptions",
                "apiVersion": "v1",
                "preconditions": {"uid": "u"},
                "gracePeriodSeconds": 0,
                "propagationPolicy": "Orphan",
            },
        ),
    ],
)
def test_what_actions_ask(action: Any, method: str, path: str, query: Any, body: Any) -> None:
    async def use(api: Api, client: HttpClient) -> None:
        api.handle = lambda request: answer(shown("a", 9))
        [outcome] = await client.commit([action])
        [(asked, where, how, what)] = api.asked
        assert (asked, where, outcome.rev, outcome.error) == (method, path, 9, None)
        assert how == ({} if query is None else {"fieldManager": "test", **query})
        if body is not None:
            assert what == body

    with_api(use)


def test_a_commit_answers_each_action_and_keeps_the_order_of_one_object() -> None:
    async def use(api: Api, client: HttpClient) -> None:
        def handle(request: Request) -> Response:
            if request.method == "PUT":
                return refusal(Conflict("configmaps", "", "a"))
            if request.path.endswith("/b"):
                return refusal(NotFound("configmaps", "", "b"))
            return answer(shown("a", 5, k="v"))

        api.handle = handle
        outcomes = await client.commit(
            [
                Create(CONFIG_MAP, MAP),
                Update(CONFIG_MAP, MAP),
                Delete(CONFIG_MAP, "ns", "b"),
                Patch(CONFIG_MAP, "ns", "a", {}),
            ]
        )
        assert [o.error.reason if o.error else o.rev for o in outcomes] == [5, "Conflict", "NotFound", 5]
        assert outcomes[0].obj.data == {"k": "v"}
        assert [a[0] for a in api.asked if a[0] != "DELETE"] == ["POST", "PUT", "PATCH"]
        await client.pool.close()
        with pytest.raises(OSError):
            await client.commit([Create(CONFIG_MAP, MAP)])

    with_api(use)


def test_reading_pages_errors_and_put_offs() -> None:
    async def use(api: Api, client: HttpClient) -> None:
        put_off = [refusal(TooManyRequests("later", 0))]
        warned: list[str] = []
        client.on_warning = warned.append

        def handle(request: Request) -> Response:
            assert request.headers["authorization"] == "Bearer t"
            if put_off:
                return put_off.pop()
            if request.path == "/text":
                return Response(500, b"plain trouble", "text/plain")
            if request.path.endswith("/none"):
                return refusal(NotFound("configmaps", "", "none"))
            if "continue" not in request.query:
                return answer(
                    {"metadata": {"resourceVersion": "8", "continue": "next"}, "items": [shown("a", 1)]},
                    headers=(("Warning", '299 - "old \\"x\\""'), ("Warning", '299 - "two"')),
                )
            return answer({"metadata": {"resourceVersion": "8"}, "items": [shown("b", 2)]})

        api.handle = handle
        objects, rev = await client.list(CONFIG_MAP, "ns", label_selector="a=b")
        assert ([o.metadata.name for o in objects], rev, warned) == (["a", "b"], 8, ['old "x"', "two"])
        assert api.asked[0][2] == {"labelSelector": "a=b", "limit": "500"}
        with pytest.raises(StatusError, match='configmaps "none" not found'):
            await client.get(CONFIG_MAP, "ns", "none")
        with pytest.raises(StatusError, match="plain trouble") as caught:
            await client.post("/text", {})
        assert caught.value.code == 500

    with_api(use)


def test_views_resume_and_relist() -> None:
    async def use(api: Api, client: HttpClient) -> None:
        lists = [[shown("a", 1), shown("b", 2)], [shown("b", 2), shown("c", 20)]]
        step = asyncio.Event()

        def handle(request: Request) -> Any:
            query = dict(request.query_items())
            if query.get("watch") != "true":
                items = lists.pop(0)
                rev = "5" if lists else "21"
                return answer({"metadata": {"resourceVersion": rev}, "items": items})
            stream = request.stream()
            lines: list[Any] = {
                "5": [
                    {"type": "MODIFIED", "object": shown("a", 6, k="v")},
                    {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
                ],
                "9": [{"type": "DELETED", "object": shown("a", 10)}],
                "10": [{"type": "ERROR", "object": Gone("too old resource version: 10 (15)").status()}],
            }.get(query["resourceVersion"], [])
            for line in lines:
                stream.write(msgspec.json.encode(line) + b"\n")
            if lines:
                stream.close()
            else:
                step.set()
            return None

        api.handle = handle
        client_view = client.view(CONFIG_MAP, namespace="ns")
        assert client.view(CONFIG_MAP, namespace="ns") is client_view
        assert not client_view.synced
        told: list[Any] = []
        client_view.subscribe(lambda key, old, new: told.append((key[1], old is not None, new is not None)))
        reached: list[int] = []
        client_view.when_reached(9, lambda: reached.append(client_view.revision))
        async with asyncio.timeout(20):
            await step.wait()
        assert told == [
            ("a", False, True),
            ("b", False, True),
            ("a", True, True),
            ("a", True, False),
            ("c", False, True),
        ]
        assert (reached, client_view.revision, client_view.synced) == ([9], 21, True)
        assert [a[2].get("resourceVersion") for a in api.asked] == [None, "5", "9", "10", None, "21"]

    with_api(use)


def test_a_released_view_watches_no_longer() -> None:
    async def use(api: Api, client: HttpClient) -> None:
        lost, watching = asyncio.Event(), asyncio.Event()

        def handle(request: Request) -> Any:
            if dict(request.query_items()).get("watch") != "true":
                return answer({"metadata": {"resourceVersion": "5"}, "items": []})
            request.stream().on_lost = lost.set
            watching.set()
            return None

        api.handle = handle
        view = client.view(CONFIG_MAP, namespace="ns")
        async with asyncio.timeout(20):
            await watching.wait()
            client.release(view)
            client.release(view)
            await lost.wait()
        assert client.view(CONFIG_MAP, namespace="ns") is not view

    with_api(use)


def test_warnings_are_read() -> None:
    assert warnings_of('299 - "a, b", 299 pelamis "c"') == ["a, b", "c"]
