"""The probes of one hollow container: the kubelet's own clocks, with results that a timeline gives.

Results are known in advance, so a probe whose verdict stands is not run again before its timeline changes: probes cost
nothing while nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pelamis.kubelet import probes
from pelamis.kubelet.actions import Probed, ProbeKind, StartProbes
from pelamis.kubelet.hollow.behaviour import Behaviour
from pelamis.kubelet.hollow.timeline import Timeline
from pelamis.kubelet.hollow.timer import Timer

KINDS: tuple[ProbeKind, ...] = ("startup", "liveness", "readiness")
MESSAGE = "the hollow container answers so"


class Probing:
    """tell(event) hands a verdict to the pod's machine; note(type, reason, message) records an Event."""

    __slots__ = ("_after", "_clocks", "_note", "_now", "_order", "_started", "_tell", "_timer")

    def __init__(
        self,
        order: StartProbes,
        spec: Any,
        behaviour: Behaviour,
        now: Callable[[], float],
        after: Callable[..., Timer],
        tell: Callable[[Probed], None],
        note: Callable[[str, str, str], None],
    ) -> None:
        self._order = order
        self._now = now
        self._after = after
        self._tell = tell
        self._note = note
        self._started = order.startup_done
        self._timer: Timer | None = None
        self._clocks: dict[ProbeKind, tuple[probes.ProbeClock, Timeline[bool]]] = {}
        known: dict[ProbeKind, bool | None] = {"startup": None, "liveness": True, "readiness": order.ready or None}
        for kind in KINDS:
            probe = getattr(spec, f"{kind}Probe")
            if probe is None or (kind == "startup" and order.startup_done):
                continue
            clock = probes.clock(kind, probe, order.started_at, now(), known[kind])
            self._clocks[kind] = (clock, behaviour.probe(kind, spec, probe))

    @property
    def idle(self) -> bool:
        """No probe will be run again: each verdict stands for good."""
        return self._timer is None

    def stop(self, kinds: tuple[ProbeKind, ...]) -> bool:
        """True when none is left."""
        for kind in kinds or KINDS:
            self._clocks.pop(kind, None)
        if not self._clocks and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return not self._clocks

    def run(self) -> None:
        """Run what is due, and see to it that the next is run."""
        now, first = self._now(), None
        for kind in KINDS:
            found = self._clocks.get(kind)
            if found is None or (kind != "startup" and not self._started):
                continue
            clock, results = found
            while not clock.resting:
                at = self._next(clock, results, now)
                if at is None:
                    break
                if at > now:
                    first = at if first is None else min(first, at)
                    break
                if not self._check(clock, results, now):
                    return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if first is not None and self._clocks:
            self._timer = self._after(first - now, self.run)

    def _next(self, clock: probes.ProbeClock, results: Timeline[bool], now: float) -> float | None:
        """When the probe is worth running next; None: never again."""
        since = self._order.started_at
        if clock.verdict is None or clock.verdict != results.at(max(clock.next_at, now) - since):
            return clock.next_at
        change = results.next_change(max(clock.next_at, now) - since)
        if change is None:
            return None
        skipped = max((since + change - clock.next_at) // clock.period_s, 0.0)
        clock.next_at += skipped * clock.period_s
        if clock.next_at < since + change:
            clock.next_at += clock.period_s
        clock.regular_at = clock.next_at
        return clock.next_at

    def _check(self, clock: probes.ProbeClock, results: Timeline[bool], now: float) -> bool:
        """False when the container is being stopped for it."""
        name, kind = self._order.name, clock.kind
        ok = results.at(now - self._order.started_at)
        if not ok:
            self._note("Warning", "Unhealthy", f"{kind.capitalize()} probe failed: {MESSAGE}")
        verdict = clock.result(ok, now)
        if verdict is None:
            return True
        if kind == "startup" and verdict:
            self._started = True
        self._tell(Probed(name, self._order.id, kind, verdict))
        return verdict or kind == "readiness"
