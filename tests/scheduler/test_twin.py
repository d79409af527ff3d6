"""The scheduler against its twin on random clusters: who is feasible, why the others are not, and every score."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from pelamis.scheduler.core import decide, restrict
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.snapshot import Snapshot

from .twin import cycle, draws
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
