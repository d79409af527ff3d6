"""The container runtime's seam in memory: sandboxes and containers that cost a few objects each.

A container's command says what it does, as far as ``kubelet.hollow.script`` understands it (``sleep 5; exit 1``);
anything else runs until it is stopped. exec always succeeds, except for what is known to fail. Delays of the calls and
the clock are given, so virtual time works; ``fail`` may refuse calls. Addresses are taken from a range in order. Logs
are not written unless ``logs`` is set.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_network

from pelamis.kubelet.cri import image_types as im
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri import usage_types as us
from pelamis.kubelet.cri.runtime import NO_LABELS, CriError, RuntimeEvent
from pelamis.kubelet.cri.snapshots import Mount
from pelamis.kubelet.hollow import image as images_known
from pelamis.kubelet.hollow.script import plan

STOPPED_BY_SIGNAL = 143
KILLED = 137


@dataclass(slots=True)
class _Sandbox:
    id: str
    config: cri.PodSandboxConfig
    handler: str
    ip: str
    created_at: int
    ready: bool = True


@dataclass(slots=True)
class _Container:
    id: str
    sandbox_id: str
    config: cri.ContainerConfig
    image: im.Image
    created_at: int
    state: int = cri.CREATED
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    timer: asyncio.TimerHandle | None = None
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    resources: cri.LinuxContainerResources | None = None


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds that the calls take."""

    sandbox: float = 0.0
    create: float = 0.0
    start: float = 0.0
    stop: float = 0.0
    pull: float = 0.0


