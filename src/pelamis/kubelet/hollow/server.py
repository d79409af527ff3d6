"""The kubelets' HTTPS endpoint of all hollow nodes: one server, which tells nodes by the address that was called.

Where the machine has the whole loopback network, each node has an address of it and all have one port; elsewhere each
has a port of its own. Callers are checked as a kubelet checks them. There is nothing to run a command in and no port to
forward to, which is what those paths answer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import msgspec

from pelamis.base.errors import StatusError
from pelamis.client.types import Client
from pelamis.kubelet import stats
from pelamis.kubelet.hollow import log as printed
from pelamis.kubelet.hollow.kubelet import HollowKubelet
from pelamis.kubelet.hollow.pod import HollowPod
from pelamis.kubelet.hollow.run import HollowNodes
from pelamis.kubelet.logs import LogOptions
from pelamis.kubelet.server import TEXT, Gate, json, log_options, subresources, text
from pelamis.kubelet.settings import KubeletConfig
from pelamis.net.http1 import PeerGone, Request, Response
from pelamis.net.httpserver import Server

log = logging.getLogger("pelamis.kubelet.hollow.server")
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NOTHING = "the node is hollow: its containers have no processes, so there is nothing to {what}"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class _Asked:
    """What a Gate knows of a kubelet."""

    client: Client
    now: Callable[[], float]
    settings: KubeletConfig


def bound(port: int) -> socket.socket:
    """A socket for all addresses of the machine. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("0.0.0.0", port))
    except OSError:
        sock.close()
        raise
    return sock


