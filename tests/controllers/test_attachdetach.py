"""Which volumes are attached where, case by case; and who is said to grow a volume."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.core.node import Node
from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.core.pod.pod import Pod
from pelamis.api.storage.volumeattachment import VolumeAttachment
from pelamis.client.types import Create, Delete, Patch
from pelamis.controllers import attachdetach as ad
from pelamis.controllers import expand
from tests.api.made import of

NOW = 1_700_000_000.0
NAME = ad.attachment_name("handle-1", "disk.example.com", "n1")
UNIQUE = "kubernetes.io/csi/disk.example.com^handle-1"


def node(*, in_use: bool = False, ready: bool = True, attached: bool = False, taint: str = "") -> Any:
    status: dict[str, Any] = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    if in_use:
        status["volumesInUse"] = [UNIQUE]
    if attached:
        status["volumesAttached"] = [{"name": UNIQUE, "devicePath": ""}]
    spec = {"taints": [{"key": taint, "effect": "NoExecute"}]} if taint else {}
    return of(Node, metadata={"name": "n1", "annotations": {ad.MANAGED: "true"}}, spec=spec, status=status)


def volume(**spec: Any) -> Any:
    csi = {"driver": "disk.example.com", "volumeHandle": "handle-1"}
    return of(PersistentVolume, metadata={"name": "pv"}, spec={"csi": csi, "accessModes": ["ReadWriteOnce"], **spec})


def attachment(**status: Any) -> Any:
    spec = {"attacher": "disk.example.com", "nodeName": "n1", "source": {"persistentVolumeName": "pv"}}
    return of(VolumeAttachment, metadata={"name": NAME}, spec=spec, status={"attached": True, **status})


POD = of(Pod, metadata={"name": "p", "namespace": "n"}, spec={"containers": [], "nodeName": "n1"})


def world(n: Any, *, wanted: bool, made: Any = None, elsewhere: tuple[str, ...] = (), since: Any = None) -> ad.World:
    pv = volume()
    return ad.World(
        "n1",
        n,
        {NAME: ad.Wanted(pv, [POD], elsewhere)} if wanted else {},
        {NAME: made} if made is not None else {},
        {"pv": pv},
        since or {},
    )


def shown(plan: Any) -> list[str]:
    out = [f"{type(a).__name__} {a.kind.plural}" for a in plan.actions]
    return out + [e.reason for e in plan.events]


@pytest.mark.parametrize(
    ("given", "does"),
    [
        (world(node(), wanted=True), ["Create volumeattachments"]),
        (world(node(), wanted=True, elsewhere=("n2",)), ["FailedAttachVolume"]),
        (world(node(), wanted=True, made=attachment()), ["Patch nodes", "SuccessfulAttachVolume"]),
        (world(node(attached=True), wanted=True, made=attachment()), []),
        (
            world(node(), wanted=True, made=attachment(attached=False, attachError={"message": "no"})),
            ["FailedAttachVolume"],
        ),
        (world(node(attached=True), wanted=False, made=attachment()), ["Patch nodes", "Delete volumeattachments"]),
        (world(node(attached=True, in_use=True), wanted=False, made=attachment()), []),
        (world(node(attached=True, in_use=True, ready=False), wanted=False, made=attachment()), []),
        (
            world(node(attached=True, in_use=True, ready=False), wanted=False, made=attachment(), since={NAME: 1.0}),
            ["Patch nodes", "Delete volumeattachments"],
        ),
        (
            world(node(attached=True, in_use=True, taint=ad.OUT_OF_SERVICE), wanted=False, made=attachment()),
            ["Patch nodes", "Delete volumeattachments"],
        ),
        (world(None, wanted=False, made=attachment()), ["Delete volumeattachments"]),
    ],
)
def test_attach_and_detach(given: ad.World, does: list[str]) -> None:
    plan = ad.reconcile(given, NOW)
    assert shown(plan) == does
    for action in plan.actions:
        if isinstance(action, Create):
            assert action.obj["spec"]["source"] == {"persistentVolumeName": "pv"}
        assert isinstance(action, Create | Delete | Patch)


def test_a_node_that_is_not_ready_is_waited_for() -> None:
    plan = ad.reconcile(world(node(attached=True, in_use=True, ready=False), wanted=False, made=attachment()), NOW)
    assert (plan.requeue_at, plan.memo) == (NOW + 360, {NAME: NOW})


@pytest.mark.parametrize(
    ("source", "type_", "text"),
    [
        ({"csi": {"driver": "d", "volumeHandle": "h"}}, "Normal", "waiting for an external controller to expand"),
        ({"hostPath": {"path": "/x"}}, "Warning", "didn't find a plugin capable of expanding the volume"),
    ],
)
def test_growing(source: dict[str, Any], type_: str, text: str) -> None:
    claim = of(
        PersistentVolumeClaim,
        metadata={"name": "c", "namespace": "n", "uid": "u"},
        spec={"resources": {"requests": {"storage": "2Gi"}}, "volumeName": "pv"},
        status={"phase": "Bound", "capacity": {"storage": "1Gi"}},
    )
    assert expand.wants_more(claim)
    pv = of(PersistentVolume, metadata={"name": "pv"}, spec={**source, "claimRef": {"uid": "u"}})
    event = expand.reconcile(expand.World(claim, pv), NOW).events[0]
    assert event.type == type_
    assert text in event.message
