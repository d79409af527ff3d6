"""What every benchmark gives back, and how it is printed.

A benchmark is a function without arguments that returns rows; ``benchmarks.__main__`` runs each in a process of its own
and prints one table. A row sets a figure of ours beside a peer or a limit that was measured or fixed for the same work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One line of the table.

    ours, peer: figures with their units, as shown. ratio: ours to the peer in the sense that ``aim`` speaks of. met:
    None = no aim, or what the aim needs is missing on this machine (``ours`` says what).
    """

    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None
    note: str = ""


Benchmark = Callable[[], Sequence[Row]]


def below(what: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    """A figure that has to stay under a fixed limit."""
    return Row(what, shown(value, unit), "limit", value / limit, f"< {shown(limit, unit)}", value < limit, note)


def above(what: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    return Row(what, shown(value, unit), "limit", value / limit, f"≥ {shown(limit, unit)}", value >= limit, note)


def skipped(what: str, why: str) -> Row:
    return Row(what, f"skipped: {why}")


def shown(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    if digits:
        text = text.rstrip("0").rstrip(".")
    return f"{text}{unit if unit.startswith('/') else ' ' + unit}".rstrip()


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def say(text: str) -> None:
    """Progress, for who waits."""
    print(f"  {text}", file=sys.stderr, flush=True)


def pss(pid: int) -> int:
    """Bytes of memory that are a process's own share: its pages, shared ones divided by who shares them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def table(rows: Sequence[Row]) -> str:
    head = ("what", "ours", "peer or limit", "ratio", "aim", "met")
    lines = [head, *((r.what, r.ours, r.peer, _ratio(r.ratio), r.aim, _met(r.met)) for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    out = []
    for number, line in enumerate(lines):
        out.append("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if number == 0:
            out.append("| " + " | ".join("-" * width for width in widths) + " |")
    notes = [f"{r.what}: {r.note}" for r in rows if r.note]
    return "\n".join(out) + ("\n\n" + "\n".join(notes) if notes else "")


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _met(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "NO"
