"""What tests of extensions need: an HTTPS server that answers reviews, and waiting for what the server will do."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from pelamis.net import tls
from pelamis.net.http1 import Request, Response
from pelamis.net.httpserver import Server
from tests.apiserver.harness import Harness

Answer = Callable[[str, dict[str, Any]], Any]


class Hooks:
    """``asked``: the path and the request of each review; ``client``: a clientConfig that leads to a path."""

    def __init__(self, port: int, ca: bytes) -> None:
        self.port = port
        self.ca = base64.b64encode(ca).decode()
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def client(self, path: str) -> dict[str, Any]:
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.ca}


@asynccontextmanager
async def hooks(h: Harness, answer: Answer) -> AsyncIterator[Hooks]:
    """answer(path, request): the response of the review, its uid left out."""

    def handle(request: Request) -> Response:
        review = msgspec.json.decode(request.body)
        made.asked.append((request.path, review["request"]))
        response = {"uid": review["request"]["uid"], **answer(request.path, review["request"])}
        body = {"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response}
        return Response(200, msgspec.json.encode(body), "application/json")

    server = Server(handle)
    pair = h.ca.issue("hook", time.time(), hosts=("127.0.0.1",), server=True)
    port = await server.listen("127.0.0.1", 0, tls.server_context(pair))
    made = Hooks(port, h.ca.pair.cert)
    try:
        yield made
    finally:
        await server.close(0.1)


async def reached(h: Harness, resource: str, namespace: str, name: str, holds: Callable[[Any], bool]) -> Any:
    """The object once it is as it ought to be (None: gone)."""
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def look(*_: Any) -> None:
        obj = h.server.objects.get(resource, namespace, name)
        if not done.done() and holds(obj):
            done.set_result(obj)

    cancel = h.server.objects.view(resource).subscribe(look, replay=False)
    look()
    try:
        return await asyncio.wait_for(done, 10)
    finally:
        cancel()
