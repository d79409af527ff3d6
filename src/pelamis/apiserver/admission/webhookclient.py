"""How the server reaches webhooks: connections by where they lead and whom they trust, kept while they are used."""

from __future__ import annotations

import random
import ssl
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from pelamis.api.field import Tree
from pelamis.apiserver.write import Objects
from pelamis.net.httpclient import HttpPool
from pelamis.net.tls import Pair, client_context

_MOST = 256


class CallFailed(Exception):
    """The webhook could not be asked, or did not answer as it must."""


def endpoint_of(objects: Objects, namespace: str, name: str, port: int) -> str:
    """host:port behind a Service: a ready endpoint, or the cluster address when none is known.

    Raises CallFailed.
    """
    service = objects.get("services", namespace, name)
    if service is None:
        raise CallFailed(f'service "{name}" not found')
    spec = service.spec
    if spec.type == "ExternalName":
        return f"{spec.externalName}:{port}"
    declared = next((p for p in spec.ports if p.port == port), None)
    if declared is None:
        raise CallFailed(f'no service port {port} found for service "{name}"')
    found: list[str] = []
    slices = objects.view("endpointslices.discovery.k8s.io").by_index("service", f"{namespace}/{name}")
    for part in slices:
        number = next((p.port for p in part.ports if (p.name or "") == (declared.name or "")), None)
        if number:
            ready = (e for e in part.endpoints if e.conditions.ready is not False and e.addresses)
            found += [_joined(e.addresses[0], number) for e in ready]
    if found:
        return random.choice(found)
    if slices or spec.clusterIP in ("", "None"):
        raise CallFailed(f'no endpoints available for service "{name}"')
    return _joined(spec.clusterIP, port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Webhooks:
    """``pair``: what the server shows to webhooks that ask for a client certificate."""

    def __init__(self, objects: Objects, pair: Pair | None = None) -> None:
        self._objects = objects
        self._pair = pair
        self._pools: dict[tuple[str, bytes, str], HttpPool] = {}

    async def close(self) -> None:
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.close()

    async def _pool(self, url: str, ca: bytes, name: str) -> HttpPool:
        key = (url, ca, name)
        pool = self._pools.get(key)
        if pool is None:
            while len(self._pools) >= _MOST:
                await self._pools.pop(next(iter(self._pools))).close()
            try:
                context = client_context(ca, self._pair) if url.startswith("https:") else None
            except (ssl.SSLError, ValueError) as error:
                raise CallFailed(f"unable to load root certificates: {error}") from None
            pool = self._pools[key] = HttpPool(url, context, server_hostname=name)
        return pool

    async def ask(self, config: Any, body: Tree, timeout_s: float, query: str = "") -> Tree:
        """Posts ``body`` to where a clientConfig leads; the tree of the answer. Raises CallFailed."""
        service = config.service
        if service is not None:
            name = f"{service.name}.{service.namespace}.svc"
            shown = f"https://{name}:{service.port or 443}"
            target = quote(service.path or "/", safe="/%:@!$&'()*+,;=~-._")
        else:
            parts = urlsplit(config.url)
            shown = f"{parts.scheme}://{parts.netloc}"
            name, target = "", parts.path or "/"
        target += f"?{query}" if query else ""
        try:
            url = shown
            if service is not None:
                host = endpoint_of(self._objects, service.namespace, service.name, service.port or 443)
                url = f"https://{host}"
            pool = await self._pool(url, config.caBundle, name)
            headers = (("Content-Type", "application/json"), ("Accept", "application/json, */*"))
            status, _, data = await pool.fetch(
                "POST", target, headers=headers, body=msgspec.json.encode(body), timeout_s=timeout_s
            )
        except TimeoutError:
            raise CallFailed(f'failed to call webhook: Post "{shown}{target}": context deadline exceeded') from None
        except CallFailed as error:
            raise CallFailed(f'failed to call webhook: Post "{shown}{target}": {error}') from None
        except OSError as error:
            raise CallFailed(f'failed to call webhook: Post "{shown}{target}": {_worded(error, url)}') from None
        if status != 200:
            text = data[:2048].decode("utf-8", "replace").strip()
            raise CallFailed(f"failed to call webhook: {_refused(status, text)}")
        try:
            tree = msgspec.json.decode(data)
        except ValueError as error:
            raise CallFailed(f"failed to call webhook: couldn't get version/kind; json parse error: {error}") from None
        if not isinstance(tree, dict):
            raise CallFailed("failed to call webhook: the answer is not an object")
        return tree


def _worded(error: OSError, url: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {error.verify_message}"
    if isinstance(error, ConnectionRefusedError):
        parts = urlsplit(url)
        return f"dial tcp {parts.hostname}:{parts.port or 443}: connect: connection refused"
    return str(error) or type(error).__name__


def _refused(status: int, text: str) -> str:
    if status == 404:
        return "the server could not find the requested resource"
    if status >= 500:
        return f'an error on the server ("{text}") has prevented the request from succeeding'
    return f"the server rejected our request for an unknown reason ({status} {text})"
