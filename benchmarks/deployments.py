"""600 Deployments of 10 pods created at once: how long until every one of them is available.

A control plane as ``pelamis up --no-node --hollow-nodes 100`` starts it (SQLite, real controllers and scheduler, the
kubelet's own state machine over containers in memory), one HTTP client.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop
from benchmarks.frame import Row, below, cpu_s, say

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.core.node import KIND as NODE
from pelamis.client.connect import connect
from pelamis.client.kubeconfig import read, resolve
from pelamis.client.types import Create

NAME, PORT = "bench-dep", 16743
NODES, DEPLOYMENTS, EACH = 100, 600, 10
LIMIT_S = 15.0


def deployment(index: int) -> Create:
    labels = {"app": f"web-{index}"}
    spec = {
        "replicas": EACH,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "nginx:1"}]}},
    }
    return Create(DEPLOYMENT, {"metadata": {"name": f"web-{index}", "namespace": "default"}, "spec": spec})


async def _until(view: Any, holds: Any, limit_s: float = 180.0) -> None:
    """Counts from changes alone: holds(obj) is asked once for each."""
    event = asyncio.Event()
    good: set[Any] = set()
    wanted = holds.wanted

    def changed(key: Any, old: Any, new: Any) -> None:
        if new is not None and holds(new):
            good.add(key)
        else:
            good.discard(key)
        if len(good) >= wanted:
            event.set()

    cancel = view.subscribe(changed)
    async with asyncio.timeout(limit_s):
        await event.wait()
    cancel()


def _ready(node: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def _available(one: Any) -> bool:
    return bool(one.status.availableReplicas == EACH)


_ready.wanted, _available.wanted = NODES, DEPLOYMENTS  # type: ignore[attr-defined]


async def _measure(kubeconfig: Path) -> tuple[float, float]:
    client = await connect(resolve(read([kubeconfig])), now=time.time)
    try:
        await _until(client.view(NODE), _ready)
        view = client.view(DEPLOYMENT)
        began = time.perf_counter()
        waiting = asyncio.create_task(_until(view, _available))
        for outcome in await client.commit([deployment(i) for i in range(DEPLOYMENTS)]):
            if outcome.error is not None:
                raise RuntimeError(outcome.error.message)
        created = time.perf_counter() - began
        await waiting
        return time.perf_counter() - began, created
    finally:
        await client.close()


def _pids(place: Path) -> list[int]:
    """The cluster's processes, by their data directory."""
    out = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(place).encode() in line and b"-m" in line:
                out.append(int(entry.name))
    return out


def rows() -> Sequence[Row]:
    place = Path(tempfile.mkdtemp(prefix="pelamis-bench-"))
    common = ["--name", NAME, "--data-dir", str(place)]
    pelamis = [sys.executable, "-m", "pelamis.main.cli"]
    flags = ["--no-node", "--hollow-nodes", str(NODES), "--no-merge-kubeconfig", "--port", str(PORT)]
    try:
        subprocess.run([*pelamis, "up", *common, *flags], check=True, stdout=sys.stderr)
        pids = _pids(place)
        before = sum(cpu_s(p) for p in pids)
        took, created = uvloop.run(_measure(place / "admin.kubeconfig"))
        cpu = sum(cpu_s(p) for p in pids) - before
    finally:
        subprocess.run([*pelamis, "down", *common, "--purge"], check=False, stdout=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)
    pods = DEPLOYMENTS * EACH
    say(f"{DEPLOYMENTS} Deployments accepted in {created:.1f} s")
    note = f"{pods / took:,.0f} pods/s; {1e6 * cpu / pods:,.0f} us of CPU for a pod in all processes"
    return [below(f"{DEPLOYMENTS} Deployments of {EACH} available", took, LIMIT_S, "s", note)]
