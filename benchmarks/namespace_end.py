"""How long a namespace with 10,000 objects takes to go, from the request to its absence.

A control plane as ``pelamis up --no-node`` starts it (SQLite, controllers, scheduler), one HTTP client. The objects are
ConfigMaps, Secrets, Services, Deployments without replicas and pods that no node takes; the ReplicaSets, slices and
Endpoints that controllers make of them come on top.
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
from benchmarks.frame import Row, below, say

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.serviceaccount import KIND as ACCOUNT
from pelamis.client.connect import connect
from pelamis.client.kubeconfig import read, resolve
from pelamis.client.types import Create, Delete

NAME, PORT, WHERE = "bench-ns", 16543, "crowded"
LIMIT_S = 10.0


def objects() -> list[Create]:
    container = {"name": "main", "image": "nginx:1"}

    def meta(name: str) -> dict[str, Any]:
        return {"name": name, "namespace": WHERE, "labels": {"app": "web"}}

    out = [Create(CONFIGMAP, {"metadata": meta(f"c-{i}"), "data": {"k": "v" * 200}}) for i in range(4000)]
    out += [Create(SECRET, {"metadata": meta(f"s-{i}"), "stringData": {"k": "v" * 50}}) for i in range(2000)]
    pod = {"containers": [container]}
    out += [Create(POD, {"metadata": meta(f"p-{i}"), "spec": pod}) for i in range(3000)]
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "none"}},
        "template": {"metadata": {"labels": {"app": "none"}}, "spec": pod},
    }
    out += [Create(DEPLOYMENT, {"metadata": meta(f"d-{i}"), "spec": spec}) for i in range(500)]
    ports = {"selector": {"app": "none"}, "ports": [{"port": 80}]}
    out += [Create(SERVICE, {"metadata": meta(f"v-{i}"), "spec": ports}) for i in range(500)]
    return out


async def _gone(view: Any, name: str) -> None:
    event = asyncio.Event()
    cancel = view.subscribe(lambda key, old, new: event.set() if new is None and key[1] == name else None)
    async with asyncio.timeout(300):
        await event.wait()
    cancel()


async def _there(view: Any, name: str) -> None:
    event = asyncio.Event()
    cancel = view.subscribe(lambda key, old, new: event.set() if new is not None and key == (WHERE, name) else None)
    async with asyncio.timeout(60):
        await event.wait()
    cancel()


async def _measure(kubeconfig: Path) -> tuple[float, float, int]:
    client = await connect(resolve(read([kubeconfig])), now=time.time)
    try:
        await client.commit([Create(NAMESPACE, {"metadata": {"name": WHERE}})])
        await _there(client.view(ACCOUNT), "default")
        began = time.perf_counter()
        made = objects()
        for at in range(0, len(made), 500):
            for outcome in await client.commit(made[at : at + 500]):
                if outcome.error is not None:
                    raise RuntimeError(outcome.error.message)
        took = time.perf_counter() - began
        await asyncio.sleep(5)  # controllers finish what the objects asked of them
        view = client.view(NAMESPACE)
        began = time.perf_counter()
        await client.commit([Delete(NAMESPACE, "", WHERE)])
        await _gone(view, WHERE)
        return time.perf_counter() - began, took, len(made)
    finally:
        await client.close()


def rows() -> Sequence[Row]:
    place = Path(tempfile.mkdtemp(prefix="pelamis-bench-"))
    common = ["--name", NAME, "--data-dir", str(place)]
    pelamis = [sys.executable, "-m", "pelamis.main.cli"]
    flags = ["--no-node", "--no-merge-kubeconfig", "--port", str(PORT)]
    try:
        subprocess.run([*pelamis, "up", *common, *flags], check=True, stdout=sys.stderr)
        took, creating, count = uvloop.run(_measure(place / "admin.kubeconfig"))
    finally:
        subprocess.run([*pelamis, "down", *common, "--purge"], check=False, stdout=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)
    say(f"{count} objects created in {creating:.1f} s")
    note = f"created at {count / creating:,.0f}/s by one client"
    return [below(f"namespace with {count:,} objects deleted", took, LIMIT_S, "s", note)]
