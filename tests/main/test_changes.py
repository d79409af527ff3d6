"""``pelamis up`` for a cluster that runs: the same flags are no change, and what needs a start is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pelamis.main import cli
from pelamis.main.config import ConfigError, create
from pelamis.main.up import _refuse_changes, _with_served

CLUSTER = create("default", Path("/nowhere"), port=None, node=True, node_name="n")
GATES = ["--feature-gates", "AllAlpha=false,AllBeta=false"]


def asked(*words: str) -> None:
    cluster = replace(CLUSTER, feature_gates=GATES[1], scheduler_config=str(Path("s.yaml").resolve()))
    _refuse_changes(cluster, cli._parser().parse_args(["up", *words]))


def test_the_same_flags_are_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n")
    asked()
    asked(*GATES)
    asked("--scheduler-config", "s.yaml")


@pytest.mark.parametrize(
    "words",
    [
        ("--scheduler-config", ""),
        ("--load-balancer-pool", "none"),
        ("--controllers", "*,-job-controller"),
        ("--audit-log-path", "-"),
        ("--feature-gates", ""),
        ("--runtime-config", "api/beta=true"),
    ],
)
def test_what_needs_a_start_is_refused(words: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"runs already.* then start it with .*(new|other)"):
        asked(*words)


def test_flags_of_versions_and_features_are_kept_and_checked() -> None:
    def made(*words: str) -> tuple[str, str]:
        done = _with_served(replace(CLUSTER, feature_gates="AllBeta=false"), cli._parser().parse_args(["up", *words]))
        return done.runtime_config, done.feature_gates

    assert made() == ("", "AllBeta=false")
    assert made("--runtime-config", "api/beta=true") == ("api/beta=true", "AllBeta=false")
    assert made("--feature-gates", "") == ("", "")
    with pytest.raises(ConfigError, match="--feature-gates Nothing=true: "):
        made("--feature-gates", "Nothing=true")
    with pytest.raises(ConfigError, match="--runtime-config apps: "):
        made("--runtime-config", "apps")
