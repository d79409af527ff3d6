"""``pelamis up``: checks the machine, starts the supervisor, and waits with progress until the node is ready."""

from __future__ import annotations

import argparse
import ipaddress
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pelamis.main.addresses import gateway
from pelamis.main.config import Cluster, ConfigError, check_name, create, data_dir, load, with_options
from pelamis.main.datastore import FILES, check, copy_keys, joined, with_datastore
from pelamis.main.hold import hold
from pelamis.main.supervisor import listen, running

_API_S, _NODE_S = 60.0, 120.0
"""How long to wait for the API and, after it, for the node before giving up."""
_FAILING_S = 8.0
"""How long to go on waiting for a server that ended more than once."""
REACHED = {"api": "API answers", "node": "node is ready"}
_FREE_BYTES = 64 * 2**20
"""Less free space than this in the data directory and a start is refused."""


def up(args: argparse.Namespace) -> int:
    check_name(args.name)
    data = data_dir(args.name, args.data_dir)
    with hold(data) as release:
        return _up(args, data, release)


def _up(args: argparse.Namespace, data: Path, release: Callable[[], None]) -> int:
    """release: lets the next `up` or `down` of this machine go on; called once the supervisor runs."""
    cluster = load(data)
    if cluster is not None and (pid := running(cluster)) is not None:
        if args.port not in (None, cluster.port):
            raise ConfigError(
                f'cluster "{cluster.name}" already runs on port {cluster.port}: stop it first with `pelamis down`'
            )
        if args.datastore not in (None, cluster.datastore):
            raise ConfigError(
                f'cluster "{cluster.name}" runs with another datastore: stop it first with `pelamis down`'
            )
        _refuse_changes(cluster, args)
        cluster = _with_hollow(cluster, args)
        changed = cluster != load(data)
        if changed:
            cluster.save()
            (cluster.run / "hollow.ready").unlink(missing_ok=True)
            os.kill(pid, signal.SIGHUP)
        release()
        part = "" if cluster.node else ", control plane alone"
        print(f'cluster "{cluster.name}" is already running (pid {pid}, https://127.0.0.1:{cluster.port}{part})')
        if not cluster.node and not args.no_node:
            print(f"for a node too: pelamis down --name {cluster.name} && pelamis up --name {cluster.name}")
        from pelamis.main.status import wait  # with urllib: not on the way of a start

        wait(cluster)
        if changed:
            _wait_hollow(cluster)
        return _finish(cluster, args)
    node = not args.no_node
    if node:
        _check_machine()
    if args.port is not None and not 0 < args.port < 65536:
        raise ConfigError(f"--port {args.port}: a port is a number from 1 to 65535")
    new = cluster is None
    if cluster is None:
        import socket

        name = socket.gethostname().lower()
        cluster = create(
            args.name,
            data,
            port=args.port,
            node=node,
            node_name=name if args.name == "default" else f"{name}-{args.name}",
        )
    else:
        cluster = with_options(cluster, port=args.port, node=node)
    cluster = _with_hollow(_with_scheduler(_with_datastore(cluster, args, new=new), args), args)
    cluster = _with_components(_with_pool(_with_audit(cluster, args), args), args)
    cluster = _with_served(cluster, args)
    if args.runtime_config is not None or args.feature_gates is not None:
        _remark(cluster)
    # The machine may have moved to another network since the last start.
    found = (_host_ip() or gateway(cluster)) if node else "127.0.0.1"
    cluster = replace(cluster, advertise=cluster.advertise_wanted or found)
    for sock in listen(cluster):  # a taken port is said here, before anything is written
        sock.close()
    try:
        if args.join and new:
            copy_keys(cluster, Path(args.join).resolve())
        cluster.save()
        cluster.path("logs").mkdir(exist_ok=True)
        cluster.run.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise ConfigError(
            f"{error.filename} cannot be written: run as root, or choose a directory of yours with --data-dir"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{cluster.data} cannot be written: {error.strerror}; free some space or use --data-dir"
        ) from None
    free = shutil.disk_usage(cluster.data).free
    if free < _FREE_BYTES:
        raise ConfigError(
            f"{cluster.data} has only {free // 2**20} MiB free; a cluster needs {_FREE_BYTES // 2**20} MiB at least: "
            "free some space, or use another disk with --data-dir"
        )
    if node:
        _prepare_kernel()
    if args.foreground:
        from pelamis.main.supervisor import Supervisor

        print(f'cluster "{cluster.name}" starts in the foreground; Ctrl-C stops it')
        reporter = _Foreground(cluster, args, release)
        Supervisor(cluster, reporter.say).run()
        if node:
            from pelamis.main.clean import clean

            clean(cluster)
        print(f'cluster "{cluster.name}" is stopped; its data stays in {cluster.data}')
        return 0
    return _background(cluster, args, release)


