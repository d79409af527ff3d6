"""CEL over devices: that an expression compiles, gives what it should, and cannot cost too much."""

from __future__ import annotations

from functools import lru_cache

from pelamis.api.check import Errors
from pelamis.base.cel import CompileError, compile_text
from pelamis.base.cel.cost import Shape, estimate
from pelamis.base.cel.typed import Checker
from pelamis.base.errors import forbidden, invalid, too_long

LONGEST = 10 * 1024
MOST_COST = 1_000_000
_MOST_NAMES, _LONGEST_DOMAIN, _LONGEST_ID, _LONGEST_VALUE = 32, 63, 32, 64


def _by_name(value: Shape) -> Shape:
    """``device.attributes["domain"].name``."""
    inner = Shape("map", _MOST_NAMES, key=Shape("string", _LONGEST_ID), elem=value)
    return Shape("map", _MOST_NAMES, key=Shape("string", _LONGEST_DOMAIN), elem=inner)


_SHAPES = {
    "device": Shape(
        "object",
        members={
            "driver": Shape("string", _LONGEST_DOMAIN),
            "attributes": _by_name(Shape("dyn", _LONGEST_VALUE)),
            "capacity": _by_name(Shape("kubernetes.Quantity")),
            "allowMultipleAllocations": Shape("bool"),
        },
    )
}


@lru_cache(maxsize=1)
def _checker() -> Checker:
    return Checker(_SHAPES, "")


@lru_cache(maxsize=1024)
def _judged(text: str, boolean: bool) -> tuple[str, int]:
    """(what is wrong, cost)."""
    try:
        found = str(_checker().check(text))
        if boolean and found not in ("bool", "dyn"):
            return f"must evaluate to bool or the unknown type, not {found}", 0
        return "", estimate(compile_text(text, ("device",)).checked, _SHAPES)
    except CompileError as error:
        why = str(error) if text else str(error).partition("\n")[0].replace(":1:1:", ":1:0:")
        return f"compilation failed: {why}", 0


def check_expression(text: str, path: str, *, boolean: bool = True) -> tuple[Errors, int]:
    """What is wrong with it, and what it can cost. boolean: it is a condition."""
    if len(text) > LONGEST:
        return [too_long(path, LONGEST)], 0
    wrong, cost = _judged(text, boolean)
    if wrong:
        return [invalid(path, text, wrong)], 0
    if cost > MOST_COST:
        return [forbidden(path, "too complex, exceeds cost limit")], cost
    return [], cost
