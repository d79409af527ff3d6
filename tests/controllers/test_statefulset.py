"""A StatefulSet's steps, case by case: the pods that exist in, the pods to make and to delete out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.apps.controllerrevision import ControllerRevision
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.apps.statefulset import StatefulSet
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.meta import OwnerReference
from pelamis.client.types import Create, Delete, Outcome
from pelamis.controllers import statefulset
from pelamis.reconcile.revision import history
from tests.api.made import of

NOW = 1_700_000_000.0


def declared(image: str, **spec: Any) -> Any:
    meta = {"name": "db", "namespace": "n", "uid": "u", "generation": 2}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    body = {"replicas": 3, "serviceName": "db", "selector": {"matchLabels": {"a": "b"}}, "template": template, **spec}
    return of(StatefulSet, {"metadata": meta, "spec": body})


def revision(one: Any, number: int) -> Any:
    made = history(one, STATEFULSET, (), statefulset.REVISION_HASH, {"a": "b"}).update
    return msgspec.structs.replace(made, revision=number)


OLD, NEW = revision(declared("old"), 1), revision(declared("new"), 2)


def pod(ordinal: int, of_revision: ControllerRevision, state: str = "ready") -> Any:
    meta: dict[str, Any] = {
        "name": f"db-{ordinal}",
        "namespace": "n",
        "uid": f"p{ordinal}",
        "labels": {
            "a": "b",
            "controller-revision-hash": of_revision.metadata.name,
            statefulset.POD_NAME: f"db-{ordinal}",
            statefulset.POD_INDEX: str(ordinal),
        },
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": True}
        ],
    }
    if state == "leaving":
        meta["deletionTimestamp"] = "2023-11-14T22:13:20Z"
    phase = {"failed": "Failed", "pending": "Pending"}.get(state, "Running")
    ready = {"type": "Ready", "status": str(state in ("ready", "leaving"))}
    return of(Pod, {"metadata": meta, "spec": {"containers": []}, "status": {"phase": phase, "conditions": [ready]}})


def does(one: Any, pods: list[Any]) -> list[str]:
    current = msgspec.structs.replace(one.status, currentRevision=OLD.metadata.name)
    world = statefulset.World(msgspec.structs.replace(one, status=current), pods, [OLD, NEW], {}, lambda name: None)
    out = []
    for action in statefulset.reconcile(world, NOW).actions:
        if isinstance(action, Create) and action.kind is POD:
            fresh = action.obj.metadata.labels["controller-revision-hash"] == NEW.metadata.name
            out.append(f"+{action.obj.metadata.name.removeprefix('db-')}{'new' if fresh else 'old'}")
        elif isinstance(action, Delete) and action.kind is POD:
            out.append(f"-{action.name.removeprefix('db-')}")
    return out


ROLL = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
HALF = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
PARALLEL = {"podManagementPolicy": "Parallel"}


@pytest.mark.parametrize(
    ("spec", "pods", "steps"),
    [
        ({}, [], ["+0new"]),
        (PARALLEL, [], ["+0new", "+1new", "+2new"]),
        ({}, [(0, NEW, "pending")], []),
        ({}, [(0, NEW, "ready")], ["+1new"]),
        ({"updateStrategy": ROLL}, [(0, OLD), (1, OLD), (2, OLD)], ["-2"]),
        ({"updateStrategy": ROLL}, [(0, OLD), (1, OLD), (2, NEW, "pending")], []),
        ({"updateStrategy": ROLL}, [(0, OLD), (1, OLD), (2, NEW)], ["-1"]),
        ({"updateStrategy": ROLL}, [(0, OLD), (1, OLD), (2, OLD, "leaving")], []),
        ({"updateStrategy": HALF}, [(0, OLD), (1, OLD), (2, NEW)], []),
        ({"updateStrategy": HALF}, [(1, OLD), (2, NEW)], ["+0old"]),
        ({"updateStrategy": {"type": "OnDelete"}}, [(0, OLD), (1, OLD), (2, OLD)], []),
        # a partition counts from the first ordinal
        ({"updateStrategy": HALF, "ordinals": {"start": 5}}, [(5, OLD), (6, OLD), (7, OLD)], ["-7"]),
        ({"updateStrategy": HALF, "ordinals": {"start": 5}}, [(5, OLD), (6, OLD), (7, NEW)], []),
        ({"updateStrategy": HALF, "ordinals": {"start": 5}}, [(5, OLD), (7, NEW)], ["+6old"]),
        ({"updateStrategy": HALF, "ordinals": {"start": 5}}, [(5, OLD), (6, OLD)], ["+7new"]),
        # one at a time from the top, and only while the others are well
        ({"replicas": 1}, [(0, NEW), (1, NEW), (2, NEW)], ["-2"]),
        ({"replicas": 1}, [(0, NEW), (1, NEW), (2, NEW, "leaving")], []),
        ({"replicas": 1, **PARALLEL}, [(0, NEW), (1, NEW), (2, NEW)], ["-2", "-1"]),
        ({"replicas": 2}, [(0, NEW, "pending"), (1, NEW), (2, NEW)], []),
        ({}, [(0, NEW), (1, NEW, "failed"), (2, NEW)], ["-1"]),
    ],
)
def test_steps(spec: dict[str, Any], pods: list[tuple[Any, ...]], steps: list[str]) -> None:
    assert does(declared("new", **spec), [pod(*p) for p in pods]) == steps


def test_what_a_pod_and_the_status_show() -> None:
    one = declared("new")
    plan = statefulset.reconcile(statefulset.World(one, [], [OLD, NEW], {}, lambda name: None), NOW)
    made = next(a.obj for a in plan.actions if isinstance(a, Create) and a.kind is POD)
    assert (made.metadata.name, made.metadata.generateName) == ("db-0", "db-")
    assert next(a.obj.status.collisionCount for a in plan.actions if getattr(a, "subresource", "") == "status") == 0
    assert plan.on_outcomes is not None
    after = plan.on_outcomes([Outcome(1, getattr(a, "obj", None)) for a in plan.actions])
    assert [e.message for e in after.events] == ["Create Pod db-0 in StatefulSet db successful"]


def ref(kind: str, name: str, uid: str, controller: bool = True) -> OwnerReference:
    version = {"StatefulSet": "apps/v1"}.get(kind, "v1")
    return OwnerReference(
        apiVersion=version, kind=kind, name=name, uid=uid, controller=controller, blockOwnerDeletion=True
    )


SET, ITS_POD, FOREIGN = ref("StatefulSet", "db", "u"), ref("Pod", "db-0", "p0"), ref("ConfigMap", "x", "x", False)
CONTROLLER = ref("Backup", "b", "b")


@pytest.mark.parametrize(
    ("refs", "wanted", "managed", "made"),
    [
        ([], [SET], True, (SET,)),
        ([SET], [SET], True, None),
        ([ref("StatefulSet", "db", "u", False)], [SET], True, (SET,)),
        ([FOREIGN], [SET], True, (FOREIGN, SET)),
        ([FOREIGN, SET], [ITS_POD], True, (FOREIGN, ITS_POD)),
        ([SET, ITS_POD], [], False, ()),
        ([ref("StatefulSet", "db", "former")], [SET], True, None),
        ([ref("Pod", "db-0", "former"), SET], [], False, None),
        ([CONTROLLER], [SET], True, None),
        ([CONTROLLER, SET], [SET], True, (CONTROLLER,)),
        ([CONTROLLER], [], False, None),
    ],
)
def test_who_owns_a_claim(
    refs: list[OwnerReference], wanted: list[OwnerReference], managed: bool, made: tuple[OwnerReference, ...] | None
) -> None:
    assert statefulset.claim_owners(refs, (SET, ITS_POD), wanted, managed=managed) == made
