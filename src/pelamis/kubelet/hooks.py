"""postStart and preStop: exec, httpGet, sleep (and tcpSocket, which upstream accepts and never runs)."""

from __future__ import annotations

import asyncio
from typing import Any

from pelamis.kubelet import httpget, probes
from pelamis.kubelet.cri.runtime import CriError, Runtime
from pelamis.kubelet.prober import USER_AGENT

HTTP_TIMEOUT_S = 60.0


class HookError(Exception):
    """The hook failed; the message is shown in FailedPostStartHook or FailedPreStopHook."""


async def run(runtime: Runtime, handler: Any, container: Any, id_: str, host: str) -> None:
    """Raises HookError."""
    if handler.exec is not None:
        try:
            answer = await runtime.exec_sync(id_, handler.exec.command, 0)
        except CriError as error:
            raise HookError(f"rpc error: {error.message}") from error
        if answer.exit_code != 0:
            output = (answer.stdout + answer.stderr).decode("utf-8", "replace").strip()
            command = " ".join(handler.exec.command)
            raise HookError(f"command '{command}' exited with {answer.exit_code}: {output}")
    elif handler.httpGet is not None:
        try:
            url = probes.http_url(handler.httpGet, container, host)
            answer_ = await httpget.get(url, probes.http_headers(handler.httpGet, USER_AGENT), HTTP_TIMEOUT_S)
        except (httpget.GetError, ValueError) as error:
            raise HookError(str(error)) from error
        if answer_.status >= 400:
            raise HookError(f"HTTP hook failed with statuscode: {answer_.status}")
    elif handler.sleep is not None:
        await asyncio.sleep(handler.sleep.seconds)
