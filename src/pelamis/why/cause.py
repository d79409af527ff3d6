"""The answer: a tree of causes, each with what can be done about it, and how it is shown as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple


class Advice(NamedTuple):
    """command: what carries it out, one command a line; "" where that is for people."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """about: ``pod/web-1``. text: its state in one line. ok: nothing is wrong with it.

    facts: further lines. deeper: why. others: how many objects more are in the same state for the same reason.
    table: rows of columns, the first one is the head; for the scheduler's verdicts.
    """

    about: str
    text: str
    ok: bool = False
    facts: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    deeper: tuple[Cause, ...] = ()
    others: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    data: Any = None
    """For JSON alone: everything that the table sums up."""


def sound(about: str, text: str, *facts: str, deeper: Sequence[Cause] = ()) -> Cause:
    return Cause(about, text, True, facts, deeper=tuple(deeper))


def grouped(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Those that say the same of several objects become one."""
    out: dict[Any, Cause] = {}
    for cause in causes:
        key = _signature(cause, cause.about.rpartition("/")[2])
        first = out.get(key)
        out[key] = cause if first is None else replace(first, others=(*first.others, cause.about))
    return tuple(out.values())


def _signature(cause: Cause, name: str) -> Any:
    def same(text: str) -> str:
        return text.replace(name, "\0")

    kind = cause.about.partition("/")[0] if name in cause.about else cause.about
    return (
        kind,
        same(cause.text),
        tuple(map(same, cause.facts)),
        tuple(same(a.text) for a in cause.advice),
        tuple(_signature(c, name) for c in cause.deeper),
    )


def roots(cause: Cause) -> Iterator[Cause]:
    """The causes at the ends of the chains."""
    if not cause.deeper:
        yield cause
    for each in cause.deeper:
        yield from roots(each)


def render(cause: Cause) -> str:
    return "\n".join(_lines(cause, "", "")) + "\n"


def _lines(cause: Cause, first: str, rest: str) -> Iterator[str]:
    more = ""
    if cause.others:
        names = [other.rpartition("/")[2] for other in cause.others]
        more = f" (and {_few(names)})"
    yield f"{first}{cause.about}{more}: {cause.text}"
    inner = rest + ("│ " if cause.deeper else "  ")
    for fact in cause.facts:
        yield f"{inner}{fact}"
    if cause.table:
        yield from (f"{inner}{line}" for line in columns(cause.table))
    for advice in cause.advice:
        yield f"{inner}→ {advice.text}"
        yield from (f"{inner}    {line}" for line in advice.command.splitlines())
    for i, each in enumerate(cause.deeper):
        last = i == len(cause.deeper) - 1
        yield from _lines(each, rest + ("└ " if last else "├ "), rest + ("  " if last else "│ "))


def columns(table: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(max(map(len, table)))]
    out = []
    for row in table:
        cells = [_aligned(cell, widths[i]) for i, cell in enumerate(row)]
        out.append(gap.join(cells).rstrip())
    return out


def _aligned(cell: str, width: int) -> str:
    """Numbers to the right."""
    return cell.rjust(width) if cell.replace(",", "").lstrip("-").isdigit() else cell.ljust(width)


def _few(names: Sequence[str], most: int = 3) -> str:
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def tree(cause: Cause) -> dict[str, Any]:
    """As JSON."""
    out: dict[str, Any] = {"about": cause.about, "text": cause.text, "ok": cause.ok}
    if cause.others:
        out["others"] = list(cause.others)
    if cause.facts:
        out["facts"] = list(cause.facts)
    if cause.advice:
        out["advice"] = [{"text": a.text, **({"command": a.command} if a.command else {})} for a in cause.advice]
    if cause.data is not None:
        out["data"] = cause.data
    if cause.deeper:
        out["causes"] = [tree(c) for c in cause.deeper]
    return out
