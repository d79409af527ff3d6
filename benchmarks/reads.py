"""Reads over HTTPS, each beside a bare TLS server of the same HTTP stack that answers with the same bytes."""

from __future__ import annotations

import asyncio

import uvloop
from benchmarks.frame import Row, below, say
from benchmarks.load import drive, fetch, request_bytes
from benchmarks.servers import ConfigMaps, Pods, Target, api, bare

SECONDS = 3.0
ROUNDS = 3


def get() -> list[Row]:
    """By the server's CPU time for a request: what one core answers at most, whatever the client manages."""

    async def main() -> list[Row]:
        path = "/api/v1/namespaces/ns1/pods/web-000001"
        ours = others = float("inf")
        rate = p99 = 0.0
        with api(fill=Pods(50), masters=False) as target:
            body = await fetch(target, path)
            with bare(body) as peer:
                for _ in range(ROUNDS):
                    spent, run = await _cost(target, request_bytes("GET", path))
                    ours = min(ours, spent)
                    if run.rate > rate:
                        rate, p99 = run.rate, run.ms(0.99)
                    spent, _ = await _cost(peer, request_bytes("GET", "/x"))
                    others = min(others, spent)
        return [
            Row(
                f"GET one pod ({len(body):,} B), authn + RBAC",
                f"{ours * 1e6:.0f} µs CPU",
                f"bare server {others * 1e6:.0f} µs CPU",
                others / ours,
                "≥ 0.40",
                others / ours >= 0.4,
                f"{rate:,.0f}/s, p99 {p99:.1f} ms with 16 clients and one core for the client",
            )
        ]

    return uvloop.run(main())


async def _cost(target: Target, data: bytes) -> tuple[float, object]:
    """Server CPU seconds for one request."""
    await drive(target, data, 16, 0.3)
    before = target.cpu
    outcome = await drive(target, data, 16, SECONDS)
    outcome.expect(200)
    return (target.cpu - before) / len(outcome.latencies), outcome


def list_pods() -> list[Row]:
    return uvloop.run(_lists(10_000, 3.0, "LIST of 10,000 pods"))


async def _lists(count: int, aim: float, what: str) -> list[Row]:
    with api(fill=Pods(count)) as target:
        body = await fetch(target, "/api/v1/pods")
        with bare(body) as peer:
            ours = others = float("inf")
            for _ in range(ROUNDS):
                ours = min(ours, (await drive(target, request_bytes("GET", "/api/v1/pods"), 1, 2)).ms(0.5))
                others = min(others, (await drive(peer, request_bytes("GET", "/x"), 1, 2)).ms(0.5))
    return [
        Row(
            f"{what} ({len(body) / 1e6:.0f} MB), p50",
            f"{ours:.0f} ms",
            f"bare write {others:.0f} ms",
            ours / others,
            f"≤ {aim:.1f}",
            ours / others <= aim,
        )
    ]


def list_large() -> list[Row]:
    return uvloop.run(_list_large())


async def _list_large() -> list[Row]:
    rows: list[Row] = []
    say("300,000 objects")
    with api(fill=ConfigMaps(300_000)) as target:
        nothing = request_bytes("GET", "/api/v1/configmaps?labelSelector=app%3Dnone")
        one = request_bytes("GET", "/api/v1/namespaces/ns1/configmaps/c-000001")
        first = await drive(target, nothing, 1, 0.01)
        run = await drive(target, nothing, 1, 5)
        note = f"the first one {first.ms(0.5):.0f} ms (labels are read once)"
        rows.append(below("LIST of 300,000, selector matches nothing, p50", run.ms(0.5), 250, "ms", note))
        _, beside = await asyncio.gather(drive(target, nothing, 1, 5), drive(target, one, 2, 5))
        rows.append(below("  other requests' p99 during these lists", beside.ms(0.99), 100, "ms"))
    say("30,000 pods")
    rows.extend(await _lists(30_000, 2.0, "LIST of 30,000 pods"))
    with api(fill=Pods(30_000)) as target:
        everything = request_bytes("GET", "/api/v1/pods")
        one = request_bytes("GET", "/api/v1/namespaces/ns1/pods/web-000001")
        _, beside = await asyncio.gather(drive(target, everything, 1, 5), drive(target, one, 2, 5))
        rows.append(below("  other requests' p99 during lists of 30,000 pods", beside.ms(0.99), 100, "ms"))
    return rows
