"""When a probe runs and what its results mean: a pure machine per probe of a container.

A probe runs every ``periodSeconds``, first ``initialDelaySeconds`` after the container started (liveness after a period
at the earliest). Its verdict changes only after so many results in a row as the thresholds say. Startup probes hold
back the others, which begin at once when it has succeeded; after a failure of startup or liveness the probe rests until
the container has been replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pelamis.kubelet.actions import ProbeKind

EARLY_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""How long after a failed check of readiness the next one comes, until the container has been ready once."""


@dataclass(slots=True)
class ProbeClock:
    """verdict: what counts at present; None = not yet known (readiness then counts as not ready).

    A container that has just started seldom listens yet. Upstream's first checks come later than ours could, at its
    ticks, and readiness is checked again whenever the pod is looked at. Here liveness is first checked after a period,
    and readiness that fails at first is checked again soon, a few times.
    """

    kind: ProbeKind
    delay_s: float
    period_s: float
    success: int
    failure: int
    next_at: float
    verdict: bool | None = None
    streak: int = 0
    last: bool | None = None
    resting: bool = False
    regular_at: float = 0.0
    """When the next check is due by the period; an early one may come before."""
    early: int = 0
    """Early checks made."""

    def result(self, ok: bool, now: float) -> bool | None:
        """Take one result; returns the new verdict if it has changed, else None."""
        if self.resting:
            return None
        self._advance(ok, now)
        self.streak = self.streak + 1 if ok == self.last else 1
        self.last = ok
        if self.streak < (self.success if ok else self.failure):
            return None
        if not ok and self.kind != "readiness":
            self.resting = True
            self.verdict = False
            return False
        if ok == self.verdict:
            return None
        self.verdict = ok
        if self.kind == "startup":
            self.resting = True
        return ok

    def _advance(self, ok: bool, now: float) -> None:
        if self.next_at >= self.regular_at:
            self.regular_at = max(self.next_at + self.period_s, now)
        self.next_at = self.regular_at
        if self.kind == "readiness" and not ok and not self.verdict and self.early < len(EARLY_S):
            self.next_at = min(self.regular_at, now + EARLY_S[self.early])
            self.early += 1


def clock(kind: ProbeKind, probe: Any, started_at: float, now: float, verdict: bool | None) -> ProbeClock:
    """probe: the declaration. verdict: what held before the agent was started again, or None."""
    delay = float(probe.initialDelaySeconds)
    period = float(probe.periodSeconds or 10)
    first = started_at + (max(delay, period) if kind == "liveness" else delay)
    return ProbeClock(
        kind=kind,
        delay_s=delay,
        period_s=period,
        success=probe.successThreshold or 1,
        failure=probe.failureThreshold or 3,
        next_at=max(first, now),
        regular_at=max(first, now),
        verdict=verdict,
    )


def port_of(container: Any, port: int | str) -> int:
    """A port number, or the container's port of that name. Raises ValueError."""
    if isinstance(port, int):
        number = port
    elif port.isdigit():
        number = int(port)
    else:
        number = next((p.containerPort for p in container.ports if p.name == port), 0)
        if not number:
            raise ValueError(f"couldn't find port by name {port!r} in container {container.name}")
    if not 0 < number < 65536:
        raise ValueError(f"invalid port number: {port}")
    return number


def http_url(action: Any, container: Any, host: str) -> str:
    """The address of an httpGet action; host: the pod's, used where the action names none."""
    port = port_of(container, action.port)
    where = action.host or host
    where = f"[{where}]" if ":" in where else where
    path = action.path or "/"
    return f"{(action.scheme or 'HTTP').lower()}://{where}:{port}{'' if path.startswith('/') else '/'}{path}"


def http_headers(action: Any, agent: str) -> list[tuple[str, str]]:
    headers = [(h.name, h.value) for h in action.httpHeaders]
    names = {name.lower() for name, _ in headers}
    if "user-agent" not in names:
        headers.append(("User-Agent", agent))
    if "accept" not in names:
        headers.append(("Accept", "*/*"))
    return headers
