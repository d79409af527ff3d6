"""The binder, case by case: a claim or a volume in; phases, bindings and events out."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.core.persistentvolume import PROVISIONED_BY, PersistentVolume
from pelamis.api.core.persistentvolumeclaim import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    SELECTED_NODE,
    PersistentVolumeClaim,
)
from pelamis.api.storage.storageclass import BETA_DEFAULT_ANNOTATION as BETA
from pelamis.api.storage.storageclass import DEFAULT_ANNOTATION as GA
from pelamis.api.storage.storageclass import StorageClass, default_class
from pelamis.base import errors
from pelamis.base.clock import rfc3339
from pelamis.client.types import Outcome, Update
from pelamis.controllers import persistentvolumebinder as binder
from tests.api.made import of

NOW = 1_700_000_000.0
SIZE = {"storage": "1Gi"}


def claim(*, phase: str = "Pending", notes: Any = (), cls: str | None = "", **spec: Any) -> Any:
    meta = {"name": "c", "namespace": "n", "uid": "c", "annotations": dict.fromkeys(notes, "yes")}
    body = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": SIZE}, **spec}
    if cls is not None:
        body["storageClassName"] = cls
    return of(PersistentVolumeClaim, {"metadata": meta, "spec": body, "status": {"phase": phase}})


def volume(
    name: str = "v",
    *,
    to: str = "",
    uid: str = "",
    phase: str = "",
    notes: Any = (),
    policy: str = "Retain",
    **spec: Any,
) -> Any:
    body = {"capacity": SIZE, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": policy, **spec}
    if to:
        body["claimRef"] = {"namespace": "n", "name": to, "uid": uid}
    meta = {"name": name, "uid": name, "annotations": dict.fromkeys(notes, "yes")}
    return of(PersistentVolume, {"metadata": meta, "spec": body, "status": {"phase": phase}})


def cls(provisioner: str = "example.com/x", mode: str = "Immediate") -> Any:
    return of(StorageClass, {"metadata": {"name": "fast"}, "provisioner": provisioner, "volumeBindingMode": mode})


def followed(plan: Any) -> tuple[list[str], list[str]]:
    """All writes, one commit after another, each granted; and the events."""
    steps: list[str] = []
    events: list[str] = []
    while plan is not None:
        events += [e.reason for e in plan.events]
        for a in plan.actions:
            assert isinstance(a, Update)
            what = a.obj.kind.removeprefix("PersistentVolume") or "Volume"
            if a.subresource:
                steps.append(f"{what} {a.obj.status.phase}")
            elif what == "Claim":
                steps.append(f"Claim -> {a.obj.spec.volumeName or a.obj.spec.storageClassName}")
            else:
                steps.append(f"Volume -> {a.obj.spec.claimRef.name if a.obj.spec.claimRef else ''}")
        plan = plan.on_outcomes([Outcome(1, a.obj) for a in plan.actions]) if plan.on_outcomes is not None else None
    return steps, events


FREE = volume(phase="Available")
BOUND = (BIND_COMPLETED,)
ALL = ["Volume -> c", "Volume Bound", "Claim -> v", "Claim Bound"]


@pytest.mark.parametrize(
    ("world", "steps", "events"),
    [
        # nobody is named: the best that is free
        (binder.ClaimWorld(claim(), [FREE]), ALL, []),
        (binder.ClaimWorld(claim(), [volume()]), [], ["FailedBinding"]),  # not looked at yet
        (binder.ClaimWorld(claim(), [volume(to="c")]), ALL, []),  # made for it beforehand
        (binder.ClaimWorld(claim(), [volume(to="other")]), [], ["FailedBinding"]),
        (binder.ClaimWorld(claim(), [volume(capacity={"storage": "1Mi"})]), [], ["FailedBinding"]),
        (
            binder.ClaimWorld(claim(), [volume("big", capacity={"storage": "9Gi"}, phase="Available"), FREE]),
            ALL,
            [],
        ),
        (binder.ClaimWorld(claim(cls=None), [], default="fast"), ["Claim -> fast"], []),
        # a class
        (binder.ClaimWorld(claim(cls="fast"), []), [], ["ProvisioningFailed"]),
        (binder.ClaimWorld(claim(cls="fast"), [], cls()), ["Claim -> fast"], []),
        (binder.ClaimWorld(claim(cls="fast"), [], cls("kubernetes.io/none")), [], ["ProvisioningFailed"]),
        (binder.ClaimWorld(claim(cls="fast"), [], cls(mode="WaitForFirstConsumer")), [], ["WaitForFirstConsumer"]),
        (
            binder.ClaimWorld(claim(cls="fast"), [], cls(mode="WaitForFirstConsumer"), pods=["p"]),
            [],
            ["WaitForPodScheduled"],
        ),
        (
            binder.ClaimWorld(claim(cls="fast", notes=[SELECTED_NODE]), [], cls(mode="WaitForFirstConsumer")),
            ["Claim -> fast"],
            [],
        ),
        # a volume is named
        (binder.ClaimWorld(claim(volumeName="v"), [volume()]), ALL, []),
        (binder.ClaimWorld(claim(volumeName="v"), []), [], []),
        (binder.ClaimWorld(claim(volumeName="v"), [volume(to="other", uid="o")]), [], ["FailedBinding"]),
        (binder.ClaimWorld(claim(volumeName="v"), [volume(accessModes=["ReadOnlyMany"])]), [], ["VolumeMismatch"]),
        # bound before
        (
            binder.ClaimWorld(
                claim(phase="Bound", notes=BOUND, volumeName="v"), [volume(to="c", uid="c", phase="Bound")]
            ),
            ["Claim Bound"],
            [],
        ),
        (binder.ClaimWorld(claim(phase="Bound", notes=BOUND, volumeName="v"), []), ["Claim Lost"], ["ClaimLost"]),
        (binder.ClaimWorld(claim(phase="Bound", notes=BOUND), []), ["Claim Lost"], ["ClaimLost"]),
        (binder.ClaimWorld(claim(phase="Lost", notes=BOUND, volumeName="v"), []), [], []),
        (
            binder.ClaimWorld(claim(phase="Bound", notes=BOUND, volumeName="v"), [volume(to="x", uid="x")]),
            ["Claim Lost"],
            ["ClaimMisbound"],
        ),
        # volumes
        (binder.VolumeWorld(volume(), None), ["Volume Available"], []),
        (binder.VolumeWorld(volume(to="c"), None), ["Volume Available"], []),
        (binder.VolumeWorld(volume(to="c", uid="c", phase="Bound"), None), ["Volume Released"], []),
        (binder.VolumeWorld(volume(to="c", uid="c", phase="Bound", policy="Delete"), None), ["Volume Released"], []),
        (
            binder.VolumeWorld(volume(to="c", uid="c", phase="Released", policy="Delete"), None),
            ["Volume Failed"],
            ["VolumeFailedDelete"],
        ),
        (
            binder.VolumeWorld(volume(to="c", uid="c", phase="Bound", policy="Delete", notes=[PROVISIONED_BY]), None),
            ["Volume Released"],
            [],
        ),
        (binder.VolumeWorld(volume(to="c", uid="c", phase="Bound", policy="Recycle"), None), ["Volume Released"], []),
        (
            binder.VolumeWorld(volume(to="c", uid="c", phase="Released", policy="Recycle"), None),
            ["Volume Failed"],
            ["VolumeFailedRecycle"],
        ),
        (binder.VolumeWorld(volume(to="c", uid="c"), claim(volumeName="v")), ["Volume Bound"], []),
        (binder.VolumeWorld(volume(to="c", uid="c"), claim()), [], []),
        # its claim took another
        (
            binder.VolumeWorld(volume(to="c", uid="c", notes=[BOUND_BY_CONTROLLER]), claim(volumeName="w")),
            ["Volume -> ", "Volume Available"],
            [],
        ),
        (
            binder.VolumeWorld(volume(to="c", uid="c"), claim(volumeName="w")),
            ["Volume -> c", "Volume Available"],
            [],
        ),
    ],
)
def test_steps(world: Any, steps: list[str], events: list[str]) -> None:
    assert followed(binder.reconcile(world, NOW)) == (steps, events)


def test_whoever_loses_a_race_for_a_volume_looks_again() -> None:
    plan = binder.reconcile(binder.ClaimWorld(claim(), [FREE]), NOW)
    assert plan.on_outcomes is not None
    after = plan.on_outcomes([Outcome(0, None, errors.Conflict("persistentvolumes", "", "v"))])
    assert after.error and not after.actions


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([], ""),
        ([("a", 1, "")], ""),
        ([("a", 2, GA), ("b", 3, BETA), ("c", 1, GA)], "b"),
        ([("b", 1, GA), ("a", 1, BETA)], "a"),
    ],
)
def test_the_newest_class_with_either_mark_is_the_default(classes: list[tuple[str, int, str]], expected: str) -> None:
    made = [
        of(
            StorageClass,
            {"metadata": {"name": name, "creationTimestamp": rfc3339(NOW + age), "annotations": {mark: "true"}}},
        )
        for name, age, mark in classes
    ]
    assert default_class(made) == expected
