"""``pelamis status`` and ``pelamis logs``: what runs, whether it is healthy, and what it said."""

from __future__ import annotations

import argparse
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from pelamis.main.config import Cluster, ConfigError, check_name, data_dir, load
from pelamis.main.supervisor import running

COMPONENTS = ("supervisor", "server", "agent", "hollow", "containerd")


def existing(args: argparse.Namespace) -> Cluster:
    """The cluster that the flags name. Raises ConfigError where there is none."""
    check_name(args.name)
    data = data_dir(args.name, args.data_dir)
    cluster = load(data)
    if cluster is None:
        raise ConfigError(f'there is no cluster "{args.name}" in {data}: make one with `pelamis up --name {args.name}`')
    return cluster


def _pid(cluster: Cluster, component: str) -> int | None:
    try:
        pid = int((cluster.run / f"{component}.pid").read_text())
        os.kill(pid, 0)
    except PermissionError:
        pass  # another user's
    except (OSError, ValueError):
        return None
    return pid


def _context(cluster: Cluster) -> ssl.SSLContext:
    """As the administrator. Raises OSError where the keys are not there yet, or not for this user."""
    context = ssl.create_default_context(cafile=str(cluster.path("pki", "ca.crt")))
    context.load_cert_chain(cluster.path("pki", "admin.crt"), cluster.path("pki", "admin.key"))
    return context


def _health(cluster: Cluster) -> str:
    url = f"https://127.0.0.1:{cluster.port}/readyz"
    try:
        with urllib.request.urlopen(url, context=_context(cluster), timeout=5) as answer:
            return "ready" if answer.read() == b"ok" else "not ready"
    except urllib.error.HTTPError as error:
        return "not ready: " + error.read().decode(errors="replace").strip().replace("\n", "; ")
    except OSError as error:
        return f"does not answer ({error})"


def _node_ready(cluster: Cluster) -> bool:
    try:
        with urllib.request.urlopen(
            f"https://127.0.0.1:{cluster.port}/api/v1/nodes/{cluster.node_name}", context=_context(cluster), timeout=5
        ) as answer:
            conditions = json.load(answer).get("status", {}).get("conditions", ())
    except (OSError, ValueError):
        return False
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def wait(cluster: Cluster, seconds: float = 120.0) -> None:
    """Until a running cluster answers and its node is Ready. Raises ConfigError when that takes too long."""
    end = time.monotonic() + seconds
    while (health := _health(cluster)) != "ready" or (cluster.node and not _node_ready(cluster)):
        if time.monotonic() > end:
            what = "its node is not ready" if health == "ready" else f"its API is {health}"
            raise ConfigError(f"{what}; see `pelamis status --name {cluster.name}` and `pelamis logs`")
        time.sleep(0.05)


def status(args: argparse.Namespace) -> int:
    cluster = existing(args)
    pid = running(cluster)
    print(f"cluster     {cluster.name}")
    print(f"data        {cluster.data}")
    if cluster.datastore:
        print(f"datastore   {cluster.datastore}")
    if pid is None:
        print("state       stopped (start it with `pelamis up`)")
        return 3
    print(f"state       running (pid {pid})")
    health = _health(cluster)
    print(f"API         https://127.0.0.1:{cluster.port}  {health}")
    print(f"ranges      pods {cluster.pod_cidr}, services {cluster.service_cidr}, DNS {cluster.dns_ip}")
    parts = ["server", *(("containerd", "agent") if cluster.node else ())]
    alive = True
    for part in parts:
        found = _pid(cluster, part)
        alive = alive and found is not None
        print(f"{part:<12}{f'pid {found}' if found else 'not running (see `pelamis logs ' + part + '`)'}")
    if cluster.hollow_nodes:
        found = _pid(cluster, "hollow")
        alive = alive and found is not None
        state = "ready" if (cluster.run / "hollow.ready").exists() else "being registered"
        shown = (
            f"pid {found}, {cluster.hollow_nodes} nodes, {state}"
            if found
            else "not running (see `pelamis logs hollow`)"
        )
        print(f"hollow      {shown}")
    return 0 if alive and health == "ready" else 1


def logs(args: argparse.Namespace) -> int:
    cluster = existing(args)
    if args.component and args.component not in COMPONENTS:
        raise ConfigError(f'there is no component "{args.component}": choose one of {", ".join(COMPONENTS)}')
    wanted = [args.component] if args.component else list(COMPONENTS)
    files = [path for name in wanted if (path := cluster.path("logs", f"{name}.log")).exists()]
    if not files:
        raise ConfigError(f"nothing has been logged yet in {cluster.path('logs')}")
    if args.follow:
        return subprocess.run(["tail", "-n", "+1", "-F", *map(str, files)], check=False).returncode
    for path in files:
        if len(files) > 1:
            print(f"==> {path.stem} <==")
        _copy(path)
    return 0


def _copy(path: Path) -> None:
    with path.open(errors="replace") as file:
        for line in file:
            sys.stdout.write(line)
