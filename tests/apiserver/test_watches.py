"""Watches beyond the ordinary: over WebSocket, and from a past that only the store remembers."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, RejectConnection, Request, TextMessage

from pelamis.api.core.configmap import KIND as CONFIG_MAP
from pelamis.api.enablement import Enablement
from pelamis.apiserver.metrics import Metrics
from pelamis.apiserver.negotiate import JSON, Format
from pelamis.apiserver.present import Presenter
from pelamis.apiserver.selection import Selection
from pelamis.apiserver.watch import PAUSE_S, Hub, Watcher, bookmark
from pelamis.cache.cache import Cache
from pelamis.store.types import Event
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import CMS, cm, events, run


async def messages(
    h: Harness, path: str, count: int, *protocols: str, accept: str = ""
) -> tuple[str | None, list[Any]]:
    """The subprotocol and the first messages; a refusal is its status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", h.server.port, ssl=h.context(h.admin))
    peer = WSConnection(ConnectionType.CLIENT)
    headers = [(b"Accept", accept.encode())] if accept else []
    writer.write(peer.send(Request(host="x", target=path, subprotocols=list(protocols), extra_headers=headers)))
    out: list[Any] = []
    protocol: str | None = None
    try:
        while len(out) < count:
            data = await reader.read(65536)
            if not data:
                break
            peer.receive_data(data)
            for event in peer.events():
                if isinstance(event, AcceptConnection):
                    protocol = event.subprotocol
                elif isinstance(event, RejectConnection):
                    return None, [event.status_code]
                elif isinstance(event, TextMessage | BytesMessage):
                    out.append(event.data)
                elif isinstance(event, CloseConnection):
                    return protocol, [*out, "closed"]
    finally:
        writer.close()
    return protocol, out


@pytest.mark.parametrize(
    ("protocols", "spoken"),
    [
        ((), None),
        (("binary.k8s.io",), "binary.k8s.io"),
        (("base64.binary.k8s.io",), "base64.binary.k8s.io"),
        (("other", "binary.k8s.io"), "binary.k8s.io"),
        (("base64url.bearer.authorization.k8s.io.eA", "base64.binary.k8s.io"), "base64.binary.k8s.io"),
    ],
)
def test_a_watch_over_websocket(protocols: tuple[str, ...], spoken: str | None) -> None:
    async def scenario(h: Harness) -> None:
        for name in ("a", "b"):
            await h.request("POST", CMS, cm(name))
        path = f"{CMS}?watch=1&timeoutSeconds=1"
        protocol, got = await messages(h, path, 9, *protocols)
        assert protocol == spoken and got.pop() == "closed"
        if spoken == "base64.binary.k8s.io":
            got = [base64.b64decode(m) for m in got]
        elif spoken == "binary.k8s.io":
            assert all(type(m) in (bytes, bytearray) for m in got)
        assert [(e["type"], e["object"]["metadata"]["name"]) for e in map(json.loads, got)] == [
            ("ADDED", "a"),
            ("ADDED", "b"),
        ]

    run(scenario)


def test_protobuf_over_websocket_and_refusals() -> None:
    async def scenario(h: Harness) -> None:
        await h.request("POST", CMS, cm("a"))
        accept = "application/vnd.kubernetes.protobuf;stream=watch"
        _, got = await messages(h, f"{CMS}?watch=1", 1, accept=accept)
        assert int.from_bytes(got[0][:4], "big") == len(got[0]) - 4 and b"ADDED" in got[0]
        assert await messages(h, f"{CMS}?watch=1", 1, "one", "two") == (None, [400])
        assert (await messages(h, f"{CMS}?watch=1", 1, "one"))[0] == "one"

    run(scenario)


