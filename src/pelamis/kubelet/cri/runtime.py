"""The container runtime seam: what the node agent needs of a runtime. Twins: ``client`` (CRI v1) and ``hollow``.

One contract suite runs over both. Every method may raise ``CriError``; stopping or removing what is gone is no error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from pelamis.kubelet.cri import image_types as im
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri import usage_types as us
from pelamis.kubelet.cri.snapshots import Mount

NO_LABELS: Mapping[str, str] = {}


class CriError(Exception):
    """A call that the runtime refused. ``code`` is the gRPC status name as gRPC libraries print it (NotFound)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code = code
        self.message = message


class RuntimeEvent(NamedTuple):
    """Something happened to a container or a sandbox (``id``).

    ``lost``: events may have been missed before this one (the stream was opened anew); list everything again.
    """

    type: Literal["created", "started", "exited", "oom", "deleted", "lost"]
    id: str


class Runtime(Protocol):
    async def version(self) -> cri.VersionResponse: ...

    async def status(self, verbose: bool = False) -> cri.StatusResponse: ...

    async def run_sandbox(self, config: cri.PodSandboxConfig, handler: str = "") -> str:
        """Creates, networks and starts a sandbox; returns its id."""
        ...

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kills whatever runs in it and releases its network."""
        ...

    async def remove_sandbox(self, sandbox_id: str) -> None: ...

    async def sandbox_status(self, sandbox_id: str) -> cri.PodSandboxStatus: ...

    async def list_sandboxes(self, labels: Mapping[str, str] = NO_LABELS) -> Sequence[cri.PodSandbox]: ...

    async def create_container(
        self, sandbox_id: str, config: cri.ContainerConfig, sandbox: cri.PodSandboxConfig
    ) -> str: ...

    async def start_container(self, container_id: str) -> None: ...

    async def stop_container(self, container_id: str, grace_s: int) -> None:
        """The stop signal, then SIGKILL after ``grace_s``; returns when the container has exited."""
        ...

    async def remove_container(self, container_id: str) -> None: ...

    async def container_status(self, container_id: str) -> cri.ContainerStatus: ...

    async def list_containers(self, labels: Mapping[str, str] = NO_LABELS) -> Sequence[cri.Container]: ...

    async def update_resources(self, container_id: str, resources: cri.LinuxContainerResources) -> None: ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_s: int) -> cri.ExecSyncResponse:
        """CriError with code DeadlineExceeded when the command took longer than ``timeout_s`` (0 = no limit)."""
        ...

    async def exec_url(self, request: cri.ExecRequest) -> str: ...

    async def attach_url(self, request: cri.AttachRequest) -> str: ...

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str: ...

    async def reopen_log(self, container_id: str) -> None: ...

    async def image_status(self, image: str) -> im.Image | None: ...

    async def list_images(self) -> Sequence[im.Image]: ...

    async def pull_image(self, image: str, auth: im.AuthConfig | None, sandbox: cri.PodSandboxConfig | None) -> str:
        """Returns the reference (digest) of the image pulled."""
        ...

    async def remove_image(self, image: str) -> None: ...

    async def view_image(self, image: str, key: str) -> Sequence[Mount]:
        """How to mount the root file system of an image that is there; ``drop_view`` with the same key ends it."""
        ...

    async def drop_view(self, key: str) -> None:
        """Fine when there is none. What was mounted has to be unmounted before."""
        ...

    async def image_fs(self) -> us.ImageFsInfoResponse: ...

    async def list_stats(self) -> Sequence[us.ContainerStats]: ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Never ends by itself; begins with ``lost`` once the stream stands."""
        ...

    async def close(self) -> None: ...
