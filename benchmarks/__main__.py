"""``script/bench [name …]``: each benchmark in a process of its own, then one table.

Without names: all of them, about twelve minutes. ``--list`` shows the names, ``--repeat N``
runs each N times and keeps the best row of each kind (the machine may be busy with other things).
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import msgspec
from benchmarks.frame import Benchmark, Row, table

NAMES = {
    "cluster": ("benchmarks.cluster", "run", "pelamis up, first pod, created to Running, idle cost (needs root)"),
    "get": ("benchmarks.reads", "get", "GET of one pod beside a bare TLS server"),
    "list": ("benchmarks.reads", "list_pods", "LIST of 10,000 pods beside the write of the same bytes"),
    "list-large": ("benchmarks.reads", "list_large", "LIST of 300,000 objects and of 30,000 pods, and who else waits"),
    "create": ("benchmarks.writes", "create", "durable creates, 64 clients"),
    "create-1000": ("benchmarks.writes", "create_many", "durable creates, 1,000 clients"),
    "create-etcd": ("benchmarks.writes", "create_etcd", "creates on etcd beside direct puts of the same bytes"),
    "patch": ("benchmarks.writes", "patches", "strategic, merge and apply patches of a Deployment"),
    "watch": ("benchmarks.watches", "thousand", "events to 1,000 watchers of one kind"),
    "watch-flood": ("benchmarks.watches", "flood", "25 watchers of every event of a create flood"),
    "watch-nodes": ("benchmarks.watches", "nodes", "5,000 watchers, each of its own spec.nodeName"),
    "memory": ("benchmarks.size", "memory", "server memory with 150,000 pods"),
    "start": ("benchmarks.size", "start", "server start with 100,000 objects"),
    "store": ("benchmarks.store_put", "rows", "durable puts beside bare sqlite3"),
    "store-load": ("benchmarks.store_load", "rows", "cache load and memory, 100,000 pods"),
    "store-etcd": ("benchmarks.store_etcd", "rows", "puts through the etcd store beside bare ones"),
    "pod-life": ("benchmarks.pod_life", "rows", "server CPU of a pod from its creation until it runs"),
    "codec": ("benchmarks.codec", "rows", "decode, encode, clean of a pod beside json"),
    "patch-parts": ("benchmarks.patch", "rows", "patch and managedFields functions, per call"),
    "planning": (
        "benchmarks.planning",
        "rows",
        "CPU of planning statuses, heartbeats, renewals, creates, bindings",
    ),
    "requests": ("benchmarks.requests", "rows", "CPU of what surrounds a small request, beside the bare connection"),
    "events": ("benchmarks.events", "rows", "CPU of the cache and all controllers after a commit, per pod and lease"),
    "pod-validation": ("benchmarks.pod_validation", "rows", "defaults and validation of a pod, per call"),
    "scheduler": ("benchmarks.scheduler_decisions", "rows", "decisions beside the same checks node by node"),
    "namespace": ("benchmarks.namespace_end", "rows", "a namespace with 10,000 objects deleted"),
    "deployments": ("benchmarks.deployments", "rows", "600 Deployments of 10 on hollow nodes: all available"),
    "scheduler-path": ("benchmarks.scheduler_throughput", "basic", "pods/s through the whole path, plain and daemons"),
    "scheduler-rules": ("benchmarks.scheduler_throughput", "constrained", "the same with affinity, spread, volumes …"),
    "simulate": ("benchmarks.simulate", "rows", "a day of 100 nodes with churn, and a year, on virtual time"),
    "hollow": ("benchmarks.hollow", "rows", "5,000 hollow nodes, 100,000 pods on them, and their cost at rest"),
    "upstream": ("benchmarks.upstream", "rows", "beside kube-apiserver (PELAMIS_KUBE_APISERVER names the program)"),
    "components": ("benchmarks.components", "rows", "beside kube-controller-manager and kube-scheduler (see the file)"),
    "kubelet-start": ("benchmarks.kubelet_start", "rows", "created to Running on the agent alone (needs root)"),
}


def measure(name: str) -> list[Row]:
    """The rows of one benchmark, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "--here", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parent.parent, check=False)
    if done.returncode:
        return [Row(name, f"failed with exit status {done.returncode}", met=False)]
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Row])


def better(one: Row, other: Row) -> Row:
    """Of two runs, the row that is nearer to its aim."""
    if one.met is not other.met:
        return one if one.met else other
    if one.ratio is None or other.ratio is None:
        return one
    wants_more = one.aim.startswith("≥")
    return one if (one.ratio >= other.ratio) is wants_more else other


def best(name: str, repeat: int) -> list[Row]:
    kept = {row.what: row for row in measure(name)}
    for _ in range(repeat - 1):
        for row in measure(name):
            kept[row.what] = better(kept[row.what], row) if row.what in kept else row
    return list(kept.values())


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench", description="Runs benchmarks and prints their figures.")
    parser.add_argument("names", nargs="*", metavar="name", help="which ones (default: all)")
    parser.add_argument("--list", action="store_true", help="show the names")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run each N times, keep the best figures")
    parser.add_argument("--here", metavar="name", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.list:
        for name, (_, _, text) in NAMES.items():
            print(f"{name:<16}{text}")
        return
    if args.here:
        module, function, _ = NAMES[args.here]
        run: Benchmark = getattr(importlib.import_module(module), function)
        print(msgspec.json.encode(list(run())).decode(), flush=True)
        return
    for name in args.names:
        if name not in NAMES:
            raise SystemExit(f'no benchmark is called "{name}": see script/bench --list')
    rows: list[Row] = []
    for name in args.names or NAMES:
        print(f"{name}: {NAMES[name][2]}", file=sys.stderr, flush=True)
        rows.extend(best(name, args.repeat))
    print(table(rows))
    if any(row.met is False for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
