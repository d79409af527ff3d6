"""Writes over HTTPS: authentication, authorization, admission, validation, field ownership, a durable commit."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import uvloop
from benchmarks.frame import Row, above, below, skipped
from benchmarks.load import Outcome, drive, request_bytes
from benchmarks.servers import Target, api
from grpclib.client import Channel
from grpclib.const import Cardinality
from grpclib.encoding.base import CodecBase

SECONDS = 5.0
POD: dict[str, Any] = {
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
MAPS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"


async def _creates(target: Target, path: str, tree: object, clients: int, seconds: float) -> tuple[Outcome, float]:
    """The drive, and the server's CPU µs for one create. A short one first, so that everything is loaded."""
    data = request_bytes("POST", path, msgspec.json.encode(tree))
    (await drive(target, data, 16, 0.5)).expect(201)
    before = target.cpu
    outcome = await drive(target, data, clients, seconds)
    outcome.expect(201)
    return outcome, (target.cpu - before) / len(outcome.latencies) * 1e6


def create() -> list[Row]:
    async def main() -> list[Row]:
        rows = []
        for name, path, tree, aim in (("ConfigMap", MAPS, CONFIG_MAP, 3000), ("Pod", PODS, POD, 2000)):
            with api(durable=True) as target:
                found, cost = await _creates(target, path, tree, 64, SECONDS)
            note = f"p50 {found.ms(0.5):.0f} ms, p99 {found.ms(0.99):.0f} ms, server CPU {cost:.0f} µs each"
            rows.append(above(f"durable creates of a {name}, 64 clients", found.rate, aim, "/s", note))
        return rows

    return uvloop.run(main())


def create_many() -> list[Row]:
    async def main() -> list[Row]:
        with api(durable=True) as target:
            found, cost = await _creates(target, MAPS, CONFIG_MAP, 1000, 8.0)
        return [
            above("durable creates, 1,000 clients", found.rate, 3000, "/s", f"server CPU {cost:.0f} µs each"),
            below("  their p99", found.ms(0.99), 700, "ms"),
        ]

    return uvloop.run(main())


@contextmanager
def etcd(port: int) -> Iterator[str]:
    """A real etcd in a directory that goes away; yields its URL."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    with tempfile.TemporaryDirectory(prefix="pelamis-bench-etcd-") as place:
        command = ["etcd", "--data-dir", place, "--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        process = subprocess.Popen(
            [*command, "--initial-cluster", f"default={peer}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield client
        finally:
            process.terminate()
            process.wait()


async def opened(url: str) -> Any:
    from pelamis.store.etcd import EtcdStore
    from pelamis.store.types import Unusable

    store = EtcdStore([url])
    for attempt in range(100):
        try:
            await store.open()
            return store
        except Unusable:
            if attempt == 99:
                raise
            await asyncio.sleep(0.1)


class _Bytes(CodecBase):  # type: ignore[misc]
    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


async def _puts(call: Callable[[str, bytes], Any], prefix: str) -> float:
    """Puts a second of the bytes that a ConfigMap is stored as (managedFields included), from 64 callers."""
    from pelamis.store import etcdwire as wire

    value = b"x" * 900
    number = itertools.count()
    done = 0
    stop = asyncio.get_running_loop().time() + SECONDS

    async def put() -> None:
        nonlocal done
        while asyncio.get_running_loop().time() < stop:
            key = f"{prefix}/{next(number)}".encode()
            await call(wire.TXN, wire.txn_request(b"", wire.op_put(key, value), b""))
            done += 1

    await asyncio.gather(*(put() for _ in range(64)))
    return done / SECONDS


def create_etcd() -> list[Row]:
    """Beside direct puts: by grpclib, a library that others would use, and by the store's own connection."""
    what = "creates on etcd, 64 clients"
    if shutil.which("etcd") is None:
        return [skipped(what, "needs etcd (Debian: etcd-server)")]

    async def main() -> list[Row]:
        from pelamis.store.etcdconn import connect

        with etcd(23890) as url:
            await (await opened(url)).close()
            channel = Channel("127.0.0.1", 23890, codec=_Bytes())

            async def by_library(method: str, request: bytes) -> None:
                async with channel.request(method, Cardinality.UNARY_UNARY, bytes, bytes) as stream:
                    await stream.send_message(request, end=True)
                    await stream.recv_message()

            library = await _puts(by_library, "/library")
            channel.close()
            connection = await connect("127.0.0.1", 23890, None)
            own = await _puts(connection.call, "/own")
            connection.close()
            with api(datastore=url) as target:
                found, cost = await _creates(target, MAPS, CONFIG_MAP, 64, SECONDS)
        note = f"p99 {found.ms(0.99):.0f} ms, server CPU {cost:.0f} µs each; server, etcd and clients share the machine"
        rows = []
        for peer, rate, text in (("grpclib", library, note), ("own connection", own, "")):
            ratio = found.rate / rate
            shown = f"{found.rate:,.0f}/s"
            rows.append(
                Row(f"{what}, beside {peer}", shown, f"direct {rate:,.0f}/s", ratio, "≥ 0.50", ratio >= 0.5, text)
            )
        return rows

    return uvloop.run(main())


def deployment() -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD["spec"]},
        },
    }


def patches() -> list[Row]:
    """In turn over 64 Deployments, so that clients do not conflict; memory store: the CPU is what is measured."""

    def bodies(make: Callable[[int], object], media: str, query: str = "") -> Callable[[], bytes]:
        number = itertools.count()

        def following() -> bytes:
            n = next(number)
            path = f"/apis/apps/v1/namespaces/default/deployments/web-{n % 64}{query}"
            return request_bytes("PATCH", path, msgspec.json.encode(make(n)), media)

        return following

    def applied(n: int) -> object:
        tree = deployment()
        tree["metadata"]["name"] = f"web-{n % 64}"
        tree["spec"]["replicas"] = n // 64 % 50
        return tree

    def strategic(n: int) -> object:
        container = {"name": "web", "image": f"nginx:1.{n}"}
        return {"spec": {"template": {"spec": {"containers": [container]}}}}

    async def main() -> list[Row]:
        rows = []
        with api() as target:
            setup = iter(range(64))

            def make() -> bytes | None:
                n = next(setup, None)
                if n is None:
                    return None
                path = f"/apis/apps/v1/namespaces/default/deployments/web-{n}?fieldManager=bench&force=true"
                return request_bytes("PATCH", path, msgspec.json.encode(applied(n)), "application/apply-patch+yaml")

            (await drive(target, make, 1, 30)).expect(201)
            for name, following in (
                ("strategic merge", bodies(strategic, "application/strategic-merge-patch+json")),
                ("merge", bodies(lambda n: {"spec": {"replicas": n % 50}}, "application/merge-patch+json")),
                ("apply", bodies(applied, "application/apply-patch+yaml", "?fieldManager=bench&force=true")),
            ):
                (await drive(target, following, 16, 0.5)).expect(200)
                before = target.cpu
                found = await drive(target, following, 16, SECONDS)
                found.expect(200)
                cost = (target.cpu - before) / len(found.latencies)
                note = f"server CPU {cost * 1e6:.0f} µs each; {found.rate:,.0f}/s seen with the client beside it"
                rows.append(above(f"{name} patches of a Deployment, one core", 1 / cost, 1500, "/s", note))
        return rows

    return uvloop.run(main())
