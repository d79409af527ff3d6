"""Resource usage of node, pods and containers: /stats/summary, /metrics/resource and /metrics/cadvisor."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pelamis.base import quantity
from pelamis.base.clock import rfc3339
from pelamis.kubelet import config, machine
from pelamis.kubelet.cri import usage_types as us
from pelamis.kubelet.cri.runtime import CriError
from pelamis.kubelet.volumes.pod import disk_usage

if TYPE_CHECKING:
    from pelamis.kubelet.run import Kubelet
    from pelamis.kubelet.worker import Worker


def _value(figure: Any) -> int:
    return int(figure.value) if figure is not None else 0


def node_cpu_ns() -> int:
    """CPU time that the machine has spent since it started, all cores together."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    except OSError:
        return 0
    busy = sum(int(n) for n in first[1:9]) - int(first[4]) - int(first[5])
    return busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


async def containers(kubelet: Kubelet) -> dict[str, us.ContainerStats]:
    """By container id."""
    try:
        listed = await kubelet.runtime.list_stats()
    except CriError:
        return {}
    return {stat.attributes.id: stat for stat in listed if stat.attributes is not None}


def _network(kubelet: Kubelet, worker: Worker) -> dict[str, tuple[int, int, int, int]]:
    """Interface to (rx bytes, rx errors, tx bytes, tx errors), seen from inside the pod."""
    if kubelet.agent.cgroups is None or worker.pod.spec.hostNetwork:
        return {}
    pid = kubelet.agent.cgroups.any_process(kubelet.agent.cgroups.pod_path(worker.pod))
    if not pid:
        return {}
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii").splitlines()[2:]
    except OSError:
        return {}
    out = {}
    for line in lines:
        name, _, rest = line.partition(":")
        n = [int(word) for word in rest.split()]
        if len(n) >= 11 and name.strip() != "lo":
            out[name.strip()] = (n[0], n[2], n[8], n[10])
    return out


def _fs(path: str, used: int, now: str) -> dict[str, Any]:
    disk = machine.disk(path)
    return {
        "time": now,
        "availableBytes": disk.available,
        "capacityBytes": disk.capacity,
        "usedBytes": used,
        "inodesFree": disk.inodes_free,
        "inodes": disk.inodes,
        "inodesUsed": disk.inodes - disk.inodes_free,
    }


async def summary(kubelet: Kubelet, *, only_cpu_and_memory: bool = False) -> dict[str, Any]:
    now, settings = rfc3339(kubelet.now()), kubelet.settings
    found = await containers(kubelet)
    memory = machine.meminfo()
    total, available = memory.get("MemTotal", 0), memory.get("MemAvailable", 0)
    node: dict[str, Any] = {
        "nodeName": settings.node_name,
        "startTime": rfc3339(kubelet.started_at),
        "cpu": {"time": now, "usageNanoCores": 0, "usageCoreNanoSeconds": node_cpu_ns()},
        "memory": {
            "time": now,
            "availableBytes": available,
            "usageBytes": total - memory.get("MemFree", 0),
            "workingSetBytes": total - available,
            "rssBytes": memory.get("AnonPages", 0),
            "pageFaults": 0,
            "majorPageFaults": 0,
        },
    }
    if not only_cpu_and_memory:
        disk = machine.disk(settings.root_dir)
        image = machine.disk(settings.runtime_root)
        node["fs"] = _fs(settings.root_dir, disk.capacity - disk.available, now)
        node["runtime"] = {"imageFs": _fs(settings.runtime_root, image.capacity - image.available, now)}
        node["rlimit"] = {"time": now, "maxpid": _number("/proc/sys/kernel/pid_max"), "curproc": _processes()}
    pods = [_pod(kubelet, worker, found, now, only_cpu_and_memory) for worker in list(kubelet.workers.values())]
    return {"node": node, "pods": pods}


def _number(path: str) -> int:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _processes() -> int:
    return sum(1 for name in os.listdir("/proc") if name.isdigit())


