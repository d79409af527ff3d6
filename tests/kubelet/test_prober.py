"""Network probes against real servers on the loopback interface: verdicts and upstream's texts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server as GrpcServer

from pelamis.api.core.pod.container import Container, Probe
from pelamis.kubelet.cri.client import WireCodec
from pelamis.kubelet.health_types import HealthCheckRequest, HealthCheckResponse
from pelamis.kubelet.prober import Target, check
from pelamis.net.http1 import Request, Response
from pelamis.net.httpserver import Server


class Health:
    """grpc.health.v1.Health with one answer per service; "slow" never answers, "old" is not implemented."""

    async def check(self, stream: Any) -> None:
        request = await stream.recv_message()
        if request.service == "slow":
            await asyncio.sleep(60)
        if request.service == "old":
            raise GRPCError(Status.UNIMPLEMENTED, "no such service")
        status = {"": 1, "down": 2}.get(request.service, 3)
        await stream.send_message(HealthCheckResponse(status=status))

    def __mapping__(self) -> dict[str, Handler]:
        path = "/grpc.health.v1.Health/Check"
        return {path: Handler(self.check, Cardinality.UNARY_UNARY, HealthCheckRequest, HealthCheckResponse)}


def probe(**spec: Any) -> Probe:
    return msgspec.convert({"timeoutSeconds": 1, **spec}, Probe)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(bounded())


async def verdict(spec: Probe) -> tuple[bool, str]:
    return await check(None, Target("uid", Container(name="c"), "id", "127.0.0.1"), spec)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "healthy", "text"),
    [
        ("", True, "service healthy"),
        ("down", False, 'service unhealthy (responded with "NOT_SERVING")'),
        ("unheard", False, 'service unhealthy (responded with "SERVICE_UNKNOWN")'),
        ("old", False, "error: this server does not implement the grpc health protocol: no such service"),
        ("slow", False, "timeout: health rpc did not complete within 1s"),
    ],
)
def test_grpc(service: str, healthy: bool, text: str) -> None:
    async def scene() -> None:
        server = GrpcServer([Health()], codec=WireCodec())
        await server.start("127.0.0.1", 0)
        listening: Any = server._server
        port = listening.sockets[0].getsockname()[1]
        answer = await verdict(probe(grpc={"port": port, "service": service}))
        assert answer[0] is healthy and text in answer[1]
        server.close()

    run(scene)


@pytest.mark.parametrize(
    ("path", "healthy", "text"),
    [
        ("/ok", True, "fine"),
        ("/moved", True, ""),
        ("/away", True, "Probe terminated redirects, Response body: gone"),
        ("/broken", False, "HTTP probe failed with statuscode: 500"),
        ("/absent", False, "HTTP probe failed with statuscode: 404"),
    ],
)
def test_http(path: str, healthy: bool, text: str) -> None:
    seen: list[str] = []

    def handle(request: Request) -> Response:
        seen.append(request.headers.get("user-agent", "") + " " + request.headers.get("x-probe", ""))
        if request.path == "/moved":
            return Response(302, b"", "text/plain", (("Location", "/ok"),))
        if request.path == "/away":
            return Response(302, b"gone", "text/plain", (("Location", "http://0.0.0.0/"),))
        if request.path == "/ok":
            return Response(200, b"fine", "text/plain")
        return Response({"/broken": 500}.get(request.path, 404), b"", "text/plain")

    async def scene() -> None:
        server = Server(handle)
        port = await server.listen("127.0.0.1", 0)
        headers = [{"name": "X-Probe", "value": "yes"}]
        answer = await verdict(probe(httpGet={"path": path, "port": port, "httpHeaders": headers}))
        assert answer[0] is healthy and text in answer[1]
        assert seen[0].startswith("kube-probe/") and seen[0].endswith(" yes")
        await server.close(0.0)

    run(scene)


def test_tcp_needs_a_listener_only() -> None:
    async def scene() -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        assert await verdict(probe(tcpSocket={"port": port})) == (True, "")
        server.close()
        await server.wait_closed()
        healthy, text = await verdict(probe(tcpSocket={"port": port}))
        assert not healthy
        assert text == f"dial tcp 127.0.0.1:{port}: connect: connection refused"

    run(scene)
