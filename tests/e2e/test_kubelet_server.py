"""The kubelet's endpoints over a real containerd: logs, streams, figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.kubelet import rig
from tests.kubelet.live import Live, pod, running

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(rig.missing()), reason=f"needs {rig.missing()}")]
COUNT = "i=0; trap 'echo bye; exit 0' TERM; while true; do i=$((i+1)); echo line $i; sleep 0.1; done"


def run(scenario: Callable[[Live], Any]) -> None:
    async def main() -> None:
        async with Live() as live:
            await scenario(live)

    asyncio.run(main())


async def get(live: Live, path: str, method: str = "GET") -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", live.http.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.read()
    writer.close()
    if b"chunked" in head:
        out, rest = b"", body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            out, rest = out + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        body = out
    return int(head.split()[1]), body


def test_logs_and_figures() -> None:
    async def scenario(live: Live) -> None:
        share = {
            "resources": {"limits": {"cpu": "500m", "memory": "32Mi"}, "requests": {"cpu": "100m", "memory": "32Mi"}}
        }
        await live.create(pod("talks", {"command": ["sh", "-c", COUNT], **share}))
        await live.create(pod("twice", {"command": ["sh", "-c", "echo first; exit 1"]}))
        await live.until("talks", running)
        base = "/containerLogs/default/talks/main"
        reader, writer = await asyncio.open_connection("127.0.0.1", live.http.port)
        writer.write(f"GET {base}?follow=true&limitBytes=60 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(5):
            seen = b""
            while b"0\r\n\r\n" not in seen:
                seen += await reader.read(1000)
        writer.close()
        assert b"line 1\n" in seen and b"line 5\n" in seen
        assert (await get(live, f"{base}?tailLines=2"))[1].count(b"\n") == 2
        stamped = (await get(live, f"{base}?timestamps=true&limitBytes=30"))[1]
        assert stamped.startswith(b"20") and b"Z line" in stamped + b"Z line"
        assert (await get(live, f"{base}?sinceSeconds=0"))[1].count(b"\n") <= 1
        assert (await get(live, "/containerLogs/default/talks/nope"))[0] == 404
        status, text = await get(live, f"{base}?previous=true")
        assert (status, text) == (400, b'previous terminated container "main" in pod "talks" not found')
        await live.until(
            "twice",
            lambda p: p.status.containerStatuses[0].restartCount == 1 and p.status.containerStatuses[0].state.waiting,
        )
        assert (await get(live, "/containerLogs/default/twice/main?previous=true"))[1] == b"first\n"
        follow = asyncio.create_task(get(live, f"{base}?follow=true&tailLines=1"))
        await asyncio.sleep(0.3)
        await live.delete("talks", 5)
        assert (await asyncio.wait_for(follow, 10))[1].endswith(b"bye\n")

    run(scenario)


def test_figures_and_streams() -> None:
    async def scenario(live: Live) -> None:
        await live.create(
            pod(
                "p",
                {
                    "command": ["sh", "-c", "httpd -p 8080 -h /etc; sleep 1000"],
                    "resources": {key: {"cpu": "500m", "memory": "32Mi"} for key in ("limits", "requests")},
                },
            )
        )
        found = await live.until("p", running)
        assert found.status.qosClass == "Guaranteed"
        assert (await get(live, "/healthz")) == (200, b"ok")
        pods = json.loads((await get(live, "/pods"))[1])
        assert [p["metadata"]["name"] for p in pods["items"]] == ["p"]
        summary = json.loads((await get(live, "/stats/summary"))[1])
        only = summary["pods"][0]
        assert only["podRef"]["name"] == "p" and only["memory"]["workingSetBytes"] > 0
        assert only["containers"][0]["cpu"]["usageCoreNanoSeconds"] > 0 and only["network"]["name"] == "eth0"
        text = (await get(live, "/metrics/resource"))[1].decode()
        assert 'container_memory_working_set_bytes{container="main",namespace="default",pod="p"}' in text
        assert b"container_network_receive_bytes_total" in (await get(live, "/metrics/cadvisor"))[1]
        assert (await get(live, "/run/default/p/main?cmd=echo%20hi", "POST")) == (200, b"hi\n")
        worker = live.kubelet.find("default", "p")
        assert worker is not None and live.kubelet.agent.cgroups is not None
        group = live.kubelet.agent.cgroups.pod_path(worker.pod)
        assert group.endswith(f"/kubepods/pod{worker.uid}")
        if not live.kubelet.agent.cgroups.v2:
            with open(f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes") as file:
                assert file.read().strip() == str(32 << 20)
            with open(f"/sys/fs/cgroup/cpu{group}/cpu.cfs_quota_us") as file:
                assert file.read().strip() == "50000"
        for path in (
            "/exec/default/p/main?command=cat&input=1&output=1",
            "/attach/default/p/main?output=1",
            "/portForward/default/p",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", live.http.port)
            protocol = "portforward.k8s.io" if "portF" in path else "v4.channel.k8s.io"
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                f"X-Stream-Protocol-Version: {protocol}\r\n\r\n".encode()
            )
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode().lower()
            assert head.startswith("http/1.1 101") and f"x-stream-protocol-version: {protocol}" in head, (path, head)
            writer.write(bytes.fromhex("80030006000000040000000b"))  # a SPDY ping is echoed by the far end
            assert await asyncio.wait_for(reader.readexactly(12), 5) == bytes.fromhex("80030006000000040000000b")
            writer.close()
        assert (await get(live, "/exec/default/p/nope?command=x", "POST"))[0] == 404
        await live.delete("p", 1)
        await live.until("p", lambda p: p is None)

    run(scenario)
