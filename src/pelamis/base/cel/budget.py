"""Keeps expressions from running for long: what one costs on its values is told before it runs.

The runtime cannot be interrupted. So each evaluation is charged what it can cost at most, with all branches and turns
counted. An expression that is cheap whatever it is given is charged that bound, which needs no look at the values;
such charges go to a small account of their own, so that they never use up what the budget allows for real.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pelamis.base.cel.cost import MOST, Anything, Shape, Values, estimate
from pelamis.base.cel.engine import EvaluationError, Program

PER_CALL = 1_000_000
"""Of one evaluation: about a tenth of a second."""
TOTAL = 10_000_000
"""Of all evaluations for one object or one binding."""
CONDITIONS = 2_500_000
"""Of all match conditions of a webhook or policy."""
_CHEAP = 1_000_000
_LARGEST = 3 << 20
"""No part of a value is larger than a request."""


class CallLimit(EvaluationError):
    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


class OutOfBudget(EvaluationError):
    def __init__(self) -> None:
        super().__init__("validation failed due to running out of cost budget, no further validation rules will be run")


class Budget:
    __slots__ = ("_cheap", "left")

    def __init__(self, total: int = TOTAL) -> None:
        self.left = total
        self._cheap = min(_CHEAP, total)

    def charge(self, program: Program, values: Mapping[str, Any], bound: int | None = None) -> None:
        """bound: what it costs at most on any values; None = to be found. Raises CallLimit and OutOfBudget."""
        most = bound_of(program) if bound is None else bound
        if most <= self._cheap and not program.slow:
            self._cheap -= most
            return
        cost = cost_of(program, values)
        if cost > PER_CALL:
            raise CallLimit
        if cost > self.left:
            raise OutOfBudget
        self.left -= cost


def bound_of(program: Program) -> int:
    """The cost on any values that a request can hold."""
    if program.bound is None:
        anything = Anything("dyn", _LARGEST)
        shapes: dict[str, Shape] = dict.fromkeys(program.variables, anything)
        program.bound = estimate(program.checked, shapes, unknown=anything)
    return program.bound


def cost_of(program: Program, values: Mapping[str, Any]) -> int:
    """The most that this evaluation can cost."""
    shapes: dict[str, Shape] = {name: Values((value,)) for name, value in values.items()}
    cost = estimate(program.checked, shapes, actual=True, slow=program.slow)
    if cost < MOST:
        return cost
    # Something was made on the way whose parts are not known: none is larger than all that it can be made of.
    whole = Anything("dyn", sum(map(_weight, values.values())))
    return estimate(program.checked, shapes, actual=True, unknown=whole, slow=program.slow)


def _weight(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(len(k) + _weight(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return 1 + sum(map(_weight, value))
    return len(value) if isinstance(value, (str, bytes)) else 1
