"""From a kubeconfig's ``Access`` to a client, credential plugins (``users[].user.exec``) included.

A plugin is run when the client is made, and again when the server answers 401 or the credential has expired. It gets
the request in ``KUBERNETES_EXEC_INFO`` and prints an ExecCredential, as client-go has it.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pelamis.api.field import Tree
from pelamis.base.clock import parse_rfc3339
from pelamis.client.http import Header, HttpClient
from pelamis.client.kubeconfig import Access, KubeconfigError

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


async def connect(
    access: Access,
    *,
    now: Callable[[], float],
    environ: Mapping[str, str] | None = None,
    user_agent: str = "pelamis",
    field_manager: str = "",
    registry: Any = None,
) -> HttpClient:
    """now: seconds since the epoch. Raises KubeconfigError when a plugin fails, ssl.SSLError for unusable keys."""
    plugin = _Plugin(access, now, environ if environ is not None else os.environ) if access.exec else None
    cert = key = b""
    if plugin is not None:
        await plugin.run()
        cert, key = plugin.cert, plugin.key

    def headers() -> list[Header]:
        out = access.headers()
        if plugin is not None and plugin.token:
            out = [h for h in out if h[0] != "Authorization"]
            out.append(("Authorization", f"Bearer {plugin.token}"))
        return out

    return HttpClient(
        access.server,
        access.ssl_context(cert, key),
        headers=headers,
        renew=plugin.renew if plugin is not None else None,
        user_agent=user_agent,
        field_manager=field_manager,
        server_hostname=access.tls_server_name,
        registry=registry,
    )


class _Plugin:
    def __init__(self, access: Access, now: Callable[[], float], environ: Mapping[str, str]) -> None:
        self._access = access
        self._exec: Tree = access.exec or {}
        self._now = now
        self._environ = environ
        self._expires = 0.0
        self.token = ""
        self.cert = b""
        self.key = b""

    async def renew(self, refused: bool) -> bool:
        """True when there is a new credential. refused: the server did not take the one there is."""
        if not refused and (not self._expires or self._now() < self._expires):
            return False
        await self.run()
        return True

    async def run(self) -> None:
        command = self._exec.get("command") or ""
        version = self._exec.get("apiVersion") or ""
        if version not in VERSIONS:
            raise KubeconfigError(f'exec plugin: invalid apiVersion "{version}"')
        interactive = sys.stdin.isatty() and self._exec.get("interactiveMode", "IfAvailable") != "Never"
        spec: Tree = {"interactive": interactive}
        if self._exec.get("provideClusterInfo"):
            cluster: Tree = {"server": self._access.server}
            if self._access.ca:
                cluster["certificate-authority-data"] = base64.b64encode(self._access.ca).decode()
            spec["cluster"] = cluster
        info = msgspec.json.encode({"kind": "ExecCredential", "apiVersion": version, "spec": spec}).decode()
        env = {**self._environ, "KUBERNETES_EXEC_INFO": info}
        env.update({e["name"]: e.get("value", "") for e in self._exec.get("env") or ()})
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                *(self._exec.get("args") or ()),
                env=env,
                stdin=None if interactive else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = self._exec.get("installHint") or ""
            raise KubeconfigError(f"exec: executable {command} not found. {hint}".strip()) from error
        out, _ = await process.communicate()
        if process.returncode:
            code = process.returncode
            raise KubeconfigError(f"getting credentials: exec: executable {command} failed with exit code {code}")
        try:
            status = msgspec.json.decode(out)["status"]
            self.token = status.get("token") or ""
            self.cert = (status.get("clientCertificateData") or "").encode()
            self.key = (status.get("clientKeyData") or "").encode()
            expires = status.get("expirationTimestamp") or ""
            self._expires = parse_rfc3339(expires) if expires else 0.0
        except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise KubeconfigError(f"getting credentials: decoding stdout of {command}: {error}") from error
        if not self.token and not self.cert:
            raise KubeconfigError("getting credentials: exec plugin didn't return a token or cert/key pair")
