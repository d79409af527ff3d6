"""The scenarios that people read: all of them hold, and a run is a function of its seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pelamis.main.cli import main
from pelamis.sim.play import Result, simulate
from pelamis.sim.plot import plot
from pelamis.sim.scenario import load

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "simulations"
SCENARIOS = sorted(p.stem for p in FOLDER.glob("*.yaml") if "expect:" in p.read_text())
LONG = {"nightly-cronjob"}


def played(name: str, seed: int | None = None) -> Result:
    return simulate(load(FOLDER / f"{name}.yaml"), seed=seed)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in SCENARIOS])
def test_scenario_holds(name: str) -> None:
    result = played(name)
    assert result.held, [*result.problems, *(f"{v.expect.name}: {v.shown}" for v in result.verdicts if not v.held)]
    root = ElementTree.fromstring(plot(result.observer, result.scenario.for_s, result.scenario.name))
    assert root.tag.endswith("svg")


def test_the_same_seed_writes_the_same_and_another_does_not() -> None:
    first, again, other = played("node-lost"), played("node-lost"), played("node-lost", 99)
    assert (first.digest, first.writes) == (again.digest, again.writes)
    assert other.held
    assert other.digest != first.digest


_PROGRAM = """
import sys
from tests.sim.chance import live
from pelamis.sim.loop import run
print(run(live(int(sys.argv[1]), busy_s=300, heal_s=300))[2].trace.digest)
"""


def test_two_processes_with_other_hashes_write_the_same() -> None:
    digests = set()
    for hashes in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hashes}
        command = [sys.executable, "-c", _PROGRAM, "11"]
        folder = Path(__file__).resolve().parents[2]
        out = subprocess.run(command, env=env, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
        digests.add(out.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == 32


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(text: str, *flags: str) -> tuple[int, str, str]:
        path = tmp_path / "scenario.yaml"
        path.write_text(text)
        with pytest.raises(SystemExit) as ended:
            main(["simulate", str(path), *flags])
        out = capsys.readouterr()
        return int(ended.value.code or 0), out.out, out.err

    picture = tmp_path / "out.svg"
    code, out, _ = run("{for: 1m, expect: [{count: nodes, where: ready, is: 3}]}", "--plot", str(picture), "--trace")
    assert code == 0 and "ok" in out and "create" in out
    assert picture.read_text().startswith("<svg")
    code, out, _ = run("{for: 1m, expect: [{count: nodes, is: 4}]}")
    assert code == 1 and "FAILED" in out and "there are 3" in out
    code, out, _ = run("{for: 1m}", "--json", "--seed", "5")
    told = json.loads(out)
    assert (code, told["held"], told["seed"]) == (0, True, 5)
    code, _, err = run("{for: ever}")
    assert code == 1 and "is no span of time" in err
