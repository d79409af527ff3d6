"""Control groups of pods: ``<root>/kubepods[/burstable|/besteffort]/pod<uid>``, on cgroup v1 (each controller its own
tree) and v2 (one tree). The runtime puts the containers below; here only the levels above them are made and removed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from pelamis.api.core.pod.qos import qos_class
from pelamis.kubelet import resources

_V1 = ("cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer", "systemd", "hugetlb", "unified")


class Cgroups:
    """root: path below the mount, unique for each node agent of a machine, such as ``/`` or ``/pelamis-default``."""

    def __init__(self, root: str = "/", mount: str = "/sys/fs/cgroup") -> None:
        self.root = "/" + root.strip("/")
        self.mount = Path(mount)
        self.v2 = (self.mount / "cgroup.controllers").exists()
        self._trees = self._find_trees()

    def _find_trees(self) -> dict[str, Path]:
        """Controller to its tree; v1 mounts several controllers together under one path on many systems."""
        if self.v2:
            return {"": self.mount}
        return {name: self.mount / name for name in _V1 if (self.mount / name).is_dir()}

    def _join(self, *parts: str) -> str:
        return "/".join(["" if self.root == "/" else self.root, *parts])

    def kubepods(self) -> str:
        return self._join("kubepods")

    def pod_path(self, pod: Any) -> str:
        """Relative to the mount, as the runtime's ``cgroup_parent`` wants it."""
        qos = qos_class(pod)
        level = {"Burstable": "burstable", "BestEffort": "besteffort"}.get(qos)
        name = f"pod{pod.metadata.uid}"
        return self._join("kubepods", level, name) if level else self._join("kubepods", name)

    def _write(self, controller: str, group: str, file: str, value: str) -> None:
        tree = self._trees.get("" if self.v2 else controller)
        if tree is not None:
            with contextlib.suppress(OSError):  # a controller that is missing or delegated elsewhere sets no limit
                (tree / group.lstrip("/") / file).write_text(value)

    def _make(self, group: str) -> None:
        relative = group.strip("/")
        if self.v2:
            path = self.mount
            for part in relative.split("/"):
                for controller in ("cpu", "memory", "pids", "cpuset", "io"):
                    with contextlib.suppress(OSError):
                        (path / "cgroup.subtree_control").write_text(f"+{controller}")
                path /= part
                path.mkdir(exist_ok=True)
            return
        for name, tree in self._trees.items():
            path = tree
            for part in relative.split("/"):
                parent, path = path, path / part
                if not path.exists():
                    path.mkdir(exist_ok=True)
                    if name == "memory":
                        with contextlib.suppress(OSError):
                            (path / "memory.use_hierarchy").write_text("1")
                if name == "cpuset":
                    for file in ("cpuset.cpus", "cpuset.mems"):
                        with contextlib.suppress(OSError):
                            if not (path / file).read_text().strip():
                                (path / file).write_text((parent / file).read_text())

    def setup(self) -> None:
        """The levels that all pods share."""
        for group in (
            self.kubepods(),
            self._join("kubepods", "burstable"),
            self._join("kubepods", "besteffort"),
        ):
            self._make(group)
        self._set(self._join("kubepods", "besteffort"), {"shares": resources.MIN_SHARES})

    def _set(self, group: str, values: dict[str, int]) -> None:
        quota, memory, pids = values.get("quota"), values.get("memory"), values.get("pids")
        if "shares" in values:
            if self.v2:
                self._write("", group, "cpu.weight", str(resources.weight(values["shares"])))
            else:
                self._write("cpu", group, "cpu.shares", str(values["shares"]))
        if quota is not None:
            if self.v2:
                self._write("", group, "cpu.max", f"{quota or 'max'} {resources.PERIOD_US}")
            else:
                self._write("cpu", group, "cpu.cfs_period_us", str(resources.PERIOD_US))
                self._write("cpu", group, "cpu.cfs_quota_us", str(quota or -1))
        if memory is not None:
            if self.v2:
                self._write("", group, "memory.max", str(memory or "max"))
            else:
                self._write("memory", group, "memory.limit_in_bytes", str(memory or -1))
        if pids:
            self._write("pids", group, "pids.max", str(pids))

    def create_pod(self, pod: Any, pids: int = -1) -> str:
        group = self.pod_path(pod)
        self._make(group)
        self._set(group, resources.for_pod(pod, pids))
        return group

    def set_pod(self, pod: Any, values: dict[str, int]) -> None:
        """values: as ``resources.for_pod`` has them."""
        self._set(self.pod_path(pod), values)

    def remove(self, group: str) -> bool:
        """Remove a group and what is below it. False if a process is still inside."""
        gone = True
        for tree in self._trees.values():
            path = tree / group.strip("/")
            if not path.is_dir():
                continue
            for folder, _, _ in os.walk(path, topdown=False):
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    continue
                except OSError:
                    gone = False
        return gone

    def remove_pod(self, pod: Any) -> bool:
        return self.remove(self.pod_path(pod))

    def teardown(self) -> bool:
        """Remove all that ``setup`` made."""
        return self.remove(self.kubepods() if self.root == "/" else self.root)

    def leftover_pods(self) -> dict[str, str]:
        """uid to group of every pod group that exists."""
        out: dict[str, str] = {}
        for tree in self._trees.values():
            base = tree / self.kubepods().strip("/")
            for level in ("", "burstable", "besteffort"):
                folder = base / level if level else base
                if folder.is_dir():
                    for child in folder.iterdir():
                        if child.name.startswith("pod") and child.is_dir():
                            parts = [part for part in ("kubepods", level, child.name) if part]
                            out[child.name[3:]] = self._join(*parts)
        return out

    def any_process(self, group: str) -> int:
        """A process of the group or of one below it; 0 when there is none."""
        for tree in self._trees.values():
            for folder, _, _ in os.walk(tree / group.strip("/")):
                with contextlib.suppress(OSError, ValueError):
                    words = (Path(folder) / "cgroup.procs").read_text().split()
                    if words:
                        return int(words[0])
            return 0
        return 0

    def usage(self, group: str) -> dict[str, int]:
        """cpu_ns, memory (bytes), working_set (bytes), pids of a group; what cannot be read is missing."""
        out: dict[str, int] = {}
        relative = group.strip("/")

        def read(controller: str, file: str) -> str:
            tree = self._trees.get("" if self.v2 else controller)
            try:
                return (tree / relative / file).read_text() if tree is not None else ""
            except OSError:
                return ""

        def table(text: str) -> dict[str, int]:
            return {k: int(v) for k, _, v in (line.partition(" ") for line in text.splitlines()) if v.isdigit()}

        if self.v2:
            cpu = table(read("", "cpu.stat")).get("usage_usec")
            if cpu is not None:
                out["cpu_ns"] = cpu * 1000
            memory, stat = read("", "memory.current"), table(read("", "memory.stat"))
            inactive, rss = stat.get("inactive_file", 0), stat.get("anon", 0)
        else:
            text = read("cpuacct", "cpuacct.usage").strip()
            if text.isdigit():
                out["cpu_ns"] = int(text)
            memory, stat = read("memory", "memory.usage_in_bytes"), table(read("memory", "memory.stat"))
            inactive, rss = stat.get("total_inactive_file", 0), stat.get("total_rss", 0)
        if memory.strip().isdigit():
            out["memory"] = int(memory)
            out["working_set"] = max(int(memory) - inactive, 0)
            out["rss"] = rss
        pids = read("pids", "pids.current").strip()
        if pids.isdigit():
            out["pids"] = int(pids)
        return out
