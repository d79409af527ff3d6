"""``pelamis status`` and ``pelamis logs``: what runs, whether it is healthy, and what it said."""

from __future__ import annotations

import argparse
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from pelamis.main.config import Cluster, ConfigError, check_name, data_dir, load
from pelamis.main.supervisor import running

COMPONENTS = ("supervisor", "server", "agent", "containerd")


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
    except (OSError, ValueError):
        return None
    return pid


def _health(cluster: Cluster) -> str:
    context = ssl.create_default_context(cafile=str(cluster.path("pki", "ca.crt")))
    context.load_cert_chain(cluster.path("pki", "admin.crt"), cluster.path("pki", "admin.key"))
    url = f"https://127.0.0.1:{cluster.port}/readyz"
    try:
        with urllib.request.urlopen(url, context=context, timeout=5) as answer:
            return "ready" if answer.read() == b"ok" else "not ready"
    except urllib.error.HTTPError as error:
        return "not ready: " + error.read().decode(errors="replace").strip().replace("\n", "; ")
    except OSError as error:
        return f"does not answer ({error})"


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
