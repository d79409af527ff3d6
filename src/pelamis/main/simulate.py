"""``pelamis simulate``: plays a scenario file on virtual time, prints what happened, and says whether all held."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import msgspec

from pelamis.main.config import ConfigError
from pelamis.sim.condition import Mistake
from pelamis.sim.duration import clock, span
from pelamis.sim.observe import Line
from pelamis.sim.play import Result, Verdict, simulate
from pelamis.sim.plot import plot
from pelamis.sim.scenario import ScenarioError, load
from pelamis.store.types import Event

_COLOURS = {"fault": "31", "step": "35", "broken": "31;1", "warning": "33", "node": "36", "ok": "32", "FAILED": "31;1"}


class _Paint:
    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, what: str) -> str:
        code = _COLOURS.get(what) if self._on else None
        return f"\x1b[{code}m{text}\x1b[0m" if code else text


def _line(paint: _Paint, line: Line) -> None:
    print(f"{clock(line.at):>13}  {paint(f'{line.what:<9}', line.what)} {line.text}", flush=True)


def _write(at: float, event: Event) -> None:
    verb = "delete" if event.value is None else "update" if event.prev is not None else "create"
    print(f"{clock(at):>13}  {'write':<9} {event.rev} {verb} {event.key.removeprefix('/registry/')}")


def _verdict(verdict: Verdict) -> str:
    expect = verdict.expect
    if verdict.held:
        when = {
            "holds": f"at {clock(verdict.at)}",
            "eventually": f"at {clock(verdict.at)}",
            "always": "all the time",
            "never": "never so",
        }[expect.mode]
        return f"{expect.name}  ({when})"
    what = "not" if expect.mode != "never" else "it was so"
    when = f"until {clock(expect.end)}" if expect.mode == "eventually" else f"at {clock(verdict.at)}"
    return f"{expect.name}  ({what} {when}{': ' + verdict.shown if verdict.shown else ''})"


def run(args: argparse.Namespace) -> int:
    """0: all held. 1: something did not, or the file is wrong."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    paint = _Paint(sys.stdout.isatty())
    try:
        scenario = load(Path(args.file))
        quiet = args.json
        if not quiet:
            print(scenario.name)
            if scenario.description:
                print(f"{scenario.description}")
            print()
        result = simulate(
            scenario,
            seed=args.seed,
            say=None if quiet else lambda line: _line(paint, line),
            trace=_write if args.trace and not quiet else None,
        )
    except ScenarioError as error:
        raise ConfigError(str(error)) from None
    except Mistake as error:
        raise ConfigError(f"{args.file}: {error}") from None
    if args.plot:
        try:
            Path(args.plot).write_text(plot(result.observer, scenario.for_s, scenario.name))
        except OSError as error:
            raise ConfigError(f"cannot write {args.plot}: {error.strerror}") from None
    if quiet:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(result.tree()), indent=2) + b"\n")
    else:
        _summary(paint, result, args)
    return 0 if result.held else 1


def _summary(paint: _Paint, result: Result, args: argparse.Namespace) -> None:
    for text in result.counted:
        print(f"{'':>13}  {'':<9} {text}")
    if result.verdicts or result.problems:
        print()
    for verdict in result.verdicts:
        word = "ok" if verdict.held else "FAILED"
        print(f"  {paint(f'{word:<6}', word)}  {_verdict(verdict)}")
    for problem in result.problems:
        print(f"  {paint('FAILED', 'FAILED')}  {problem}")
    faults = ", ".join(f"{count} {what}" for what, count in sorted(result.injected.items()))
    print(
        f"\n{span(result.scenario.for_s)} of cluster time in {result.elapsed_s:.1f} s, {result.writes} writes"
        + (f", {faults} injected" if faults else "")
        + f"; seed {result.seed}, trace {result.digest}"
    )
    if args.plot:
        print(f"picture: {args.plot}")
