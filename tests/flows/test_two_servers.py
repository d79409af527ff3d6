"""Two ``pelamis up`` on one etcd: the same cluster through both, a kill under load, and who leads after it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.contract import etcd

pytestmark = pytest.mark.slow
MAPS = "/api/v1/namespaces/default/configmaps"
LIMIT_S = 60.0


class Server:
    """One ``pelamis up --no-node``, and requests to it as its administrator."""

    def __init__(self, name: str, directory: Path, *flags: str) -> None:
        self.name = name
        self.directory = directory
        self.port = etcd.free_port()
        self.command("up", "--port", str(self.port), "--no-node", "--no-merge-kubeconfig", *flags)
        pki = directory / "pki"
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def command(self, verb: str, *flags: str) -> str:
        line = [sys.executable, "-m", "pelamis.main.cli", verb, "--name", self.name, "--data-dir", str(self.directory)]
        done = subprocess.run([*line, *flags], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pid(self, component: str) -> int:
        return int((self.directory / "run" / f"{component}.pid").read_text())

    def kill(self) -> None:
        """As a machine that loses power: supervisor and server at once."""
        for component in ("supervisor", "server"):
            os.kill(self.pid(component), signal.SIGKILL)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        line = ["kubectl", "--kubeconfig", str(self.directory / "admin.kubeconfig"), *arguments]
        done = subprocess.run(line, input=text, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)

    async def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        reader, writer = await self.connect()
        try:
            return await ask(reader, writer, method, path, body)
        finally:
            writer.close()


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    data = b"" if body is None else msgspec.json.encode(body)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    )
    writer.write(head.encode() + b"\r\n" + data)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    if headers.get("transfer-encoding") == "chunked":
        data = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            data += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        data = await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), msgspec.json.decode(data)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    with etcd.server(tmp_path) as url:
        started: list[Server] = []
        try:
            started.append(Server("one", tmp_path / "one", "--datastore", f"etcd={url}"))
            started.append(Server("two", tmp_path / "two", "--join", str(tmp_path / "one")))
            yield started[0], started[1]
        finally:
            for server in started:
                server.command("down")


async def changes(server: Server, path: str) -> Any:
    """The objects of a watch, those that exist first."""
    reader, writer = await server.connect()
    writer.write(f"GET {path}?watch=1 HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    rest = b""
    try:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            rest += (await reader.readexactly(size + 2))[:-2]
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield msgspec.json.decode(line)["object"]
    finally:
        writer.close()


def deployment(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        },
    }


def test_nothing_acknowledged_is_lost_and_another_leads(pair: tuple[Server, Server]) -> None:
    one, two = pair
    acknowledged: list[str] = []

    async def write(who: int, enough: asyncio.Event) -> None:
        reader, writer = await one.connect()
        try:
            for i in range(100_000):
                name = f"m-{who}-{i}"
                if (await ask(reader, writer, "POST", MAPS, {"metadata": {"name": name}}))[0] == 201:
                    acknowledged.append(name)
                if len(acknowledged) >= 300:
                    enough.set()
        except (OSError, EOFError):
            return
        finally:
            writer.close()

    async def main() -> None:
        enough = asyncio.Event()
        writers = [asyncio.create_task(write(i, enough)) for i in range(16)]
        await enough.wait()
        one.kill()
        await asyncio.gather(*writers)
        _, listed = await two.request("GET", MAPS)
        assert set(acknowledged) <= {m["metadata"]["name"] for m in listed["items"]}

        # The one that led is gone without giving its lease back; the other takes over when it has run out.
        began = time.monotonic()
        assert (await two.request("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("web")))[0] == 201
        async for found in changes(two, "/apis/apps/v1/namespaces/default/deployments"):
            if found.get("status", {}).get("replicas") == 2:
                break
        assert time.monotonic() - began < 30
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
        for name in ("kube-controller-manager", "kube-scheduler"):
            async for lease in changes(two, leases):
                spec = lease["spec"]
                if lease["metadata"]["name"] == name and spec["leaseTransitions"] == 1 and spec["holderIdentity"]:
                    break

    asyncio.run(asyncio.wait_for(main(), LIMIT_S))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl (Debian: kubernetes-client)")
def test_kubectl_through_both_and_an_orderly_end(pair: tuple[Server, Server]) -> None:
    one, two = pair
    one.kubectl("create", "namespace", "shop")
    two.kubectl("apply", "-n", "shop", "-f", "-", text=msgspec.json.encode(_in("shop", deployment("web"))).decode())
    one.kubectl("-n", "shop", "expose", "deployment", "web", "--port=80")
    address = two.kubectl("-n", "shop", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    assert address in two.kubectl("get", "ipaddresses")
    one.kubectl("-n", "shop", "wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    two.kubectl("-n", "shop", "scale", "deployment", "web", "--replicas=3")
    one.kubectl("-n", "shop", "wait", "deployment/web", "--for=jsonpath={.status.replicas}=3", "--timeout=20s")
    token = one.kubectl("create", "token", "default").strip()
    ca = str(two.directory / "pki" / "ca.crt")
    nobody = ("--kubeconfig", os.devnull, "--server", f"https://127.0.0.1:{two.port}", "--certificate-authority", ca)
    who = two.kubectl(*nobody, "--token", token, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    assert who == "system:serviceaccount:default:default", "a token of one is good at the other"
    # An orderly end gives the leases back: the other goes on at once.
    one.command("down")
    two.kubectl("-n", "shop", "set", "image", "deployment/web", "c=nginx:2")
    two.kubectl(
        "-n", "shop", "wait", "deployment/web", "--for=jsonpath={.status.observedGeneration}=3", "--timeout=10s"
    )
    two.kubectl("delete", "namespace", "shop", "--timeout=20s")
    one.command("up", "--no-node", "--no-merge-kubeconfig")
    assert "shop" not in one.kubectl("get", "namespaces")


def _in(namespace: str, tree: dict[str, Any]) -> dict[str, Any]:
    return {**tree, "metadata": {**tree["metadata"], "namespace": namespace}}
