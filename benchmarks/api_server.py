"""The API server over HTTPS against a bare TLS server of the same stack, both in processes of their own.

    python -m benchmarks.api_server [get|list|create|pods|watch ...] [--seconds N]

get: GET of one pod with client certificate and RBAC; peer: the same bytes from a bare server. list: 10,000 pods; peer:
the bare write of the same bytes. create, pods: durable creates on SQLite with 64 clients; limit: the aim. watch: events
delivered to 1,000 watchers of one kind; limit: the aim.
"""

# ruff: noqa: ASYNC110

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import ssl
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import uvloop

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "p-", "labels": {"app": "web", "tier": "front"}},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "nginx:1.19",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "A", "value": "b"}, {"name": "C", "value": "d"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
            }
        ]
    },
}
CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"generateName": "c-"},
    "data": {"key": "value" * 20},
}


ROUNDS = 3


class Peer(asyncio.Protocol):
    """A client connection that answers each finished response with the next request."""

    def __init__(self, request: Callable[[], bytes | None], done: Callable[[int, float], None]) -> None:
        self.request = request
        self.done = done
        self.left = -1
        self.head = b""
        self.code = 0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent_at = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        data = self.request()
        if data is None:
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.left < 0:
            data = self.head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.head = data
                return
            self.code = int(data[9:12])
            at = data.find(b"Content-Length: ") + 16
            self.left = int(data[at : data.index(b"\r\n", at)])
            data = data[end + 4 :]
            self.head = b""
        self.left -= len(data)
        if self.left <= 0:
            self.left = -1
            self.done(self.code, time.perf_counter() - self.sent_at)
            self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


def _serve(pipe: Connection, sqlite: bool, preload: int) -> None:
    from tests.apiserver.harness import running

    async def main() -> None:
        async with running(sqlite=sqlite, max_writing=1000) as harness:
            if preload:
                await _preload(harness, preload)
            pipe.send((harness.server.port, harness.ca.pair.cert, harness.admin.cert, harness.admin.key))
            began = time.process_time()
            profile = None
            if os.environ.get("PROFILE"):
                import cProfile

                profile = cProfile.Profile()
                profile.enable()
            while not pipe.poll():
                await asyncio.sleep(0.05)
            command = pipe.recv()
            if profile is not None:
                import pstats

                profile.disable()
                pstats.Stats(profile).sort_stats("tottime").print_stats(45)
                sys.stdout.flush()
            pipe.send(time.process_time() - began)
            del command

    uvloop.run(main())


async def _preload(harness: Any, count: int) -> None:
    server = harness.server
    client = server.client("system:admin", "system:masters")
    from pelamis.client.types import Create

    accounts = server.objects.kind("serviceaccounts")
    await client.commit([Create(accounts, {"metadata": {"name": "default", "namespace": "default"}})])
    kind = server.objects.kind("pods")
    for start in range(0, count, 500):
        pods = []
        for i in range(start, min(start + 500, count)):
            tree = msgspec.json.decode(msgspec.json.encode(POD))
            tree["metadata"] = {"name": f"pod-{i:06}", "namespace": "default", "labels": {"app": "web"}}
            pods.append(Create(kind, tree))
        for outcome in await client.commit(pods):
            if outcome.error is not None:
                raise outcome.error


def _bare(pipe: Connection, sizes: bytes) -> None:
    """A server of the same stack that answers every request with the same bytes.

    It imports what the API server imports: without that the very same code takes twice the CPU per request (a small
    process, probably the allocator giving memory back each time), and the comparison flatters the API server.
    """
    import tests.apiserver.harness  # noqa: F401
    from pelamis.net import tls
    from pelamis.net.http1 import Request, Response, Server

    async def main() -> None:
        now = time.time()
        ca = tls.Authority(tls.new_authority("bare-ca", now))
        serving = ca.issue("bare", now, hosts=("127.0.0.1",), server=True)
        client = ca.issue("client", now, client=True)

        def handle(request: Request) -> Response:
            return Response(200, sizes)

        server = Server(handle)
        port = await server.listen("127.0.0.1", 0, tls.server_context(serving, ca.pair.cert))
        pipe.send((port, ca.pair.cert, client.cert, client.key))
        began = time.process_time()
        while not pipe.poll():
            await asyncio.sleep(0.05)
        pipe.send(time.process_time() - began)

    uvloop.run(main())


class Target:
    """A server process."""

    def __init__(self, run: Callable[..., None], *args: Any) -> None:
        self.pipe, child = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=run, args=(child, *args))
        self.process.start()
        self.port, ca, cert, key = self.pipe.recv()
        from pelamis.net import tls

        self.context: ssl.SSLContext = tls.client_context(ca, tls.Pair(cert, key))

    def close(self) -> float:
        self.pipe.send("stop")
        spent = 0.0
        if self.pipe.poll(30):
            try:
                spent = self.pipe.recv()
            except (EOFError, ConnectionResetError):
                spent = 0.0
        self.process.join(10)
        if self.process.is_alive():
            self.process.terminate()
        return spent


