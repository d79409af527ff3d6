"""What a machine needs to run a node, what is missing of it, and how to get it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pelamis.main.containerd import CNI_FOLDERS, cni_folder, oci_runtime


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. ``needed`` says whether a node cannot run without it; ``fix`` is what to type or do."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    needed: bool = True


def _program(name: str, package: str, why: str) -> Finding:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path:
        return Finding(name, True, path)
    return Finding(name, False, f"not installed; {why}", f"apt-get install {package}")


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding("root", True, "running as root")
    return Finding(
        "root",
        False,
        "not running as root; a node needs namespaces, mounts and cgroups",
        "run with sudo, or start the control plane alone: pelamis up --no-node",
    )


def _linux() -> Finding:
    ok = sys.platform == "linux"
    return Finding("linux", ok, sys.platform, "" if ok else "a node needs Linux; use: pelamis up --no-node")


def _runtime() -> Finding:
    path = oci_runtime()
    if path:
        return Finding("runc or crun", True, path)
    return Finding("runc or crun", False, "not installed; it starts the containers", "apt-get install runc")


def _plugins() -> Finding:
    folder = cni_folder()
    if folder:
        return Finding("CNI plugins", True, folder)
    return Finding(
        "CNI plugins",
        False,
        f"no bridge plugin in {' or '.join(CNI_FOLDERS)}; it connects pods to the network",
        "apt-get install containernetworking-plugins",
    )


def _cgroups() -> Finding:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return Finding("cgroups", True, "version 2")
    if (root / "memory").is_dir():
        return Finding("cgroups", True, "version 1")
    return Finding(
        "cgroups",
        False,
        f"no controllers are mounted below {root}",
        "mount them: mount -t cgroup2 none /sys/fs/cgroup (in a container: start it with --privileged --cgroupns=host)",
    )


def _overlay() -> Finding:
    try:
        ok = "\toverlay\n" in Path("/proc/filesystems").read_text() or Path("/sys/module/overlay").exists()
    except OSError:
        ok = False
    return Finding("overlayfs", ok, "available" if ok else "not known to the kernel", "" if ok else "modprobe overlay")


def _forwarding() -> Finding:
    try:
        on = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"
    except OSError:
        on = False
    detail = "on" if on else "off; `pelamis up` turns it on"
    return Finding("ip_forward", on, detail, "" if on else "sysctl -w net.ipv4.ip_forward=1", needed=False)


CHECKS: tuple[Callable[[], Finding], ...] = (
    _linux,
    _root,
    lambda: _program("containerd", "containerd", "it runs the containers"),
    lambda: _program("ctr", "containerd", "it loads images"),
    _runtime,
    _plugins,
    lambda: _program("nft", "nftables", "it routes Service traffic"),
    lambda: _program("ip", "iproute2", "it is needed for pod networking"),
    _cgroups,
    _overlay,
    _forwarding,
)


def examine() -> list[Finding]:
    return [check() for check in CHECKS]


def missing(findings: list[Finding]) -> list[Finding]:
    """What keeps a node from running."""
    return [finding for finding in findings if finding.needed and not finding.ok]


def explain(problems: list[Finding]) -> str:
    """The message of an `up` that cannot go on."""
    lines = ["a node cannot run on this machine yet:"]
    lines += [f"  - {problem.name}: {problem.detail}\n      {problem.fix}" for problem in problems]
    lines.append("`pelamis up --no-node` starts the control plane alone; `pelamis doctor` shows all checks.")
    return "\n".join(lines)