def test_a_watch_goes_back_to_the_compacted_revision() -> None:
    async def scenario(h: Harness) -> None:
        _, made = await h.request("POST", CMS, cm("a"))
        rev = int(made["metadata"]["resourceVersion"])
        await h.request("PUT", f"{CMS}/a", cm("a", "2"))
        await h.request("POST", CMS, cm("b"))
        await h.request("DELETE", f"{CMS}/a")
        # As after a restart: the ring knows nothing of the past.
        h.server.cache.trim(h.server.cache.rev)
        watch = asyncio.create_task(events(h, f"{CMS}?watch=1&resourceVersion={rev}", 4))
        while not h.server.watches._hubs or not next(iter(h.server.watches._hubs.values()))._channels:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await h.request("POST", CMS, cm("c"))
        got = await watch
        assert [(e["type"], e["object"]["metadata"]["name"]) for e in got] == [
            ("MODIFIED", "a"),
            ("ADDED", "b"),
            ("DELETED", "a"),
            ("ADDED", "c"),
        ]
        assert [int(e["object"]["metadata"]["resourceVersion"]) for e in got] == list(range(rev + 1, rev + 5))
        status, listed = await h.request("GET", f"{CMS}?resourceVersion={rev}&resourceVersionMatch=Exact")
        assert [i["data"]["k"] for i in listed["items"] if i["metadata"]["name"] in "abc"] == ["v"]
        assert listed["metadata"]["resourceVersion"] == str(rev)
        await h.server.store.compact(rev + 2)
        got = await events(h, f"{CMS}?watch=1&resourceVersion={rev}", 1)
        assert got[0]["type"] == "ERROR" and (got[0]["object"]["code"], got[0]["object"]["reason"]) == (410, "Expired")
        assert got[0]["object"]["message"] == f"too old resource version: {rev} ({rev + 2})"
        status, error = await h.request("GET", f"{CMS}?resourceVersion={rev}&resourceVersionMatch=Exact")
        assert (status, error["reason"]) == (410, "Expired")
        assert error["message"] == "The resourceVersion for the provided list is too old."

    run(scenario)


def test_a_page_of_a_compacted_revision_is_refused_with_a_token_for_what_there_is_now() -> None:
    async def scenario(h: Harness) -> None:
        for name in "abcde":
            await h.request("POST", CMS, cm(name))
        names = [i["metadata"]["name"] for i in (await h.request("GET", CMS))[1]["items"]]
        _, page = await h.request("GET", f"{CMS}?limit=1")
        token = page["metadata"]["continue"]
        later = CMS.replace("default", "later")
        await h.request("POST", "/api/v1/namespaces", {"metadata": {"name": "later"}})
        await h.request("POST", later, cm("z"))
        # Nothing of this page has changed, so the cache could still make it.
        await h.server._compact_store(h.server.cache.rev)
        status, error = await h.request("GET", f"{CMS}?limit=2&continue={token}")
        assert (status, error["reason"]) == (410, "Expired")
        status, page = await h.request("GET", f"{CMS}?limit=2&continue={error['metadata']['continue']}")
        assert status == 200
        assert [i["metadata"]["name"] for i in page["items"]] == names[1:3]
        assert page["metadata"]["remainingItemCount"] == len(names) - 3
        _, rest = await h.request("GET", f"{CMS}?continue={page['metadata']['continue']}")
        assert [i["metadata"]["name"] for i in rest["items"]] == names[3:]
        assert rest["metadata"]["resourceVersion"] == page["metadata"]["resourceVersion"]

    run(scenario)


def test_a_revision_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pelamis.apiserver.lists.WAIT_S", 0.01)

    async def scenario(h: Harness) -> None:
        rev = h.server.cache.rev
        for match in ("", "&resourceVersionMatch=NotOlderThan"):
            status, headers, data = await h.raw("GET", f"{CMS}?resourceVersion={rev + 100}{match}")
            error = json.loads(data)
            assert (status, error["reason"]) == (504, "Timeout")
            assert error["message"] == f"Timeout: Too large resource version: {rev + 100}, current: {rev}"
            assert error["details"] == {
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            }
            assert headers["retry-after"] == "1"

    run(scenario)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            "resourceVersionMatch=X&resourceVersion=1",
            'resourceVersionMatch: Unsupported value: "X": supported values: "Exact", "NotOlderThan", ""',
        ),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=1&resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
            "provided",
        ),
        (
            "watch=1&sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    ],
)
def test_combinations_that_make_no_sense(query: str, message: str) -> None:
    async def scenario(h: Harness) -> None:
        status, error = await h.request("GET", f"{CMS}?{query}")
        assert (status, error["message"]) == (422, f'ListOptions.meta.k8s.io "" is invalid: {message}')

    run(scenario)


