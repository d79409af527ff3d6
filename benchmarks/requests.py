"""CPU of what surrounds a small request: HTTP, who is asking, rights, priority and fairness, the answer's head.

Requests come over transports that lead nowhere, 40 at a time; the plan and the store of a write are replaced by an
answer that is ready in the next turn of the loop. The peer is the bare HTTP connection, which reads the same bytes and
answers with the same ones; the ratio is how many times as much the API server costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import uvloop
from benchmarks.frame import Row, shown, table

from pelamis.apiserver.rest import Answer
from pelamis.apiserver.server import ApiServer, Config
from pelamis.apiserver.user import AUTHENTICATED, NODES, User
from pelamis.apiserver.write import Write
from pelamis.client.types import Create
from pelamis.main import hollow
from pelamis.net import tls
from pelamis.net.http1 import Request, Response
from pelamis.net.httpconnection import Connection
from pelamis.net.httpserver import Server
from pelamis.store.memory import MemoryStore

COUNT, ROUNDS = 40, 400
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE = {"holderIdentity": "n", "leaseDurationSeconds": 40, "renewTime": "2026-01-31T08:00:00.000000Z"}
NODE = User("system:node:n", (NODES, AUTHENTICATED))
AGENT = User(hollow.USER, (AUTHENTICATED,))
AIMS = {"lease renewal": 6.0, "lease renewal, acting as the node": 6.5, "status of a pod": 6.5, "GET of a node": 3.0}


class Wire(asyncio.Transport):
    """A transport that only counts."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        assert data.startswith(b"HTTP/1.1 200 "), bytes(data)
        self.answered += 1


class Ready:
    """In place of what plans and stores."""

    def __init__(self, data: bytes) -> None:
        self._answer = Answer(200, data)

    async def one(self, write: Write) -> Answer:
        loop = asyncio.get_running_loop()
        stored = loop.create_future()
        loop.call_soon(stored.set_result, None)
        await stored
        return self._answer


def text(method: str, path: str, body: bytes = b"", media: str = "", acting: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1:6443", "User-Agent: kubelet/v1.37.0"]
    if acting:
        lines += [f"Impersonate-User: {acting}", f"Impersonate-Group: {NODES}"]
    lines.append("Accept: application/json")
    if body:
        lines += [f"Content-Type: {media}", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode() + body


async def cost(server: Server, data: bytes, user: User) -> float:
    """Microseconds of one, in a quiet round."""
    found = []
    connections = []
    for _ in range(COUNT):
        connection, wire = Connection(server), Wire()
        connection.connection_made(wire)
        connection.state |= {"user": user, "until": float("inf")}
        connections.append((connection, wire))
    for _ in range(ROUNDS):
        wanted = connections[-1][1].answered + 1
        start = time.thread_time()
        for connection, _ in connections:
            connection.data_received(data)
        while any(wire.answered < wanted for _, wire in connections):  # noqa: ASYNC110
            await asyncio.sleep(0)
        found.append(time.thread_time() - start)
    for connection, _ in connections:
        connection.connection_lost(None)
    return sorted(found)[ROUNDS // 20] / COUNT * 1e6


async def prepared() -> ApiServer:
    store = MemoryStore()
    await store.open()
    server = ApiServer(Config(store=store, service_account_key=tls.key_pem(tls.new_key()), listen=False))
    await server.start()
    kind, admin = server.objects.kind, server.client("system:admin", "system:masters")
    for tree in hollow.roles():
        await admin.commit([Create(kind(f"{tree['kind'].lower()}s.rbac.authorization.k8s.io"), tree)])
    pod = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    for resource, tree in (
        ("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}}),
        ("nodes", {"metadata": {"name": "n"}}),
        ("pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": pod}),
        ("leases.coordination.k8s.io", {"metadata": {"name": "n", "namespace": "kube-node-lease"}, "spec": LEASE}),
    ):
        (outcome,) = await admin.commit([Create(kind(resource), tree)])
        assert outcome.error is None, outcome.error
    return server


def bare(body: bytes) -> Callable[[Request], Response]:
    return lambda request: Response(200, body)


async def measure() -> list[Row]:
    server = await prepared()
    renewal, merge = msgspec.json.encode({"spec": LEASE}), "application/merge-patch+json"
    conditions = [
        {"type": t, "status": "True", "lastTransitionTime": "2026-01-31T08:00:00Z"} for t in ("Ready", "Initialized")
    ]
    status = msgspec.json.encode({"status": {"phase": "Running", "podIP": "10.1.0.7", "conditions": conditions}})
    asked: dict[str, tuple[bytes, User, str, tuple[str, str]]] = {
        "lease renewal": (
            text("PATCH", f"{LEASES}/n?fieldManager=kubelet", renewal, merge), NODE,
            "leases.coordination.k8s.io", ("kube-node-lease", "n"),
        ),
        "lease renewal, acting as the node": (
            text("PATCH", f"{LEASES}/n?fieldManager=kubelet", renewal, merge, NODE.name), AGENT,
            "leases.coordination.k8s.io", ("kube-node-lease", "n"),
        ),
        "status of a pod": (
            text("PATCH", "/api/v1/namespaces/default/pods/p/status?fieldManager=kubelet", status,
                 "application/strategic-merge-patch+json", NODE.name), AGENT, "pods", ("default", "p"),
        ),
        "GET of a node": (text("GET", "/api/v1/nodes/n"), NODE, "nodes", ("", "n")),
    }  # fmt: skip
    rows = []
    for what, (data, user, resource, key) in asked.items():
        entry = server.objects.collection(server.objects.kind(resource)).get(*key)
        assert entry is not None
        server.api._writes._rest = Ready(entry.data)  # type: ignore[assignment]
        plain = Server(bare(entry.data))
        plain.loop = asyncio.get_running_loop()
        ours, peer, aim = await cost(server.http, data, user), await cost(plain, data, user), AIMS[what]
        rows.append(
            Row(
                f"around a request: {what}", shown(ours, "µs CPU"), f"bare connection {shown(peer, 'µs CPU')}",
                ours / peer, f"≤ {aim:g} ×", ours <= aim * peer,
            )
        )  # fmt: skip
    await server.stop(0.0)
    return rows


def rows() -> list[Row]:
    return uvloop.run(measure())


if __name__ == "__main__":
    print(table(rows()))