def request_bytes(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nUser-Agent: bench/1\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def drive(target: Target, data: bytes, clients: int, seconds: float) -> tuple[float, list[float], dict[int, int]]:
    """(requests per second, sorted latencies, answers by code)."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    codes: dict[int, int] = {}
    stop_at = time.perf_counter() + seconds

    def following() -> bytes | None:
        return data if time.perf_counter() < stop_at else None

    def done(code: int, latency: float) -> None:
        latencies.append(latency)
        codes[code] = codes.get(code, 0) + 1

    peers = []
    for _ in range(clients):
        _, peer = await loop.create_connection(
            lambda: Peer(following, done), "127.0.0.1", target.port, ssl=target.context
        )
        peers.append(peer)
    start = time.perf_counter()
    await asyncio.gather(*(p.closed for p in peers))
    elapsed = time.perf_counter() - start
    return len(latencies) / elapsed, sorted(latencies), codes


def show(name: str, rate: float, latencies: list[float], against: str, ratio: float) -> None:
    p50 = latencies[len(latencies) // 2] * 1000 if latencies else 0.0
    p99 = latencies[int(len(latencies) * 0.99)] * 1000 if latencies else 0.0
    print(f"{name:34} {rate:10,.0f}/s  p50 {p50:8.2f} ms  p99 {p99:8.2f} ms  {against} {ratio:.2f}", flush=True)


async def against_bare(
    path: str, preload: int, clients: int, seconds: float
) -> tuple[int, list[float], float, float, float]:
    """(bytes, latencies, rate, CPU per request, CPU of the bare server), the two alternating, the median of ROUNDS."""
    full: list[tuple[float, float]] = []
    bare: list[float] = []
    body = b""
    latencies: list[float] = []
    for _ in range(ROUNDS):
        target = Target(_serve, False, preload)
        body = await fetch(target, path)
        rate, latencies, codes = await drive(target, request_bytes("GET", path), clients, seconds)
        full.append((target.close() / len(latencies), rate))
        assert set(codes) == {200}, codes
        peer = Target(_bare, body)
        _, others, _ = await drive(peer, request_bytes("GET", path), clients, seconds)
        bare.append(peer.close() / len(others))
    spent, rate = sorted(full)[ROUNDS // 2]
    return len(body), latencies, rate, spent, sorted(bare)[ROUNDS // 2]


async def bench_get(seconds: float) -> None:
    """By CPU time of the server: the client may be the slower side."""
    path = "/api/v1/namespaces/default/pods/pod-000001"
    size, latencies, rate, spent, least = await against_bare(path, 10, 64, seconds)
    show(f"GET one pod ({size} B)", rate, latencies, "of the bare server, by CPU (aim 0.40):", least / spent)
    print(f"    server CPU {spent * 1e6:.0f} µs per request, bare {least * 1e6:.0f} µs")


async def bench_list(seconds: float) -> None:
    size, latencies, rate, spent, least = await against_bare("/api/v1/pods", 10_000, 1, seconds)
    show(
        f"LIST 10,000 pods ({size >> 20} MiB)", rate, latencies, "times the bare write, by CPU (aim 3):", spent / least
    )
    print(f"    server CPU {spent * 1e3:.1f} ms per list, bare {least * 1e3:.1f} ms")


async def bench_create(seconds: float, name: str, path: str, tree: dict[str, Any], aim: float) -> None:
    target = Target(_serve, True, 1)
    data = request_bytes("POST", path, msgspec.json.encode(tree))
    rate, latencies, codes = await drive(target, data, 64, seconds)
    cpu = target.close()
    assert set(codes) == {201}, codes
    show(f"create {name}, 64 clients, durable", rate, latencies, f"of the aim ({aim:,.0f}/s):", rate / aim)
    print(f"    server CPU {cpu / max(len(latencies), 1) * 1e6:,.0f} µs per create")


class Watching(asyncio.Protocol):
    """Counts the lines of a watch."""

    count = 0

    def connection_made(self, transport: Any) -> None:
        transport.write(request_bytes("GET", "/api/v1/configmaps?watch=1&resourceVersion=0"))

    def data_received(self, data: bytes) -> None:
        Watching.count += data.count(b'"type":"ADDED"')


async def bench_watch(seconds: float) -> None:
    target = Target(_serve, False, 1)
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        await loop.create_connection(Watching, "127.0.0.1", target.port, ssl=target.context)
    await asyncio.sleep(1)
    Watching.count = 0
    data = request_bytes("POST", "/api/v1/namespaces/default/configmaps", msgspec.json.encode(CONFIG_MAP))
    start = time.perf_counter()
    rate, latencies, codes = await drive(target, data, 8, seconds)
    wanted = sum(codes.values()) * 1000
    while Watching.count < wanted and time.perf_counter() - start < seconds + 30:
        await asyncio.sleep(0.05)
    elapsed = time.perf_counter() - start
    delivered = Watching.count / elapsed
    target.close()
    print(f"    {Watching.count:,} of {wanted:,} events delivered, {rate:,.0f} creates/s")
    show("events to 1,000 watchers", delivered, latencies, "of the aim (100,000/s):", delivered / 100_000)


async def fetch(target: Target, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, ssl=target.context)
    writer.write(request_bytes("GET", path).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    await reader.readuntil(b"\r\n\r\n")
    body = await reader.read()
    writer.close()
    return body


async def main(names: list[str], seconds: float) -> None:
    for name in names:
        match name:
            case "get":
                await bench_get(seconds)
            case "list":
                await bench_list(seconds)
            case "create":
                await bench_create(seconds, "ConfigMap", "/api/v1/namespaces/default/configmaps", CONFIG_MAP, 3000)
            case "pods":
                await bench_create(seconds, "Pod", "/api/v1/namespaces/default/pods", POD, 2000)
            case "watch":
                await bench_watch(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=["get", "list", "create", "pods", "watch"])
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    uvloop.run(main(arguments.names, arguments.seconds))