class MemoryRuntime:
    """images: references that are present. pullable(reference): whether a pull of it succeeds."""

    def __init__(
        self,
        now: Callable[[], float],
        *,
        images: Sequence[str] = (),
        pullable: Callable[[str], bool] = images_known.exists,
        subnet: str = "10.244.0.0/16",
        delays: Delays = Delays(),
        fail: Callable[[str, str], str | None] = lambda method, name: None,
        logs: bool = False,
    ) -> None:
        self._now = now
        self._pullable = pullable
        self._delays = delays
        self._fail = fail
        self._logs = logs
        self._serial = itertools.count(1)
        self._addresses = (str(ip) for ip in ip_network(subnet).hosts())
        self._free: list[str] = []
        self._sandboxes: dict[str, _Sandbox] = {}
        self._containers: dict[str, _Container] = {}
        self._images: dict[str, im.Image] = {}
        self._listeners: set[asyncio.Queue[RuntimeEvent]] = set()
        self.calls: dict[str, int] = {}
        for image in images:
            self.add_image(image)

    # --- what tests and simulators do to it ---------------------------------------------------------------------------

    def add_image(self, reference: str, *, size: int = 1 << 20, uid: int | None = None, user: str = "") -> im.Image:
        id_ = f"sha256:{sha256(reference.encode()).hexdigest()}"
        held = im.Image(
            id=id_,
            repo_tags=(reference,),
            size=size,
            uid=None if uid is None else cri.Int64Value(value=uid),
            username=user,
        )
        self._images[id_] = held
        return held

    def crash(self, container_id: str, exit_code: int = 1, reason: str = "") -> None:
        """End a running container from within."""
        self._exit(self._containers[container_id], exit_code, reason)

    def kill_sandbox(self, sandbox_id: str) -> None:
        """The sandbox dies by itself, and all that is in it."""
        sandbox = self._sandboxes[sandbox_id]
        for container in list(self._containers.values()):
            if container.sandbox_id == sandbox_id:
                self._exit(container, KILLED)
        if sandbox.ready:
            sandbox.ready = False
            self._tell(RuntimeEvent("exited", sandbox_id))

    def break_streams(self) -> None:
        """Events may have been lost, as after a restart of a runtime."""
        self._tell(RuntimeEvent("lost", ""))

    # --- inner workings -----------------------------------------------------------------------------------------------

    def _id(self) -> str:
        return f"{next(self._serial):064x}"

    def _ns(self) -> int:
        return int(self._now() * 1e9)

    def _tell(self, event: RuntimeEvent) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)

    async def _call(self, method: str, name: str, delay_s: float = 0.0) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1
        if delay_s:
            await asyncio.sleep(delay_s)
        why = self._fail(method, name)
        if why is not None:
            raise CriError("Unknown", why)

    def _sandbox(self, id_: str) -> _Sandbox:
        found = self._sandboxes.get(id_)
        if found is None:
            raise CriError("NotFound", f'an error occurred when try to find sandbox: "{id_}": not found')
        return found

    def _container(self, id_: str) -> _Container:
        found = self._containers.get(id_)
        if found is None:
            raise CriError("NotFound", f'an error occurred when try to find container "{id_}": not found')
        return found

    def _exit(self, container: _Container, exit_code: int, reason: str = "") -> None:
        if container.state != cri.RUNNING:
            return
        if container.timer is not None:
            container.timer.cancel()
            container.timer = None
        container.state = cri.EXITED
        container.exit_code = exit_code
        container.finished_at = self._ns()
        container.reason = reason or ("Completed" if exit_code == 0 else "Error")
        container.exited.set()
        self._tell(RuntimeEvent("exited", container.id))

    def _find_image(self, reference: str) -> im.Image | None:
        if reference in self._images:
            return self._images[reference]
        for image in self._images.values():
            if reference in image.repo_tags or reference in image.repo_digests:
                return image
        return None

    # --- the seam -----------------------------------------------------------------------------------------------------

    async def version(self) -> cri.VersionResponse:
        return cri.VersionResponse(
            version="0.1.0", runtime_name="hollow", runtime_version="1", runtime_api_version="v1"
        )

    async def status(self, verbose: bool = False) -> cri.StatusResponse:
        await self._call("status", "")
        conditions = tuple(cri.RuntimeCondition(type=t, status=True) for t in ("RuntimeReady", "NetworkReady"))
        return cri.StatusResponse(status=cri.RuntimeStatus(conditions=conditions))

    async def run_sandbox(self, config: cri.PodSandboxConfig, handler: str = "") -> str:
        await self._call("run_sandbox", config.metadata.name if config.metadata else "", self._delays.sandbox)
        host = (
            config.linux is not None
            and config.linux.security_context is not None
            and config.linux.security_context.namespace_options is not None
            and config.linux.security_context.namespace_options.network == cri.NODE
        )
        address = "" if host else (self._free.pop(0) if self._free else next(self._addresses))
        made = _Sandbox(self._id(), config, handler, address, self._ns())
        self._sandboxes[made.id] = made
        self._tell(RuntimeEvent("started", made.id))
        return made.id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self._call("stop_sandbox", sandbox_id, self._delays.stop)
        found = self._sandboxes.get(sandbox_id)
        if found is None:
            return
        for container in list(self._containers.values()):
            if container.sandbox_id == sandbox_id:
                self._exit(container, KILLED)
        if found.ready:
            found.ready = False
            if found.ip:
                self._free.append(found.ip)
            self._tell(RuntimeEvent("exited", sandbox_id))

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.stop_sandbox(sandbox_id)
        for container in list(self._containers.values()):
            if container.sandbox_id == sandbox_id:
                await self.remove_container(container.id)
        self._sandboxes.pop(sandbox_id, None)

    async def sandbox_status(self, sandbox_id: str) -> cri.PodSandboxStatus:
        found = self._sandbox(sandbox_id)
        return cri.PodSandboxStatus(
            id=found.id,
            metadata=found.config.metadata,
            state=cri.SANDBOX_READY if found.ready else cri.SANDBOX_NOTREADY,
            created_at=found.created_at,
            network=cri.PodSandboxNetworkStatus(ip=found.ip),
            labels=found.config.labels,
            annotations=found.config.annotations,
            runtime_handler=found.handler,
        )

    async def list_sandboxes(self, labels: Mapping[str, str] = NO_LABELS) -> Sequence[cri.PodSandbox]:
        return [
            cri.PodSandbox(
                id=s.id,
                metadata=s.config.metadata,
                state=cri.SANDBOX_READY if s.ready else cri.SANDBOX_NOTREADY,
                created_at=s.created_at,
                labels=s.config.labels,
                annotations=s.config.annotations,
                runtime_handler=s.handler,
            )
            for s in self._sandboxes.values()
            if all(s.config.labels.get(k) == v for k, v in labels.items())
        ]

    async def create_container(
        self, sandbox_id: str, config: cri.ContainerConfig, sandbox: cri.PodSandboxConfig
    ) -> str:
        await self._call("create_container", config.metadata.name if config.metadata else "", self._delays.create)
        self._sandbox(sandbox_id)
        reference = config.image.image if config.image is not None else ""
        image = self._find_image(reference)
        if image is None:
            raise CriError("NotFound", f'failed to resolve image "{reference}": not found')
        made = _Container(self._id(), sandbox_id, config, image, self._ns())
        self._containers[made.id] = made
        return made.id

    async def start_container(self, container_id: str) -> None:
        found = self._container(container_id)
        await self._call("start_container", container_id, self._delays.start)
        if found.state != cri.CREATED:
            raise CriError("Unknown", f"container is in state {found.state}, not created")
        if not self._sandbox(found.sandbox_id).ready:
            raise CriError("Unknown", f'sandbox container "{found.sandbox_id}" is not running')
        found.state = cri.RUNNING
        found.started_at = self._ns()
        self._write_log(found, "started")
        self._tell(RuntimeEvent("started", found.id))
        lasts, code = plan((*found.config.command, *found.config.args))
        if lasts is not None:
            found.timer = asyncio.get_running_loop().call_later(lasts, self._exit, found, code)

    async def stop_container(self, container_id: str, grace_s: int) -> None:
        await self._call("stop_container", container_id, self._delays.stop)
        found = self._containers.get(container_id)
        if found is not None:
            self._exit(found, STOPPED_BY_SIGNAL if grace_s > 0 else KILLED)
            if found.state == cri.CREATED:
                found.state = cri.EXITED
                found.finished_at = self._ns()

    async def remove_container(self, container_id: str) -> None:
        found = self._containers.get(container_id)
        if found is not None:
            self._exit(found, KILLED)
            del self._containers[container_id]
            self._tell(RuntimeEvent("deleted", container_id))

    async def container_status(self, container_id: str) -> cri.ContainerStatus:
        found = self._container(container_id)
        config = found.config
        return cri.ContainerStatus(
            id=found.id,
            metadata=config.metadata,
            state=found.state,
            created_at=found.created_at,
            started_at=found.started_at,
            finished_at=found.finished_at,
            exit_code=found.exit_code,
            image=cri.ImageSpec(image=found.image.repo_tags[0] if found.image.repo_tags else found.image.id),
            image_ref=found.image.id,
            reason=found.reason,
            labels=config.labels,
            annotations=config.annotations,
            mounts=config.mounts,
            log_path=self._log_path(found),
            resources=cri.ContainerResources(
                linux=found.resources or (config.linux.resources if config.linux is not None else None)
            ),
        )

    async def list_containers(self, labels: Mapping[str, str] = NO_LABELS) -> Sequence[cri.Container]:
        return [
            cri.Container(
                id=c.id,
                pod_sandbox_id=c.sandbox_id,
                metadata=c.config.metadata,
                image=c.config.image,
                image_ref=c.image.id,
                state=c.state,
                created_at=c.created_at,
                labels=c.config.labels,
                annotations=c.config.annotations,
            )
            for c in self._containers.values()
            if all(c.config.labels.get(k) == v for k, v in labels.items())
        ]

    async def view_image(self, image: str, key: str) -> Sequence[Mount]:
        await self._call("view_image", key)
        if await self.image_status(image) is None:
            raise CriError("NotFound", f"image {image!r} is not there")
        return ()

    async def drop_view(self, key: str) -> None:
        await self._call("drop_view", key)

    async def update_resources(self, container_id: str, resources: cri.LinuxContainerResources) -> None:
        self._container(container_id).resources = resources

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_s: int) -> cri.ExecSyncResponse:
        await self._call("exec_sync", container_id)
        found = self._container(container_id)
        if found.state != cri.RUNNING:
            raise CriError("Unknown", "container not running")
        lasts, code = plan(command)
        if lasts is not None and lasts > timeout_s > 0:
            await asyncio.sleep(timeout_s)
            raise CriError("DeadlineExceeded", f"failed to exec in container: timeout {timeout_s}s exceeded")
        await asyncio.sleep(lasts or 0.0)
        return cri.ExecSyncResponse(exit_code=code)

    async def exec_url(self, request: cri.ExecRequest) -> str:
        raise CriError("Unimplemented", "a hollow container has nothing to attach to")

    async def attach_url(self, request: cri.AttachRequest) -> str:
        raise CriError("Unimplemented", "a hollow container has nothing to attach to")

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        raise CriError("Unimplemented", "a hollow pod listens on no port")

    def _log_path(self, container: _Container) -> str:
        sandbox = self._sandboxes.get(container.sandbox_id)
        folder = sandbox.config.log_directory if sandbox is not None else ""
        return f"{folder}/{container.config.log_path}" if folder and container.config.log_path else ""

    def _write_log(self, container: _Container, text: str) -> None:
        path = self._log_path(container)
        if self._logs and path:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"1970-01-01T00:00:00.000000000Z stdout F {text}\n")

    async def reopen_log(self, container_id: str) -> None:
        self._write_log(self._container(container_id), "log opened anew")

    async def image_status(self, image: str) -> im.Image | None:
        await self._call("image_status", image)
        return self._find_image(image)

    async def list_images(self) -> Sequence[im.Image]:
        return list(self._images.values())

    async def pull_image(self, image: str, auth: im.AuthConfig | None, sandbox: cri.PodSandboxConfig | None) -> str:
        await self._call("pull_image", image, self._delays.pull)
        if not self._pullable(image):
            raise CriError("NotFound", f'failed to pull and unpack image "{image}": not found')
        return (self._find_image(image) or self.add_image(image)).id

    async def remove_image(self, image: str) -> None:
        found = self._find_image(image)
        if found is not None:
            del self._images[found.id]

    async def image_fs(self) -> us.ImageFsInfoResponse:
        total = sum(image.size for image in self._images.values())
        usage = us.FilesystemUsage(
            timestamp=self._ns(),
            fs_id=us.FilesystemIdentifier(mountpoint="/"),
            used_bytes=us.UInt64Value(value=total),
            inodes_used=us.UInt64Value(value=len(self._images)),
        )
        return us.ImageFsInfoResponse(image_filesystems=(usage,))

    async def list_stats(self) -> Sequence[us.ContainerStats]:
        now = self._ns()
        out = []
        for c in self._containers.values():
            if c.state == cri.RUNNING:
                attributes = us.ContainerAttributes(
                    id=c.id, metadata=c.config.metadata, labels=c.config.labels, annotations=c.config.annotations
                )
                spent = us.UInt64Value(value=(now - c.started_at) // 1000)
                cpu = us.CpuUsage(timestamp=now, usage_core_nano_seconds=spent)
                memory = us.MemoryUsage(timestamp=now, working_set_bytes=us.UInt64Value(value=1 << 20))
                out.append(us.ContainerStats(attributes=attributes, cpu=cpu, memory=memory))
        return out

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield RuntimeEvent("lost", "")
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def close(self) -> None:
        for container in self._containers.values():
            if container.timer is not None:
                container.timer.cancel()
