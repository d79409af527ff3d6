"""The scheduler against its twin on random clusters: who is feasible, why the others are not, every score, and who
would have to go."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from pelamis.scheduler.core import decide, restrict
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.preemption import Preemption, choose, search
from pelamis.scheduler.snapshot import Snapshot

from .twin import cycle, draws
from .twin import preemption as twin
from .twin.basics import Tree, name
from .twin.world import World, info_of

Rejections = dict[str, tuple[str, list[str], bool]]


def _rejections(snapshot: Snapshot, info: Any, rows: Any) -> Rejections:
    """Of each row: the first plugin that rejects it, with all of its reasons."""
    out: Rejections = {}
    numbers = range(snapshot.size) if isinstance(rows, slice) else rows
    for plugin in PLUGINS:
        own: Rejections = {}
        for rejection in plugin.filter(snapshot, info, rows) if plugin.filter is not None else ():
            for row, rejected in zip(numbers, rejection.mask, strict=True):
                node = snapshot.nodes[row].name
                if rejected and node not in out:
                    _, reasons, helps = own.get(node, ("", [], True))
                    own[node] = plugin.name, sorted([*reasons, rejection.reason]), helps and rejection.resolvable
        out |= own
    return out


def check(world: World, pod: Tree) -> None:
    snapshot, info = world.snapshot(), info_of(pod)
    wanted = cycle.find(world, pod)
    rows, why = restrict(snapshot, PLUGINS, info)
    if wanted.message:
        assert why.message == wanted.message
        assert decide(snapshot, PLUGINS, info, draw=lambda: 0.0).node == ""
        return
    if wanted.names is not None:
        there = {name(n) for n in world.nodes} & wanted.names
        assert not isinstance(rows, slice)
        assert {snapshot.nodes[r].name for r in rows} == there
    assert _rejections(snapshot, info, rows) == wanted.rejected
    feasible = [name(n) for n in wanted.feasible]
    numbers = np.array([snapshot.by_name[n].row for n in feasible], np.int64)
    if not feasible:
        decision = decide(snapshot, PLUGINS, info, draw=lambda: 0.0)
        assert decision.node == ""
        counted: dict[str, int] = {}
        for _, reasons, _ in wanted.rejected.values():
            for reason in reasons:
                counted[reason] = counted.get(reason, 0) + 1
        assert decision.diagnosis is not None
        shown = {k: v for k, v in decision.diagnosis.reasons.items() if "satisfy plugin(s)" not in k}
        assert shown == counted
        return
    scores = cycle.scores(world, pod, wanted.feasible)
    for plugin in PLUGINS:
        if plugin.score is None:
            continue
        own = plugin.score(snapshot, info, numbers)
        final = [scores[plugin.name][1][n] for n in feasible] if plugin.name in scores else []
        if own is None:
            assert len(set(final)) <= 1, plugin.name  # the same for all: it changes nothing
        else:
            assert (plugin.name, own.tolist()) == (plugin.name, final)
    total = cycle.totals(world, pod, wanted.feasible)
    best = [n for n in feasible if total[n] == max(total.values())]
    chosen = [decide(snapshot, PLUGINS, info, draw=lambda at=at: at).node for at in (0.0, 0.999)]  # type: ignore[misc]
    assert set(chosen) <= set(best)
    if len(best) > 1:
        assert chosen[0] != chosen[1]


def _many(seeds: range, pods: int) -> None:
    for seed in seeds:
        r = Random(seed)
        world = draws.world(r)
        for i in range(pods):
            pod = draws.pod(r, f"p{i}", world, volumes=0.4)
            try:
                check(world, pod)
            except Exception as error:
                error.add_note(f"seed {seed}, pod {i}: {pod}")
                raise


def test_random_clusters() -> None:
    _many(range(60), 5)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_pods(part: int) -> None:
    _many(range(1000 + part * 100, 1100 + part * 100), 10)


def _check_preemption(world: World, pod: Tree) -> bool:
    """Whether there was something to compare."""
    snapshot, info = world.snapshot(), info_of(pod)
    decision = decide(snapshot, PLUGINS, info, draw=lambda: 0.0)
    if decision.node or decision.diagnosis is None or decision.diagnosis.message:
        return False
    verdict = cycle.find(world, pod)
    helps = {n: helped for n, (_, _, helped) in verdict.rejected.items()}
    for node in verdict.feasible:  # taken by those who are nominated there
        helps[name(node)] = True
    tried = {name(n): twin.on_node(world, pod, n) for n in world.nodes if helps.get(name(n))}
    wanted = {n: c for n, c in tried.items() if c is not None}
    before = {uid: p.node and p.node.name for uid, p in snapshot.pods.items()}
    found = search(snapshot, PLUGINS, info, decision, draw=lambda: 0.0)
    assert {uid: p.node and p.node.name for uid, p in snapshot.pods.items()} == before  # all are back
    if not wanted:
        assert isinstance(found, Preemption)
        return False
    assert isinstance(found, list)
    own = {c.node.name: ({v.key for v in c.victims}, c.violations) for c in found}
    keys = {n: {(p["metadata"]["namespace"], name(p)) for p in c.victims} for n, c in wanted.items()}
    assert own == {n: (keys[n], c.violations) for n, c in wanted.items()}
    assert choose(found).node.name in twin.best(wanted)
    again = search(snapshot, PLUGINS, info_of(pod), decision, draw=lambda: 0.5)  # now much is known
    assert isinstance(again, list)
    assert {c.node.name: ({v.key for v in c.victims}, c.violations) for c in again} == own
    return True


def _preemptions(seeds: range) -> int:
    compared = 0
    for seed in seeds:
        r = Random(seed)
        world = draws.world(r, pods=30)
        for i in range(r.randint(0, 2)):
            waiting = draws.pod(r, f"w{i}", world, volumes=0)
            world.nominated.append((waiting, name(r.choice(world.nodes))))
        for i in range(4):
            pod = draws.pod(r, f"p{i}", world, volumes=0.1)
            pod["spec"]["priority"] = 10
            try:
                compared += _check_preemption(world, pod)
            except Exception as error:
                error.add_note(f"seed {seed}, pod {i}: {pod}")
                raise
    return compared


def test_preemption() -> None:
    assert _preemptions(range(100)) > 40


@pytest.mark.slow
def test_many_preemptions() -> None:
    assert _preemptions(range(1000, 2500)) > 800
