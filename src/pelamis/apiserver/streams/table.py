"""Where streaming subresources are registered: log, exec, attach, portforward and proxy.

A handler has the signature ``async handler(request, info, user, server) -> Response | None``:

* ``request``: pelamis.net.http1.Request, already authenticated and authorized; its body is complete.
* ``info``: pelamis.apiserver.request.RequestInfo: namespace, name, subresource and, for proxies, the rest of the path.
* ``user``: pelamis.apiserver.user.User, as impersonated.
* ``server``: pelamis.apiserver.server.ApiServer: objects, certificates for the kubelets, the loop's tasks.

It returns a Response, or None after ``request.stream()`` or ``request.take_over()``. It may raise StatusError.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.streams import attach, log, proxy
from pelamis.apiserver.user import User
from pelamis.net.http1 import Request, Response

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

Handler = Callable[[Request, RequestInfo, User, "ApiServer"], Awaitable[Response | None]]
STREAMS: dict[tuple[str, str], Handler] = {
    ("pods", "exec"): attach.execute,
    ("pods", "attach"): attach.execute,
    ("pods", "portforward"): attach.forward,
    ("pods", "log"): log.read,
    ("pods", "proxy"): proxy.forward,
    ("services", "proxy"): proxy.forward,
    ("nodes", "proxy"): proxy.forward,
}
"""(resource, subresource), such as ("pods", "log"), to its handler."""
