"""What an event costs after its commit: the cache, and all controllers, per pod and per renewed lease.

The events are those of a simulated cluster in which Deployments grow. They are applied again to a cache to which all
controllers listen as in a server, and what that wakes is reconciled; nothing is written. Limits are microseconds of one
core of an AMD EPYC, of CPU time, the best of five rounds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from benchmarks import simulate
from benchmarks.frame import Row, below

from pelamis.api.kind import Kind
from pelamis.api.registry import builtin
from pelamis.cache.cache import Cache
from pelamis.cache.view import View
from pelamis.controllers import Options, controllers
from pelamis.reconcile.runner import Runner
from pelamis.sim.cluster import CA, Cluster
from pelamis.sim.loop import run
from pelamis.store.types import Event

NODES, DEPLOYMENTS, REPLICAS = 50, 4, 200
GROUP = 32
"""Events of one commit, at most."""
START = 1767225600.0


async def recorded() -> list[Event]:
    simulate.REPLICAS = REPLICAS
    found: list[Event] = []
    cluster = Cluster(seed=1, nodes=NODES)
    cluster.trace.listener = lambda at, event: found.append(event)
    async with cluster:
        await cluster.run(20)
        await cluster.apply(*(simulate.web(i) for i in range(DEPLOYMENTS)))
        await cluster.run(120)
        assert sum(pod.status.phase == "Running" for pod in cluster.pods()) == DEPLOYMENTS * REPLICAS
    return found


class Listening:
    """All controllers, and a client that only shows."""

    def __init__(self) -> None:
        self.kinds = builtin().stored()
        self.cache = Cache(self.kinds)
        self.cache.begin_load()
        self.cache.end_load(1)
        self.views: dict[Kind, View] = {}
        self.now = START
        kinds: Any = self
        options = Options(ca_bundle=CA, node_ranges=(("10.244.0.0/16", 24),))
        self.runners = [Runner(c, kinds, clock=lambda: self.now, kinds=kinds) for c in controllers(options)]
        for runner in self.runners:
            runner._listen()

    def view(self, kind: Kind) -> View:
        found = self.views.get(kind)
        if found is None:
            found = self.views[kind] = View(self.cache.collection(kind))
        return found

    def current(self) -> Sequence[Kind]:
        return self.kinds

    def subscribe(self, fn: Any) -> Any:
        for kind in self.kinds:
            fn(kind, True)
        return lambda: None

    def foresee(self, event: Event) -> None:
        """As the write path does, which has the object at hand."""
        collection = self.cache.find(event.key)
        if collection is not None and event.value is not None:
            obj = msgspec.json.decode(event.value, type=collection.kind.type)
            collection.foresee(event.key, event.value, obj)

    def reconcile(self) -> None:
        self.now += 0.01
        for runner in self.runners:
            while (key := runner._queue.pop(self.now)) is not None:
                runner._settle(key, runner._plan(key))


def groups(events: Sequence[Event]) -> Sequence[tuple[str, Sequence[Event]]]:
    """(resource, events of one commit)"""
    out: list[tuple[str, list[Event]]] = []
    keys: set[str] = set()
    for event in events:
        sort = event.key.split("/")[2]
        if not out or out[-1][0] != sort or len(keys) == GROUP or event.key in keys:
            out.append((sort, []))
            keys.clear()
        out[-1][1].append(event)
        keys.add(event.key)
    return out


def rows() -> Sequence[Row]:
    found = groups(run(recorded()))
    best: dict[str, float] = {}
    number: Counter[str] = Counter()
    for _ in range(5):
        spent: Counter[str] = Counter()
        number.clear()
        listening = Listening()
        for sort, events in found:
            for event in events:
                listening.foresee(event)
            began = time.process_time()
            listening.cache.apply(events)
            listening.reconcile()
            spent[sort] += time.process_time() - began  # type: ignore[assignment]
            number[sort] += len(events)
        for sort in spent:
            best[sort] = min(best.get(sort, float("inf")), spent[sort] / number[sort] * 1e6)
    pods = DEPLOYMENTS * REPLICAS
    changes = number["pods"] / pods
    note = f"{changes:.1f} changes of {best['pods']:.0f} µs each; with what they wake"
    return [
        below("a pod's events, from its creation until it runs", best["pods"] * changes, 400, "µs", note),
        below("a renewed lease", best["leases"], 25, "µs", "of a node that is well"),
    ]