def _pod(
    kubelet: Kubelet, worker: Worker, found: dict[str, us.ContainerStats], now: str, brief: bool
) -> dict[str, Any]:
    meta, settings = worker.pod.metadata, kubelet.settings
    out: dict[str, Any] = {
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "startTime": rfc3339(worker.machine.state.started_at),
        "containers": [],
    }
    cpu = working = usage = rss = 0
    for slot in worker.machine.state.slots.values():
        run = slot.current
        stat = found.get(run.id) if run is not None else None
        if run is None or stat is None:
            continue
        one: dict[str, Any] = {"name": slot.name, "startTime": rfc3339(run.started_at)}
        if stat.cpu is not None:
            spent = _value(stat.cpu.usage_core_nano_seconds)
            cpu += spent
            one["cpu"] = {
                "time": now,
                "usageNanoCores": _value(stat.cpu.usage_nano_cores),
                "usageCoreNanoSeconds": spent,
            }
        if stat.memory is not None:
            m = stat.memory
            used = _value(m.working_set_bytes)
            working, usage, rss = working + used, usage + _value(m.usage_bytes), rss + _value(m.rss_bytes)
            one["memory"] = {
                "time": now,
                "usageBytes": _value(m.usage_bytes) or used,
                "workingSetBytes": used,
                "rssBytes": _value(m.rss_bytes),
                "pageFaults": _value(m.page_faults),
                "majorPageFaults": _value(m.major_page_faults),
            }
        if stat.writable_layer is not None and not brief:
            layer = stat.writable_layer
            one["rootfs"] = {
                **_fs(settings.runtime_root, _value(layer.used_bytes), now),
                "inodesUsed": _value(layer.inodes_used),
            }
            folder = f"{settings.pod_logs_dir}/{config.log_folder(worker.pod)}/{slot.name}"
            one["logs"] = _fs(settings.pod_logs_dir, disk_usage(folder), now)
        out["containers"].append(one)
    if kubelet.agent.cgroups is not None:
        whole = kubelet.agent.cgroups.usage(kubelet.agent.cgroups.pod_path(worker.pod))
        cpu, working = whole.get("cpu_ns", cpu), whole.get("working_set", working)
        usage, rss = whole.get("memory", usage), whole.get("rss", rss)
        out["process_stats"] = {"process_count": whole.get("pids", 0)}
    out["cpu"] = {"time": now, "usageNanoCores": 0, "usageCoreNanoSeconds": cpu}
    out["memory"] = {"time": now, "usageBytes": usage, "workingSetBytes": working, "rssBytes": rss}
    if brief:
        return out
    network = _network(kubelet, worker)
    if network:
        interfaces = [
            {"name": name, "rxBytes": n[0], "rxErrors": n[1], "txBytes": n[2], "txErrors": n[3]}
            for name, n in network.items()
        ]
        main = next((i for i in interfaces if i["name"] == "eth0"), interfaces[0])
        out["network"] = {"time": now, **main, "interfaces": interfaces}
    out["volume"] = [
        {**_fs(path, disk_usage(path), now), "name": name}
        for name, path in worker.paths.items()
        if path.startswith(settings.root_dir) and os.path.isdir(path)
    ]
    out["ephemeral-storage"] = _fs(settings.root_dir, disk_usage(str(kubelet.agent.pod_folder(worker.uid))), now)
    return out


# --- metrics ----------------------------------------------------------------------------------------------------------


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{k}="{_label(v)}"' for k, v in labels.items())
    shown = repr(value) if isinstance(value, float) else str(value)
    return f"{name}{{{inner}}} {shown}" if inner else f"{name} {shown}"


