"""A driver of devices: it registers at a kubelet, and prepares claims as it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from pelamis.kubelet.cri.client import WireCodec
from pelamis.kubelet.dra import messages as m


class FakeDriver:
    """``cdi``: names of devices by request ("" = of all requests). ``fail``: claim -> error; ``skip``: claims that are
    left out; ``refuse``: the whole call fails. ``told``: what the kubelet said of the registration. ``health``: reports
    that are sent, None ends the stream."""

    def __init__(self, name: str = "gpu.example.com", *, type: str = "DRAPlugin", versions: Any = ("v1.DRAPlugin",)):
        self.name = name
        self.info = m.PluginInfo(type=type, name=name, supported_versions=tuple(versions))
        self.cdi: dict[str, tuple[str, ...]] = {"": ("example.com/gpu=0",)}
        self.fail: dict[str, str] = {}
        self.skip: set[str] = set()
        self.refuse = ""
        self.calls: list[tuple[str, list[str]]] = []
        self.told: asyncio.Queue[tuple[bool, str]] = asyncio.Queue()
        self.health: asyncio.Queue[tuple[m.DeviceHealth, ...] | None] = asyncio.Queue()
        self._server: Server | None = None

    async def start(self, folder: Path, file: str = "") -> Path:
        path = folder / (file or f"{self.name}-reg.sock")
        self._server = Server([self], codec=WireCodec())
        await self._server.start(path=str(path))
        return path

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _info(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(self.info)

    async def _notify(self, stream: Any) -> None:
        status = await stream.recv_message()
        self.told.put_nowait((status.plugin_registered, status.error))
        await stream.send_message(m.RegistrationStatusResponse())

    def _begin(self, call: str, request: Any) -> list[Any]:
        self.calls.append((call, [claim.name for claim in request.claims]))
        if self.refuse:
            raise GRPCError(Status.UNAVAILABLE, self.refuse)
        return [claim for claim in request.claims if claim.name not in self.skip]

    async def _prepare(self, stream: Any) -> None:
        out = []
        for claim in self._begin("prepare", await stream.recv_message()):
            devices = tuple(
                m.Device(
                    request_names=(request,) if request else (), pool_name="p", device_name="d", cdi_device_ids=ids
                )
                for request, ids in self.cdi.items()
            )
            value = m.NodePrepareResourceResponse(devices=devices, error=self.fail.get(claim.name, ""))
            out.append(m.Prepared(key=claim.uid, value=value))
        await stream.send_message(m.NodePrepareResourcesResponse(claims=tuple(out)))

    async def _unprepare(self, stream: Any) -> None:
        out = [
            m.Unprepared(key=claim.uid, value=m.NodeUnprepareResourceResponse(error=self.fail.get(claim.name, "")))
            for claim in self._begin("unprepare", await stream.recv_message())
        ]
        await stream.send_message(m.NodeUnprepareResourcesResponse(claims=tuple(out)))

    async def _watch(self, stream: Any) -> None:
        await stream.recv_message()
        while (report := await self.health.get()) is not None:
            await stream.send_message(m.NodeWatchResourcesResponse(devices=report))

    def __mapping__(self) -> dict[str, Handler]:
        def unary(work: Any, request: Any, reply: Any) -> Handler:
            return Handler(work, Cardinality.UNARY_UNARY, request, reply)

        out = {
            f"{m.REGISTRATION}/GetInfo": unary(self._info, m.InfoRequest, m.PluginInfo),
            f"{m.REGISTRATION}/NotifyRegistrationStatus": unary(
                self._notify, m.RegistrationStatus, m.RegistrationStatusResponse
            ),
        }
        for version in self.info.supported_versions:
            if version in m.HEALTH_SERVICES:
                watch = Handler(
                    self._watch,
                    Cardinality.UNARY_STREAM,
                    m.NodeWatchResourcesRequest,
                    m.NodeWatchResourcesResponse,
                )
                out[f"{m.HEALTH_SERVICES[version]}/NodeWatchResources"] = watch
                continue
            path = m.SERVICES.get(version, f"/{version}")
            out[f"{path}/NodePrepareResources"] = unary(
                self._prepare, m.NodePrepareResourcesRequest, m.NodePrepareResourcesResponse
            )
            out[f"{path}/NodeUnprepareResources"] = unary(
                self._unprepare, m.NodeUnprepareResourcesRequest, m.NodeUnprepareResourcesResponse
            )
        return out
