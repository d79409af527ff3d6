"""The container runtime of one cluster: its own containerd, with its own root, state, socket and CNI network.

Nothing of the machine's own containerd is touched, and clusters do not see each other's containers.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pelamis.main.addresses import node_range
from pelamis.main.config import Cluster
from pelamis.main.image import PAUSE_IMAGE

CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin")

_CONFIG = """version = 2
root = "{root}"
state = "{state}"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = {restrict}
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  enable_cdi = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{cni_bin}"
  conf_dir = "{cni_conf}"
  max_conf_num = 1

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{snapshotter}"
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{runtime}"
  SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{certs}"
"""


def cni_folder() -> str | None:
    """Where the CNI reference plugins are, None when they are not installed."""
    return next((folder for folder in CNI_FOLDERS if Path(folder, "bridge").exists()), None)


def oci_runtime() -> str | None:
    """crun where it is installed and works (it starts a container faster), else runc; None when neither is there.

    crun refuses hybrid cgroups, where a version 2 hierarchy with controllers is mounted beside version 1.
    """
    crun, runc = shutil.which("crun"), shutil.which("runc")
    hybrid = Path("/sys/fs/cgroup/unified/cgroup.controllers")
    return runc if crun is None or (runc and hybrid.exists()) else crun


def _may_lower_oom_score() -> bool:
    """CAP_SYS_RESOURCE (bit 24) is needed to give a container a lower score than our own."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> 24 & 1)
    return False


def _network(cluster: Cluster) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": cluster.bridge,
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,  # the service proxy masquerades, with nftables
        "ipam": {
            "type": "host-local",
            "dataDir": str(cluster.path("cni", "addresses")),
            "ranges": [[{"subnet": node_range(cluster)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "0.4.0", "name": cluster.network, "plugins": [bridge]}


def prepare(cluster: Cluster) -> list[str]:
    """Writes the configuration and returns the command that runs containerd in the foreground."""
    run, conf = cluster.run, cluster.path("cni", "conf")
    run.mkdir(parents=True, exist_ok=True)
    conf.mkdir(parents=True, exist_ok=True)
    (conf / "10-pelamis.conflist").write_text(json.dumps(_network(cluster), indent=2) + "\n")
    text = _CONFIG.format(
        root=cluster.path("containerd"),
        state=run / "containerd",
        socket=cluster.containerd_socket,
        pause=PAUSE_IMAGE,
        restrict="false" if _may_lower_oom_score() else "true",
        cni_bin=cni_folder() or CNI_FOLDERS[0],
        cni_conf=conf,
        snapshotter="overlayfs",
        runtime=oci_runtime() or "runc",
        certs=cluster.path("certs.d"),
    )
    config = cluster.path("containerd.toml")
    config.write_text(text)
    return ["containerd", "--config", str(config)]