def _family(name: str, kind: str, text: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"# HELP {name} [STABLE] {text}"
        yield f"# TYPE {name} {kind}"
        yield from lines


async def resource_metrics(kubelet: Kubelet) -> str:
    starts = {
        (w.uid, slot.name): slot.current.started_at
        for w in kubelet.workers.values()
        for slot in w.machine.state.slots.values()
        if slot.current is not None
    }
    return resource_text(await summary(kubelet, only_cpu_and_memory=True), starts)


def resource_text(data: dict[str, Any], starts: Mapping[tuple[str, str], float]) -> str:
    """/metrics/resource out of a summary. starts: when each container started, by pod uid and name."""
    lines: dict[str, list[str]] = {}

    def add(name: str, labels: dict[str, str], value: float) -> None:
        lines.setdefault(name, []).append(_line(name, labels, value))

    add("node_cpu_usage_seconds_total", {}, data["node"]["cpu"]["usageCoreNanoSeconds"] / 1e9)
    add("node_memory_working_set_bytes", {}, data["node"]["memory"]["workingSetBytes"])
    for pod in data["pods"]:
        ref = pod["podRef"]
        where = {"namespace": ref["namespace"], "pod": ref["name"]}
        add("pod_cpu_usage_seconds_total", where, pod["cpu"]["usageCoreNanoSeconds"] / 1e9)
        add("pod_memory_working_set_bytes", where, pod["memory"]["workingSetBytes"])
        for one in pod["containers"]:
            labels = {"container": one["name"], **where}
            add("container_start_time_seconds", labels, float(starts.get((ref["uid"], one["name"]), 0.0)))
            if "cpu" in one:
                add("container_cpu_usage_seconds_total", labels, one["cpu"]["usageCoreNanoSeconds"] / 1e9)
            if "memory" in one:
                add("container_memory_working_set_bytes", labels, one["memory"]["workingSetBytes"])
    add("resource_scrape_error", {}, 0)
    texts = {
        "node_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed by the node in core-seconds"),
        "node_memory_working_set_bytes": ("gauge", "Current working set of the node in bytes"),
        "pod_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed by the pod in core-seconds"),
        "pod_memory_working_set_bytes": ("gauge", "Current working set of the pod in bytes"),
        "container_start_time_seconds": ("gauge", "Start time of the container since unix epoch in seconds"),
        "container_cpu_usage_seconds_total": ("counter", "Cumulative cpu time of the container in core-seconds"),
        "container_memory_working_set_bytes": ("gauge", "Current working set of the container in bytes"),
        "resource_scrape_error": ("gauge", "1 if there was an error while getting container metrics, 0 otherwise"),
    }
    out: list[str] = []
    for name, (kind, text) in texts.items():
        out.extend(_family(name, kind, text, lines.get(name, [])))
    return "\n".join(out) + "\n"


async def cadvisor_metrics(kubelet: Kubelet) -> str:
    """The part of cAdvisor's families that dashboards and autoscalers use."""
    found = await containers(kubelet)
    lines: dict[str, list[str]] = {}

    def add(name: str, labels: dict[str, str], value: float) -> None:
        lines.setdefault(name, []).append(_line(name, labels, value))

    for worker in list(kubelet.workers.values()):
        meta = worker.pod.metadata
        group = kubelet.agent.cgroups.pod_path(worker.pod) if kubelet.agent.cgroups is not None else ""
        for slot in worker.machine.state.slots.values():
            run = slot.current
            stat = found.get(run.id) if run is not None else None
            if run is None or stat is None or run.state != "running":
                continue
            labels = {
                "container": slot.name,
                "id": f"{group}/{run.id}",
                "image": run.image,
                "name": run.id,
                "namespace": meta.namespace,
                "pod": meta.name,
            }
            if stat.cpu is not None:
                spent = _value(stat.cpu.usage_core_nano_seconds) / 1e9
                add("container_cpu_usage_seconds_total", {**labels, "cpu": "total"}, spent)
            if stat.memory is not None:
                add("container_memory_working_set_bytes", labels, _value(stat.memory.working_set_bytes))
                used = _value(stat.memory.usage_bytes) or _value(stat.memory.working_set_bytes)
                add("container_memory_usage_bytes", labels, used)
                add("container_memory_rss", labels, _value(stat.memory.rss_bytes))
            if stat.writable_layer is not None:
                add("container_fs_usage_bytes", labels, _value(stat.writable_layer.used_bytes))
            add("container_start_time_seconds", labels, float(run.started_at))
            limits = slot.spec.resources.limits
            add("container_spec_memory_limit_bytes", labels, _amount(limits.get("memory")))
        for interface, n in _network(kubelet, worker).items():
            where = {"interface": interface, "namespace": meta.namespace, "pod": meta.name}
            add("container_network_receive_bytes_total", where, n[0])
            add("container_network_receive_errors_total", where, n[1])
            add("container_network_transmit_bytes_total", where, n[2])
            add("container_network_transmit_errors_total", where, n[3])
    add("machine_cpu_cores", {}, len(os.sched_getaffinity(0)))
    add("machine_memory_bytes", {}, machine.meminfo().get("MemTotal", 0))
    out: list[str] = []
    for name in sorted(lines):
        kind = "counter" if name.endswith("_total") else "gauge"
        out.append(f"# HELP {name} As cAdvisor defines it.")
        out.append(f"# TYPE {name} {kind}")
        out.extend(lines[name])
    return "\n".join(out) + "\n"


def _amount(text: str | None) -> int:
    return quantity.value(text) if text else 0
