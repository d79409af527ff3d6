"""pods/exec, pods/attach and pods/portforward.

SPDY and the older WebSocket protocols go to the kubelet byte for byte. Two protocols end here, because kubelets and
runtimes do not speak them: ``v5.channel.k8s.io`` (WebSocket, where the client can say that a channel has ended) becomes
SPDY, and ``SPDY/3.1+portforward.k8s.io`` carries SPDY inside WebSocket messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.streams.kubelet import container_of, dial, pod_of, query, splice
from pelamis.apiserver.user import User
from pelamis.base.errors import BadRequest
from pelamis.net.http1 import Request, Response
from pelamis.net.spdy import Session, SpdyError, Stream
from pelamis.net.websocket import WebSocket, handshake, offered

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

V5 = "v5.channel.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_PASSED = ("x-stream-protocol-version", "sec-websocket-protocol", "sec-websocket-key", "sec-websocket-version")
_TRUE = ("1", "true", "t", "TRUE", "True", "T")


def _flag(request: Request, name: str) -> bool:
    return request.query_first(name) in _TRUE


def _upgrade_needed(request: Request) -> None:
    if not request.upgrade:
        raise BadRequest("Upgrade request required")


async def execute(request: Request, info: RequestInfo, user: User, server: ApiServer) -> Response | None:
    """pods/exec and pods/attach."""
    pod = pod_of(server.objects.get, info.namespace, info.name)
    container = container_of(pod, request.query_first("container"))
    streams = {name: _flag(request, name) for name in ("stdin", "stdout", "stderr", "tty")}
    _upgrade_needed(request)
    if not (streams["stdin"] or streams["stdout"] or streams["stderr"]):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    if streams["tty"] and streams["stderr"]:
        streams["stderr"] = False
    items = [
        (("input" if n == "stdin" else "output" if n == "stdout" else "error" if n == "stderr" else n), "1")
        for n, on in streams.items()
        if on
    ]
    if info.subresource == "exec":
        items = [("command", value) for key, value in request.query_items() if key == "command"] + items
        if not any(key == "command" for key, _ in items):
            raise BadRequest("you must specify at least one command for the container")
    path = "/".join(quote(part, safe="") for part in (info.namespace, info.name, container))
    target = f"/{info.subresource}/{path}{query(items)}"
    if request.upgrade == "websocket" and V5 in offered(request):
        await _translated(request, server, pod.spec.nodeName, target, streams)
        return None
    await _passed(request, server, pod.spec.nodeName, target)
    return None


async def forward(request: Request, info: RequestInfo, user: User, server: ApiServer) -> Response | None:
    """pods/portforward."""
    pod = pod_of(server.objects.get, info.namespace, info.name)
    _upgrade_needed(request)
    ports = [(key, value) for key, value in request.query_items() if key == "ports"]
    path = "/".join(quote(part, safe="") for part in (info.namespace, info.name))
    target = f"/portForward/{path}{query([('port', value) for _, value in ports])}"
    if request.upgrade == "websocket" and TUNNEL in offered(request):
        await _tunnelled(request, server, pod.spec.nodeName, target)
        return None
    await _passed(request, server, pod.spec.nodeName, target)
    return None


async def _passed(request: Request, server: ApiServer, node: str, target: str) -> None:
    """Byte for byte: the kubelet's answer decides the protocol."""
    headers = [(name, value) for name in _PASSED for value in request.all(name)]
    protocol = "websocket" if request.upgrade == "websocket" else "SPDY/3.1"
    remote = await dial(server.kubelets, node, target, protocol, headers, request.method)
    kept = ("upgrade", "connection", *_PASSED, "sec-websocket-accept")
    answer = [(name, value) for name, value in remote.headers.items() if name in kept]
    await splice(request.take_over(answer), remote)


async def _tunnelled(request: Request, server: ApiServer, node: str, target: str) -> None:
    headers = [("X-Stream-Protocol-Version", "portforward.k8s.io")]
    remote = await dial(server.kubelets, node, target, "SPDY/3.1", headers)
    socket = WebSocket(request.take_over(handshake(request, TUNNEL)))

    async def outward() -> None:
        while (message := await socket.receive()) is not None:
            remote.writer.write(message)
            await remote.writer.drain()

    async def inward() -> None:
        while data := await remote.reader.read(32 * 1024):
            await socket.send(data)

    try:
        await _first(outward(), inward())
    finally:
        remote.writer.close()
        socket.close()


async def _translated(request: Request, server: ApiServer, node: str, target: str, streams: dict[str, bool]) -> None:
    """WebSocket v5 from the client, SPDY v4 to the kubelet."""
    headers = [("X-Stream-Protocol-Version", "v4.channel.k8s.io")]
    remote = await dial(server.kubelets, node, target, "SPDY/3.1", headers)
    socket = WebSocket(request.take_over(handshake(request, V5)))
    session = Session(remote.reader, remote.writer)
    running = asyncio.ensure_future(session.run())
    try:
        await _exchange(socket, session, streams)
    except OSError:
        pass
    finally:
        session.close()
        running.cancel()
        socket.close()


async def _exchange(socket: WebSocket, session: Session, streams: dict[str, bool]) -> None:
    error = await session.open({"streamType": "error"})
    stdin = await session.open({"streamType": "stdin"}) if streams["stdin"] else None
    outputs: list[tuple[int, Stream]] = []
    for number, name in ((_STDOUT, "stdout"), (_STDERR, "stderr")):
        if streams[name]:
            outputs.append((number, await session.open({"streamType": name})))
    resize = await session.open({"streamType": "resize"}) if streams["tty"] else None
    first = outputs[0][0] if outputs else _ERROR
    await socket.send(bytes((first,)))  # tells the client that the streams are there
    targets = {_STDIN: stdin, _RESIZE: resize}

    async def inward() -> None:
        while (message := await socket.receive()) is not None:
            if not message:
                continue
            if message[0] == _CLOSE:
                stream = targets.get(message[1]) if len(message) > 1 else None
                if stream is not None:
                    await stream.close()
                continue
            stream = targets.get(message[0])
            if stream is not None and len(message) > 1:
                await stream.write(message[1:])

    async def outward(number: int, stream: Stream) -> None:
        prefix = bytes((number,))
        while data := await stream.read():
            for start in range(0, len(data), 32 * 1024):
                await socket.send(prefix + data[start : start + 32 * 1024])

    async def results() -> None:
        status = b""
        while data := await error.read():
            status += data
        await asyncio.gather(*(outward_task for outward_task in copying))
        if status:
            await socket.send(bytes((_ERROR,)) + status)

    copying = [asyncio.ensure_future(outward(number, stream)) for number, stream in outputs]
    try:
        await _first(inward(), results())
    finally:
        for task in copying:
            task.cancel()


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Runs them together until one ends; raises what it raised, other than a lost connection."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            problem = task.exception()
            if problem is not None and not isinstance(problem, OSError | SpdyError):
                raise problem
    finally:
        for task in tasks:
            task.cancel()