def _refuse_changes(cluster: Cluster, args: argparse.Namespace) -> None:
    """What only a start can change is not asked of a cluster that runs."""
    for changed, what in (
        (args.scheduler_config is not None and _with_scheduler(cluster, args) != cluster, "the new --scheduler-config"),
        (_with_pool(cluster, args) != cluster, "the new --load-balancer-pool"),
        (_with_components(cluster, args) != cluster, "other components"),
        (_with_audit(cluster, args) != cluster, "the new audit options"),
        (_with_served(cluster, args) != cluster, "the new --runtime-config or --feature-gates"),
    ):
        if changed:
            raise ConfigError(
                f'cluster "{cluster.name}" runs already: stop it first with `pelamis down`, then start it with {what}'
            )


def _with_served(cluster: Cluster, args: argparse.Namespace) -> Cluster:
    """What the flags about versions and features say, checked; what they do not say stays as it was."""
    from pelamis.api.enablement import Enablement, EnablementError
    from pelamis.api.gates import Gates, GatesError

    if args.runtime_config is None and args.feature_gates is None:
        return cluster
    versions = cluster.runtime_config if args.runtime_config is None else ",".join(args.runtime_config)
    features = cluster.feature_gates if args.feature_gates is None else ",".join(args.feature_gates)
    try:
        Enablement(versions)
    except EnablementError as error:
        raise ConfigError(f"--runtime-config {versions}: {error}") from None
    try:
        Gates(features)
    except GatesError as error:
        raise ConfigError(f"--feature-gates {features}: {error}") from None
    return replace(cluster, runtime_config=versions, feature_gates=features)


def _remark(cluster: Cluster) -> None:
    """Tells what of the two flags does nothing, or is not enough."""
    from pelamis.api.enablement import Enablement
    from pelamis.api.gates import Gates

    gates = Gates(cluster.feature_gates)
    for line in (*gates.remarks(), *Enablement(cluster.runtime_config, gates).kept_back()):
        print(f"note: {line}")


def _with_hollow(cluster: Cluster, args: argparse.Namespace) -> Cluster:
    """What the flags about hollow nodes say, checked; what they do not say stays as it was."""
    if args.hollow_nodes is None and args.hollow_node is None:
        return cluster
    from pelamis.main.hollow import check

    count = cluster.hollow_nodes if args.hollow_nodes is None else args.hollow_nodes
    text = cluster.hollow_node if args.hollow_node is None else args.hollow_node
    if count is None:
        raise ConfigError("--hollow-node says what each hollow node has: say how many with --hollow-nodes N")
    cluster = replace(cluster, hollow_nodes=count, hollow_node=text)
    check(cluster)
    return cluster


def _wait_hollow(cluster: Cluster) -> None:
    """Until all hollow nodes are registered. Raises ConfigError when that takes too long."""
    if cluster.hollow_nodes is None:
        return
    started = time.monotonic()
    end = started + _NODE_S + cluster.hollow_nodes / 20
    ready = cluster.run / "hollow.ready"
    while not ready.exists():
        if time.monotonic() > end:
            last = _last_line(cluster.path("logs", "hollow.log"))
            said = f'; their log ends with "{last}"' if last else ""
            raise ConfigError(
                f"the hollow nodes are not ready yet{said}; see `pelamis logs hollow --name {cluster.name}`"
            )
        time.sleep(0.02)
    print(f"{cluster.hollow_nodes} hollow nodes ({time.monotonic() - started:.1f} s)")


def _with_datastore(cluster: Cluster, args: argparse.Namespace, *, new: bool) -> Cluster:
    """What the flags about etcd and other servers say, checked: a mistake is told before anything is written."""
    if args.join and new:
        if not args.no_node:
            raise ConfigError("--join makes a further server, which has no node of its own yet: add --no-node")
        other = load(Path(args.join).resolve())
        if other is None:
            raise ConfigError(f"--join {args.join}: there is no cluster.json in it")
        cluster = joined(cluster, other)
    names = ("datastore_user", *FILES)
    cluster = with_datastore(cluster, args.datastore, {name: getattr(args, name) for name in names})
    if args.advertise_address:
        try:
            wanted = str(ipaddress.IPv4Address(args.advertise_address))
        except ValueError as error:
            raise ConfigError(f"--advertise-address: {error}") from None
        cluster = replace(cluster, advertise_wanted=wanted)
    if cluster.datastore:
        check(cluster)
    return cluster


