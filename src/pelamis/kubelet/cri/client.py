"""The runtime seam over gRPC on a unix socket: RuntimeService and ImageService of CRI v1.

grpclib carries the frames; messages are encoded by ``wire``, so no generated code and no protobuf runtime is needed.
A lost connection is opened again by the next call.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

from grpclib.client import Channel
from grpclib.const import Cardinality
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, StreamTerminatedError

from pelamis.kubelet.cri import events, snapshots, wire
from pelamis.kubelet.cri import image_types as im
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri import usage_types as us
from pelamis.kubelet.cri.runtime import NO_LABELS, CriError, RuntimeEvent

R = TypeVar("R", bound=wire.Message)
REQUEST_TIMEOUT_S = 120.0

_CODES = {
    "OK": "OK",
    "CANCELLED": "Canceled",
    "UNKNOWN": "Unknown",
    "INVALID_ARGUMENT": "InvalidArgument",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "PermissionDenied",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "ABORTED": "Aborted",
    "OUT_OF_RANGE": "OutOfRange",
    "UNIMPLEMENTED": "Unimplemented",
    "INTERNAL": "Internal",
    "UNAVAILABLE": "Unavailable",
    "DATA_LOSS": "DataLoss",
    "UNAUTHENTICATED": "Unauthenticated",
}


class WireCodec(CodecBase):
    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return wire.encode(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        return wire.decode(data, message_type)


def error_of(error: Exception) -> CriError:
    """What a failed call comes to."""
    if isinstance(error, GRPCError):
        return CriError(_CODES.get(error.status.name, "Unknown"), error.message or "")
    if isinstance(error, TimeoutError):
        return CriError("DeadlineExceeded", "context deadline exceeded")
    return CriError("Unavailable", str(error) or type(error).__name__)


class CriClient:
    """``socket`` is the path of the runtime's unix socket."""

    def __init__(self, socket: str, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._channel: Channel | None = None
        self._snapshotter: str | None = None

    def channel(self) -> Channel:
        if self._channel is None:
            self._channel = Channel(path=self._socket, codec=WireCodec())
            self._channel._authority = "localhost"  # grpclib would send "None:None", which strict peers refuse
        return self._channel

    async def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def _call(
        self, service: str, method: str, request: wire.Message, reply: type[R], timeout_s: float | None = -1
    ) -> R:
        timeout = self._timeout_s if timeout_s == -1 else timeout_s
        return await self._unary(f"/runtime.v1.{service}/{method}", request, reply, timeout)

    async def _unary(
        self,
        path: str,
        request: wire.Message,
        reply: type[R],
        timeout_s: float | None,
        metadata: Mapping[str, str] | None = None,
    ) -> R:
        try:
            async with self.channel().request(
                path, Cardinality.UNARY_UNARY, type(request), reply, timeout=timeout_s, metadata=metadata
            ) as stream:
                await stream.send_message(request, end=True)
                answer = await stream.recv_message()
        except (GRPCError, StreamTerminatedError, OSError, TimeoutError) as error:
            raise error_of(error) from error
        if answer is None:
            raise CriError("Internal", f"{path}: empty answer")
        result: R = answer
        return result

    async def _snapshots(self, method: str, request: wire.Message, reply: type[R]) -> R:
        return await self._unary(f"{snapshots.SERVICE}/{method}", request, reply, self._timeout_s, snapshots.NAMESPACE)

    async def _runtime(self, method: str, request: wire.Message, reply: type[R], timeout_s: float | None = -1) -> R:
        return await self._call("RuntimeService", method, request, reply, timeout_s)

    async def version(self) -> cri.VersionResponse:
        return await self._runtime("Version", cri.VersionRequest(version="v1"), cri.VersionResponse)

    async def status(self, verbose: bool = False) -> cri.StatusResponse:
        return await self._runtime("Status", cri.StatusRequest(verbose=verbose), cri.StatusResponse)

    async def run_sandbox(self, config: cri.PodSandboxConfig, handler: str = "") -> str:
        request = cri.RunPodSandboxRequest(config=config, runtime_handler=handler)
        return (
            await self._runtime("RunPodSandbox", request, cri.RunPodSandboxResponse, 2 * self._timeout_s)
        ).pod_sandbox_id

    async def _gone_is_fine(self, method: str, request: wire.Message, reply: type[R], timeout_s: float) -> None:
        try:
            await self._runtime(method, request, reply, timeout_s)
        except CriError as error:
            if error.code != "NotFound":
                raise

    async def stop_sandbox(self, sandbox_id: str) -> None:
        request = cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self._gone_is_fine("StopPodSandbox", request, cri.StopPodSandboxResponse, self._timeout_s)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        request = cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self._gone_is_fine("RemovePodSandbox", request, cri.RemovePodSandboxResponse, self._timeout_s)

    async def sandbox_status(self, sandbox_id: str) -> cri.PodSandboxStatus:
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        answer = await self._runtime("PodSandboxStatus", request, cri.PodSandboxStatusResponse)
        return answer.status or cri.PodSandboxStatus(id=sandbox_id, state=cri.SANDBOX_NOTREADY)

    async def list_sandboxes(self, labels: Mapping[str, str] = NO_LABELS) -> Sequence[cri.PodSandbox]:
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector=dict(labels)))
        return (await self._runtime("ListPodSandbox", request, cri.ListPodSandboxResponse)).items

    async def create_container(
        self, sandbox_id: str, config: cri.ContainerConfig, sandbox: cri.PodSandboxConfig
    ) -> str:
        request = cri.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox)
        return (await self._runtime("CreateContainer", request, cri.CreateContainerResponse)).container_id

    async def start_container(self, container_id: str) -> None:
        request = cri.StartContainerRequest(container_id=container_id)
        await self._runtime("StartContainer", request, cri.StartContainerResponse)

    async def stop_container(self, container_id: str, grace_s: int) -> None:
        request = cri.StopContainerRequest(container_id=container_id, timeout=grace_s)
        await self._gone_is_fine("StopContainer", request, cri.StopContainerResponse, self._timeout_s + grace_s)

    async def remove_container(self, container_id: str) -> None:
        request = cri.RemoveContainerRequest(container_id=container_id)
        await self._gone_is_fine("RemoveContainer", request, cri.RemoveContainerResponse, self._timeout_s)

    async def container_status(self, container_id: str) -> cri.ContainerStatus:
        request = cri.ContainerStatusRequest(container_id=container_id)
        answer = await self._runtime("ContainerStatus", request, cri.ContainerStatusResponse)
        return answer.status or cri.ContainerStatus(id=container_id, state=cri.UNKNOWN)

    async def list_containers(self, labels: Mapping[str, str] = NO_LABELS) -> Sequence[cri.Container]:
        request = cri.ListContainersRequest(filter=cri.ContainerFilter(label_selector=dict(labels)))
        return (await self._runtime("ListContainers", request, cri.ListContainersResponse)).containers

    async def update_resources(self, container_id: str, resources: cri.LinuxContainerResources) -> None:
        request = cri.UpdateContainerResourcesRequest(container_id=container_id, linux=resources)
        await self._runtime("UpdateContainerResources", request, cri.UpdateContainerResourcesResponse)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_s: int) -> cri.ExecSyncResponse:
        request = cri.ExecSyncRequest(container_id=container_id, cmd=tuple(command), timeout=timeout_s)
        limit = timeout_s + 10.0 if timeout_s > 0 else None
        return await self._runtime("ExecSync", request, cri.ExecSyncResponse, limit)

    async def exec_url(self, request: cri.ExecRequest) -> str:
        return (await self._runtime("Exec", request, cri.ExecResponse)).url

    async def attach_url(self, request: cri.AttachRequest) -> str:
        return (await self._runtime("Attach", request, cri.AttachResponse)).url

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        request = cri.PortForwardRequest(pod_sandbox_id=sandbox_id, port=tuple(ports))
        return (await self._runtime("PortForward", request, cri.PortForwardResponse)).url

    async def reopen_log(self, container_id: str) -> None:
        request = cri.ReopenContainerLogRequest(container_id=container_id)
        await self._runtime("ReopenContainerLog", request, cri.ReopenContainerLogResponse)

    async def image_status(self, image: str) -> im.Image | None:
        request = im.ImageStatusRequest(image=cri.ImageSpec(image=image))
        return (await self._call("ImageService", "ImageStatus", request, im.ImageStatusResponse)).image

    async def list_images(self) -> Sequence[im.Image]:
        return (await self._call("ImageService", "ListImages", im.ListImagesRequest(), im.ListImagesResponse)).images

    async def pull_image(self, image: str, auth: im.AuthConfig | None, sandbox: cri.PodSandboxConfig | None) -> str:
        request = im.PullImageRequest(image=cri.ImageSpec(image=image), auth=auth, sandbox_config=sandbox)
        return (await self._call("ImageService", "PullImage", request, im.PullImageResponse, None)).image_ref

    async def remove_image(self, image: str) -> None:
        request = im.RemoveImageRequest(image=cri.ImageSpec(image=image))
        try:
            await self._call("ImageService", "RemoveImage", request, im.RemoveImageResponse)
        except CriError as error:
            if error.code != "NotFound":
                raise

    async def _which(self) -> str:
        """The snapshotter that CRI uses."""
        if self._snapshotter is None:
            info = json.loads((await self.status(verbose=True)).info.get("config") or "{}")
            self._snapshotter = str(info.get("containerd", {}).get("snapshotter") or "overlayfs")
        return self._snapshotter

    async def view_image(self, image: str, key: str) -> Sequence[snapshots.Mount]:
        request = im.ImageStatusRequest(image=cri.ImageSpec(image=image), verbose=True)
        found = await self._call("ImageService", "ImageStatus", request, im.ImageStatusResponse)
        parent = json.loads(found.info.get("info") or "{}").get("chainID", "")
        if not parent:
            raise CriError("NotFound", f"the runtime does not tell the layers of image {image!r}")
        labels = {snapshots.KEPT: "1970-01-01T00:00:00Z"}
        wanted = snapshots.ViewSnapshotRequest(await self._which(), key, parent, labels)
        try:
            return (await self._snapshots("View", wanted, snapshots.MountsResponse)).mounts
        except CriError as error:
            if error.code != "AlreadyExists":
                raise
        known = snapshots.MountsRequest(await self._which(), key)
        return (await self._snapshots("Mounts", known, snapshots.MountsResponse)).mounts

    async def drop_view(self, key: str) -> None:
        try:
            await self._snapshots("Remove", snapshots.RemoveSnapshotRequest(await self._which(), key), snapshots.Empty)
        except CriError as error:
            if error.code != "NotFound":
                raise

    async def image_fs(self) -> us.ImageFsInfoResponse:
        return await self._call("ImageService", "ImageFsInfo", us.ImageFsInfoRequest(), us.ImageFsInfoResponse)

    async def list_stats(self) -> Sequence[us.ContainerStats]:
        request = us.ListContainerStatsRequest()
        return (await self._runtime("ListContainerStats", request, us.ListContainerStatsResponse)).stats

    def events(self) -> AsyncIterator[RuntimeEvent]:
        return events.subscribe(self.channel)
