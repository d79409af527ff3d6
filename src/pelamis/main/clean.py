"""Takes a stopped cluster's traces off the machine: containers, mounts, network, cgroups.

Everything is found by what belongs to this cluster (its directories, its cgroup, its bridge, its tables), never by
guessing from names of processes, and each step works whatever the others found. All of it can run twice.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from pelamis.main.config import Cluster, ConfigError

_CGROUPS = Path("/sys/fs/cgroup")
_MNT_DETACH = 2
_NAMESPACE = re.compile(rb"/var/run/netns/(cni-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def clean(cluster: Cluster) -> None:
    """Undoes what a node of the cluster has done to the machine; the data directory's store and keys stay."""
    _kill_containers(cluster)
    _kill_shims(cluster)
    _remove_network(cluster)
    mounted = unmount(cluster.path(), cluster.run)
    if mounted:
        raise ConfigError(f"{mounted[0]} cannot be unmounted: `umount {mounted[0]}`, then try again")
    _remove_cgroups(cluster)
    _remove_logs(cluster)
    for folder in (cluster.path("kubelet", "pods"), cluster.path("cni"), cluster.run):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        cluster.run.parent.rmdir()


def _cgroup_roots(cluster: Cluster) -> list[Path]:
    roots = [_CGROUPS / cluster.cgroup, *_CGROUPS.glob(f"*/{cluster.cgroup}")]
    return [root for root in roots if root.is_dir()]


def _groups(root: Path) -> list[Path]:
    """A cgroup and all below it, deepest first."""
    return [Path(folder) for folder, _, _ in os.walk(root, topdown=False)]


def _kill_containers(cluster: Cluster) -> None:
    """Kills every process in the cluster's cgroups, until none is left (a process may fork while we look)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pids: set[int] = set()
        for root in _cgroup_roots(cluster):
            for group in _groups(root):
                with contextlib.suppress(OSError, ValueError):
                    pids.update(int(line) for line in (group / "cgroup.procs").read_text().split())
        pids.discard(0)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _kill_shims(cluster: Cluster) -> None:
    """The shims of our containerd carry its socket in their command line."""
    socket = str(cluster.containerd_socket).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if b"containerd-shim" in arguments[0] and socket in arguments:
                os.kill(int(entry.name), signal.SIGKILL)


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


def _remove_network(cluster: Cluster) -> None:
    cache = Path("/var/lib/cni/results")
    for folder in (cache, Path("/var/lib/cni/cache/results")):
        for result in folder.glob(f"{cluster.network}-*"):
            sandbox = result.name.rsplit("-", 2)[1]
            for other in folder.glob(f"*-{sandbox}-*"):  # its loopback device has a result of its own
                other.unlink(missing_ok=True)
    for line in _run("nft", "list", "tables").splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == cluster.nft_table:
            _run("nft", "delete", "table", words[1], words[2])
    namespaces = _namespaces(cluster)
    for line in _run("ip", "-o", "link", "show", "master", cluster.bridge).splitlines():
        name = line.split(": ")[1].split("@")[0]
        _run("ip", "link", "delete", name)
    _run("ip", "link", "delete", cluster.bridge)
    _run("ip", "address", "del", f"{cluster.dns_ip}/32", "dev", "lo")
    if cluster.load_balancer_pool:
        for network in cluster.balancer_ranges:
            _run("ip", "route", "del", "local", network, "dev", "lo")
    for path in namespaces:
        _unmount_path(str(path))
        path.unlink(missing_ok=True)


def _namespaces(cluster: Cluster) -> set[Path]:
    """Network namespaces that our containerd made for pods, wherever in their life the pods were when it ended.

    Its database names the namespace of every sandbox that it still knows; a pod that was just being connected is known
    by the other end of the cable in our bridge. The names hold a UUID each, so an old record matches nothing of others.
    """
    found: set[str] = set()
    database = cluster.path("containerd", "io.containerd.metadata.v1.bolt", "meta.db")
    with contextlib.suppress(OSError):
        found.update(name.decode() for name in set(_NAMESPACE.findall(database.read_bytes())))
    for line in _run("ip", "-o", "link", "show", "master", cluster.bridge).splitlines():
        words = line.split()
        if "link-netns" in words:
            found.add(words[words.index("link-netns") + 1])
    return {path for name in found if (path := Path("/var/run/netns", name)).exists()}


def _unmount_path(path: str) -> None:
    ctypes.CDLL(None, use_errno=True).umount2(path.encode(), _MNT_DETACH)


def unmount(*folders: Path) -> list[str]:
    """Everything mounted below the folders, innermost first; returns what stayed mounted."""
    for _ in range(2):  # the second look is for what the first one uncovered
        for point in reversed(_mounts(folders)):
            _unmount_path(point)
    return _mounts(folders)


def _mounts(folders: Sequence[Path]) -> list[str]:
    roots = tuple(f"{folder}/" for folder in folders)
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    return [point for point in points if point.startswith(roots)]


def _remove_cgroups(cluster: Cluster) -> None:
    for root in _cgroup_roots(cluster):
        for group in _groups(root):
            with contextlib.suppress(OSError):
                group.rmdir()


def _remove_logs(cluster: Cluster) -> None:
    """/var/log/containers links into /var/log/pods, which holds a folder a pod: those of this cluster's pods."""
    try:
        uids = {entry.name for entry in cluster.path("kubelet", "pods").iterdir()}
    except OSError:
        return
    for folder in Path("/var/log/pods").glob("*_*_*"):
        if folder.name.rsplit("_", 1)[1] in uids:
            shutil.rmtree(folder, ignore_errors=True)
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
