"""Server processes to measure: an API server set up as ``pelamis`` does it, and a bare server of the same stack.

A ``Target`` is one such process; it tells its CPU time and memory, and ends on ``close``. The environment variable
PROFILE=tottime (or another order of pstats) makes it print to stderr what it did between start and end.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from benchmarks.frame import cpu_s, pss

from pelamis.net import tls

NAMESPACES = 50


def process_settings() -> None:
    """What pelamis.main.server sets for its process."""
    sys.setswitchinterval(0.001)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _until_told(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    told = loop.create_future()
    loop.add_reader(pipe.fileno(), lambda: told.done() or told.set_result(None))
    profile = None
    if os.environ.get("PROFILE"):
        import cProfile

        profile = cProfile.Profile()
        profile.enable()
    await told
    loop.remove_reader(pipe.fileno())
    if profile is not None:
        import pstats

        profile.disable()
        pstats.Stats(profile, stream=sys.stderr).sort_stats(
            os.environ["PROFILE"] if os.environ["PROFILE"] != "1" else "tottime"
        ).print_stats(70)


@asynccontextmanager
async def api_server(store: Any, **config: Any) -> AsyncIterator[Any]:
    """An ApiServer over TLS on a free port; yields (server, ca, admin's pair)."""
    from pelamis.apiserver.server import ApiServer, Config

    now = time.time()
    ca = tls.Authority(tls.new_authority("bench-ca", now))
    serving = ca.issue("kube-apiserver", now, hosts=("127.0.0.1",), server=True)
    admin = ca.issue("admin", now, organizations=("system:masters",), client=True)
    server = ApiServer(
        Config(
            store=store,
            service_account_key=tls.key_pem(tls.new_key()),
            port=0,
            tls=tls.server_context(serving, ca.pair.cert),
            client_ca=ca.pair.cert,
            **config,
        )
    )
    await server.start()
    try:
        yield server, ca, admin
    finally:
        await server.stop(0.2)


async def _account(server: Any) -> None:
    """What a ServiceAccount controller would have made, so that pods are admitted."""
    from pelamis.client.types import Create

    client = server.client("system:admin", "system:masters")
    kind = server.objects.kind("serviceaccounts")
    await client.commit([Create(kind, {"metadata": {"name": "default", "namespace": "default"}})])


def serve_api(
    pipe: Connection, directory: str, fill: Callable[[], Any] | None = None, datastore: str = "", masters: bool = True
) -> None:
    """directory "" = in memory. fill: gives (key, value) of what the store holds before the server starts.

    masters False: the client has its rights from RBAC alone, as everybody but the administrator.
    """

    async def main() -> None:
        from pelamis.store.memory import MemoryStore
        from pelamis.store.sqlite import SqliteStore
        from pelamis.store.types import Put

        store: Any
        if datastore:
            from pelamis.store.etcd import EtcdStore

            store = EtcdStore([datastore])
        else:
            store = SqliteStore(directory) if directory else MemoryStore()
        await store.open()
        if fill is not None:
            batch = []
            for key, value in fill():
                batch.append(Put(key, value))
                if len(batch) == 250:
                    await store.commit(batch)
                    batch = []
            await store.commit(batch)
        process_settings()
        began, cpu = time.perf_counter(), time.process_time()
        async with api_server(store, max_writing=1000, shared=bool(datastore)) as (server, ca, admin):
            started, cpu = time.perf_counter() - began, time.process_time() - cpu
            await _account(server)
            if not masters:
                admin = await _reader(server, ca)
            pipe.send((server.port, ca.pair.cert, admin.cert, admin.key, started, server.cache.bytes))
            await _until_told(pipe)
        await store.close()

    uvloop.run(main())


async def _reader(server: Any, ca: tls.Authority) -> tls.Pair:
    from pelamis.client.types import Create

    client = server.client("system:admin", "system:masters")
    group = "rbac.authorization.k8s.io"
    role = {"metadata": {"name": "reader"}, "rules": [{"verbs": ["*"], "apiGroups": ["", "apps"], "resources": ["*"]}]}
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"kind": "Group", "apiGroup": group, "name": "readers"}],
    }
    kinds = (server.objects.kind(f"clusterroles.{group}"), server.objects.kind(f"clusterrolebindings.{group}"))
    for kind, tree in zip(kinds, (role, binding), strict=True):
        for outcome in await client.commit([Create(kind, tree)]):
            if outcome.error is not None:
                raise outcome.error
    return ca.issue("reader", time.time(), organizations=("readers",), client=True)


