"""Scaling policies: what is unset is filled in, an empty list is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.autoscaling.horizontalpodautoscaler import KIND
from tests.api.made import completed, made

POLICY = {"type": "Pods", "value": 1, "periodSeconds": 60}
TARGET = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}


def scaler(rules: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"scaleTargetRef": TARGET, "maxReplicas": 3, "behavior": rules}}


@pytest.mark.parametrize(
    ("rules", "ups", "downs", "refused"),
    [
        ({}, 2, 1, []),
        ({"scaleUp": {}}, 2, 1, []),
        ({"scaleUp": {"policies": None}}, 2, 1, []),
        ({"scaleUp": {"policies": [POLICY]}}, 1, 1, []),
        ({"scaleUp": {"policies": []}}, 0, 1, ["scaleUp"]),
        ({"scaleUp": {"policies": []}, "scaleDown": {"policies": []}}, 0, 0, ["scaleUp", "scaleDown"]),
    ],
)
def test_policies(rules: dict[str, Any], ups: int, downs: int, refused: list[str]) -> None:
    behavior = completed(KIND, scaler(rules))["spec"]["behavior"]
    assert (len(behavior["scaleUp"]["policies"]), len(behavior["scaleDown"]["policies"])) == (ups, downs)
    errors = [str(e) for e in KIND.validate(made(KIND, scaler(rules)))]
    assert errors == [f"spec.behavior.{n}.policies: Required value: must specify at least one Policy" for n in refused]
