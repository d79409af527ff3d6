"""Finds devices for the claims of a pod on one node: the first solution in the order of pools, slices and devices.

A search with backtracking, claim by claim, request by request, device by device; within a request, later devices are
looked for behind earlier ones, so that no set is tried in two orders. Each step is a generator that offers one choice
after the other, and takes it back when it is asked for the next; a stack of them takes the place of recursion.

A claim gets at most 32 devices. Where a choice would exceed that, another alternative of the same request may do, but
no other device will: this is what ``EXCEEDED`` says to the steps before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

from pelamis.api.core.node import Node
from pelamis.api.resource.podclaim import MOST_RESULTS
from pelamis.base.quantity import Quantity
from pelamis.scheduler.devices.ask import AllocationFailure, Ask, Problem, Request
from pelamis.scheduler.devices.capacity import CapacityFailure, amounts_taken, has_room
from pelamis.scheduler.devices.constraint import attribute_value
from pelamis.scheduler.devices.pool import Counters, DeviceId, PoolId, PoolView, Stock, Unit, shown

MOST_TRIES = 400_000
"""A search that has not ended by then is given up: the loop that it runs in has other things to do."""
INVALID = "invalid resource pools were encountered"
FAILED, EXCEEDED = "failed", "exceeded"


class Pick(NamedTuple):
    """amounts: taken of a device that is shared; None = the claim has it alone."""

    ask: Ask
    unit: Unit
    amounts: dict[str, Quantity] | None


class Found(NamedTuple):
    """picks: per claim, in the order of its requests. chosen: per claim and request, which alternative."""

    picks: tuple[tuple[Pick, ...], ...]
    chosen: dict[tuple[int, int], int]


class Taken(NamedTuple):
    """What claims have that are allocated."""

    allocated: Mapping[DeviceId, int]
    shares: Mapping[DeviceId, int]
    consumed: Mapping[DeviceId, Mapping[str, int]]


class At(NamedTuple):
    """A place in the search. ask -1: the alternative is still to be chosen. start: the first device to look at."""

    claim: int
    request: int
    ask: int = -1
    device: int = 0
    start: int = 0


Step = Generator[At | None, str, str]
Undo = Callable[[], None]
_NOTHING: Mapping[str, int] = {}


def allocate(problem: Problem, node: Node, stock: Stock, taken: Taken) -> Found | str | None:
    """None: the node has not what is asked; a text: so it is said. Raises AllocationFailure."""
    found = _Search(problem, node, stock, taken).run()
    if found is None and any(view.problem for view in stock.views):
        return INVALID
    return found


class _Search:
    def __init__(self, problem: Problem, node: Node, stock: Stock, taken: Taken) -> None:
        self._wants = problem.wants
        self._node = node
        self._stock = stock
        self._units = stock.units
        self._taken = taken
        self._fits: dict[tuple[int, int], dict[str, Quantity] | bool] = {}
        self._constraints = [want.constraints() for want in problem.wants]
        self._all: dict[int, list[int]] = {}
        self._picks: list[list[Pick]] = [[] for _ in problem.wants]
        self._chosen: dict[tuple[int, int], int] = {}
        self._taking: dict[DeviceId, list[int]] = {}
        """Which claims take a device alone."""
        self._sharing: dict[DeviceId, list[dict[str, int]]] = {}
        self._drawn: dict[PoolId, dict[tuple[str, str], int]] = {}
        self._tries = 0
        self._left: dict[PoolId, dict[tuple[str, str], int]] = {}

    def run(self) -> Found | None:
        for want in self._wants:
            fewest = sum(min(self._number(want.key, ask) for ask in request.asks) for request in want.requests)
            if fewest > MOST_RESULTS:
                text = f"number of requested devices {fewest} exceeds the claim limit of {MOST_RESULTS}"
                raise AllocationFailure(f"claim {want.key}: {text}")
        if self._hopeless():
            return None
        stack = [self._step(At(0, 0))]
        outcome: Any = None
        while stack:
            try:
                at = stack[-1].send(outcome)
            except StopIteration as ended:
                stack.pop()
                outcome = ended.value
                continue
            if at is None:
                return Found(tuple(map(tuple, self._picks)), dict(self._chosen))
            if self._tries > MOST_TRIES:
                raise AllocationFailure(f"node {self._node.metadata.name}: timed out trying to allocate devices")
            stack.append(self._step(at))
            outcome = None
        return None

    # -- before the search

    def _number(self, claim: str, ask: Ask) -> int:
        """How many devices it takes; for all devices, these are looked up here."""
        if ask.count is not None:
            return ask.count
        found = self._all.get(id(ask))
        if found is None:
            for view in self._stock.views:
                state = "being updated" if view.incomplete else "invalid" if view.problem else ""
                if state:
                    text = f"asks for all devices, but resource pool {shown(view.id)} is currently {state}"
                    raise AllocationFailure(f"claim {claim}, request {ask.short}: {text}")
            found = self._all[id(ask)] = [i for i in range(len(self._units)) if self._fit(ask, i) is not False]
        return len(found)

    def _hopeless(self) -> bool:
        """Some request cannot be met even by itself. Where all devices are wanted, and a constraint may be in their
        way, the search has to come across it: that is told as an error."""
        requests = [request for want in self._wants for request in want.requests]
        if any(self._constraints) and any(ask.count is None for request in requests for ask in request.asks):
            return False
        return not all(map(self._can_be_met, requests))

    def _can_be_met(self, request: Request) -> bool:
        """Leaves out what several requests together take: saves a search that can find nothing."""
        taken = self._taken.allocated
        for ask in request.asks:
            if ask.count is None:
                if self._all[id(ask)]:
                    return True
                continue
            wanted = ask.count
            for i, unit in enumerate(self._units):
                if not wanted:
                    break
                try:
                    wanted -= (ask.admin or unit.id not in taken) and self._fit(ask, i) is not False
                except AllocationFailure:
                    return True  # the search says so, should it come that far
            if not wanted:
                return True
        return False

    def _fit(self, ask: Ask, i: int) -> dict[str, Quantity] | bool:
        """Whether the device is such as is asked for, whoever has it; what is then taken of its capacity."""
        key = (id(ask), i)
        found = self._fits.get(key)
        if found is None:
            unit = self._units[i]
            found = False
            if ask.selects(unit) and unit.on(self._node):
                try:
                    amounts = amounts_taken(ask.capacity, unit.limits)
                except CapacityFailure as failure:
                    text = f"request {ask.short}: checking capacity for device {shown(unit.id)}: {failure}"
                    raise AllocationFailure(text) from None
                if amounts is not None and has_room(amounts, unit.limits):
                    found = amounts or True
            self._fits[key] = found
        return found

    # -- the steps

    def _step(self, at: At) -> Step:
        if at.claim >= len(self._wants):
            yield None
            return FAILED
        requests = self._wants[at.claim].requests
        if at.request >= len(requests):
            yield At(at.claim + 1, 0)
            return FAILED  # with other alternatives, a claim before may leave room
        request = requests[at.request]
        if at.ask < 0:
            return (yield from self._choose(at, request))
        ask = request.asks[at.ask]
        every = self._all[id(ask)] if ask.count is None else None
        wanted = len(every) if every is not None else ask.count or 0
        if every is not None and not every:
            return FAILED
        if at.device >= wanted:
            return (yield At(at.claim, at.request + 1))
        if len(self._picks[at.claim]) + wanted - at.device > MOST_RESULTS:
            return EXCEEDED
        if every is not None:
            undo = self._take(at.claim, ask, every[at.device], must=True)
            if undo is None:
                return FAILED
            outcome = yield At(at.claim, at.request, at.ask, at.device + 1)
            undo()
            return outcome
        for i in range(at.start, len(self._units)):
            undo = self._take(at.claim, ask, i)
            if undo is None:
                continue
            outcome = yield At(at.claim, at.request, at.ask, at.device + 1, i + 1)
            undo()
            if outcome == EXCEEDED:
                return EXCEEDED
        return FAILED

    def _choose(self, at: At, request: Request) -> Step:
        if not request.choice:
            return (yield At(at.claim, at.request, 0))
        exceeded = True
        for i in range(len(request.asks)):
            self._chosen[at.claim, at.request] = i
            if (yield At(at.claim, at.request, i)) != EXCEEDED:
                exceeded = False
        del self._chosen[at.claim, at.request]
        return EXCEEDED if exceeded else FAILED

    def _take(self, claim: int, ask: Ask, i: int, must: bool = False) -> Undo | None:
        """How to give the device back; None = the claim cannot have it. must: no other one will do."""
        self._tries += 1
        unit = self._units[i]
        taking = self._taking.get(unit.id)
        if ask.admin:
            if taking and claim in taking:
                return None
        elif taking or unit.id in self._taken.allocated:
            return None
        amounts = self._fit(ask, i)
        if amounts is False:
            return None
        wanted = amounts if isinstance(amounts, dict) else {}
        sharing = self._sharing.get(unit.id, ())
        used = self._taken.consumed.get(unit.id, _NOTHING)
        if wanted and not has_room(wanted, unit.limits, used, _total(sharing)):
            return None
        in_use = unit.shared and (bool(sharing) or unit.id in self._taken.shares)
        draws = bool(unit.counters) and not in_use
        if draws and not self._draw(i):
            return None
        undo: list[Undo] = [lambda: self._give_back(i)] if draws else []

        def back() -> None:
            for each in reversed(undo):
                each()

        if not ask.stands(unit):
            back()
            return None
        for constraint in self._constraints[claim]:
            if not constraint.covers(ask.names):
                continue
            value = attribute_value(unit.id[0], unit.model.attributes, constraint.attribute)
            if not constraint.add(value):
                back()
                if must:
                    text = f"cannot add device {shown(unit.id)} because a claim constraint would not be satisfied"
                    raise AllocationFailure(f"claim {self._wants[claim].key}, request {ask.short}: {text}")
                return None
            undo.append(constraint.values.pop)
        if unit.shared:
            shares = self._sharing.setdefault(unit.id, [])
            shares.append({name: amount.nano for name, amount in wanted.items()})
            undo.append(lambda: _drop(self._sharing, unit.id))
        else:
            self._taking.setdefault(unit.id, []).append(claim)
            undo.append(lambda: _drop(self._taking, unit.id))
        self._picks[claim].append(Pick(ask, unit, dict(wanted) if unit.shared else None))
        undo.append(self._picks[claim].pop)  # type: ignore[arg-type]
        return back

    # -- counters

    def _draw(self, i: int) -> bool:
        unit, view = self._units[i], self._stock.view_of[i]
        drawn = self._drawn.setdefault(view.id, {})
        for drawn_set, name, amount in unit.counters:
            drawn[drawn_set, name] = drawn.get((drawn_set, name), 0) + amount
        if all(drawn.get(key, 0) <= left for key, left in self._available(view).items()):
            return True
        self._give_back(i)
        return False

    def _give_back(self, i: int) -> None:
        drawn = self._drawn[self._stock.view_of[i].id]
        for drawn_set, name, amount in self._units[i].counters:
            drawn[drawn_set, name] -= amount

    def _available(self, view: PoolView) -> dict[tuple[str, str], int]:
        left = self._left.get(view.id)
        if left is None:
            sets: Counters = view.sets
            left = {(s, name): amount for s, counters in sets.items() for name, amount in counters.items()}
            for unit in view.all_units:
                if unit.id in self._taken.allocated or unit.id in self._taken.shares:
                    for drawn_set, name, amount in unit.counters:
                        left[drawn_set, name] -= amount
            self._left[view.id] = left
        return left


def _drop(table: dict[DeviceId, Any], id: DeviceId) -> None:
    table[id].pop()
    if not table[id]:
        del table[id]


def _total(shares: Any) -> Mapping[str, int]:
    if len(shares) == 1:
        found: Mapping[str, int] = shares[0]
        return found
    out: dict[str, int] = {}
    for share in shares:
        for name, amount in share.items():
            out[name] = out.get(name, 0) + amount
    return out
