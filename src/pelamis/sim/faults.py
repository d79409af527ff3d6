"""What goes wrong, and how often: drawn from one seeded source, for one component or for all.

Probabilities are per action of a commit (``conflict``, ``refuse``) or per commit (``lose_request``: it never arrives;
``lose_answer``: it is carried out, but the component sees a broken connection). A conflict is only answered where one
can happen: to writes that name a revision, and to bindings. ``lag_s``: watch events arrive up to so much later, each
kind's stream for itself, in order. Lost watches and crashes are single happenings: ``Cluster.lose_watches``, ``crash``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from pelamis.base.errors import Conflict, Internal, StatusError, TooManyRequests, Unavailable
from pelamis.client.types import Action, Create, Patch, Update

COMPONENTS = ("controllers", "scheduler", "nodes")
"""What faults happen to. The administrator, who applies manifests and looks, meets none."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one component. All zero: nothing goes wrong."""

    conflict: float = 0.0
    refuse: float = 0.0
    lose_request: float = 0.0
    lose_answer: float = 0.0
    lag_s: float = 0.0
    latency_s: float = 0.0
    """A commit takes up to so long."""

    @property
    def commits(self) -> bool:
        return bool(self.conflict or self.refuse or self.lose_request or self.lose_answer or self.latency_s)


NONE = Rates()


class Lost(OSError):
    """The connection broke; nobody knows what became of the request."""


class Faults:
    """The rates of all components, and the source of chance. ``injected`` counts what was done."""

    def __init__(self, rng: Random, rates: dict[str, Rates] | None = None) -> None:
        self.rng = rng
        self.rates: dict[str, Rates] = dict(rates or {})
        self.injected: dict[str, int] = {}
        self.script: Callable[[str, Action], StatusError | None] | None = None
        """Refuses a component's action, or lets chance decide."""

    def of(self, component: str) -> Rates:
        return self.rates.get(component, NONE)

    def set(self, rates: Rates, components: Sequence[str] = COMPONENTS) -> None:
        for component in components:
            self.rates[component] = rates

    def clear(self) -> None:
        self.rates.clear()

    def count(self, what: str) -> None:
        self.injected[what] = self.injected.get(what, 0) + 1

    def chance(self, probability: float) -> bool:
        return probability > 0.0 and self.rng.random() < probability

    def lag(self, component: str) -> float:
        most = self.of(component).lag_s
        return self.rng.random() * most if most else 0.0

    def judge(self, component: str, action: Action) -> StatusError | None:
        """An error to answer instead of carrying the action out."""
        if self.script is not None and (refused := self.script(component, action)) is not None:
            self.count("refusals")
            return refused
        rates = self.of(component)
        if _contended(action) and self.chance(rates.conflict):
            self.count("conflicts")
            return Conflict(action.kind.plural, action.kind.group, _name(action))
        if self.chance(rates.refuse):
            self.count("refusals")
            errors: tuple[StatusError, ...] = (
                Internal("injected: the server failed"),
                Unavailable("injected: the server is not available"),
                TooManyRequests("injected: too many requests", 1),
            )
            return self.rng.choice(errors)
        return None


def _contended(action: Action) -> bool:
    if isinstance(action, Update):
        return True
    if isinstance(action, Patch):
        return bool(action.rev)
    return isinstance(action, Create) and action.subresource == "binding"


def _name(action: Action) -> str:
    if isinstance(action, Create | Update):
        obj = action.obj
        if isinstance(obj, dict):
            return str(obj.get("metadata", {}).get("name", ""))
        return str(obj.metadata.name)
    return action.name
