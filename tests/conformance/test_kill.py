"""kill -9 of the server under load: nothing acknowledged is lost, reads never go back, watches miss nothing.

Clients write through a control plane on SQLite whose server process is killed again and again; its supervisor starts
it anew. Each client notes what it asked, when, and what it was told. Afterwards:

- every acknowledged create and update is there, at the revision that was told or superseded by a later one;
- the shared counter (compare and swap by resourceVersion) is linearizable: a read that began after an acknowledgement
  sees at least that count, and no count was given out twice;
- each watcher, which went on from its last revision after every break, saw exactly the store's log.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pelamis.net import tls
from pelamis.net.httpclient import HttpPool
from tests.e2e.test_kubectl_api import free_port

pytestmark = pytest.mark.slow
FOLDER = "/api/v1/namespaces/default/configmaps"
KILLS = 5
WRITERS = 8
COUNTERS = 3
WATCHERS = 3


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    place = ["--name", f"kill-{os.getpid()}", "--data-dir", str(tmp_path / "data")]
    pelamis = [sys.executable, "-m", "pelamis.main.cli"]
    start = [*pelamis, "up", "--no-node", *place, "--port", str(free_port()), "--no-merge-kubeconfig"]
    try:
        subprocess.run(start, check=True, timeout=60)
        yield tmp_path / "data"
    finally:
        subprocess.run([*pelamis, "down", *place, "--purge"], timeout=60, check=False)


@dataclass
class Seen:
    """written: name to the newest acknowledged (revision, value). counts: (began, ended, count) of acknowledged steps
    and of reads. steps: how many increments were asked for."""

    written: dict[str, tuple[int, str]] = field(default_factory=dict)
    steps: list[tuple[float, float, int]] = field(default_factory=list)
    reads: list[tuple[float, float, int]] = field(default_factory=list)
    asked: int = 0
    events: list[list[tuple[int, str, str]]] = field(default_factory=list)
    breaks: int = 0
    stop: bool = False


def pool_of(data: Path) -> HttpPool:
    config = msgspec.yaml.decode((data / "admin.kubeconfig").read_bytes())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    text = {k: base64.b64decode(v) for k, v in {**cluster, **user}.items() if k.endswith("-data")}
    pair = tls.Pair(text["client-certificate-data"], text["client-key-data"])
    return HttpPool(cluster["server"], tls.client_context(text["certificate-authority-data"], pair))


async def call(pool: HttpPool, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Raises OSError when the outcome is not known."""
    data = b"" if body is None else msgspec.json.encode(body)
    headers = [("Content-Type", "application/json")] if data else []
    status, _, answer = await pool.fetch(method, path, headers=headers, body=data, timeout_s=10)
    return status, msgspec.json.decode(answer)


async def write(pool: HttpPool, seen: Seen, writer: int) -> None:
    n = 0
    while not seen.stop:
        name = f"w{writer}-{n // 4}"
        body = {"metadata": {"name": name}, "data": {"n": str(n)}}
        first = n % 4 == 0
        n += 1
        try:
            status, tree = await call(pool, *(("POST", FOLDER) if first else ("PUT", f"{FOLDER}/{name}")), body)
        except OSError:
            seen.breaks += 1
            await asyncio.sleep(0.02)
            continue
        if status in (200, 201):
            seen.written[name] = (int(tree["metadata"]["resourceVersion"]), body["data"]["n"])
        else:
            assert status == 404 or (status == 503 and tree["kind"] == "Status"), tree


async def count(pool: HttpPool, seen: Seen) -> None:
    while not seen.stop:
        began = time.monotonic()
        try:
            status, tree = await call(pool, "GET", f"{FOLDER}/counter")
            if status != 200:
                continue
            at = int(tree["data"]["n"])
            seen.reads.append((began, time.monotonic(), at))
            seen.asked += 1
            tree["data"]["n"] = str(at + 1)
            began = time.monotonic()
            status, tree = await call(pool, "PUT", f"{FOLDER}/counter", tree)
            if status == 200:
                seen.steps.append((began, time.monotonic(), at + 1))
            else:
                assert status in (409, 503), tree
        except OSError:
            await asyncio.sleep(0.02)


