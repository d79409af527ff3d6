"""A whole API server for tests: in memory or on SQLite, on a free port, with certificates made for the run.

    async with running() as h:
        status, tree = await h.request("GET", "/api/v1/namespaces/default")

``python -m tests.apiserver.harness [--sqlite] [--port N]`` runs one until interrupted and prints its kubeconfig's path.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from pelamis.apiserver.server import ApiServer, Config
from pelamis.net import tls
from pelamis.store.memory import MemoryStore
from pelamis.store.sqlite import SqliteStore
from pelamis.store.types import Store


class Harness:
    """``ca`` signs whatever client a test needs; ``admin`` is in system:masters."""

    def __init__(self, server: ApiServer, ca: tls.Authority, directory: Path) -> None:
        self.server = server
        self.ca = ca
        self.directory = directory
        self.admin = self.pair("admin", "system:masters")

    def pair(self, user: str, *groups: str) -> tls.Pair:
        return self.ca.issue(user, time.time(), organizations=groups, client=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    def context(self, pair: tls.Pair | None = None) -> ssl.SSLContext:
        return tls.client_context(self.ca.pair.cert, pair)

    def kubeconfig(self, pair: tls.Pair | None = None, name: str = "admin") -> Path:
        pair = pair or self.admin
        text = lambda data: base64.b64encode(data).decode()  # noqa: E731
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority-data": text(self.ca.pair.cert)},
                }
            ],
            "users": [
                {
                    "name": name,
                    "user": {"client-certificate-data": text(pair.cert), "client-key-data": text(pair.key)},
                }
            ],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        }
        path = self.directory / f"{name}.kubeconfig"
        path.write_bytes(msgspec.json.encode(config))
        return path

    async def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        pair: tls.Pair | None = None,
        anonymous: bool = False,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own. body: bytes, or a tree that is sent as JSON."""
        context = self.context(None if anonymous else pair or self.admin)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, ssl=context)
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        lines = {"Host": "test", "Connection": "close", "Content-Length": str(len(data)), **(headers or {})}
        if data and "Content-Type" not in lines:
            lines["Content-Type"] = "application/json"
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        writer.write(head.encode() + data)
        try:
            text = (await reader.readuntil(b"\r\n\r\n")).decode()
            out = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in text.split("\r\n")[1:] if line)}
            return int(text.split()[1]), out, await reader.read()
        finally:
            writer.close()

    async def request(self, method: str, path: str, body: Any = None, **kwargs: Any) -> tuple[int, Any]:
        """What is no JSON is read as clients read it: as a message."""
        status, headers, data = await self.raw(method, path, body, **kwargs)
        if headers.get("content-type", "").startswith("text/plain"):
            reason = "NotFound" if status == 404 else ""
            return status, {"kind": "Status", "code": status, "reason": reason, "message": data.decode()}
        return status, msgspec.json.decode(data) if data else None


@asynccontextmanager
async def running(
    *, sqlite: bool = False, port: int = 0, store: Store | None = None, **config: Any
) -> AsyncIterator[Harness]:
    """store: not yet open; instead of one in memory or on SQLite."""
    with tempfile.TemporaryDirectory(prefix="pelamis-test-") as name:
        directory = Path(name)
        store = store or (SqliteStore(directory / "store") if sqlite else MemoryStore())
        await store.open()
        now = time.time()
        ca = tls.Authority(tls.new_authority("test-ca", now))
        serving = ca.issue("kube-apiserver", now, hosts=("127.0.0.1", "localhost"), server=True)
        server = ApiServer(
            Config(
                store=store,
                service_account_key=tls.key_pem(tls.new_key()),
                port=port,
                tls=tls.server_context(serving, ca.pair.cert + config.get("front_proxy_ca", b"")),
                client_ca=ca.pair.cert,
                **config,
            )
        )
        await server.start()
        try:
            yield Harness(server, ca, directory)
        finally:
            await server.stop(0.5)
            await store.close()


async def _serve(sqlite: bool, port: int) -> None:
    async with running(sqlite=sqlite, port=port) as harness:
        print(harness.kubeconfig(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.sqlite, arguments.port))
