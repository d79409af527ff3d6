"""Finding and calling the kubelet of a pod's node, and joining two raw connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from pelamis.base.errors import BadRequest, Internal, NotFound, StatusError, from_status
from pelamis.net.http1 import TakenOver
from pelamis.net.httpclient import HttpPool, Refused, Upgraded

_ADDRESS_ORDER = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")
"""upstream's --kubelet-preferred-address-types."""
KUBELET_PORT = 10250
_HIGH_WATER = 64 * 1024


class Kubelets:
    """get: an object by (resource, namespace, name). context: how the server shows itself to kubelets."""

    def __init__(self, get: Callable[[str, str, str], Any], context: ssl.SSLContext | None) -> None:
        self.get = get
        self.context = context
        self.pools: dict[str, HttpPool] = {}

    def base_url(self, node_name: str) -> str:
        """Raises NotFound, or Internal when the node has no address yet."""
        node = self.get("nodes", "", node_name)
        if node is None:
            raise NotFound("nodes", "", node_name)
        by_type = {address.type: address.address for address in reversed(node.status.addresses)}
        order = ("InternalIP", *(t for t in _ADDRESS_ORDER if t != "InternalIP"))
        host = next((by_type[kind] for kind in order if kind in by_type), "")
        if not host:
            raise Internal(f"no preferred addresses found; known addresses: {sorted(by_type)}")
        port = node.status.daemonEndpoints.kubeletEndpoint.Port or KUBELET_PORT
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def pool(self, node_name: str) -> HttpPool:
        """Connections to the kubelet of a node, kept between requests."""
        url = self.base_url(node_name)
        found = self.pools.get(url)
        if found is None:
            found = self.pools[url] = HttpPool(url, self.context)
        return found

    async def close(self) -> None:
        for pool in self.pools.values():
            await pool.close()


def pod_of(get: Callable[[str, str, str], Any], namespace: str, name: str) -> Any:
    """The pod, which must have been assigned to a node."""
    pod = get("pods", namespace, name)
    if pod is None:
        raise NotFound("pods", "", name)
    if not pod.spec.nodeName:
        raise BadRequest(f"pod {name} does not have a host assigned")
    return pod


def container_of(pod: Any, wanted: str) -> str:
    """The container that a request means: the one named, the annotated default, or the only one."""
    spec = pod.spec
    names = [c.name for c in spec.containers]
    everyone = names + [c.name for c in spec.initContainers] + [c.name for c in spec.ephemeralContainers]
    name = str(pod.metadata.name)
    if wanted:
        if wanted not in everyone:
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(names) == 1:
        return str(names[0])
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    if spec.initContainers:
        text += f" or one of the init containers: [{' '.join(c.name for c in spec.initContainers)}]"
    if spec.ephemeralContainers:
        text += f" or one of the ephemeral containers: [{' '.join(c.name for c in spec.ephemeralContainers)}]"
    raise BadRequest(text)


def query(items: list[tuple[str, str]]) -> str:
    return "?" + urlencode(items) if items else ""


def refusal(status: int, body: bytes) -> StatusError:
    """The error that a kubelet's answer stands for: its Status, or its text."""
    try:
        tree = msgspec.json.decode(body)
        if isinstance(tree, dict) and tree.get("kind") == "Status":
            return from_status(tree)
    except msgspec.DecodeError:
        pass
    text = body.decode(errors="replace").strip()
    if status == 404:
        return StatusError(404, "NotFound", text or "the server could not find the requested resource")
    if status == 400:
        return BadRequest(text)
    if status == 500:
        return Internal(text)
    return StatusError(status, "", text or f"the kubelet answered {status}")


async def dial(
    kubelets: Kubelets, node: str, target: str, protocol: str, headers: list[tuple[str, str]], method: str = "POST"
) -> Upgraded:
    """An upgraded connection to a kubelet. Raises StatusError."""
    try:
        return await kubelets.pool(node).upgrade(target, protocol, method=method, headers=headers)
    except Refused as error:
        raise refusal(error.status, error.body) from None
    except OSError as error:
        raise Internal(f"error dialing backend: {error or type(error).__name__}") from None


class _Pipe(asyncio.Protocol):
    """One end of a joined pair: what arrives here is written there, at the other end's pace."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.writer: asyncio.StreamWriter | None = None
        self.resuming: asyncio.Future[None] | None = None
        self.room = asyncio.Event()
        self.room.set()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.writer is None:
            return
        self.writer.write(data)
        if self.transport is not None and self.writer.transport.get_write_buffer_size() > _HIGH_WATER:
            self.transport.pause_reading()
            self.resuming = asyncio.ensure_future(self._resume(self.writer))

    async def _resume(self, writer: asyncio.StreamWriter) -> None:
        """The kubelet is behind: the client is read again once it has caught up."""
        try:
            await writer.drain()
        except OSError:
            return
        if self.transport is not None:
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.room.set()
        if not self.ended.done():
            self.ended.set_result(None)


async def splice(taken: TakenOver, remote: Upgraded) -> None:
    """Carries bytes both ways until either side ends, then ends the other."""
    pipe = _Pipe()
    pipe.writer = remote.writer
    taken.start(pipe)

    async def inward() -> None:
        while pipe.transport is not None:
            data = await remote.reader.read(65536)
            if not data or pipe.transport is None:
                return
            pipe.transport.write(data)
            await pipe.room.wait()

    tasks = [asyncio.ensure_future(inward()), asyncio.ensure_future(asyncio.shield(pipe.ended))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        remote.writer.close()
        if pipe.transport is not None:
            pipe.transport.close()
