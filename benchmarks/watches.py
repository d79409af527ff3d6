"""Watches over HTTPS: many watchers of one kind, all events of a flood, and watchers that each want something else."""

from __future__ import annotations

import asyncio
import itertools
import time

import msgspec
import uvloop
from benchmarks.frame import Row, above, below, percentile, say
from benchmarks.load import Watching, connect, drive, paced, request_bytes
from benchmarks.servers import Pods, Target, api
from benchmarks.writes import CONFIG_MAP, MAPS

SECONDS = 4.0


def _stamped() -> bytes:
    """A create whose object says when it was sent."""
    return request_bytes(
        "POST", MAPS, msgspec.json.encode({**CONFIG_MAP, "data": {"sent": f"{time.perf_counter():.6f}"}})
    )


async def _arrived(watchers: list[Watching], each: int, seconds: float = 60) -> bool:
    until = time.perf_counter() + seconds
    while any(w.count < each for w in watchers) and time.perf_counter() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return all(w.count == each for w in watchers)


def thousand() -> list[Row]:
    async def main() -> list[Row]:
        with api() as target:
            watchers = await connect(target, lambda: Watching("/api/v1/configmaps?watch=1&resourceVersion=0"), 1000)
            await asyncio.sleep(1)
            before_counts = [w.count for w in watchers]
            before, start = target.cpu, time.perf_counter()
            outcome = await drive(target, _stamped, 16, SECONDS)
            outcome.expect(201)
            created = len(outcome.latencies)
            each = before_counts[0] + created
            complete = await _arrived(watchers, each)
            elapsed = time.perf_counter() - start
            spent = target.cpu - before
            got = sum(w.count for w in watchers) - sum(before_counts)
        note = (
            f"{'complete' if complete else 'INCOMPLETE'}; {created / elapsed:,.0f} creates/s; server CPU "
            f"{spent / max(got, 1) * 1e6:.1f} µs per event delivered; the client shares the machine"
        )
        row = above("events to 1,000 watchers of one kind", got / elapsed, 100_000, "/s", note)
        return [row if complete else Row(row.what, row.ours, row.peer, row.ratio, row.aim, False, note)]

    return uvloop.run(main())


def flood() -> list[Row]:
    async def main() -> list[Row]:
        with api(durable=True) as target:
            make = lambda: Watching("/api/v1/configmaps?watch=1&resourceVersion=0", True)  # noqa: E731
            (await drive(target, _stamped, 8, 0.3)).expect(201)
            watchers: list[Watching] = await connect(target, make, 25)
            await asyncio.sleep(1)
            had = watchers[0].count
            for watcher in watchers:
                # What was there at the start comes in order of name.
                watcher.lags.clear()
                watcher.last = watcher.disordered = 0
            before, start = target.cpu, time.perf_counter()
            outcome = await drive(target, _stamped, 256, 6.0)
            outcome.expect(201)
            created = len(outcome.latencies)
            complete = await _arrived(watchers, had + created)
            elapsed = time.perf_counter() - start
            spent = target.cpu - before
        got = sum(w.count - had for w in watchers)
        ordered = not any(w.disordered for w in watchers)
        lags = sorted(lag for w in watchers for lag in w.lags)
        note = (
            f"{'complete' if complete else 'INCOMPLETE'}, {'in order' if ordered else 'OUT OF ORDER'}; "
            f"{created / elapsed:,.0f} creates/s, server CPU {spent / elapsed * 100:.0f} % of a core"
        )
        row = above("25 watchers of a create flood, events", got / elapsed, 100_000, "/s", note)
        fine = complete and ordered
        return [
            row if fine else Row(row.what, row.ours, row.peer, row.ratio, row.aim, False, note),
            below("  from the create's sending to its event, p99", percentile(lags, 0.99), 1.0, "s"),
        ]

    return uvloop.run(main())


PER_S = 2000
NODES = 500


async def _node_run(target: Target, count: int, seconds: float) -> tuple[float, float, float, bool]:
    """CPU seconds for one update, p99 lag, updates per second, whether all arrived."""
    nodes = itertools.count()
    path = "/api/v1/pods?watch=1&resourceVersion=0&fieldSelector=spec.nodeName%3Dnode"
    watchers: list[Watching] = await connect(target, lambda: Watching(f"{path}{next(nodes)}", True), count)
    await asyncio.sleep(1)
    pods = itertools.count()

    def update() -> bytes:
        i = next(pods) % 5000
        body = {"metadata": {"annotations": {"sent": f"{time.perf_counter():.6f}"}}}
        path = f"/api/v1/namespaces/ns{i % 50}/pods/web-{i:06d}"
        return request_bytes("PATCH", path, msgspec.json.encode(body), "application/merge-patch+json")

    had = sum(w.count for w in watchers)
    for watcher in watchers:
        watcher.lags.clear()
    before = target.cpu
    outcome = await paced(target, update, PER_S, seconds)
    outcome.expect(200)
    sent = len(outcome.latencies)
    until = time.perf_counter() + 20
    while sum(w.count for w in watchers) - had < sent and time.perf_counter() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    spent = target.cpu - before
    complete = sum(w.count for w in watchers) - had == sent
    lags = sorted(lag for w in watchers for lag in w.lags)
    for watcher in watchers:
        watcher.transport.abort()
    await asyncio.sleep(1)
    return spent / sent, percentile(lags, 0.99), sent / outcome.elapsed, complete


def nodes() -> list[Row]:
    async def main() -> list[Row]:
        with api(fill=Pods(5000)) as target:
            few, _, _, whole = await _node_run(target, NODES, 4)
            say(f"{NODES} watchers: {few * 1e6:.0f} µs of server CPU per update")
            many, lag, rate, complete = await _node_run(target, 5000, 6)
        note = f"{'complete' if complete and whole else 'INCOMPLETE'}; {rate:,.0f} updates/s reached of {PER_S:,}"
        ratio = many / few
        return [
            below("5,000 watchers of their own node, p99 lag", lag * 1000, 500, "ms", note),
            Row(
                "  server CPU per update, 5,000 watchers",
                f"{many * 1e6:.0f} µs",
                f"{NODES} watchers {few * 1e6:.0f} µs",
                ratio,
                "≤ 1.2",
                ratio <= 1.2,
            ),
            above("  updates per second reached", rate, PER_S * 0.98, "/s"),
        ]

    return uvloop.run(main())
