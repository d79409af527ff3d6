"""What a node agent is told when it is made. Defaults are upstream's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """root_dir: the agent's own files. cgroup_root: unique per agent of a machine. runtime_root: containerd's root, for
    disk figures. reserved: amounts taken off the capacity. eviction_hard: signal to amount or percentage.
    """

    node_name: str
    root_dir: str = "/var/lib/kubelet"
    pod_logs_dir: str = "/var/log/pods"
    container_logs_dir: str = "/var/log/containers"
    node_logs_dir: str = "/var/log"
    static_pods_dir: str = ""
    runtime_root: str = "/var/lib/containerd"
    seccomp_root: str = "/var/lib/kubelet/seccomp"
    cluster_dns: tuple[str, ...] = ("10.96.0.10",)
    cluster_domain: str = "cluster.local"
    resolv_conf: str = "/etc/resolv.conf"
    pod_cidr: str = ""
    cgroup_root: str = "/"
    manage_cgroups: bool = True
    node_ips: tuple[str, ...] = ()
    hostname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    register: bool = True
    address: str = "0.0.0.0"
    port: int = 10250
    max_pods: int = 110
    pod_pids: int = -1
    capacity: Mapping[str, str] = field(default_factory=dict)
    reserved: Mapping[str, str] = field(default_factory=dict)
    eviction_hard: Mapping[str, str] = field(
        default_factory=lambda: {
            "memory.available": "100Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
            "imagefs.inodesFree": "5%",
        }
    )
    eviction_period_s: float = 10.0
    pressure_transition_s: float = 300.0
    status_period_s: float = 10.0
    status_report_s: float = 300.0
    lease_s: int = 40
    relist_s: float = 300.0
    housekeeping_s: float = 60.0
    log_max_bytes: int = 10 * 1024 * 1024
    log_max_files: int = 5
    log_period_s: float = 10.0
    image_gc_high_percent: int = 85
    image_gc_low_percent: int = 80
    image_gc_period_s: float = 300.0
    parallel_pulls: int = 4
    client_ca: bytes = b""
    version: str = "v1.37.0"