async def watch(pool: HttpPool, seen: Seen, rev: int) -> None:
    """Goes on from the last revision seen, of an event or a bookmark."""
    mine: list[tuple[int, str, str]] = []
    seen.events.append(mine)
    while True:
        try:
            response = await pool.request("GET", f"{FOLDER}?watch=1&allowWatchBookmarks=true&resourceVersion={rev}")
            if response.status != 200:
                response.close()
                await asyncio.sleep(0.05)
                continue
            async for line in response.lines():
                event = msgspec.json.decode(line)
                assert event["type"] != "ERROR", event
                meta = event["object"]["metadata"]
                rev = int(meta["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    mine.append((rev, event["type"], meta["name"]))
                if meta.get("name") == "the-end":
                    return
        except OSError:
            await asyncio.sleep(0.05)


async def busy(seen: Seen, objects: int) -> None:
    """Returns when so many objects were made: the server is up, and under load."""
    while len(seen.written) < objects:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def scenario(data: Path) -> Seen:
    seen = Seen()
    pool = pool_of(data)
    async with asyncio.timeout(50):
        status, made = await call(pool, "POST", FOLDER, {"metadata": {"name": "counter"}, "data": {"n": "0"}})
        assert status == 201, made
        start = int(made["metadata"]["resourceVersion"])
        async with asyncio.TaskGroup() as group:
            for _ in range(WATCHERS):
                group.create_task(watch(pool, seen, start))
            for writer in range(WRITERS):
                group.create_task(write(pool, seen, writer))
            for _ in range(COUNTERS):
                group.create_task(count(pool, seen))
            for _ in range(KILLS):
                done = len(seen.written)
                await busy(seen, done + 40)
                os.kill(int((data / "run" / "server.pid").read_text()), signal.SIGKILL)
                await asyncio.sleep(0.3)
            done = len(seen.written)
            await busy(seen, done + 40)
            seen.stop = True
            while True:
                await asyncio.sleep(0.2)
                try:
                    status, _ = await call(pool, "POST", FOLDER, {"metadata": {"name": "the-end"}})
                except OSError:
                    continue
                if status in (201, 409):
                    break
    check_objects(seen, {o["metadata"]["name"]: o for o in (await call(pool, "GET", FOLDER))[1]["items"]})
    check_watches(seen, data, start)
    await pool.close()
    return seen


def check_objects(seen: Seen, found: dict[str, Any]) -> None:
    for name, (rev, value) in seen.written.items():
        there = found.get(name)
        assert there is not None, f"{name} was acknowledged at {rev} and is gone"
        now = int(there["metadata"]["resourceVersion"])
        assert now > rev or (now == rev and there["data"]["n"] == value), name
    last = int(found["counter"]["data"]["n"])
    counts = [c for _, _, c in seen.steps]
    assert len(counts) == len(set(counts)), "one count was given out twice"
    assert max(counts) <= last <= seen.asked
    # A read that began when an acknowledgement was already there must see it.
    acknowledged = sorted((ended, c) for _, ended, c in (*seen.steps, *seen.reads))
    at, least = 0, 0
    for began, _, c in sorted((*seen.reads, *seen.steps)):
        while at < len(acknowledged) and acknowledged[at][0] < began:
            least = max(least, acknowledged[at][1])
            at += 1
        assert c >= least, f"a read saw {c} after {least} was acknowledged"


def check_watches(seen: Seen, data: Path, start: int) -> None:
    prefix = "/registry/configmaps/default/"
    with sqlite3.connect(f"file:{data / 'store' / 'state.db'}?mode=ro", uri=True) as db:
        log = db.execute(
            "SELECT rev, CASE WHEN value IS NULL THEN 'DELETED' WHEN prev_rev = 0 THEN 'ADDED' ELSE 'MODIFIED' END, "
            "substr(key, ?) FROM log WHERE key >= ? AND key < ? AND rev > ? ORDER BY rev",
            (len(prefix) + 1, prefix, prefix[:-1] + "0", start),
        ).fetchall()
    wanted = log[: 1 + next(i for i, row in enumerate(log) if row[2] == "the-end")]
    for events in seen.events:
        assert events == wanted, "gap, duplicate or disorder"


def test_nothing_acknowledged_is_lost(data: Path) -> None:
    seen = asyncio.run(scenario(data))
    assert seen.breaks, "no write was under way at a kill"
    print(f"{len(seen.written)} objects, {len(seen.steps)} counts, {len(seen.events[0])} events, {seen.breaks} breaks")
