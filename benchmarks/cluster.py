"""A whole cluster, as a user starts it: how soon it is there, what a pod costs above the container runtime, idle cost.

Needs root, containerd and the CNI plugins. It has a name, a data directory and ports of its own, and is purged at the
end. Containers run the sandbox image, which every node has: what is measured is starting, not pulling. Times count from
the start of the ``pelamis up`` process, in an empty data directory.
"""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import uvloop
import yaml
from benchmarks import barepod
from benchmarks.frame import Row, below, cpu_s, pss, say, skipped

NAME = "bench"
PAUSE = "pelamis.local/pause:1"
PORT = 16443
ROUNDS = 15
SETTLE_S, IDLE_S = 20.0, 30.0
PODS = "/api/v1/namespaces/default/pods"


def pod(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": PAUSE, "imagePullPolicy": "IfNotPresent"}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Api:
    """Plain requests, one connection each; and watches."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def identify(self, kubeconfig: Path) -> None:
        user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
        with tempfile.TemporaryDirectory() as place:
            files = []
            for name in ("client-certificate-data", "client-key-data"):
                path = Path(place, name)
                path.write_bytes(base64.b64decode(user[name]))
                files.append(str(path))
            self.context.load_cert_chain(*files)

    async def _send(
        self, method: str, path: str, body: bytes
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, limit=1 << 24)
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\n" + ("" if "watch=1" in path else "Connection: close\r\n")
        writer.write(head.encode() + b"\r\n" + body)
        head_bytes = await reader.readuntil(b"\r\n\r\n")
        return reader, writer, int(head_bytes[9:12])

    async def request(self, method: str, path: str, tree: object = None) -> tuple[int, Any]:
        reader, writer, code = await self._send(method, path, msgspec.json.encode(tree) if tree is not None else b"")
        data = await reader.read()
        writer.close()
        try:
            return code, msgspec.json.decode(data)
        except msgspec.DecodeError:
            return code, data

    async def watch(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Objects as they change; {} first, once the watch is open."""
        reader, writer, _ = await self._send("GET", f"{path}?watch=1", b"")
        try:
            yield {}
            while line := await reader.readline():
                if line.startswith(b"{"):
                    event = msgspec.json.decode(line)
                    yield {**event["object"], "deleted": event["type"] == "DELETED"}
        finally:
            writer.close()

    async def until(self, path: str, wanted: Callable[[dict[str, Any]], bool], opened: asyncio.Event | None) -> float:
        """The time at which a watch shows an object that is wanted."""
        async with aclosing(self.watch(path)) as found:
            async for obj in found:
                if not obj:
                    if opened is not None:
                        opened.set()
                elif wanted(obj):
                    return time.perf_counter()
        raise SystemExit(f"the watch of {path} ended")


def ready(node: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions", ()))


def is_running(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda p: p["metadata"]["name"] == name and p.get("status", {}).get("phase") == "Running"


async def _up(place: Path) -> tuple[Api, dict[str, float]]:
    """Starts the cluster; seconds until each thing was reached."""
    api = Api(PORT)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pelamis.main.cli", "up", "--name", NAME, "--data-dir", str(place / "data")),
        *("--port", str(PORT), "--no-merge-kubeconfig"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    reached: dict[str, float] = {}
    while "api" not in reached:
        if process.returncode:
            raise SystemExit(f"pelamis up failed with exit status {process.returncode}")
        try:
            code, _ = await asyncio.wait_for(api.request("GET", "/readyz"), 10)
            if code == 200:
                reached["api"] = time.perf_counter() - began
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            await asyncio.sleep(0.005)
    api.identify(place / "data" / "admin.kubeconfig")
    nodes = asyncio.create_task(api.until("/api/v1/nodes", ready, None))
    pods = asyncio.create_task(api.until(PODS, is_running("first"), None))
    while (await api.request("POST", PODS, pod("first")))[0] != 201:  # noqa: ASYNC110  (until the service account is there)
        await asyncio.sleep(0.01)
    reached["node"] = await nodes - began
    reached["pod"] = await pods - began
    await process.wait()
    reached["command"] = time.perf_counter() - began
    return api, reached


async def _managed(api: Api, index: int) -> float:
    name = f"pod-{index}"
    opened = asyncio.Event()
    seen = asyncio.create_task(api.until(PODS, is_running(name), opened))
    await opened.wait()
    began = time.perf_counter()
    code, answer = await api.request("POST", PODS, pod(name))
    if code != 201:
        raise SystemExit(f"the pod was refused: {answer}")
    took = await seen - began
    gone = lambda p: p["metadata"]["name"] == name and p["deleted"]  # noqa: E731
    opened = asyncio.Event()
    removed = asyncio.create_task(api.until(PODS, gone, opened))
    await opened.wait()
    await api.request("DELETE", f"{PODS}/{name}")
    await removed
    return took


def _fsyncs(pids: list[int], seconds: float) -> float | None:
    """Calls per second that wait for the disk, of these processes; None where strace is missing or may not attach."""
    if shutil.which("strace") is None:
        return None
    with tempfile.NamedTemporaryFile("r") as out:
        command = ["strace", "-f", "-qq", "-o", out.name, "-e", "trace=fsync,fdatasync,sync_file_range,msync"]
        for pid in pids:
            command += ["-p", str(pid)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        if process.poll() is not None:
            return None
        process.terminate()
        process.wait()
        return len(re.findall(r"(?:fsync|fdatasync|sync_file_range|msync)\(", out.read())) / seconds


def _idle(run_dir: Path) -> list[Row]:
    time.sleep(SETTLE_S)
    pids = {name: int((run_dir / f"{name}.pid").read_text()) for name in ("server", "agent")}
    supervisor = next(iter(run_dir.glob("supervisor.pid")), None) or next(iter(run_dir.glob("pelamis.pid")), None)
    extra = f"supervisor apart {pss(int(supervisor.read_text())) / 1e6:.0f} MB" if supervisor is not None else ""
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    time.sleep(IDLE_S)
    cpu = {name: (cpu_s(pid) - before[name]) / IDLE_S * 100 for name, pid in pids.items()}
    memory = {name: pss(pid) / 1e6 for name, pid in pids.items()}
    syncs = _fsyncs(list(pids.values()), IDLE_S)
    parts = ", ".join(f"{name} {value:.0f} MB" for name, value in memory.items())
    shares = ", ".join(f"{name} {value:.2f} %" for name, value in cpu.items())
    rows = [
        below("idle memory (PSS), server and agent", sum(memory.values()), 150, "MB", f"{parts}; {extra}"),
        below("idle CPU, server and agent", sum(cpu.values()), 1.0, "% of a core", shares),
    ]
    what = "idle fsyncs, server and agent"
    rows.append(skipped(what, "needs strace") if syncs is None else below(what, syncs, 1.0, "/s"))
    return rows


def _down(place: Path) -> None:
    command = [sys.executable, "-m", "pelamis.main.cli", "down", "--name", NAME, "--data-dir", str(place / "data")]
    subprocess.run([*command, "--purge"], stdout=subprocess.DEVNULL, check=False)


def run() -> list[Row]:
    from pelamis.kubelet.cri.client import CriClient
    from pelamis.main.config import load
    from pelamis.main.doctor import examine, missing

    if missing(examine()):
        return [skipped("a whole cluster", "needs root, containerd, runc and the CNI plugins (see pelamis doctor)")]
    rows = []
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="pelamis-bench-") as name:
        place = Path(name)

        async def pods(api: Api) -> tuple[list[float], list[float]]:
            cluster = load(place / "data")
            assert cluster is not None
            runtime = CriClient(str(cluster.containerd_socket))
            await _managed(api, 1000)
            bare, managed = [], []
            for index in range(ROUNDS):
                logs, cgroup = f"{place}/bare-logs/{index}", f"/pelamis-{NAME}/bare"
                bare.append(await barepod.start(runtime, index, PAUSE, logs=logs, cgroup=cgroup))
                managed.append(await _managed(api, index))
            await api.request("DELETE", f"{PODS}/first")
            await runtime.close()
            return bare, managed

        async def both() -> tuple[list[float], list[float]]:
            api, reached = await _up(place)
            say(", ".join(f"{what} {value:.2f} s" for what, value in reached.items()))
            best.update({what: min(value, best.get(what, value)) for what, value in reached.items()})
            return await pods(api)

        try:
            for _ in range(2):
                uvloop.run(_up_only(place, best))
                _down(place)
            bare, managed = uvloop.run(both())
            for key, what, aim in (("api", "API answers", 1.0), ("node", "node Ready", 3.0), ("pod", "first pod", 4.0)):
                rows.append(below(f"pelamis up, empty directory: {what}", best[key], aim, "s", "the best of 3"))
            ours, theirs = statistics.median(managed) * 1000, statistics.median(bare) * 1000
            note = f"{ours:.0f} ms against {theirs:.0f} ms for the bare calls"
            rows.append(below("pod created to Running, above bare CRI, p50", ours - theirs, 50, "ms", note))
            cluster = load(place / "data")
            assert cluster is not None
            rows.extend(_idle(cluster.run))
        finally:
            _down(place)
    return rows


async def _up_only(place: Path, best: dict[str, float]) -> None:
    _, reached = await _up(place)
    say(", ".join(f"{what} {value:.2f} s" for what, value in reached.items()))
    best.update({what: min(value, best.get(what, value)) for what, value in reached.items()})