class HollowServer:
    """context: the serving context, whose client CA certificates are checked against; None: plain and unchecked, for
    tests.
    """

    def __init__(self, nodes: HollowNodes, context: ssl.SSLContext | None) -> None:
        self._nodes = nodes
        self._context = context
        self._server = Server(self._answer)
        self._gates: dict[str, Gate] = {}
        self._by_place: dict[tuple[str, int], str] = {}

    async def listen(self, sock: socket.socket | None = None) -> None:
        """On the addresses of the nodes that there are now. Raises OSError.

        sock: bound to all addresses, at the port of all nodes; it stays its owner's to close.
        """
        places = [(k.spec.address, k.spec.port, name) for name, k in self._nodes.kubelets.items()]
        self._by_place = {(address, port): name for address, port, name in places}
        if sock is not None:
            await self._server.listen_on(sock, self._context)
            return
        ports = sorted({port for _, port, _ in places})
        addresses = {address for address, _, _ in places}
        for port in ports:
            if len(addresses) == 1:
                await self._server.listen(next(iter(addresses)), port, self._context)
                continue
            # One socket for all addresses; whoever reaches it by one that is no node's is answered with 404.
            with bound(port) as everywhere:
                await self._server.listen_on(everywhere, self._context)

    async def close(self) -> None:
        await self._server.close(0.0)

    async def _answer(self, request: Request) -> Response | None:
        transport = request.connection.transport
        place = transport.get_extra_info("sockname") if transport is not None else None
        name = self._by_place.get((place[0], place[1])) if place else None
        kubelet = self._nodes.kubelets.get(name or "")
        if kubelet is None:
            return text(404, "404 page not found")
        if kubelet.frozen or kubelet.cut:
            request.connection.shut_down()
            return text(503, "the node is off")
        try:
            if self._context is not None and (refused := await self._refused(request, kubelet)) is not None:
                return refused
            return await self._route(request, kubelet)
        except PeerGone:
            return None
        except (StatusError, OSError) as error:
            log.warning("%s %s: %s", request.method, request.path, error)
            return text(500, str(error))

    async def _refused(self, request: Request, kubelet: HollowKubelet) -> Response | None:
        name = kubelet.spec.name
        gate = self._gates.get(name)
        if gate is None:
            asked = _Asked(self._nodes.client_for(name), self._nodes.agent.now, KubeletConfig(name))
            gate = self._gates[name] = Gate(asked)
        user = await gate.user(request)
        if user is None:
            return text(401, "Unauthorized")
        verb = _VERBS.get(request.method, "get")
        if await gate.allowed(user, verb, request.path):
            return None
        sub = subresources(request.path)[0]
        return text(
            403, f"Forbidden (user={user[0]}, verb={verb}, resource=nodes, subresource(s)=[{sub}], name={name})"
        )

    async def _route(self, request: Request, kubelet: HollowKubelet) -> Response | None:
        first, *rest = [unquote(part) for part in request.path.strip("/").split("/")]
        match first, len(rest):
            case "healthz", _:
                return text(200, "ok")
            case "pods" | "runningpods", 0:
                return json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": _pods(kubelet)})
            case "stats", 1 if rest[0] == "summary":
                return json(self._nodes.summary(kubelet.spec.name))
            case "metrics", 1 if rest[0] == "resource":
                body = stats.resource_text(self._nodes.summary(kubelet.spec.name), _starts(kubelet))
                return Response(200, body.encode(), METRICS)
            case "metrics", 0 | 1:
                return Response(200, b"", METRICS)
            case "configz", _:
                settings = {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1"}
                return json({"kubeletconfig": {**settings, "maxPods": kubelet.spec.pods, "port": kubelet.spec.port}})
            case "containerLogs", 3:
                return await self._logs(request, kubelet, *rest)
            case "exec" | "run", _:
                return text(501, NOTHING.format(what="run a command in"))
            case "attach", _:
                return text(501, NOTHING.format(what="attach to"))
            case "portForward", _:
                return text(501, NOTHING.format(what="forward a port to"))
        return text(404, "404 page not found")

    # --- logs ---------------------------------------------------------------------------------------------------------

    async def _logs(
        self, request: Request, kubelet: HollowKubelet, namespace: str, name: str, container: str
    ) -> Response | None:
        pod = self._nodes.pods.get((namespace, name))
        if pod is None or pod.kubelet is not kubelet:
            return text(404, f'pod "{name}" does not exist')
        try:
            options = log_options(dict(request.query_items()), self._nodes.agent.now())
        except ValueError as error:
            return text(422, str(error))
        picture = pod.picture()
        slot = picture.state.slots.get(container)
        if slot is None:
            return text(404, f'container "{container}" not found in pod "{name}"')
        previous = request.query_first("previous") in ("true", "1")
        waiting = slot.current is not None and slot.current.state == "exited" and slot.waiting[0]
        run = (slot.current if waiting and slot.restartable(picture.pod) else slot.last) if previous else slot.current
        if run is None and previous:
            return text(400, f'previous terminated container "{container}" in pod "{name}" not found')
        if run is None:
            reason = slot.waiting[0] or ("PodInitializing" if picture.pod.spec.initContainers else "ContainerCreating")
            words = "trying and failing to pull image" if reason == "ErrImagePull" else f"waiting to start: {reason}"
            return text(400, f'container "{container}" in pod "{name}" is {words}')
        lines = printed.printed(picture.pod, run, pod.behaviour.run(picture.pod, slot.spec))
        now = self._nodes.agent.now()
        body = b"".join(printed.shown([line for line in lines if line[0] <= now], options))
        if options.limit is not None:
            body = body[: options.limit]
        if not options.follow or run.state == "exited" or previous:
            return Response(200, body, TEXT)
        await self._follow(request, pod, container, run.id, body, [line for line in lines if line[0] > now], options)
        return None

    async def _follow(
        self,
        request: Request,
        pod: HollowPod,
        container: str,
        id_: str,
        body: bytes,
        lines: list[tuple[float, str]],
        options: LogOptions,
    ) -> None:
        """Lines as they come to be printed, until the container ends."""
        stream = request.stream(200, TEXT)
        task = asyncio.current_task()
        if task is not None:
            stream.on_lost = task.cancel  # type: ignore[assignment]
        ended = asyncio.Event()
        pod.containers.watch_exit(id_, ended.set)
        try:
            if body:
                stream.write(body)
            for line in [*lines, None]:
                delay = max(line[0] - self._nodes.agent.now(), 0.0) if line is not None else None
                try:
                    async with asyncio.timeout(delay):
                        await ended.wait()
                    break
                except TimeoutError:
                    if line is not None:
                        stream.write(b"".join(printed.shown([line], replace(options, tail=None))))
        finally:
            pod.containers.unwatch_exit(id_, ended.set)
            pod.rest()
            stream.close()


def _pods(kubelet: HollowKubelet) -> list[Any]:
    out = []
    for pod in kubelet.pods.values():
        picture = pod.picture()
        tree = msgspec.json.decode(msgspec.json.encode(picture.pod))
        tree["status"] = msgspec.to_builtins(picture.built)
        out.append(tree)
    return out


def _starts(kubelet: HollowKubelet) -> dict[tuple[str, str], float]:
    return {
        (pod.uid, slot.name): slot.current.started_at
        for pod in kubelet.pods.values()
        for slot in pod.picture().state.slots.values()
        if slot.current is not None
    }