def test_a_table_tells_its_columns_once() -> None:
    """With the first event, whatever that is; the bookmark after the initial events is a row too."""

    async def scenario(h: Harness) -> None:
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        for names in ((), ("a", "b")):
            for name in names:
                await h.request("POST", CMS, cm(name))
            lines = (await messages(h, f"{CMS}?watch=1&timeoutSeconds=1&{initial}", 9, accept=accept))[1][:-1]
            got = list(map(json.loads, lines))
            shown = [e["object"]["rows"][0]["object"]["metadata"] for e in got]
            found = [(e["type"], m.get("name", "")) for e, m in zip(got, shown, strict=True)]
            assert found == [*(("ADDED", n) for n in names), ("BOOKMARK", ""), ("BOOKMARK", "")]
            assert [bool(e["object"]["columnDefinitions"]) for e in got] == [True] + [False] * (len(got) - 1)
            assert shown[len(names)]["annotations"] == {"k8s.io/initial-events-end": "true"}

    run(scenario)


def test_bookmarks_of_every_kind_in_a_table() -> None:
    form = Format(JSON, "Table")
    for kind in Enablement("api/all=true").registry().all():
        line = bookmark(Presenter(kind, form, lambda: 0.0), 7, initial_end=True)
        row = json.loads(line)["object"]["rows"][0]
        assert len(row["cells"]) == len(kind.columns) and row["object"]["metadata"]["resourceVersion"] == "7", kind


class Loop:
    """A loop at which somebody looks."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, fn: Any) -> None:
        self.call_later(0.0, fn)

    def call_later(self, delay: float, fn: Any) -> None:
        self.due.append((self.now + delay, fn))

    def until(self, at: float) -> None:
        while self.due and min(when for when, _ in self.due) <= at:
            self.now, fn = self.due.pop(self.due.index(min(self.due, key=lambda d: d[0])))
            fn()
        self.now = at


class Sink:
    chunked = False
    writable = True

    def __init__(self) -> None:
        self.got: list[list[str]] = []

    def write_framed(self, data: bytes) -> None:
        self.got.append([json.loads(line)["object"]["metadata"]["name"] for line in data.splitlines()])


def test_events_that_follow_each_other_go_out_together() -> None:
    """The first at once, the others of a moment at its end, in order and each once; then at once again."""
    cache = Cache([CONFIG_MAP])
    cache.begin_load()
    cache.end_load(1)
    collection, loop, sink = cache.collection(CONFIG_MAP), Loop(), Sink()
    of_loop: Any = loop
    hub = Hub(collection, Metrics(), of_loop)
    stream: Any = sink
    channel = hub.channel(Selection(CONFIG_MAP, "", "", ""), Presenter(CONFIG_MAP, Format(JSON), loop.time))
    hub.join(Watcher(stream, False), channel)
    rev = 1

    def put(name: str) -> None:
        nonlocal rev
        rev += 1
        value = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"%b","namespace":"n"}}' % name.encode()
        cache.apply([Event(rev, f"/registry/configmaps/n/{name}", value, None, 0, 0)])

    put("a")
    put("b")
    assert sink.got == []
    loop.until(100.0)
    assert sink.got == [["a", "b"]]
    put("c")
    loop.until(100.0)
    loop.until(100.0 + PAUSE_S / 2)
    put("d")
    assert len(sink.got) == 1
    loop.until(100.0 + PAUSE_S)
    assert sink.got[1:] == [["c", "d"]]
    loop.until(100.0 + PAUSE_S * 3)
    assert len(sink.got) == 2 and not loop.due
    put("e")
    loop.until(loop.now)
    assert sink.got[2:] == [["e"]]
    put("f")
    late = Sink()
    stream = late
    hub.join(Watcher(stream, False), channel)
    assert sink.got[3:] == [["f"]] and late.got == []  # what came before is not the newcomer's
    loop.until(loop.now + 1)
    put("g")
    loop.until(loop.now)
    assert sink.got[4:] == late.got == [["g"]]
