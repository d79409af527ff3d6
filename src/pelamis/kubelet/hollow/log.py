"""What hollow containers print: the lines that their commands are known to print, or one that says they started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pelamis.base.clock import rfc3339_micro
from pelamis.kubelet.actions import Run
from pelamis.kubelet.hollow.script import Script
from pelamis.kubelet.logs import LogOptions


def printed(pod: Any, run: Run, script: Script) -> list[tuple[float, str]]:
    """(time, line) of all that the run prints in its life, up to its end where it has ended."""
    lines = script.lines
    if not lines and script.lasts is None:
        meta = pod.metadata
        lines = ((0.0, f"hollow container {run.name} of pod {meta.namespace}/{meta.name} started"),)
    until = run.finished_at or float("inf")
    return [(run.started_at + after, text) for after, text in lines if run.started_at + after <= until]


def shown(lines: list[tuple[float, str]], options: LogOptions) -> Iterator[bytes]:
    """Without the limit of bytes."""
    wanted = [line for line in lines if line[0] >= options.since]
    if options.tail is not None:
        wanted = wanted[-options.tail :] if options.tail else []
    if options.stream == "stderr":
        return
    for at, text in wanted:
        stamp = f"{rfc3339_micro(at)[:-1]}000Z " if options.timestamps else ""
        yield f"{stamp}{text}\n".encode()
