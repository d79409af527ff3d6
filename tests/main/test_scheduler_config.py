"""``--scheduler-config``: checked when a cluster starts, remembered, and never in the way of the API."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pelamis.main.components import scheduler_settings
from pelamis.main.config import Cluster, ConfigError, create
from pelamis.main.up import _with_scheduler

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"


def cluster(tmp_path: Path) -> Cluster:
    return create("t", tmp_path / "data", port=1, node=False, node_name="t")


def started(of: Cluster, wanted: str | None) -> Cluster:
    return _with_scheduler(of, argparse.Namespace(scheduler_config=wanted))


def test_it_is_remembered_and_given_up(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(HEAD + "profiles: [{schedulerName: a}, {schedulerName: b}]")
    first = started(cluster(tmp_path), str(file))
    assert first.scheduler_config == str(file)
    again = started(first, None)
    assert again.scheduler_config == str(file)
    found = scheduler_settings(again)
    assert found is not None and [p.name for p in found.profiles] == ["a", "b"]
    without = scheduler_settings(started(again, ""))
    assert without is not None and [p.name for p in without.profiles] == ["default-scheduler"]


def test_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(HEAD + "podInitialBackoffSeconds: 0\nparallelism: 0")
    with pytest.raises(ConfigError) as caught:
        started(cluster(tmp_path), str(file))
    assert "podInitialBackoffSeconds: Invalid value: 0" in str(caught.value) and "parallelism" in str(caught.value)
    with pytest.raises(ConfigError, match="No such file"):
        started(cluster(tmp_path), str(tmp_path / "none.yaml"))


def test_one_that_broke_since_leaves_the_api_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(HEAD)
    ready = started(cluster(tmp_path), str(file))
    file.write_text("}")
    assert scheduler_settings(ready) is None
    assert "no pod will be scheduled" in caplog.text
    with pytest.raises(ConfigError, match='To do without it: --scheduler-config ""'):
        started(ready, None)
