"""pods/log: the kubelet's log of a container, passed on as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.streams.kubelet import container_of, pod_of, query, refusal
from pelamis.apiserver.streams.watchsocket import ByteSocket
from pelamis.apiserver.user import User
from pelamis.base.errors import Internal, Invalid, StatusError
from pelamis.base.errors import invalid as invalid_field
from pelamis.net.http1 import PeerGone, Request, Response

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

_OPTIONS = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
_LOWEST = {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1}


def _options(request: Request, name: str) -> list[tuple[str, str]]:
    """The options that the kubelet gets. Raises Invalid, BadRequest."""
    items = [(key, value) for key, value in request.query_items() if key in _OPTIONS and value]
    errors = []
    for key, value in items:
        if key in _LOWEST:
            try:
                number = int(value)
            except ValueError:
                raise StatusError(400, "BadRequest", f'strconv.ParseInt: parsing "{value}": invalid syntax') from None
            if number < _LOWEST[key]:
                text = "must be greater than or equal to 0" if key == "tailLines" else "must be greater than 0"
                errors.append(invalid_field(key, number, text))
    if errors:
        raise Invalid("PodLogOptions", "", name, errors)
    return items


async def read(request: Request, info: RequestInfo, user: User, server: ApiServer) -> Response | None:
    pod = server.objects.get("pods", info.namespace, info.name)
    if pod is not None and not pod.spec.nodeName:
        container_of(pod, request.query_first("container"))
        return Response(200, b"", "text/plain")  # as upstream: nothing has been logged yet
    pod = pod_of(server.objects.get, info.namespace, info.name)
    container = container_of(pod, request.query_first("container"))
    items = _options(request, info.name)
    path = "/".join(quote(part, safe="") for part in (info.namespace, info.name, container))
    try:
        answer = await server.kubelets.pool(pod.spec.nodeName).request("GET", f"/containerLogs/{path}{query(items)}")
        if answer.status != 200:
            raise refusal(answer.status, await answer.read())
    except OSError as error:
        raise Internal(f'Get "containerLogs/{path}": {error or type(error).__name__}') from None
    stream = ByteSocket(request) if request.upgrade == "websocket" else request.stream(200, "text/plain")
    try:
        async for chunk in answer.chunks():
            stream.write(chunk)
            await stream.drain()
    except PeerGone:
        pass
    except OSError:
        stream.abort()
        return None
    finally:
        answer.close()
    stream.close()
    return None
