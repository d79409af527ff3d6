"""What the machine is: CPUs, memory, disks, kernel, ids. Read from /proc, /sys and /etc once, or when asked."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@dataclass(frozen=True, slots=True)
class Machine:
    """memory in bytes."""

    cpus: int
    memory: int
    swap: int
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    architecture: str
    hugepages: dict[str, int]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def meminfo() -> dict[str, int]:
    """Bytes."""
    out = {}
    for line in _read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            out[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return out


def read() -> Machine:
    memory = meminfo()
    release = dict(line.split("=", 1) for line in _read("/etc/os-release").splitlines() if "=" in line)
    pages: dict[str, int] = {}
    base = Path("/sys/kernel/mm/hugepages")
    for entry in sorted(base.iterdir()) if base.is_dir() else []:
        kib = entry.name.removeprefix("hugepages-").removesuffix("kB")
        count = _read(str(entry / "nr_hugepages"))
        if kib.isdigit() and count.isdigit():
            size = int(kib)
            name = f"{size // 1048576}Gi" if size % 1048576 == 0 else f"{size // 1024}Mi"
            pages[f"hugepages-{name}"] = int(count) * size * 1024
    machine = platform.machine()
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory=memory.get("MemTotal", 0),
        swap=memory.get("SwapTotal", 0),
        machine_id=_read("/etc/machine-id") or _read("/var/lib/dbus/machine-id"),
        system_uuid=_read("/sys/class/dmi/id/product_uuid") or _read("/etc/machine-id"),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=release.get("PRETTY_NAME", "Linux").strip('"'),
        architecture=_ARCHITECTURES.get(machine, machine),
        hugepages=pages,
    )


@dataclass(frozen=True, slots=True)
class Disk:
    capacity: int
    available: int
    inodes: int
    inodes_free: int


def disk(path: str) -> Disk:
    """The file system that holds ``path`` or, while that does not exist, its nearest parent."""
    while not os.path.exists(path):
        path = os.path.dirname(path) or "/"
    figures = os.statvfs(path)
    return Disk(
        figures.f_blocks * figures.f_frsize,
        figures.f_bavail * figures.f_frsize,
        figures.f_files,
        figures.f_favail,
    )


def default_ips() -> tuple[str, ...]:
    """The address that the default route leaves from; no packet is sent."""
    for family, peer in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((peer, 9))
                return (str(probe.getsockname()[0]),)
        except OSError:
            continue
    return ("127.0.0.1",)