def _with_scheduler(cluster: Cluster, args: argparse.Namespace) -> Cluster:
    """The scheduler's configuration, checked: of the flag, or as it was given to an earlier start."""
    wanted = args.scheduler_config
    if wanted is not None:
        cluster = replace(cluster, scheduler_config=str(Path(wanted).resolve()) if wanted else "")
    if cluster.scheduler_config:
        from pelamis.scheduler.config import (
            ConfigError as SchedulerConfigError,
        )  # with NumPy: only where it is asked for
        from pelamis.scheduler.profile import load as load_scheduler

        try:
            load_scheduler(Path(cluster.scheduler_config))
        except SchedulerConfigError as error:
            lines = "".join(f"\n  {problem}" for problem in error.problems)
            hint = "" if wanted else '\nTo do without it: --scheduler-config ""'
            raise ConfigError(
                f"the scheduler's configuration {cluster.scheduler_config} cannot be used:{lines}{hint}"
            ) from None
    return cluster


def _with_pool(cluster: Cluster, args: argparse.Namespace) -> Cluster:
    """Where load balancers get their addresses: of the flag, or as an earlier start was told."""
    wanted = args.load_balancer_pool
    if wanted is None:
        return cluster
    texts = [] if wanted in ("", "none") else [text.strip() for text in wanted.split(",")]
    try:
        ranges = [ipaddress.IPv4Network(text) for text in texts]
    except ValueError as error:
        raise ConfigError(f"--load-balancer-pool: {error}") from None
    for network in ranges:
        for other in filter(None, (cluster.pod_cidr, cluster.service_cidr)):
            if network.overlaps(ipaddress.IPv4Network(other)):
                raise ConfigError(f"--load-balancer-pool: {network} overlaps {other}, the range of pods or Services")
    return replace(cluster, load_balancer_pool=wanted if wanted == "none" else ",".join(map(str, ranges)))


def _with_components(cluster: Cluster, args: argparse.Namespace) -> Cluster:
    """Which controllers run and whether the scheduler does: of the flags, or as an earlier start was told."""
    if args.controllers is not None:
        from pelamis.main.selection import parse

        cluster = replace(cluster, controllers=parse(args.controllers))
    return cluster if args.scheduler is None else replace(cluster, scheduler=args.scheduler)


def _with_audit(cluster: Cluster, args: argparse.Namespace) -> Cluster:
    """The audit log, its policy checked: of the flags, or as an earlier start was told."""

    def full(path: str) -> str:
        return path if path in ("", "-") else str(Path(path).resolve())

    if args.audit_log_path is not None:
        cluster = replace(cluster, audit_log=full(args.audit_log_path))
    if args.audit_policy_file is not None:
        cluster = replace(cluster, audit_policy=full(args.audit_policy_file))
    if args.audit_log_maxsize is not None:
        cluster = replace(cluster, audit_maxsize=max(args.audit_log_maxsize, 0))
    if args.audit_log_maxbackup is not None:
        cluster = replace(cluster, audit_maxbackup=max(args.audit_log_maxbackup, 0))
    if args.audit_log_maxage is not None:
        cluster = replace(cluster, audit_maxage=max(args.audit_log_maxage, 0))
    if cluster.audit_policy:
        from pelamis.apiserver.auditpolicy import PolicyError
        from pelamis.apiserver.auditpolicy import load as load_policy

        try:
            load_policy(Path(cluster.audit_policy).read_text())
        except (OSError, ValueError, PolicyError) as error:
            hint = "" if args.audit_policy_file else '\nTo do without it: --audit-policy-file ""'
            raise ConfigError(f"the audit policy {cluster.audit_policy} cannot be used: {error}{hint}") from None
    return cluster


def _check_machine() -> None:
    from pelamis.main.doctor import examine, explain, missing

    problems = missing(examine())
    if problems:
        raise ConfigError(explain(problems))


