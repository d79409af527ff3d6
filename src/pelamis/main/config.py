"""What makes one cluster: its name, directory, ports and address ranges. Written once as ``cluster.json``.

Clusters on one machine share its network, so each gets ranges of its own: a cluster takes the lowest free index,
and the index gives ports, bridge, pod range and service range. Index 0 has the values that every article about
Kubernetes shows.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

FORMAT = 1
"""Version of the data directory's layout; a directory of another version is refused, never converted silently."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


class ConfigError(Exception):
    """Bad input from a person; the message says what happened and what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster. Paths are absolute strings; ranges are CIDR notation."""

    name: str
    data: str
    index: int
    port: int
    node: bool
    node_name: str
    pod_cidr: str
    service_cidr: str
    kubelet_port: int
    datastore: str = ""
    advertise: str = "127.0.0.1"
    advertise_wanted: str = ""
    """What --advertise-address said."""
    datastore_ca: str = ""
    datastore_cert: str = ""
    datastore_key: str = ""
    datastore_user: str = ""
    datastore_password_file: str = ""
    scheduler_config: str = ""
    """A KubeSchedulerConfiguration file; read when the server starts."""
    audit_policy: str = ""
    audit_log: str = ""
    """The audit policy's file, and where the log goes ("" = nowhere, "-" = the server's output)."""
    audit_maxsize: int = 100
    audit_maxbackup: int = 0
    audit_maxage: int = 0
    """Megabytes of a file, files set aside, days that they are kept; 0 = no limit."""
    runtime_config: str = ""
    """What --runtime-config said: which API versions are served."""
    feature_gates: str = ""
    """What --feature-gates said."""
    hollow_nodes: int | None = None
    """How many hollow nodes there are; None: nobody has ever asked for any."""
    hollow_node: str = ""
    """What --hollow-node said of each."""
    controllers: str = "*"
    """What --controllers said: which of them run."""
    scheduler: bool = True
    load_balancer_pool: str = ""
    """What --load-balancer-pool said: ranges, separated by commas, or none; empty: a range of the cluster's own."""
    format: int = FORMAT

    def path(self, *parts: str) -> Path:
        return Path(self.data, *parts)

    @property
    def run(self) -> Path:
        """Sockets and runtime state, gone after a reboot. Short: a socket path holds 108 bytes at most."""
        return Path("/run/pelamis", self.name) if self.node else self.path("run")

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def bridge(self) -> str:
        return f"pelamis{self.index}"

    @property
    def nft_table(self) -> str:
        return f"pelamis-{self.name}"

    @property
    def cgroup(self) -> str:
        """Name of the cgroup that holds all pods of the cluster, below the controllers' roots."""
        return f"pelamis-{self.name}"

    @property
    def network(self) -> str:
        """CNI network name."""
        return f"pelamis-{self.name}"

    @property
    def context(self) -> str:
        """Name of the kubeconfig context, cluster and user."""
        return "pelamis" if self.name == "default" else f"pelamis-{self.name}"

    @property
    def api_ip(self) -> str:
        """ClusterIP of the ``kubernetes`` Service: the first of the range."""
        return str(IPv4Network(self.service_cidr)[1])

    @property
    def dns_ip(self) -> str:
        """ClusterIP of the cluster DNS: the tenth of the range."""
        return str(IPv4Network(self.service_cidr)[10])

    @property
    def balancer_ranges(self) -> tuple[str, ...]:
        """Where Services of type LoadBalancer get their addresses from; empty: they get none."""
        if self.load_balancer_pool == "none":
            return ()
        return tuple(self.load_balancer_pool.split(",")) if self.load_balancer_pool else (f"10.95.{self.index}.0/24",)

    @property
    def pid_file(self) -> Path:
        return self.run / "supervisor.pid"

    def save(self) -> None:
        self.path().mkdir(parents=True, exist_ok=True, mode=0o711)
        temporary = self.path("cluster.json.new")
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n")
        temporary.replace(self.path("cluster.json"))


def base_dir() -> Path:
    """Where clusters live: /var/lib/pelamis as root, else below the home directory."""
    if os.geteuid() == 0:
        return Path("/var/lib/pelamis")
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return Path(data_home) / "pelamis"


def data_dir(name: str, override: str | None) -> Path:
    return Path(override).resolve() if override else base_dir() / name


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f'"{name}" cannot name a cluster: use lower-case letters, digits and "-", 32 at most, '
            "beginning and ending with a letter or digit (for example: --name dev)"
        )


def load(data: Path) -> Cluster | None:
    """The cluster of a data directory; None where there is none yet."""
    try:
        text = (data / "cluster.json").read_text()
    except FileNotFoundError:
        if (data / "store").exists():
            raise ConfigError(
                f"{data} holds a store but no cluster.json: it is damaged or not a Pelamis data directory. "
                "Restore the file from a backup, or choose another directory with --data-dir"
            ) from None
        return None
    except NotADirectoryError:
        raise ConfigError(f"{data} cannot be written: a file is in its way; choose another directory") from None
    except PermissionError:
        raise ConfigError(f"{data} cannot be read: run as the user who created it (usually root)") from None
    try:
        tree = json.loads(text)
        version = tree["format"]
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{data}/cluster.json is not readable as JSON of a cluster: restore it from a backup"
        ) from None
    if version != FORMAT:
        raise ConfigError(
            f"{data} was written by another version of Pelamis (its format is {version}, this version reads {FORMAT}). "
            f"Nothing was changed. Use the Pelamis that wrote it, or another directory: --data-dir DIR"
        )
    try:
        return Cluster(**tree)
    except TypeError:
        raise ConfigError(f"{data}/cluster.json lacks or has members that this version does not know") from None


def _taken(base: Path, data: Path) -> set[int]:
    """Indexes of the other clusters of this machine. Those outside ``base`` leave a note below /run/pelamis."""
    taken = set()
    homes = list(base.glob("*/cluster.json"))
    homes += [Path(p.read_text().strip()) / "cluster.json" for p in Path("/run/pelamis").glob("*/home")]
    for path in homes:
        if path.parent == data:
            continue
        try:
            taken.add(int(json.loads(path.read_text())["index"]))
        except (OSError, ValueError, KeyError):
            continue
    return taken


def create(name: str, data: Path, *, port: int | None, node: bool, node_name: str, datastore: str = "") -> Cluster:
    """A new cluster with the lowest free index. Nothing is written yet."""
    taken = _taken(base_dir(), data)
    index = next(i for i in range(256) if i not in taken)
    if index > 99:
        raise ConfigError(
            "there are 100 clusters on this machine already: remove one with `pelamis down --name N --purge`"
        )
    return Cluster(
        name=name,
        data=str(data),
        index=index,
        port=port or 6443 + index,
        node=node,
        node_name=node_name,
        pod_cidr=f"10.{244 - index}.0.0/16" if index < 100 else "",
        service_cidr="10.96.0.0/12" if index == 0 else f"172.{30 - index // 16}.{16 * (index % 16)}.0/20",
        kubelet_port=10250 + (1000 * index if index < 20 else 100 * index + 19000),
        datastore=datastore,
    )


def with_options(cluster: Cluster, *, port: int | None, node: bool) -> Cluster:
    """An existing cluster started with other flags."""
    return replace(cluster, port=port or cluster.port, node=node)
