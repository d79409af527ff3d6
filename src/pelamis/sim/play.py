"""Plays a scenario: what happens at its times, and whether what must hold did.

A condition is asked when something that it is about has changed, at the end of the instant, so a state that exists
between two writes of one commit is never judged. What was wrong is kept with its time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pelamis.base.errors import StatusError
from pelamis.controllers import Options
from pelamis.sim.cluster import CA, Cluster, Failed
from pelamis.sim.condition import Mistake
from pelamis.sim.duration import clock
from pelamis.sim.loop import current, run
from pelamis.sim.observe import Line, Observer, told
from pelamis.sim.scenario import Expect, Scenario
from pelamis.sim.steps import Step
from pelamis.store.types import Event

BOOT_S = 30.0
_UNSEEN = frozenset(("leases", "events"))


@dataclass(slots=True)
class Verdict:
    """held None: not decided yet. at: when it was. shown: what there was instead."""

    expect: Expect
    held: bool | None = None
    at: float = 0.0
    shown: str = ""


@dataclass(slots=True)
class Result:
    """problems: what went wrong besides expectations: refused steps, components that ended."""

    scenario: Scenario
    seed: int
    verdicts: Sequence[Verdict]
    observer: Observer
    digest: str = ""
    writes: int = 0
    elapsed_s: float = 0.0
    problems: list[str] = field(default_factory=list)
    injected: dict[str, int] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        return not self.problems and all(v.held for v in self.verdicts)

    @property
    def counted(self) -> list[str]:
        """Lines that were too many to tell."""
        return told(self.observer.repeated)

    def tree(self) -> dict[str, Any]:
        """For ``--json``."""
        observer = self.observer
        return {
            "name": self.scenario.name,
            "seed": self.seed,
            "held": self.held,
            "simulatedSeconds": self.scenario.for_s,
            "elapsedSeconds": round(self.elapsed_s, 3),
            "writes": self.writes,
            "trace": self.digest,
            "problems": self.problems,
            "faults": self.injected,
            "expect": [
                {"name": v.expect.name, "mode": v.expect.mode, "held": bool(v.held), "at": v.at, "found": v.shown}
                for v in self.verdicts
            ],
            "events": dict(sorted(observer.events.items())),
            "timeline": [{"at": line.at, "what": line.what, "text": line.text} for line in observer.lines],
            "pods": {name: series.points for name, series in observer.pods.items()},
            "nodes": {name: series.points for name, series in observer.nodes.items()},
            "workloads": {
                w.title: {"desired": w.desired.points, "ready": w.ready.points} for w in observer.workloads.values()
            },
        }


class _Judge:
    """Asks conditions when there is reason to."""

    def __init__(self, cluster: Cluster, expects: Sequence[Expect], observer: Observer) -> None:
        self._cluster = cluster
        self._loop = cluster.loop
        self._observer = observer
        self.verdicts = [Verdict(expect) for expect in expects]
        self._open: list[Verdict] = []
        self._dirty: set[str] = set()
        self._scheduled = False

    def start(self) -> None:
        for verdict in self.verdicts:
            if verdict.expect.mode != "holds":
                self._loop.call_at(verdict.expect.start, self._begin, verdict)

    def changed(self, key: str) -> None:
        if self._open:
            self._dirty.add(key.rpartition("/")[0] + "/")
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._ask)

    def _begin(self, verdict: Verdict) -> None:
        self._open.append(verdict)
        self._check(verdict)

    def _ask(self) -> None:
        self._scheduled = False
        dirty, self._dirty = self._dirty, set()
        for verdict in tuple(self._open):
            prefixes = [kind.prefix for kind in verdict.expect.condition.kinds]
            if not prefixes or any(d.startswith(p) for d in dirty for p in prefixes):
                self._check(verdict)

    def _check(self, verdict: Verdict) -> None:
        expect, at = verdict.expect, self._loop.time()
        if at > expect.end:
            self._open.remove(verdict)
            return
        held, shown = expect.condition.holds(self._cluster)
        verdict.shown = shown
        if (expect.mode == "eventually") == held if expect.mode != "never" else held:
            self._decide(verdict, expect.mode == "eventually", at)

    def _decide(self, verdict: Verdict, held: bool, at: float) -> None:
        verdict.held, verdict.at = held, at
        if verdict in self._open:
            self._open.remove(verdict)
        if not held:
            self._observer.note("broken", f"{verdict.expect.name}" + (f": {verdict.shown}" if verdict.shown else ""))

    def at(self, verdict: Verdict) -> None:
        """A condition that must hold now."""
        held, verdict.shown = verdict.expect.condition.holds(self._cluster)
        self._decide(verdict, held, self._loop.time())

    def finish(self) -> None:
        for verdict in self.verdicts:
            if verdict.held is None:
                if verdict in self._open:
                    self._check(verdict)
                if verdict.held is None:
                    self._decide(verdict, verdict.expect.mode != "eventually", verdict.expect.end)


async def play(
    scenario: Scenario,
    *,
    seed: int | None = None,
    say: Callable[[Line], None] | None = None,
    trace: Callable[[float, Event], None] | None = None,
) -> Result:
    """On the running virtual loop, which starts before zero: the cluster is up when the scenario begins.

    say: hears each line as it comes; trace: each write.
    """
    started = time.perf_counter()
    loop = current()
    loop.clock.epoch = scenario.start
    used = scenario.seed if seed is None else seed
    options = Options(ca_bundle=CA, node_ranges=(("10.244.0.0/16", 24),))
    if scenario.grace_s is not None:
        options = Options(ca_bundle=CA, node_ranges=(("10.244.0.0/16", 24),), node_monitor_grace_s=scenario.grace_s)
    cluster = Cluster(
        seed=used,
        nodes=scenario.nodes,
        mirror=scenario.mirror,
        planes=scenario.planes,
        options=options,
        node_events=True,
    )
    observer = Observer(loop, say)
    cluster.reasons = observer.events
    judge = _Judge(cluster, scenario.expects, observer)
    result = Result(scenario, used, judge.verdicts, observer)

    def written(at: float, event: Event) -> None:
        observer(at, event)
        if event.key.split("/", 3)[2] not in _UNSEEN:
            judge.changed(event.key)
        if trace is not None:
            trace(at, event)

    cluster.trace.listener = written
    try:
        await cluster.start()
        await asyncio.sleep(-loop.time())
        observer.begin()
        await _workloads(cluster, scenario, observer, result)
        judge.start()
        await _time(cluster, scenario, judge, observer, result)
        judge.finish()
    except Failed as error:
        result.problems.append(str(error))
        judge.finish()
    finally:
        observer.close()
        await cluster.stop()
    result.digest, result.writes = cluster.trace.digest, cluster.trace.writes
    result.injected = dict(cluster.faults.injected)
    result.elapsed_s = time.perf_counter() - started
    return result


async def _workloads(cluster: Cluster, scenario: Scenario, observer: Observer, result: Result) -> None:
    nodes, count = len(scenario.nodes), len(scenario.workloads)
    observer.note("start", f"{nodes} node{'s' * (nodes != 1)}, {count} manifest{'s' * (count != 1)}")
    for tree in scenario.workloads:
        try:
            await cluster.apply(tree)
        except StatusError as error:
            name = f"{tree['kind']}/{tree.get('metadata', {}).get('name', '')}"
            raise Mistake(f"workloads: {name} is refused: {error.message}") from None


async def _time(cluster: Cluster, scenario: Scenario, judge: _Judge, observer: Observer, result: Result) -> None:
    """From happening to happening. Checks of one instant come before the steps of it."""
    moments: list[tuple[float, int, Step | Verdict]] = [(step.at, 1, step) for step in scenario.steps]
    moments += [(v.expect.start, 0, v) for v in judge.verdicts if v.expect.mode == "holds"]
    moments.sort(key=lambda m: m[:2])
    disturbed = [step for step in scenario.steps if step.interferes]
    for at, _, moment in moments:
        await _until(cluster, at, disturbed, scenario.for_s)
        if isinstance(moment, Verdict):
            judge.at(moment)
            continue
        observer.note(moment.what, moment.text, again=("step", moment.text))
        problem = await _do(cluster, moment)
        if problem:
            observer.note("broken", problem)
            result.problems.append(f"at {clock(at)}: {problem}")
    await _until(cluster, scenario.for_s, disturbed, scenario.for_s)


async def _until(cluster: Cluster, at: float, disturbed: Sequence[Step], end: float) -> None:
    coming = [step for step in disturbed if step.at > cluster.now]
    cluster.horizon = next((step.at for step in coming if not step.nodes), end + 3600.0)
    cluster.expected = {node: step.at for step in reversed(coming) for node in step.nodes}
    if at > cluster.now:
        await asyncio.sleep(at - cluster.now)
        cluster.check()


async def _do(cluster: Cluster, step: Step) -> str:
    """What went wrong; "" when nothing."""
    try:
        await step.act(cluster)
    except (StatusError, OSError) as error:
        if step.refused and isinstance(error, StatusError):
            return ""
        return f"{step.text}: {error.message if isinstance(error, StatusError) else error}"
    return f"{step.text}: it was to be refused, and was not" if step.refused else ""


def simulate(
    scenario: Scenario,
    *,
    seed: int | None = None,
    say: Callable[[Line], None] | None = None,
    trace: Callable[[float, Event], None] | None = None,
) -> Result:
    """Plays it on a loop of its own. Raises Mistake for what only running it can find."""
    return run(play(scenario, seed=seed, say=say, trace=trace), start=-BOOT_S)
