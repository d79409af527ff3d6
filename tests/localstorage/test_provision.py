"""Local volumes: what is made for a claim, and what happens to directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.storage.storageclass import StorageClass
from pelamis.localstorage import provision
from pelamis.localstorage.run import tend

CLASS: Any = msgspec.convert(provision.default_class(), StorageClass)


def claim(**spec: Any) -> Any:
    body = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    meta = {"name": "data", "namespace": "team", "uid": "u-1"}
    return msgspec.json.decode(msgspec.json.encode({"metadata": meta, "spec": body}), type=PersistentVolumeClaim)


def test_a_volume_is_a_directory_of_the_chosen_node() -> None:
    plan = provision.reconcile(provision.World(claim(), CLASS, None, "node-1", "/volumes"), 0.0)
    (create,) = plan.actions
    volume = msgspec.json.decode(msgspec.json.encode(create.obj), type=PersistentVolume)  # type: ignore[union-attr]
    assert volume.metadata.name == "pvc-u-1"
    assert volume.spec.local is not None
    assert volume.spec.local.path == "/volumes/pvc-u-1_team_data"
    assert volume.spec.capacity == {"storage": "1Gi"}
    assert volume.spec.persistentVolumeReclaimPolicy == "Delete"
    assert provision.node_of(volume) == "node-1"
    assert provision.is_ours(volume)


@pytest.mark.parametrize(
    ("spec", "node", "text"),
    [
        ({"volumeMode": "Block"}, "node-1", "volumeMode Block is not supported"),
        ({"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}, "node-1", "data sources are not supported"),
        ({}, "", "must have volumeBindingMode WaitForFirstConsumer"),
    ],
)
def test_what_cannot_be_made_is_said(spec: dict[str, Any], node: str, text: str) -> None:
    plan = provision.reconcile(provision.World(claim(**spec), CLASS, None, node, "/volumes"), 0.0)
    assert not plan.actions
    assert text in plan.events[0].message


def _made(root: Path, phase: str, policy: str = "Delete") -> Any:
    plan = provision.reconcile(provision.World(claim(), CLASS, None, "node-1", str(root)), 0.0)
    tree: dict[str, Any] = {**plan.actions[0].obj, "status": {"phase": phase}}  # type: ignore[union-attr]
    tree["spec"] = {**tree["spec"], "persistentVolumeReclaimPolicy": policy}
    return msgspec.json.decode(msgspec.json.encode(tree), type=PersistentVolume)


def test_directories_come_and_go(tmp_path: Path) -> None:
    root = tmp_path / "volumes"
    path = root / "pvc-u-1_team_data"
    assert not tend(root, _made(root, "Pending"))
    assert path.stat().st_mode & 0o777 == 0o777
    (path / "file").write_text("kept")
    assert not tend(root, _made(root, "Bound"))
    assert not tend(root, _made(root, "Released", "Retain"))
    assert (path / "file").read_text() == "kept"
    assert not tend(root, _made(tmp_path, "Released"))  # a path that is not below the root
    assert tend(root, _made(root, "Released"))
    assert not path.exists()
    assert tend(root, _made(root, "Released"))


@pytest.mark.parametrize(
    ("phase", "policy", "goes"), [("Bound", "Delete", 0), ("Released", "Retain", 0), ("Released", "Delete", 1)]
)
def test_without_directories_a_released_volume_just_goes(phase: str, policy: str, goes: int) -> None:
    plan = provision.reclaimer(lambda node: True).reconcile(_made(Path("/hollow"), phase, policy), 0.0)
    assert len(plan.actions) == goes
