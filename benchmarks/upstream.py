"""The same requests to Kubernetes' own API server, on the same machine with the same etcd, one after the other.

``PELAMIS_KUBE_APISERVER`` names the program (of any version; the rows say which). Both servers have TLS, client
certificates, RBAC and their default admission plugins; both are stopped before the next one starts. Ours runs on SQLite
and on etcd, each durable; theirs on etcd. Lists are of ten thousand pods that were put into the store beforehand, once
as clients ask for them and once with ``resourceVersion=0``: an etcd older than 3.4.31 makes upstream answer the former
from etcd rather than from its cache.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from benchmarks.frame import Row, cpu_s, pss, say, shown, skipped
from benchmarks.load import drive, fetch, request_bytes
from benchmarks.servers import Pods, Target, api
from benchmarks.writes import CONFIG_MAP, MAPS, POD, PODS, etcd, opened
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pelamis.net import tls

PROGRAM = "PELAMIS_KUBE_APISERVER"
SECONDS = 5.0
ETCD_PORT = 23895
_GROUP = "rbac.authorization.k8s.io"
_ROLE = {"metadata": {"name": "reader"}, "rules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["*"]}]}
_BINDING = {
    "metadata": {"name": "reader"},
    "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": "reader"},
    "subjects": [{"kind": "Group", "apiGroup": _GROUP, "name": "readers"}],
}
_SETUP = (
    ("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}}),
    (f"/apis/{_GROUP}/v1/clusterroles", _ROLE),
    (f"/apis/{_GROUP}/v1/clusterrolebindings", _BINDING),
)


class Upstream:
    """A kube-apiserver; has what ``load.drive`` asks of a Target. ``started``: seconds from exec to a good /readyz."""

    def __init__(self, program: str, url: str, place: Path) -> None:
        now = time.time()
        ca = tls.Authority(tls.new_authority("bench-ca", now))
        serving = ca.issue("kube-apiserver", now, hosts=("127.0.0.1",), server=True)
        key = tls.new_key()
        files = {
            "ca.crt": ca.pair.cert,
            "server.crt": serving.cert,
            "server.key": serving.key,
            "sa.key": tls.key_pem(key),
            "sa.pub": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        }
        for name, data in files.items():
            (place / name).write_bytes(data)
        self._admin = self._context(ca, ca.issue("admin", now, organizations=("system:masters",), client=True))
        self._reader = self._context(ca, ca.issue("reader", now, organizations=("readers",), client=True))
        self.context = self._admin
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        options = {
            "etcd-servers": url,
            "secure-port": self.port,
            "bind-address": "127.0.0.1",
            "advertise-address": "192.0.2.1",
            "service-cluster-ip-range": "10.96.0.0/16",
            "authorization-mode": "Node,RBAC",
            "client-ca-file": place / "ca.crt",
            "tls-cert-file": place / "server.crt",
            "tls-private-key-file": place / "server.key",
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": place / "sa.pub",
            "service-account-signing-key-file": place / "sa.key",
        }
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [program, *(f"--{name}={value}" for name, value in options.items())],
            stdout=subprocess.DEVNULL,
            stderr=(place / "log").open("wb"),
        )
        self.pid = self._process.pid
        try:
            while self._ask("GET", "/readyz") != 200:
                if self._process.poll() is not None or time.perf_counter() - began > 120:
                    raise SystemExit(f"{program} does not start: {(place / 'log').read_text()[-2000:]}")
                time.sleep(0.02)
            self.started = time.perf_counter() - began
            for path, tree in _SETUP:
                if (code := self._ask("POST", path, msgspec.json.encode(tree))) not in (201, 409):
                    raise SystemExit(f"POST {path} was answered {code}")
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _context(ca: tls.Authority, pair: tls.Pair) -> ssl.SSLContext:
        return tls.client_context(ca.pair.cert, pair)

    def as_reader(self) -> None:
        """Rights from RBAC alone from now on."""
        self.context = self._reader

    def _ask(self, method: str, path: str, body: bytes = b"") -> int:
        """The code of the answer; 0 for none."""
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), 10) as raw,
                self.context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
            ):
                connection.sendall(request_bytes(method, path, body))
                return int(connection.recv(4096)[9:12] or 0)
        except OSError:
            return 0

    @property
    def cpu(self) -> float:
        return cpu_s(self.pid)

    @property
    def memory(self) -> int:
        return pss(self.pid)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def _filled(url: str) -> None:
    from pelamis.store.types import Put

    store = await opened(url)
    batch = [Put(key, value) for key, value in Pods(10_000)()]
    for at in range(0, len(batch), 250):
        await store.commit(batch[at : at + 250])
    await store.close()


@contextmanager
def _server(what: str, program: str, *, full: bool) -> Iterator[tuple[Any, float]]:
    """A server of that sort, empty or with 10,000 pods; and the seconds from the start of its process."""
    with ExitStack() as stack:
        url = "" if what == "SQLite" else stack.enter_context(etcd(ETCD_PORT))
        if url:
            asyncio.run(_filled(url) if full else _closed(url))
        if what == "theirs":
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="pelamis-bench-upstream-"))
            theirs = Upstream(program, url, Path(place))
            stack.callback(theirs.close)
            if full:
                theirs.as_reader()
            yield theirs, theirs.started
            return
        began = time.perf_counter()
        options: dict[str, Any] = {"masters": not full}
        if url:
            options["datastore"] = url
        elif full:
            options["fill"] = Pods(10_000)
        ours = stack.enter_context(api(durable=not url, **options))
        yield ours, time.perf_counter() - began


async def _closed(url: str) -> None:
    """Returns when etcd answers."""
    await (await opened(url)).close()


async def _rate(target: Target, path: str, tree: object) -> tuple[float, float, float]:
    """Creates a second, their p99 in ms, CPU µs of the server for each."""
    data = request_bytes("POST", path, msgspec.json.encode(tree))
    (await drive(target, data, 16, 1.0)).expect(201)
    before = target.cpu
    found = await drive(target, data, 64, SECONDS)
    found.expect(201)
    return found.rate, found.ms(0.99), (target.cpu - before) / len(found.latencies) * 1e6


def _figures(what: str, program: str) -> dict[str, float]:
    out: dict[str, float] = {}
    with _server(what, program, full=False) as (target, out["start"]):
        time.sleep(5.0)
        out["memory"] = target.memory / 1e6
        for name, path, tree in (("ConfigMap", MAPS, CONFIG_MAP), ("Pod", PODS, POD)):
            out[name], out[f"{name} p99"], out[f"{name} CPU"] = uvloop.run(_rate(target, path, tree))
    with _server(what, program, full=True) as (target, out["full start"]):
        uvloop.run(_reads(target, out))
        out["full memory"] = target.memory / 1e6
    return out


async def _reads(target: Target, out: dict[str, float]) -> None:
    one = request_bytes("GET", "/api/v1/namespaces/ns1/pods/web-000001")
    (await drive(target, one, 16, 1.0)).expect(200)
    before = target.cpu
    found = await drive(target, one, 16, SECONDS)
    found.expect(200)
    out["GET"], out["GET CPU"] = found.rate, (target.cpu - before) / len(found.latencies) * 1e6
    for name, query in (("LIST", ""), ("LIST cached", "?resourceVersion=0")):
        await fetch(target, f"/api/v1/pods{query}")
        found = await drive(target, request_bytes("GET", f"/api/v1/pods{query}"), 1, SECONDS)
        found.expect(200)
        out[name] = found.ms(0.5)


_LINES = (
    ("start time, empty store", "start", "s"),
    ("start time, 10,000 pods", "full start", "s"),
    ("memory 5 s after the start", "memory", "MB"),
    ("memory after lists of 10,000 pods", "full memory", "MB"),
    ("durable creates of a ConfigMap, 64 clients", "ConfigMap", "/s"),
    ("  p99", "ConfigMap p99", "ms"),
    ("  server CPU of each", "ConfigMap CPU", "µs"),
    ("durable creates of a Pod, 64 clients", "Pod", "/s"),
    ("  p99", "Pod p99", "ms"),
    ("  server CPU of each", "Pod CPU", "µs"),
    ("GETs of a pod, RBAC, 16 clients", "GET", "/s"),
    ("  server CPU of each", "GET CPU", "µs"),
    ("LIST of 10,000 pods, p50", "LIST", "ms"),
    ("LIST of 10,000 pods, resourceVersion=0, p50", "LIST cached", "ms"),
)


def rows() -> list[Row]:
    what = "beside kube-apiserver"
    program = os.environ.get(PROGRAM, "")
    if not program:
        return [skipped(what, f"needs {PROGRAM}, the path of a kube-apiserver")]
    if shutil.which(program) is None:
        return [skipped(what, f"{PROGRAM}: {program} is not a program")]
    if shutil.which("etcd") is None:
        return [skipped(what, "needs etcd (Debian: etcd-server)")]
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    found = {}
    for sort in ("theirs", "SQLite", "etcd"):
        say(f"kube-apiserver {version}" if sort == "theirs" else f"ours on {sort}")
        found[sort] = _figures(sort, program)
    theirs = found.pop("theirs")
    out = []
    for name, key, unit in _LINES:
        for sort, ours in found.items():
            peer = f"kube-apiserver {version} {shown(theirs[key], unit)}"
            out.append(Row(f"{name}, {sort}", shown(ours[key], unit), peer, ours[key] / theirs[key]))
    return out
