"""The audit log's options: kept for later starts, and a policy that cannot be used is said at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pelamis.main import cli
from pelamis.main.config import ConfigError, create
from pelamis.main.up import _with_audit

CLUSTER = create("default", Path("/nowhere"), port=None, node=True, node_name="n")
GOOD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"


def test_options_are_kept(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(GOOD)
    words = ["--audit-policy-file", str(policy), "--audit-log-path", "-", "--audit-log-maxbackup", "3"]
    made = _with_audit(CLUSTER, cli._parser().parse_args(["up", *words]))
    assert (made.audit_policy, made.audit_log, made.audit_maxsize, made.audit_maxbackup) == (str(policy), "-", 100, 3)
    assert _with_audit(made, cli._parser().parse_args(["up"])) == made
    without = _with_audit(made, cli._parser().parse_args(["up", "--audit-policy-file", "", "--audit-log-path", ""]))
    assert without == replace(made, audit_policy="", audit_log="")


@pytest.mark.parametrize("text", [None, "kind: Policy", GOOD.replace("Metadata", "Some")])
def test_a_policy_that_cannot_be_used(tmp_path: Path, text: str | None) -> None:
    policy = tmp_path / "policy.yaml"
    if text is not None:
        policy.write_text(text)
    with pytest.raises(ConfigError, match=r"the audit policy .* cannot be used"):
        _with_audit(CLUSTER, cli._parser().parse_args(["up", "--audit-policy-file", str(policy)]))