def serve_bare(pipe: Connection, body: bytes) -> None:
    """A TLS server of the same stack that answers every request with the same bytes."""
    from pelamis.net.http1 import Request, Response
    from pelamis.net.httpserver import Server

    async def main() -> None:
        now = time.time()
        ca = tls.Authority(tls.new_authority("bare-ca", now))
        serving = ca.issue("bare", now, hosts=("127.0.0.1",), server=True)
        client = ca.issue("client", now, client=True)

        def handle(request: Request) -> Response:
            return Response(200, body)

        server = Server(handle)
        process_settings()
        port = await server.listen("127.0.0.1", 0, tls.server_context(serving, ca.pair.cert))
        pipe.send((port, ca.pair.cert, client.cert, client.key, 0.0, 0))
        await _until_told(pipe)

    uvloop.run(main())


class Target:
    """One server process. ``started``: seconds from an open store to the first answer; ``stored``: bytes it holds."""

    def __init__(self, run: Callable[..., None], *args: Any) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, child = spawn.Pipe()
        self.process = spawn.Process(target=run, args=(child, *args))
        self.process.start()
        child.close()
        self.port, self.ca, self.cert, self.key, self.started, self.stored = self.pipe.recv()
        self.context: ssl.SSLContext = tls.client_context(self.ca, tls.Pair(self.cert, self.key))
        assert self.process.pid is not None
        self.pid = self.process.pid

    @property
    def cpu(self) -> float:
        return cpu_s(self.pid)

    @property
    def memory(self) -> int:
        return pss(self.pid)

    def close(self) -> None:
        try:
            self.pipe.send("stop")
        except BrokenPipeError:
            pass
        self.process.join(15)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def api(*, durable: bool = False, **options: Any) -> Target:
    """durable: on SQLite in a directory that goes away with this process."""
    directory = ""
    if durable:
        place = tempfile.TemporaryDirectory(prefix="pelamis-bench-")
        _places.append(place)
        directory = place.name
    return Target(Given(serve_api, options), directory)


_places: list[tempfile.TemporaryDirectory[str]] = []


class Given:
    """A function with some keywords given, that another process can be handed."""

    def __init__(self, run: Callable[..., None], options: dict[str, Any]) -> None:
        self.run = run
        self.options = options

    def __call__(self, *args: Any) -> None:
        self.run(*args, **self.options)


def bare(body: bytes) -> Target:
    return Target(serve_bare, body)


# -- what a store is filled with


class Pods:
    """Running pods of about 2 KB, as a small Deployment's are."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> Iterator[tuple[str, bytes]]:
        from benchmarks.store_load import pod

        for i in range(NAMESPACES):
            meta = {"name": f"ns{i}", "uid": f"ns-{i}", "creationTimestamp": "2026-01-01T00:00:00Z"}
            tree = {"kind": "Namespace", "apiVersion": "v1", "metadata": meta, "status": {"phase": "Active"}}
            yield f"/registry/namespaces/ns{i}", msgspec.json.encode(tree)
        for i in range(self.count):
            yield f"/registry/pods/ns{i % NAMESPACES}/web-{i:06d}", pod(i)


class ConfigMaps:
    """Small objects with labels."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> Iterator[tuple[str, bytes]]:
        for i in range(self.count):
            tree = {
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": {
                    "name": f"c-{i:06d}",
                    "namespace": f"ns{i % NAMESPACES}",
                    "uid": f"00000000-0000-0000-0000-{i:012d}",
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    "labels": {"app": f"app{i % 500}"},
                },
                "data": {"key": "value"},
            }
            yield f"/registry/configmaps/ns{i % NAMESPACES}/c-{i:06d}", msgspec.json.encode(tree)


def fill_directory(directory: Path, objects: Sequence[Any]) -> None:
    """Fill a SQLite store, to be opened by a server later."""
    from pelamis.store.sqlite import SqliteStore
    from pelamis.store.types import Put

    async def main() -> None:
        store = SqliteStore(directory)
        await store.open()
        for source in objects:
            batch = []
            for key, value in source():
                batch.append(Put(key, value))
                if len(batch) == 250:
                    await store.commit(batch)
                    batch = []
            await store.commit(batch)
        await store.close()

    uvloop.run(main())
