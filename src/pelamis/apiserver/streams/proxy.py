"""The proxy subresources of pods, services and nodes: an HTTP request passed on to what is behind the name.

A name is ``[scheme:]name[:port]``; a Service's port may be a name or number, and a ready endpoint is chosen at random.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.streams.kubelet import splice
from pelamis.apiserver.streams.rewrite import LONGEST, link, pieces
from pelamis.apiserver.user import User
from pelamis.base.errors import BadRequest, NotFound, StatusError, Unavailable
from pelamis.net.http1 import PeerGone, Request, Response
from pelamis.net.httpclient import HttpPool, Refused

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "authorization",
}
_CROSS_ORIGIN = {
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
}
"""What a program behind the proxy may not say in the API server's name."""


def split(name: str) -> tuple[str, str, str]:
    """(scheme, name, port). Raises BadRequest."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0], parts[1], parts[2]
    raise BadRequest(f'invalid service request "{name}"')


def _insecure() -> ssl.SSLContext:
    """What is behind a proxy name has certificates of its own that nobody here can check, as upstream."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _pod(server: ApiServer, namespace: str, name: str) -> str:
    scheme, pod_name, port = split(name)
    pod = server.objects.get("pods", namespace, pod_name)
    if pod is None:
        raise NotFound("pods", "", pod_name)
    if not port:
        port = next((str(p.containerPort) for c in pod.spec.containers for p in c.ports), "")
    elif not port.isdigit():
        port = next((str(p.containerPort) for c in pod.spec.containers for p in c.ports if p.name == port), "")
    if not pod.status.podIP:
        raise BadRequest("address not allowed")
    return f"{scheme or 'http'}://{pod.status.podIP}" + (f":{port}" if port else "")


def _service(server: ApiServer, namespace: str, name: str) -> str:
    scheme, service_name, wanted = split(name)
    service = server.objects.get("services", namespace, service_name)
    if service is None:
        raise NotFound("services", "", service_name)
    ports = service.spec.ports
    port = next((p for p in ports if wanted in (p.name, str(p.port)) or (not wanted and len(ports) == 1)), None)
    if port is None:
        raise Unavailable(f'no service port "{wanted}" found for service "{service_name}"')
    found: list[str] = []
    for part in server.objects.view("endpointslices.discovery.k8s.io").by_index(
        "service", f"{namespace}/{service_name}"
    ):
        number = next((p.port for p in part.ports if (p.name or "") == port.name), None)
        if number:
            found += [f"{e.addresses[0]}:{number}" for e in part.endpoints if e.conditions.ready is not False]
    if not found:
        raise Unavailable(f'no endpoints available for service "{name}"')
    return f"{scheme or 'http'}://{random.choice(found)}"


async def pass_on(
    request: Request, pool: HttpPool, target: str, prefix: str, more: Sequence[tuple[str, str]] = ()
) -> Response | None:
    """The request to ``target``, its answer to the client. more: headers that only we may set."""
    headers = [
        (n.decode("latin-1"), v.decode("latin-1"))
        for n, v in request.fields
        if n.lower().decode() not in _HOP and not (more and n.lower().startswith(b"x-remote-"))
    ]
    headers.extend(more)
    headers.append(("X-Forwarded-For", request.remote_ip))
    headers.append(("X-Forwarded-Uri", request.raw_path))
    try:
        if request.upgrade:
            remote = await pool.upgrade(target, request.upgrade, method=request.method, headers=headers)
            answer_headers = list(remote.headers.items())
            await splice(request.take_over(answer_headers), remote)
            return None
        answer = await pool.request(request.method, target, headers=headers, body=request.body)
    except Refused as refused:
        kept = [(n, v) for n, v in refused.headers.items() if n not in _HOP and n != "content-type"]
        return Response(refused.status, refused.body, refused.headers.get("content-type", "text/plain"), kept)
    except OSError as error:
        raise StatusError(
            503, "ServiceUnavailable", f"error trying to reach service: {error or type(error).__name__}"
        ) from None
    hosts = (pool.authority, request.headers.get("host", ""))
    kept = [(n, v) for n, v in answer.headers.items() if n not in _HOP and n != "content-type"]
    if prefix:
        kept = [(n, link(v, prefix, hosts) if n == "location" else v) for n, v in kept if n not in _CROSS_ORIGIN]
    content_type = answer.headers.get("content-type", "")
    stream = request.stream(answer.status, content_type, kept)
    html = bool(prefix) and "location" not in answer.headers and content_type.partition(";")[0].strip() == "text/html"
    try:
        held: list[bytes] = []
        size = 0
        async for chunk in answer.chunks():
            if html:
                held.append(chunk)
                size += len(chunk)
                if size <= LONGEST:
                    continue
                chunk, html = b"".join(held), False
            stream.write(chunk)
            await stream.drain()
        if html:
            encoding = answer.headers.get("content-encoding", "")
            for done, piece in enumerate(pieces(b"".join(held), encoding, prefix, hosts)):
                stream.write(piece)
                await (asyncio.sleep(0) if done % 64 == 63 else stream.drain())
    except PeerGone:
        return None
    except OSError:
        stream.abort()
        return None
    finally:
        answer.close()
    stream.close()
    return None


async def forward(request: Request, info: RequestInfo, user: User, server: ApiServer) -> Response | None:
    rest = "/" + "/".join(quote(part, safe="/:@!$&'()*+,;=~", errors="surrogateescape") for part in info.parts)
    if request.path.endswith("/") and rest != "/":
        rest += "/"
    target = rest + (f"?{request.query}" if request.query else "")
    prefix = request.raw_path[: len(request.raw_path) - len(rest)] if request.raw_path.endswith(rest) else ""
    pool, own = await _behind(info, server)
    try:
        bare = not info.parts and not request.path.endswith("/") and not request.upgrade
        if bare and request.method in ("GET", "HEAD"):  # relative links of a page work below a slash only
            return Response(301, b"", "", [("location", request.raw_path + "/" + target[1:])])
        return await pass_on(request, pool, target, prefix)
    finally:
        if own:
            await pool.close()


async def _behind(info: RequestInfo, server: ApiServer) -> tuple[HttpPool, bool]:
    """The connections to use, and whether they are for this request only."""
    if info.resource == "nodes":
        _, node, _ = split(info.name)
        return server.kubelets.pool(node), False
    find: Any = _pod if info.resource == "pods" else _service
    url = find(server, info.namespace, info.name)
    return HttpPool(url, _insecure() if url.startswith("https") else None), True
