"""Extenders: what they are asked, what their answers do, and a whole scheduler with one behind real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.net import tls
from pelamis.scheduler import extender as x
from pelamis.scheduler.config import ConfigError, ExtenderConfig, ExtenderTLS, ManagedResource
from pelamis.scheduler.core import Diagnosis
from pelamis.scheduler.preemption import Candidate
from pelamis.scheduler.profile import Settings
from pelamis.scheduler.run import Scheduler
from tests.apiserver.memory import MemoryServer

from .make import cluster, node, pod, pod_tree

NAMES = ExtenderConfig(urlPrefix="http://x", nodeCacheCapable=True, weight=2)
WHOLE = ExtenderConfig(urlPrefix="http://x")
ALL = np.arange(3)


def world() -> Any:
    return cluster(node("a"), node("b"), node("c"), pods=(pod("v", node="a"),))


def test_interest() -> None:
    managed = ExtenderConfig(urlPrefix="http://x", managedResources=(ManagedResource(name="a.b/c"),))
    assert x.interested(NAMES, pod("p"))
    assert not x.interested(managed, pod("p", "1"))
    assert x.interested(managed, pod("p", requests={"a.b/c": "1"}))


def test_what_is_asked() -> None:
    names = json.loads(x.nodes_body(NAMES, world(), pod("p"), ALL))
    assert names["NodeNames"] == ["a", "b", "c"] and names["Nodes"] is None
    assert names["Pod"]["metadata"]["name"] == "p"
    whole = json.loads(x.nodes_body(WHOLE, world(), pod("p"), ALL))
    assert [n["metadata"]["name"] for n in whole["Nodes"]["items"]] == ["a", "b", "c"]


def test_a_filter_takes_nodes_away_and_says_why() -> None:
    why = Diagnosis(3, resolvable=np.ones(3, np.bool_))
    answer = {"nodenames": ["b"], "failedNodes": {"a": "busy"}, "FailedAndUnresolvableNodes": {"c": "too old"}}
    assert list(x.kept(NAMES, world(), ALL, answer, why)) == [1]
    assert why.text() == "0/3 nodes are available: 1 busy, 1 too old."
    assert why.plugins == {x.NAME} and why.resolvable is not None and list(why.resolvable) == [True, True, False]
    left = x.kept(WHOLE, world(), ALL, {"nodes": {"items": [{"metadata": {"name": "c"}}]}}, why)
    assert list(left) == [2]


@pytest.mark.parametrize(
    "answer,expected", [({"error": "out of order"}, "out of order"), ({"NodeNames": ["z"]}, '"z"'), ([], "an object")]
)
def test_answers_that_cannot_be_used(answer: Any, expected: str) -> None:
    with pytest.raises(x.ExtenderError, match=expected):
        x.kept(NAMES, world(), ALL, answer, Diagnosis(3))


def test_scores_are_scaled_and_weighed() -> None:
    found = x.scores(NAMES, world(), ALL, [{"Host": "b", "Score": 10}, {"host": "c", "score": 1}])
    assert list(found) == [0, 200, 20]
    with pytest.raises(x.ExtenderError):
        x.scores(NAMES, world(), ALL, [{"host": "b"}])


def test_preemption_is_narrowed() -> None:
    snapshot = world()
    victim = snapshot.pods["uid-v"]
    found = [Candidate(snapshot.by_name["a"], (victim,), 0)]
    assert json.loads(x.preempt_body(NAMES, pod("p"), found))["NodeNameToMetaVictims"] == {
        "a": {"Pods": [{"UID": "uid-v"}], "NumPDBViolations": 0}
    }
    answer = {"NodeNameToMetaVictims": {"a": {"Pods": [{"UID": "uid-v"}], "NumPDBViolations": 1}}}
    assert x.narrowed(NAMES, snapshot, answer) == [Candidate(snapshot.by_name["a"], (victim,), 1)]
    with pytest.raises(x.ExtenderError, match="is not found on that node"):
        x.narrowed(NAMES, snapshot, {"NodeNameToMetaVictims": {"b": {"Pods": [{"UID": "uid-v"}]}}})


# -- over HTTP

Answer = Callable[[str, Any], Any]


async def serve(answer: Answer, context: Any = None) -> tuple[asyncio.Server, str]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            reply = answer(head.split()[1].decode().rpartition("/")[2], body)
            status = b"200 OK" if reply is not None else b"500 No"
            data = json.dumps(reply).encode()
            writer.write(
                b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(data), data)
            )
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    return (
        server,
        f"http{'s' if context is not None else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/scheduler",
    )


def play(answer: Answer, wanted: Callable[[MemoryServer], Any], context: Any = None, **config: Any) -> MemoryServer:
    """Three nodes, one pod, and an extender, until ``wanted``."""

    async def main() -> MemoryServer:
        clock = asyncio.get_running_loop().time
        called: list[asyncio.Event] = []

        def noted(verb: str, body: Any) -> Any:
            called[0].set()
            return answer(verb, body)

        server, url = await serve(noted, context)
        world = await MemoryServer(clock).start()
        for name in "abc":
            await world.put(NODE, {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "2", "pods": "9"}}})
        await world.put(POD, pod_tree("p", "1"))
        own = Settings(extenders=(ExtenderConfig(urlPrefix=url, weight=1, nodeCacheCapable=True, **config),))
        client = world.client("system:kube-scheduler", "scheduler")
        scheduler = Scheduler(client, clock=clock, entropy=lambda: 0.0, settings=own)
        task = asyncio.ensure_future(scheduler.run())
        changed = asyncio.Event()
        world.subscribe(POD, lambda key, old, new: changed.set())
        called.append(changed)
        async with asyncio.timeout(20):
            while not wanted(world):
                await changed.wait()
                changed.clear()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()
        return world

    return asyncio.run(main())


def placed(world: MemoryServer) -> str:
    return str(world.get(POD, "default", "p").spec.nodeName)


def told(world: MemoryServer) -> Any:
    return next((c for c in world.get(POD, "default", "p").status.conditions if c.type == "PodScheduled"), None)


def test_filter_and_prioritize_decide_together() -> None:
    def answer(verb: str, body: Any) -> Any:
        if verb == "filter":
            return {"NodeNames": [n for n in body["NodeNames"] if n != "a"], "FailedNodes": {"a": "no"}}
        return [{"Host": n, "Score": 10 if n == "c" else 0} for n in body["NodeNames"]]

    assert placed(play(answer, placed, filterVerb="filter", prioritizeVerb="prioritize")) == "c"


def test_an_extender_that_fails_holds_the_pod_back_unless_it_may_be_ignored() -> None:
    world = play(lambda verb, body: None, told, filterVerb="filter")
    assert told(world).reason == "SchedulerError" and "code 500" in told(world).message
    assert placed(play(lambda verb, body: None, placed, filterVerb="filter", ignorable=True))


def test_all_nodes_rejected() -> None:
    world = play(
        lambda verb, body: {"NodeNames": [], "FailedNodes": dict.fromkeys(body["NodeNames"], "no GPU")},
        told,
        filterVerb="filter",
    )
    assert told(world).message.startswith("0/3 nodes are available: 3 no GPU.")


def test_an_extender_binds() -> None:
    asked: list[Any] = []

    def answer(verb: str, body: Any) -> Any:
        asked.append((verb, body))
        return {}

    world = play(answer, lambda world: asked, bindVerb="bind")
    uid = world.get(POD, "default", "p").metadata.uid
    assert asked == [("bind", {"PodName": "p", "PodNamespace": "default", "PodUID": uid, "Node": "a"})]


def test_over_tls(tmp_path: Path) -> None:
    at = time.time()
    authority = tls.Authority(tls.new_authority("extenders", at))
    (tmp_path / "ca.pem").write_bytes(authority.pair.cert)
    pair = authority.issue("extender", at, hosts=("127.0.0.1",), server=True)
    by_data = ExtenderTLS(caData=authority.pair.cert)

    def answer(verb: str, body: Any) -> Any:
        return {"NodeNames": ["b"]}

    context = tls.server_context(pair)
    assert placed(play(answer, placed, context, filterVerb="f", tlsConfig=by_data)) == "b"
    by_file = ExtenderTLS(caFile=str(tmp_path / "ca.pem"))
    assert placed(play(answer, placed, context, filterVerb="f", tlsConfig=by_file)) == "b"
    assert placed(play(answer, placed, context, filterVerb="f", enableHTTPS=True)) == "b", "without a CA, as upstream"
    world = play(
        answer, told, context, filterVerb="f", tlsConfig=ExtenderTLS(serverName="other", caData=authority.pair.cert)
    )
    assert told(world).reason == "SchedulerError"
    with pytest.raises(ConfigError, match="certificates cannot be used"):
        x.Extender(ExtenderConfig(urlPrefix="https://x", tlsConfig=ExtenderTLS(caFile="none.pem")))
