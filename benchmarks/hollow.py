"""A large cluster on one machine: 5,000 hollow nodes registered, 100,000 pods running on them, and the cost at rest.

A cluster without a real node is started as a user starts it, in a process of its own for the server and one for the
nodes. The pods are those of 100 Deployments of 1,000; the clock runs from the first Deployment's creation until every
replica is ready. Times are of the clock; the processes' CPU seconds stand beside them, since other work on the machine
stretches the one and hardly the other. ``python -m benchmarks.hollow NODES PODS`` runs it in another size.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from benchmarks.frame import Row, below, cpu_s, pss, say

NODES, PODS, EACH = 5_000, 100_000, 1_000
PORT = 16643
SETTLE_S, REST_S = 20.0, 30.0
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


class _Status(msgspec.Struct, frozen=True):
    readyReplicas: int = 0


class _Deployment(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class _List(msgspec.Struct, frozen=True):
    items: tuple[_Deployment, ...] = ()


def _deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    container = {
        "name": "main",
        "image": "registry.example/app:1",
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


class _Cluster:
    def __init__(self, place: Path, nodes: int) -> None:
        self.place = place
        self.nodes = nodes
        self.arguments = ["--name", "bench-hollow", "--data-dir", str(place / "data")]

    def command(self, verb: str, *more: str) -> None:
        line = [sys.executable, "-m", "pelamis.main.cli", verb, *self.arguments, *more]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)

    def pids(self) -> dict[str, int]:
        run = self.place / "data" / "run"
        return {path.stem: int(path.read_text()) for path in run.glob("*.pid")}

    def cpu(self) -> dict[str, float]:
        return {name: cpu_s(pid) for name, pid in self.pids().items()}

    def memory(self) -> dict[str, float]:
        """MiB."""
        return {name: pss(pid) / 2**20 for name, pid in self.pids().items()}


def _spent(before: dict[str, float], after: dict[str, float]) -> str:
    shown = ", ".join(f"{name} {after[name] - before.get(name, 0.0):.1f}" for name in ("server", "hollow"))
    return f"CPU seconds: {shown}"


async def _grow(client: Any, pods: int, report: bool) -> float:
    """Seconds until all of them are ready."""
    body = [msgspec.json.encode(_deployment(f"app-{i:03}", EACH)) for i in range(pods // EACH)]
    start = time.monotonic()
    await asyncio.gather(*(client.send("POST", DEPLOYMENTS, one) for one in body))
    last = 0.0
    while True:
        found = msgspec.json.decode(await client.send("GET", DEPLOYMENTS), type=_List)
        ready = sum(one.status.readyReplicas for one in found.items)
        now = time.monotonic() - start
        if report and now - last > 5:
            last = now
            say(f"{now:6.1f} s  {ready:7} ready")
        if ready >= pods:
            return now
        await asyncio.sleep(0.25)


async def _measure(cluster: _Cluster, pods: int, report: bool) -> list[Row]:
    from pelamis.client.http import HttpClient
    from pelamis.net import tls
    from pelamis.net.tls import Pair

    data = cluster.place / "data"
    cluster.command("up", "--no-node", "--no-merge-kubeconfig", "--port", str(PORT))
    before = cluster.cpu()
    start = time.monotonic()
    cluster.command("up", "--no-node", "--no-merge-kubeconfig", "--hollow-nodes", str(cluster.nodes))
    took = time.monotonic() - start
    after = cluster.cpu()
    name = f"{cluster.nodes:,} hollow nodes registered and Ready"
    rows = [below(name, took, 10, "s", _spent(before, after))]
    if report:
        say(f"{rows[0].what}: {rows[0].ours} ({rows[0].note})")
    pair = Pair((data / "pki/admin.crt").read_bytes(), (data / "pki/admin.key").read_bytes())
    client = HttpClient(
        f"https://127.0.0.1:{PORT}", tls.client_context((data / "pki/ca.crt").read_bytes(), pair), user_agent="bench"
    )
    try:
        before = cluster.cpu()
        took = await _grow(client, pods, report)
        rows.append(
            below(f"{pods:,} pods Running on {cluster.nodes:,} nodes", took, 120, "s", _spent(before, cluster.cpu()))
        )
        if report:
            say(f"{rows[-1].what}: {rows[-1].ours} ({rows[-1].note})")
        await asyncio.sleep(SETTLE_S)
        before, start = cluster.cpu(), time.monotonic()
        await asyncio.sleep(REST_S)
        after, span = cluster.cpu(), time.monotonic() - start
        cores = sum(after[n] - before[n] for n in after) / span
        parts = ", ".join(f"{n} {(after[n] - before[n]) / span:.2f}" for n in ("server", "hollow"))
        rows.append(below("  the same at rest: CPU of everything", cores, 1, "cores", parts))
        memory = cluster.memory()
        parts = ", ".join(f"{n} {memory[n] / 1024:.2f}" for n in ("server", "hollow"))
        rows.append(below("  the same at rest: memory of everything", sum(memory.values()) / 1024, 4, "GiB", parts))
        return rows
    finally:
        await client.close()


def rows(nodes: int = NODES, pods: int = PODS, *, report: bool = False) -> list[Row]:
    place = Path(tempfile.mkdtemp(prefix="pelamis-bench-hollow-"))
    cluster = _Cluster(place, nodes)
    try:
        return uvloop.run(_measure(cluster, pods, report))
    finally:
        cluster.command("down", "--purge")
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    from benchmarks.frame import table

    print(table(rows(*numbers, report=True)))
