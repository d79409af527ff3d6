from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pelamis.client.connect import connect
from pelamis.client.kubeconfig import Access, KubeconfigError
from pelamis.net.http1 import Request, Response
from pelamis.net.httpserver import Server

V1 = "client.authentication.k8s.io/v1"


def plugin(tmp_path: Path, text: str) -> dict[str, Any]:
    script = tmp_path / "plugin"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return {"apiVersion": V1, "command": str(script), "args": ["a"], "env": [{"name": "WHO", "value": "me"}]}


def test_a_refused_credential_is_renewed(tmp_path: Path) -> None:
    async def main() -> None:
        asked: list[str] = []

        def handler(request: Request) -> Response:
            asked.append(request.headers["authorization"])
            return Response(200 if asked[-1].endswith("-2") else 401, b"{}")

        server = Server(handler)
        port = await server.listen("127.0.0.1", 0)
        count = 'echo x >> "$0.count"; n=$(wc -l < "$0.count" | tr -d " ")'
        spec = plugin(tmp_path, count + '; echo "{\\"status\\":{\\"token\\":\\"$1-$WHO-$n\\"}}"')
        access = Access(f"http://127.0.0.1:{port}", exec=spec)
        client = await connect(access, now=lambda: 0.0, environ={"PATH": "/usr/bin:/bin"})
        assert await client.send("GET", "/x") == b"{}"
        assert asked == ["Bearer a-me-1", "Bearer a-me-2"]
        await client.close()
        await server.close(0)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exit 3", "failed with exit code 3"),
        ("echo no", "decoding stdout"),
        ("echo '{\"status\":{}}'", "didn't return a token"),
    ],
)
def test_plugins_that_fail_are_explained(tmp_path: Path, text: str, message: str) -> None:
    access = Access("http://127.0.0.1:1", exec=plugin(tmp_path, text))
    with pytest.raises(KubeconfigError, match=message):
        asyncio.run(connect(access, now=lambda: 0.0, environ={}))


def test_a_missing_plugin_says_how_to_get_it() -> None:
    spec = {"apiVersion": V1, "command": "/none/plugin", "installHint": "Get it there."}
    with pytest.raises(KubeconfigError, match=r"not found. Get it there\."):
        asyncio.run(connect(Access("http://127.0.0.1:1", exec=spec), now=lambda: 0.0, environ={}))