def _host_ip() -> str:
    """The address that this machine uses towards others, "" where it has none. Sends no packet."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def _prepare_kernel() -> None:
    """Forwarding for pods, and bridged packets shown to the packet filter (for Services reached on the same bridge)."""
    if shutil.which("modprobe"):  # where it is missing, the kernel has everything built in
        subprocess.run(["modprobe", "-aq", "overlay", "br_netfilter"], check=False, capture_output=True)
    for name, value in (
        ("net/ipv4/ip_forward", "1"),
        ("net/bridge/bridge-nf-call-iptables", "1"),
        ("net/ipv4/conf/all/route_localnet", "1"),
    ):
        path = Path("/proc/sys", name)
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except OSError as error:
            print(
                f"warning: {path} cannot be set to {value}, so pods may not reach each other: {error}", file=sys.stderr
            )


def _background(cluster: Cluster, args: argparse.Namespace, release: Callable[[], None]) -> int:
    notes_r, notes_w = os.pipe()
    log = cluster.path("logs", "supervisor.log")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pelamis.main.supervisor", cluster.data],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "PELAMIS_NOTIFY_FD": str(notes_w)},
            pass_fds=(notes_w,),
            start_new_session=True,
            cwd="/",
        )
    os.close(notes_w)
    progress = _Progress(cluster)
    wanted = "node" if cluster.node else "api"
    deadline = time.monotonic() + _API_S
    pending = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([notes_r], [], [], min(left, 0.2))[0]:
            progress.tick()
            if left <= 0:
                progress.end()
                raise ConfigError(_late(cluster, progress))
            continue
        data = os.read(notes_r, 4096)
        if not data:
            process.wait()
            progress.end()
            raise ConfigError(f"the cluster ended while starting; see {log} and `pelamis logs --name {cluster.name}`")
        pending += data
        *lines, pending = pending.split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "error":
                progress.end()
                raise ConfigError(rest)
            if word == "started":
                release()
            progress.reached(word, rest)
            if word == "failed" and rest.startswith("server"):
                deadline = min(deadline, time.monotonic() + _FAILING_S)
            if word == "api":
                deadline = time.monotonic() + _NODE_S
            if word == wanted:
                progress.end()
                _wait_hollow(cluster)
                return _finish(cluster, args)


def _late(cluster: Cluster, progress: _Progress) -> str:
    what = "the node did not become ready" if progress.api else "the API did not answer"
    why = f" ({progress.failure})" if progress.failure else ""
    component = "agent" if progress.api else "server"
    last = _last_line(cluster.path("logs", f"{component}.log"))
    said = f'; its log ends with "{last}"' if last else ""
    return (
        f"{what} in time{why}{said}. The cluster goes on trying; see `pelamis logs {component} --name {cluster.name}` "
        f"and `pelamis status --name {cluster.name}`, or stop it with `pelamis down --name {cluster.name}`"
    )


def _last_line(log: Path) -> str:
    try:
        lines = log.read_bytes()[-4096:].decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class _Progress:
    """One line that is rewritten on a terminal, one line a step elsewhere."""

    def __init__(self, cluster: Cluster) -> None:
        self.started = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.api = False
        self.failure = ""
        self.what = f'starting cluster "{cluster.name}"'
        self.tick()

    def tick(self) -> None:
        if self.terminal:
            print(f"\r\033[K{self.what} … {time.monotonic() - self.started:.1f} s", end="", file=sys.stderr, flush=True)

    def reached(self, word: str, rest: str) -> None:
        text = REACHED.get(word)
        if word == "failed":
            self.failure = rest
        if text is None:
            return
        self.end()
        print(f"{text} ({time.monotonic() - self.started:.1f} s)")
        if word == "api":
            self.api = True
            self.what = "waiting for the node"

    def end(self) -> None:
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class _Foreground:
    """Says on the terminal what the supervisor reports."""

    def __init__(self, cluster: Cluster, args: argparse.Namespace, release: Callable[[], None]) -> None:
        self.cluster, self.args, self.release = cluster, args, release
        self.wanted = "node" if cluster.node else "api"

    def say(self, line: str) -> None:
        if line == "started":
            self.release()
            return
        print(REACHED.get(line, line), flush=True)
        if line == self.wanted:
            _finish(self.cluster, self.args)


def _finish(cluster: Cluster, args: argparse.Namespace) -> int:
    from pelamis.client.kubeconfig import merge_file

    if args.no_merge_kubeconfig:
        print(f"use it with: export KUBECONFIG={cluster.path('admin.kubeconfig')}")
        return 0
    target = user_kubeconfig()
    merge_file(cluster.path("admin.kubeconfig"), target, current=True)
    print(f'kubectl is set up: context "{cluster.context}" in {target}')
    return 0


def user_kubeconfig() -> Path:
    """Where kubectl looks first."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(named) if named else Path.home() / ".kube" / "config"
