"""--controllers and --no-scheduler: upstream's names and meaning, kept for later starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pelamis.controllers import Options, controllers
from pelamis.main import cli, selection
from pelamis.main.config import Cluster, ConfigError, create
from pelamis.main.up import _with_components

CLUSTER = create("default", Path("/nowhere"), port=None, node=False, node_name="n")
ALL = [
    c.name
    for c in controllers(Options("ca", (("10.244.0.0/16", 24),), ("10.95.0.0/24",), lambda *_: "", lambda *_: b""))
]


def _after(cluster: Cluster, *words: str) -> Cluster:
    return _with_components(cluster, cli._parser().parse_args(["up", *words]))


def test_every_controller_has_upstreams_name() -> None:
    assert set(ALL) == set(selection.NAMES)
    every = [name for ours, others in selection.NAMES.items() for name in {ours, *others}]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("text", "on", "off"),
    [
        ("*", ALL, []),
        ("", [], ALL),
        ("deployment-controller", ["deployment"], ["replicaset", "job"]),
        ("endpoint, job", ["endpoints", "job"], ["endpointslice"]),
        ("*,-deployment-controller,-pvc-protection", ["replicaset"], ["deployment", "pvcprotection"]),
        ("-job,*,job", ["cronjob"], ["job"]),
        ("-job", [], ALL),
    ],
)
def test_what_runs(text: str, on: list[str], off: list[str]) -> None:
    words = selection.parse(text).split(",")
    assert [name for name in on if not selection.enabled(name, words)] == []
    assert [name for name in off if selection.enabled(name, words)] == []


def test_a_name_that_nobody_bears() -> None:
    with pytest.raises(ConfigError, match=r'"deploymnt" is not .*did you mean deployment\?.*cronjob-controller'):
        _after(CLUSTER, "--controllers", "*,-deploymnt")


def test_options_are_kept() -> None:
    made = _after(CLUSTER, "--controllers", "*, -job-controller", "--no-scheduler")
    assert (made.controllers, made.scheduler) == ("*,-job-controller", False)
    assert _after(made) == made
    assert _after(made, "--scheduler", "--controllers", "*") == CLUSTER
    assert _after(CLUSTER, "--controllers", "") == replace(CLUSTER, controllers="")
