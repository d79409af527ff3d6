"""Plugins that register at the kubelet: each puts a socket into a folder, where it answers who it is.

A socket that appears is asked, again and again with growing pauses while it does not answer; one that goes, or is
another than before, ends the registration. Names that begin with a dot are none of ours.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path
from typing import Protocol

from pelamis.kubelet.dra.call import CallError, Line
from pelamis.kubelet.dra.messages import (
    DRIVER,
    REGISTRATION,
    InfoRequest,
    PluginInfo,
    RegistrationStatus,
    RegistrationStatusResponse,
)
from pelamis.kubelet.logs import Watch

log = logging.getLogger("pelamis.kubelet.dra")
ASK_S = 1.0
NOTIFY_S = 5.0
RETRY_S = 0.5
RETRY_MAX_S = 122.0
AGAIN_S = 5.0
Mark = tuple[int, int]


class Registry(Protocol):
    def register(self, name: str, endpoint: str, services: tuple[str, ...]) -> str:
        """ "" = registered, else why not."""
        ...

    def deregister(self, name: str, endpoint: str) -> None: ...


class Registrar:
    """``run`` until cancelled."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self._folder = folder
        self._registry = registry
        self._tasks: dict[str, tuple[Mark, asyncio.Task[None]]] = {}
        self._registered: dict[str, tuple[str, str]] = {}

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._follow()
                except OSError as error:  # the folder was removed, or the system has no more watches
                    log.warning("plugins cannot be looked for in %s: %s", self._folder, error)
                await asyncio.sleep(AGAIN_S)
        finally:
            for _, task in self._tasks.values():
                task.cancel()

    async def _follow(self) -> None:
        """Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        watch = Watch(str(self._folder))
        try:
            while True:
                self._look()
                await watch.wait()
        finally:
            watch.close()

    def _sockets(self) -> dict[str, Mark]:
        out: dict[str, Mark] = {}
        for entry in self._folder.iterdir():
            try:
                found = entry.stat()
            except OSError:
                continue
            if stat.S_ISSOCK(found.st_mode) and not entry.name.startswith("."):
                out[str(entry)] = (found.st_ino, found.st_ctime_ns)
        return out

    def _look(self) -> None:
        found = self._sockets()
        for path, (mark, task) in list(self._tasks.items()):
            if found.get(path) != mark:
                task.cancel()
                del self._tasks[path]
                known = self._registered.pop(path, None)
                if known is not None:
                    self._registry.deregister(*known)
        for path, mark in found.items():
            if path not in self._tasks:
                task = asyncio.get_running_loop().create_task(self._register(path), name=f"plugin {path}")
                self._tasks[path] = mark, task

    async def _register(self, path: str) -> None:
        pause = RETRY_S
        while True:
            try:
                await self._ask(path)
                return
            except (CallError, OSError) as error:
                log.warning("plugin at %s: %s", path, error)
            except Exception:
                log.exception("plugin at %s", path)
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_MAX_S)

    async def _ask(self, path: str) -> None:
        line = Line(path)
        try:
            info = await line.call(f"{REGISTRATION}/GetInfo", InfoRequest(), PluginInfo, ASK_S)
            endpoint = info.endpoint or path
            why = f"RegisterPlugin error -- no handler registered for plugin type: {info.type} at socket {path}"
            if info.type == DRIVER:
                why = self._registry.register(info.name, endpoint, info.supported_versions)
            if not why:
                self._registered[path] = info.name, endpoint
            status = RegistrationStatus(plugin_registered=not why, error=why)
            try:
                await line.call(
                    f"{REGISTRATION}/NotifyRegistrationStatus", status, RegistrationStatusResponse, NOTIFY_S
                )
            except CallError:
                if self._registered.pop(path, None) is not None:
                    self._registry.deregister(info.name, endpoint)
                raise
            if why:
                raise CallError(why)
        finally:
            line.close()
