"""What CDI names mean for a container, where the runtime does not know it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.dra.cdi import CdiError, edits, understood_by


@pytest.mark.parametrize(
    ("runtime", "version", "understood"),
    [
        ("containerd", "1.6.20~ds1", False),
        ("containerd", "1.7.0", True),
        ("containerd", "v2.1.3", True),
        ("containerd", "", True),
        ("cri-o", "1.20.0", True),
    ],
)
def test_who_needs_help(runtime: str, version: str, understood: bool) -> None:
    assert understood_by(runtime, version) is understood


def test_edits(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    device = {"name": "0", "containerEdits": {"env": ["A=old"]}}
    (old / "a.json").write_text(json.dumps({"kind": "v.com/c", "devices": [device]}))
    (old / "broken.json").write_text("{")
    (old / "notes.txt").write_text("kind: v.com/other")
    (new / "b.yaml").write_text(
        """
kind: v.com/c
containerEdits: {env: [ALL=1]}
devices:
- name: "0"
  containerEdits:
    env: [A=1=2]
    deviceNodes: [{path: /dev/x, hostPath: /dev/null, permissions: rw}, {path: /dev/zero}]
    mounts: [{hostPath: /opt/v, containerPath: /v, options: [ro, bind]}]
- name: "1"
  containerEdits: {env: [B=1]}
- name: gone
  containerEdits: {deviceNodes: [{path: /dev/is-not-there}]}
"""
    )
    folders = (str(tmp_path / "none"), str(old), str(new))
    found = edits(["v.com/c=0", "v.com/c=1"], folders)
    assert found.env == {"ALL": "1", "A": "1=2", "B": "1"}
    assert found.devices == [
        cri.Device(container_path="/dev/x", host_path="/dev/null", permissions="rw"),
        cri.Device(container_path="/dev/zero", host_path="/dev/zero", permissions="rwm"),
    ]
    assert [(m.host_path, m.container_path, m.readonly) for m in found.mounts] == [("/opt/v", "/v", True)]
    for names, why in (
        (["v.com/c=0", "v.com/c=9"], "unresolvable CDI devices v.com/c=9"),
        (["v.com/c=gone"], "failed to stat CDI host device '/dev/is-not-there'"),
    ):
        with pytest.raises(CdiError, match=why):
            edits(names, folders)
