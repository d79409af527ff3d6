"""Answers the health checks of external load balancers: whether this node has endpoints of a Service.

A Service of type LoadBalancer with ``externalTrafficPolicy: Local`` has a port for it on every node. A balancer that
asks there sends traffic only to nodes that have endpoints.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pelamis.api.core.service import Service
from pelamis.api.core.wellknown import OTHER_PROXY
from pelamis.api.discovery.endpointslice import EndpointSlice
from pelamis.client.types import Key
from pelamis.net.http1 import Request, Response
from pelamis.net.httpserver import Server
from pelamis.proxy.rules import counts

log = logging.getLogger(__name__)


def check_of(service: Service | None, slices: Sequence[EndpointSlice], node: str) -> tuple[int, int]:
    """(port, endpoints of this node); port 0: there is nothing to answer."""
    if service is None or service.spec.type != "LoadBalancer" or service.spec.externalTrafficPolicy != "Local":
        return 0, 0
    if OTHER_PROXY in service.metadata.labels:
        return 0, 0
    local = {
        endpoint.addresses[0]
        for part in slices
        if counts(part)
        for endpoint in part.endpoints
        if endpoint.nodeName == node and endpoint.conditions.ready is not False
    }
    return service.spec.healthCheckNodePort, len(local)


@dataclass(slots=True)
class _Check:
    port: int
    count: int
    server: Server


class HealthChecks:
    """host: where to listen; all addresses of the node by default."""

    def __init__(self, host: str = "0.0.0.0") -> None:
        self._host = host
        self._checks: dict[Key, _Check] = {}

    async def set(self, key: Key, port: int, count: int) -> None:
        """What is answered for a Service from now on; port 0: nothing."""
        check = self._checks.get(key)
        if check is not None and check.port == port:
            check.count = count
            return
        if check is not None:
            del self._checks[key]
            await check.server.close(0.0)
        if not port:
            return
        server = Server(lambda request: self._answer(key, request))
        try:
            await server.listen(self._host, port, None)
        except OSError as error:
            log.warning("health checks of Service %s/%s cannot be answered on port %d: %s", *key, port, error)
            return
        self._checks[key] = _Check(port, count, server)

    async def close(self) -> None:
        checks, self._checks = self._checks, {}
        for check in checks.values():
            await check.server.close(0.0)

    def _answer(self, key: Key, request: Request) -> Response:
        check = self._checks.get(key)
        count = check.count if check is not None else 0
        body = {
            "service": {"namespace": key[0], "name": key[1]},
            "localEndpoints": count,
            "serviceProxyHealthy": True,
        }
        headers = (("X-Content-Type-Options", "nosniff"), ("X-Load-Balancing-Endpoint-Weight", str(count)))
        return Response(200 if count else 503, msgspec.json.encode(body), "application/json", headers)
