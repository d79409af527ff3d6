"""When a probe runs and what its results mean: a pure machine per probe of a container.

A probe runs every ``periodSeconds``, first ``initialDelaySeconds`` after the container started. Its verdict changes
only after so many results in a row as the thresholds say. Startup probes hold back the others, which begin at once when
it has succeeded; after a failure of startup or liveness the probe rests until the container has been replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pelamis.kubelet.actions import ProbeKind


@dataclass(slots=True)
class ProbeClock:
    """verdict: what counts at present; None = not yet known (readiness then counts as not ready)."""

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

    def result(self, ok: bool, now: float) -> bool | None:
        """Take one result; returns the new verdict if it has changed, else None."""
        if self.resting:
            return None
        self.next_at = max(self.next_at + self.period_s, now)
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


def clock(kind: ProbeKind, probe: Any, started_at: float, now: float, verdict: bool | None) -> ProbeClock:
    """probe: the declaration. verdict: what held before the agent was started again, or None."""
    delay = float(probe.initialDelaySeconds)
    return ProbeClock(
        kind=kind,
        delay_s=delay,
        period_s=float(probe.periodSeconds or 10),
        success=probe.successThreshold or 1,
        failure=probe.failureThreshold or 3,
        next_at=max(started_at + delay, now),
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
