"""Deployment, ReplicaSet, DaemonSet, StatefulSet, ControllerRevision."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.apps import CONTROLLERREVISION, DAEMONSET, DEPLOYMENT, REPLICASET, STATEFULSET
from pelamis.api.kind import Kind
from tests.api.made import (
    SELECTOR,
    TEMPLATE,
    complaints,
    completed,
    edited,
    made,
    row,
    status_complaints,
    update_complaints,
)

GOOD = {"spec": {"selector": SELECTOR, "template": TEMPLATE}}
ALWAYS = 'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'
PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
MISMATCH = 'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'


@pytest.mark.parametrize("kind", [DEPLOYMENT, REPLICASET, DAEMONSET, STATEFULSET], ids=repr)
def test_good(kind: Kind) -> None:
    assert complaints(kind, GOOD) == []
    assert update_complaints(kind, GOOD, GOOD) == []
    other = edited(
        edited(GOOD, "spec.selector", {"matchLabels": {"a": "b"}}), "spec.template.metadata.labels", {"a": "b"}
    )
    assert any("selector" in c or "spec: Forbidden" in c for c in update_complaints(kind, GOOD, other))


@pytest.mark.parametrize(
    ("kind", "path", "value", "messages"),
    [
        (DEPLOYMENT, "spec.selector", ..., ["spec.selector: Required value", MISMATCH]),
        (DEPLOYMENT, "spec.selector", {"matchLabels": {"app": "db"}}, [MISMATCH]),
        (DEPLOYMENT, "spec.replicas", -1, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (DEPLOYMENT, "spec.template.spec.restartPolicy", "Never", [ALWAYS]),
        (
            DEPLOYMENT,
            "spec.strategy",
            {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}},
            ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
        ),
        (
            DEPLOYMENT,
            "spec.strategy.rollingUpdate",
            {"maxSurge": 0, "maxUnavailable": "0%"},
            ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'],
        ),
        (
            DEPLOYMENT,
            "spec.strategy.rollingUpdate",
            {"maxSurge": "x", "maxUnavailable": "101%"},
            [
                f'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x": {PERCENT}',
                'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
            ],
        ),
        (
            DEPLOYMENT,
            "spec.progressDeadlineSeconds",
            0,
            ["spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds"],
        ),
        (
            DEPLOYMENT,
            "spec.template.spec.activeDeadlineSeconds",
            5,
            [
                "spec.template.spec.activeDeadlineSeconds: Forbidden: "
                "activeDeadlineSeconds in ReplicaSet is not Supported"
            ],
        ),
        (DAEMONSET, "spec.template.spec.restartPolicy", "Never", [ALWAYS]),
        (
            DAEMONSET,
            "spec.updateStrategy.rollingUpdate",
            {"maxSurge": 1, "maxUnavailable": 1},
            [
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: "
                "may not be set when maxUnavailable is non-zero"
            ],
        ),
        (
            DAEMONSET,
            "spec.updateStrategy.rollingUpdate",
            {"maxSurge": 0, "maxUnavailable": 0},
            ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
        ),
        (
            STATEFULSET,
            "spec.podManagementPolicy",
            "Odd",
            ["spec.podManagementPolicy: Invalid value: \"Odd\": must be 'OrderedReady' or 'Parallel'"],
        ),
        (
            STATEFULSET,
            "spec.ordinals",
            {"start": -1},
            ["spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            STATEFULSET,
            "spec.persistentVolumeClaimRetentionPolicy",
            {"whenDeleted": "Keep"},
            [
                'spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Keep": '
                'supported values: "Retain", "Delete"'
            ],
        ),
    ],
)
def test_wrong(kind: Kind, path: str, value: Any, messages: list[str]) -> None:
    assert complaints(kind, edited(GOOD, path, value)) == messages


def test_statefulset_mounts_its_claims() -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    claim["spec"]["resources"] = {"requests": {"storage": "1Gi"}}  # type: ignore[index]
    tree = edited(GOOD, "spec.volumeClaimTemplates", [claim])
    tree = edited(tree, "spec.template.spec.containers.0.volumeMounts", [{"name": "data", "mountPath": "/data"}])
    assert complaints(STATEFULSET, tree) == []
    spec = completed(STATEFULSET, tree)["spec"]
    assert spec["volumeClaimTemplates"][0]["kind"] == "PersistentVolumeClaim"
    assert spec["volumeClaimTemplates"][0]["spec"]["volumeMode"] == "Filesystem"
    assert spec["volumeClaimTemplates"][0]["status"] == {"phase": "Pending"}


def test_statefulset_update() -> None:
    assert update_complaints(STATEFULSET, GOOD, edited(GOOD, "spec.replicas", 3)) == []
    assert update_complaints(STATEFULSET, GOOD, edited(GOOD, "spec.serviceName", "web")) == [
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
        "are forbidden"
    ]


def test_defaults() -> None:
    spec = completed(DEPLOYMENT, GOOD)["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    spec = completed(STATEFULSET, edited(GOOD, "spec.updateStrategy", {"type": "OnDelete"}))["spec"]
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    assert completed(DAEMONSET, GOOD)["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}


def test_daemonset_counts_templates() -> None:
    first = completed(DAEMONSET, GOOD)
    DAEMONSET.prepare_create(first)
    key = "deprecated.daemonset.template.generation"
    assert first["metadata"]["annotations"] == {key: "1"}
    second = edited(first, "spec.template.spec.containers.0.image", "nginx:2")
    DAEMONSET.prepare_update(second, first)
    assert second["metadata"]["annotations"] == {key: "2"}


def test_deployment_generation_follows_annotations() -> None:
    old = {"metadata": {"generation": 4}, "spec": {}}
    new = {"metadata": {"generation": 4, "annotations": {"a": "b"}}, "spec": {}}
    DEPLOYMENT.prepare_update(new, old)
    assert new["metadata"]["generation"] == 5


def test_status() -> None:
    tree = {**GOOD, "status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3}}
    assert status_complaints(DEPLOYMENT, {**GOOD, "status": {"collisionCount": 2}}, tree) == [
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas",
        "status.collisionCount: Invalid value: 0: cannot be decremented",
    ]


@pytest.mark.parametrize(
    ("kind", "status", "cells"),
    [
        (
            DEPLOYMENT,
            {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
            ["x", "1/1", 1, 1, "5m", "c", "nginx:1.19", "app=web"],
        ),
        (REPLICASET, {"replicas": 1}, ["x", 1, 1, 0, "5m", "c", "nginx:1.19", "app=web"]),
        (
            DAEMONSET,
            {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1},
            ["x", 3, 2, 1, 0, 0, "<none>", "5m", "c", "nginx:1.19", "app=web"],
        ),
        (STATEFULSET, {"replicas": 1, "readyReplicas": 1}, ["x", "1/1", "5m", "c", "nginx:1.19"]),
    ],
    ids=repr,
)
def test_columns(kind: Kind, status: dict[str, Any], cells: list[Any]) -> None:
    assert row(kind, {**GOOD, "status": status}) == cells


def test_controllerrevision() -> None:
    assert complaints(CONTROLLERREVISION, {"revision": -1}) == [
        "data: Required value: data is mandatory",
        "revision: Invalid value: -1: must be greater than or equal to 0",
    ]
    old, new = {"data": {"a": 1}, "revision": 1}, {"data": {"a": 2}, "revision": 2}
    assert update_complaints(CONTROLLERREVISION, old, new) == ['data: Invalid value: {"a":2}: field is immutable']
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}
    tree = {**old, "metadata": {"ownerReferences": [owner]}}
    assert row(CONTROLLERREVISION, tree) == ["x", "daemonset.apps/d", 1, "5m"]


def test_replicas_are_selectable() -> None:
    assert REPLICASET.selectable is not None
    obj = made(REPLICASET, {**GOOD, "status": {"replicas": 3}}, prepared=False)
    assert REPLICASET.selectable["status.replicas"](obj) == "3"
