"""Messages of the runtime interface for resource usage, v1."""

from __future__ import annotations

from typing import Annotated

from pelamis.kubelet.cri.types import ContainerMetadata
from pelamis.kubelet.cri.wire import Message


class ContainerAttributes(Message, frozen=True):
    id: Annotated[str, 1] = ""
    metadata: Annotated[ContainerMetadata | None, 2] = None
    labels: Annotated[dict[str, str], 3] = {}
    annotations: Annotated[dict[str, str], 4] = {}


class UInt64Value(Message, frozen=True):
    value: Annotated[int, 1] = 0


class PsiData(Message, frozen=True):
    Total: Annotated[int, 1] = 0
    Avg10: Annotated[float, 2] = 0.0
    Avg60: Annotated[float, 3] = 0.0
    Avg300: Annotated[float, 4] = 0.0


class PsiStats(Message, frozen=True):
    Full: Annotated[PsiData | None, 1] = None
    Some: Annotated[PsiData | None, 2] = None


class CpuUsage(Message, frozen=True):
    timestamp: Annotated[int, 1] = 0
    usage_core_nano_seconds: Annotated[UInt64Value | None, 2] = None
    usage_nano_cores: Annotated[UInt64Value | None, 3] = None
    psi: Annotated[PsiStats | None, 4] = None


class MemoryUsage(Message, frozen=True):
    timestamp: Annotated[int, 1] = 0
    working_set_bytes: Annotated[UInt64Value | None, 2] = None
    available_bytes: Annotated[UInt64Value | None, 3] = None
    usage_bytes: Annotated[UInt64Value | None, 4] = None
    rss_bytes: Annotated[UInt64Value | None, 5] = None
    page_faults: Annotated[UInt64Value | None, 6] = None
    major_page_faults: Annotated[UInt64Value | None, 7] = None
    psi: Annotated[PsiStats | None, 8] = None


class FilesystemIdentifier(Message, frozen=True):
    mountpoint: Annotated[str, 1] = ""


class FilesystemUsage(Message, frozen=True):
    timestamp: Annotated[int, 1] = 0
    fs_id: Annotated[FilesystemIdentifier | None, 2] = None
    used_bytes: Annotated[UInt64Value | None, 3] = None
    inodes_used: Annotated[UInt64Value | None, 4] = None


class SwapUsage(Message, frozen=True):
    timestamp: Annotated[int, 1] = 0
    swap_available_bytes: Annotated[UInt64Value | None, 2] = None
    swap_usage_bytes: Annotated[UInt64Value | None, 3] = None


class IoUsage(Message, frozen=True):
    timestamp: Annotated[int, 1] = 0
    psi: Annotated[PsiStats | None, 2] = None


class ContainerStats(Message, frozen=True):
    attributes: Annotated[ContainerAttributes | None, 1] = None
    cpu: Annotated[CpuUsage | None, 2] = None
    memory: Annotated[MemoryUsage | None, 3] = None
    writable_layer: Annotated[FilesystemUsage | None, 4] = None
    swap: Annotated[SwapUsage | None, 5] = None
    io: Annotated[IoUsage | None, 6] = None


class ContainerStatsFilter(Message, frozen=True):
    id: Annotated[str, 1] = ""
    pod_sandbox_id: Annotated[str, 2] = ""
    label_selector: Annotated[dict[str, str], 3] = {}


class ListContainerStatsRequest(Message, frozen=True):
    filter: Annotated[ContainerStatsFilter | None, 1] = None


class ListContainerStatsResponse(Message, frozen=True):
    stats: Annotated[tuple[ContainerStats, ...], 1] = ()


class ImageFsInfoRequest(Message, frozen=True):
    pass


class ImageFsInfoResponse(Message, frozen=True):
    image_filesystems: Annotated[tuple[FilesystemUsage, ...], 1] = ()
    container_filesystems: Annotated[tuple[FilesystemUsage, ...], 2] = ()
