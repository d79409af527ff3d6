"""``pelamis down``: stops a cluster and takes its traces off the machine."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from pelamis.main.clean import unmount
from pelamis.main.config import Cluster, ConfigError, base_dir, check_name, data_dir, load
from pelamis.main.hold import hold
from pelamis.main.supervisor import running
from pelamis.main.up import user_kubeconfig

_STOP_S = 60.0
_UNKNOWN = 99
"""An index that no cluster has."""


def down(args: argparse.Namespace) -> int:
    check_name(args.name)
    data = data_dir(args.name, args.data_dir)
    with hold(data):
        return _down(args, data)


def _down(args: argparse.Namespace, data: Path) -> int:
    try:
        cluster = load(data)
    except ConfigError as error:
        if not args.purge:
            raise
        cluster = _guessed(args.name, data)
        print(f"{error}; its processes and traces are looked for by its name and directory")
    if cluster is None:
        print(f'no cluster "{args.name}" in {data}: nothing to do')
        return 0
    if os.geteuid() != 0 and cluster.node:
        raise ConfigError(f'cluster "{cluster.name}" has a node, which root started: run with sudo')
    pid = running(cluster)
    if pid is not None:
        print(f'stopping cluster "{cluster.name}" …', flush=True)
        _stop(pid)
    _end_leftovers(cluster)
    if cluster.node:
        from pelamis.main.clean import clean

        clean(cluster)
    if args.purge:
        from pelamis.client.kubeconfig import remove_context

        remove_context(user_kubeconfig(), cluster.context)
        remove(data)
        if data.parent == base_dir():
            with contextlib.suppress(OSError):
                data.parent.rmdir()
        print(f'cluster "{cluster.name}" is stopped and its data deleted')
        if cluster.datastore:
            print(f"its objects stay in {cluster.datastore}: `etcdctl del --prefix /registry/` deletes them there")
    else:
        print(
            f'cluster "{cluster.name}" is stopped; its data stays in {cluster.data} (`pelamis up` goes on from there)'
        )
    return 0


def _guessed(name: str, data: Path) -> Cluster:
    """What can be known of a cluster whose own file is damaged; its bridge and its ranges cannot."""
    node = os.geteuid() == 0 and Path("/run/pelamis", name).is_dir()
    return Cluster(name, str(data), _UNKNOWN, 0, node, "", "", "", 0)


def remove(data: Path) -> None:
    """Deletes a data directory, but never what is mounted in it (a volume may be a directory of the machine)."""
    left = unmount(data)
    if left:
        raise ConfigError(f"{left[0]} is still mounted; unmount it (`umount {left[0]}`) and try again")
    shutil.rmtree(data, ignore_errors=True)
    if data.exists():
        raise ConfigError(f"{data} could not be deleted completely: see `ls -la {data}`")


def _stop(pid: int) -> None:
    """Ends the supervisor and waits for it; a pidfd tells of the end without polling where the system has them."""
    os.kill(pid, signal.SIGTERM)
    if hasattr(os, "pidfd_open"):
        import select

        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        ended = bool(select.select([fd], [], [], _STOP_S)[0])
        os.close(fd)
        if ended:
            return
    else:
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


def _end_leftovers(cluster: Cluster) -> None:
    """Children whose supervisor was killed: each left its pid, and its command line names our data directory."""
    for name in ("hollow", "agent", "server", "containerd"):
        note = cluster.run / f"{name}.pid"
        try:
            pid = int(note.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if cluster.data.encode() in command:
                os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            pass
        note.unlink(missing_ok=True)
