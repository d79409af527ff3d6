"""A server with much in its store: memory beside the stored bytes, and how long it takes to start."""

from __future__ import annotations

import tempfile
from pathlib import Path

import uvloop
from benchmarks.frame import Row, below, say
from benchmarks.load import drive, fetch, request_bytes
from benchmarks.servers import ConfigMaps, Given, Pods, Target, fill_directory, serve_api


def memory() -> list[Row]:
    """After the start, and after everything has been listed, watched from the start, and 20,000 objects read."""
    with tempfile.TemporaryDirectory(prefix="pelamis-bench-") as place:
        say("writing 150,000 pods")
        fill_directory(Path(place), [Pods(150_000)])
        with Target(Given(serve_api, {}), place) as target:
            stored, idle = target.stored, target.memory
            say(f"loaded: {idle / 1e6:,.0f} MB for {stored / 1e6:,.0f} MB stored")

            async def use() -> None:
                await fetch(target, "/api/v1/pods?labelSelector=app%3Dapp7")
                await fetch(target, "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode7")
                await fetch(target, "/api/v1/pods?limit=5000")
                await fetch(target, "/api/v1/pods")
                await drive(target, request_bytes("GET", "/api/v1/namespaces/ns1/pods/web-000001"), 16, 2)

            uvloop.run(use())
            used = target.memory
    out = []
    for what, value in (("after the start", idle), ("after lists of all kinds", used)):
        ratio = value / stored
        out.append(
            Row(
                f"server memory, 150,000 pods, {what}",
                f"{value / 1e6:,.0f} MB",
                f"stored {stored / 1e6:,.0f} MB",
                ratio,
                "≤ 2.50",
                ratio <= 2.5,
            )
        )
    return out


def start() -> list[Row]:
    """From the open store to the listening server with its bootstrap done."""
    with tempfile.TemporaryDirectory(prefix="pelamis-bench-") as place:
        fill_directory(Path(place), [Pods(50_000), ConfigMaps(50_000)])
        times = []
        for _ in range(2):
            with Target(Given(serve_api, {}), place) as target:
                times.append(target.started)
    return [below("server start, 50,000 pods and 50,000 ConfigMaps", min(times), 5.0, "s")]
