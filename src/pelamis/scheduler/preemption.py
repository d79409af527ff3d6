"""DefaultPreemption: when no node is feasible, which pods of lower priority have to go from where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pelamis.scheduler.core import Decision
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Preemption:
    """message: what users read, "" when it succeeds. nominated None = leave the nomination, "" = clear it."""

    message: str = ""
    nominated: str | None = None
    victims: tuple[PodInfo, ...] = ()


def preempt(
    snapshot: Snapshot, plugins: Sequence[Plugin], info: PodInfo, decision: Decision, *, draw: Callable[[], float]
) -> Preemption | None:
    return None
